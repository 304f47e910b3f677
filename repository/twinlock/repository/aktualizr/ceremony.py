"""The ``aktualizr`` form of a Root that travels from key to key: a member of the file that holds the ``tuf`` one.

    {"signatures": [...], "signed": {...},
     "aktualizr": {"signatures": [...], "signed": {...}, "before": {"keyids": [...], "threshold": 1, "keys": {...}}, "fillers": [...]}}

Every holder of a key that this form names signs it, once both were read and found to state the same but for the Root keys of the
two chains. ``before`` are the Root keys of the chain so far; ``fillers`` are there where the chain is handed over.
What is published is a file for each.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from securesystemslib.signer import Signer
from tuf.api.metadata import Key, Metadata, Root

from twinlock.repository.aktualizr.root_chain import (
    RootLink,
    check_apart,
    filler_name,
    identities,
    read_role,
    role_json,
    root_role,
)
from twinlock.repository.aktualizr.signing import add_signatures, verified_keyids
from twinlock.repository.signing.sign import SigningAuthority
from twinlock.trust.errors.base import UsageError
from twinlock.trust.errors.local import ProfileError
from twinlock.trust.limits import DEFAULT_LIMITS
from twinlock.trust.names import ROOT
from twinlock.trust.wire.aktualizr import form
from twinlock.trust.wire.aktualizr.decode import AKTUALIZR
from twinlock.trust.wire.aktualizr.encode import checked_size, translate_root

Json = dict[str, Any]


class Demand(NamedTuple):
    """How many of which keys have to sign. ``known`` has those of them whose public halves the file carries."""

    keyids: frozenset[str]
    threshold: int
    known: SigningAuthority

    @classmethod
    def by(cls, authority: SigningAuthority) -> Demand:
        """The demand for ``authority``, whose keys are all known."""
        return cls(frozenset(authority.keyids), authority.threshold, authority)

    def missing(self, signed: Iterable[str]) -> int:
        """How many signatures it lacks where the keys ``signed`` made theirs."""
        lacks_post_quantum = self.known.lacks_post_quantum(signed)
        return max(int(lacks_post_quantum), self.threshold - self.known.count(signed))


class _Part(NamedTuple):
    """One file of this form: its envelope, the name it is published by, and how many of which keys have to sign it."""

    envelope: Json
    name: str
    needed: tuple[Demand, ...]
    also: frozenset[str] = frozenset()

    @property
    def signers(self) -> frozenset[str]:
        """The ids of the keys that sign it."""
        return self.also.union(*(demand.keyids for demand in self.needed))


def attach(metadata: Metadata[Root], links: Iterable[RootLink]) -> None:
    """Give a new Root its other form, with no signature yet. Raises: ProfileError for what that form cannot express."""
    chain = list(links)
    for link in chain:
        checked_size(ROOT, form.encode_envelope(link.signed, ()), form.MAX_BYTES[ROOT])
    newest = chain[-1]
    body: Json = {"signatures": [], "signed": newest.signed}
    before = newest.authorities[1:]
    if before:
        body["before"] = role_json(before[0])
    if newest.also is not None:
        body["also"] = list(newest.also.keyids)
    if chain[:-1]:
        body["fillers"] = [{"signatures": [], "signed": link.signed} for link in chain[:-1]]
    metadata.unrecognized_fields[form.NAME] = body


def is_attached(metadata: Metadata[Root]) -> bool:
    """Whether the Root has its other form with it."""
    return form.NAME in metadata.unrecognized_fields


def attached_form(metadata: Metadata[Root]) -> Any:
    """The member that holds the other form, with its signatures, as the file has it; None if there is none."""
    return metadata.unrecognized_fields.get(form.NAME)


def is_hand_over(metadata: Metadata[Root]) -> bool:
    """Whether publishing the Root hands the chain of its other form over to Root keys of its own."""
    if not is_attached(metadata):
        return False
    newest = _parts(metadata)[0]
    after, *before = (demand.keyids for demand in newest.needed)
    return any(not keyids & after and keyids <= set(root_role(metadata.signed).keyids) for keyids in before)


def attached_keyids(metadata: Metadata[Root]) -> frozenset[str]:
    """The ids of all keys that sign the other form."""
    if not is_attached(metadata):
        return frozenset()
    return frozenset[str]().union(*(part.signers for part in _parts(metadata)))


def own_root_role(metadata: Metadata[Root]) -> SigningAuthority | None:
    """The Root keys of its own that the other form names, for a person to judge before signing; None if it has none."""
    if not is_attached(metadata):
        return None
    envelope = _parts(metadata)[0].envelope
    role = read_role(form.encode_envelope(envelope["signed"], envelope["signatures"]))
    return None if identities(role) == identities(root_role(metadata.signed)) else role


def own_root_before(metadata: Metadata[Root]) -> tuple[frozenset[str], int]:
    """The Root keys that the other form's chain has so far, by id, and how many must sign: none where it begins with this Root."""
    stated = metadata.unrecognized_fields[form.NAME].get("before") if is_attached(metadata) else None
    if not stated:
        return frozenset(), 0
    demand = _demand(stated, metadata.signed)
    return demand.keyids, demand.threshold


def sign_attached(metadata: Metadata[Root], signers: Iterable[Signer]) -> None:
    """Add signatures to the other form, if there is one. Raises: ProfileError if it does not state the same, UsageError."""
    if not is_attached(metadata):
        return
    held = list(signers)
    for part in _parts(metadata):
        by = [signer for signer in held if signer.public_key.keyid in part.signers]
        signed = json.loads(add_signatures(ROOT, part.envelope, by, form.MAX_BYTES[ROOT]))
        part.envelope["signatures"] = signed["signatures"]


def attached_tallies(metadata: Metadata[Root]) -> Iterator[tuple[Demand, frozenset[str]]]:
    """Every demand on the other form, and the ids of the keys whose signatures on it verify."""
    for part in _parts(metadata) if is_attached(metadata) else ():
        for demand in part.needed:
            yield demand, verified_keyids(part.envelope, demand.known.keys)


def detach(metadata: Metadata[Root]) -> dict[str, bytes] | None:
    """Take the other form out: the files to publish in that profile, by name. None if there is none.

    Raises: as ``sign_attached``.
    """
    if not is_attached(metadata):
        return None
    parts = _parts(metadata)
    del metadata.unrecognized_fields[form.NAME]
    return {part.name: form.encode_envelope(part.envelope["signed"], part.envelope["signatures"]) for part in parts}


def _parts(metadata: Metadata[Root]) -> list[_Part]:
    """The files of the other form, the newest first, once they are readable and state what the Root states."""
    body: Any = metadata.unrecognized_fields[form.NAME]
    try:
        fillers_listed = list(dict(body).get("fillers", ()))
        also = frozenset(map(str, body.get("also", ())))
        data = form.encode_envelope(body["signed"], body["signatures"])
        fillers = [(each, form.encode_envelope(each["signed"], each["signatures"])) for each in fillers_listed]
        before = (_demand(body["before"], metadata.signed),) if body.get("before") else ()
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(reason=f"the file's member {form.NAME} is not a Root ({error!r}); prepare it again") from None
    role = _checked(metadata.signed, body["signed"], data)
    parts = [_Part(body, ROOT, (Demand.by(role), *before), also)]
    for envelope, filler in fillers:
        _checked(metadata.signed, envelope["signed"], filler)
        parts.append(_Part(envelope, filler_name(envelope["signed"]["version"]), before))
    return parts


def _demand(before: Mapping[str, Any], root: Root) -> Demand:
    """The demand for the Root keys of the chain so far. A file of an earlier release carries their ids alone."""
    threshold, keyids = int(before["threshold"]), frozenset(map(str, before["keyids"]))
    carried = {keyid: Key.from_dict(keyid, dict(key)) for keyid, key in before.get("keys", {}).items()}
    known = {keyid: key for keyid, key in {**root.keys, **carried}.items() if keyid in keyids}
    return Demand(keyids, threshold, SigningAuthority(known, threshold))


def _checked(root: Root, signed: Json, data: bytes) -> SigningAuthority:
    """Who signs for Root in ``data``, which states what ``root`` does but for its number and possibly its Root keys.

    Raises: ProfileError, MalformedError, WeakKeyError.
    """
    role = read_role(data)
    version = AKTUALIZR.decode_root(data, f"{form.NAME}/{ROOT}", DEFAULT_LIMITS).signed.version
    ours = root_role(root)
    shared = identities(role) == identities(ours) and role.threshold == ours.threshold
    if not shared:
        check_apart(role, root)
    wanted = translate_root(root.to_dict(), version=version, own_root=None if shared else role_json(role))
    if signed != wanted:
        reason = "the tuf and aktualizr Roots in this file differ; do not sign it, and ask the person who prepared it"
        raise ProfileError(profile=form.NAME, what=ROOT, reason=reason)
    return role
