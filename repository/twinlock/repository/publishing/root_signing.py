"""A prepared Root where its signers are: what it states, what it changes, and the signatures that are added to it.

A signer never signs bytes that it cannot read as Root: both python-tuf and the trust engine have to read them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from tuf.api.metadata import Metadata, Root

from twinlock.io.files.durable import replace_file
from twinlock.io.files.operator_files import read_operator_file
from twinlock.repository.aktualizr.ceremony import (
    Demand,
    attached_form,
    attached_keyids,
    attached_tallies,
    own_root_before,
    own_root_role,
    sign_attached,
)
from twinlock.repository.authoring.written_form import check_named_keys, parse_root
from twinlock.repository.errors import OtherRepositoryError
from twinlock.repository.keys.keyring import Keyring
from twinlock.repository.model.views import RoleChange, RootView
from twinlock.repository.signing.named_keys import OWN_ROOT, TIME
from twinlock.repository.signing.sign import ISSUED, SigningAuthority, root_authority, valid_signatures
from twinlock.repository.workspace.prepared_root import MAX_PREPARED_BYTES
from twinlock.trust.errors.base import UsageError
from twinlock.trust.limits import DEFAULT_LIMITS
from twinlock.trust.names import DIRECTOR, IMAGE, ROOT, TOP_LEVEL, RepositoryName
from twinlock.trust.wire.tuf.metadata import TUF

PREVIOUS = "previous"  # the envelope's member that travels with a prepared Root and is never published
_SHOWN = frozenset({"version", "expires", ISSUED, "keys", "roles"})  # members of Root that a person is shown anyway


@dataclass(frozen=True, slots=True, kw_only=True)
class RootToSign:
    """A prepared Root that was read to be signed: what a person judges, and then signs, is what was read.

    ``keyids`` are the keys here that sign it, ``changes`` how it differs from the Root in force by role, and
    ``other`` the names of further members that differ.
    """

    path: Path
    metadata: Metadata[Root]
    before: Root
    keyring: Keyring
    keyids: tuple[str, ...]

    @property
    def view(self) -> RootView:
        """What the Root states, and which signatures it lacks."""
        return count_signatures(self.metadata, self.before)

    @property
    def changes(self) -> tuple[RoleChange, ...]:
        """The roles whose keys, threshold or demand differ from those in force. Empty for a renewal."""
        new, old = _roles(self.metadata.signed), _roles(self.before)
        changes = [_change(role, old.get(role, _NO_KEYS), new.get(role, _NO_KEYS)) for role in {**new, **old}]
        own = own_root_role(self.metadata)
        if own is not None:
            changes.append(_own_change(own, *own_root_before(self.metadata)))
        return tuple(change for change in changes if not change.is_empty)

    @property
    def other(self) -> tuple[str, ...]:
        """The names of other members of Root that differ."""
        new, old = _members(self.metadata.signed), _members(self.before)
        return tuple(sorted(name for name in {**new, **old} if new.get(name) != old.get(name)))

    def sign(self) -> RootView:
        """Add the signatures and write the file. Raises: ProfileError, PassphraseError, StorageError."""
        return sign_into(self.path, self.metadata, self.before, self.keyring)


_NO_KEYS = SigningAuthority({}, 0)


def root_to_sign(
    path: Path, keyring: Keyring, *, previous: bytes | None = None, repository: RepositoryName | None = None
) -> RootToSign:
    """Read the Root file at ``path`` for the Root keys held in ``keyring``. Signs nothing, opens no key.

    ``previous`` is the Root it follows, for a file that does not carry it; ``repository`` whose Root both have to be.
    Raises: UsageError if the file is not a Root, does not follow ``previous``, or no key of either is here;
    OtherRepositoryError; ProfileError if it has two forms that do not state the same.
    """
    metadata = read_root_file(path)
    before = _previous(metadata, path, previous)
    if repository is not None:
        for root in (metadata.signed, before):
            check_repository(root, path, repository)
    wanted = {*root_authority(metadata.signed, ROOT).keyids, *root_authority(before, ROOT).keyids}
    held = keyring.held(sorted(wanted | attached_keyids(metadata)))
    if not held:
        reason = (
            f"{keyring.offline} holds no key of Root {metadata.signed.version} in {path}, nor of the Root before it"
        )
        raise UsageError(reason=f"{reason}; nothing was signed")
    keyids = tuple(record.keyid for record in held)
    return RootToSign(path=path, metadata=metadata, before=before, keyring=keyring, keyids=keyids)


def sign_root(path: Path, keyring: Keyring, *, previous: bytes | None = None) -> RootView:
    """Add the signatures of every Root key held in ``keyring`` to the Root file at ``path``. Raises: as ``root_to_sign``; PassphraseError."""
    return root_to_sign(path, keyring, previous=previous).sign()


def _roles(root: Root) -> dict[str, SigningAuthority]:
    return {str(role): root_authority(root, role) for role in TOP_LEVEL} | time_source(root)


def _change(role: str, old: SigningAuthority, new: SigningAuthority) -> RoleChange:
    """What changes of a role; a key id that names another key counts as removed and added."""
    same = {keyid for keyid, key in new.keys.items() if old.keys.get(keyid) == key}
    return RoleChange(
        role=role,
        added=tuple(keyid for keyid in new.keyids if keyid not in same),
        removed=tuple(keyid for keyid in old.keyids if keyid not in same),
        threshold=(old.threshold, new.threshold),
        post_quantum=(old.post_quantum, new.post_quantum),
    )


def _own_change(own: SigningAuthority, before: frozenset[str], threshold: int) -> RoleChange:
    return RoleChange(
        role=OWN_ROOT,
        added=tuple(keyid for keyid in own.keyids if keyid not in before),
        removed=tuple(sorted(before - own.keys.keys())),
        threshold=(threshold, own.threshold),
        post_quantum=(False, False),
    )


def _members(root: Root) -> dict[str, Any]:
    """What Root states apart from what a person is shown anyway, those of ``custom`` by themselves."""
    body: dict[str, Any] = root.to_dict()
    custom = body.pop("custom", None)
    stated = {name: value for name, value in body.items() if name not in _SHOWN}
    if isinstance(custom, Mapping):
        stated |= {f"custom.{name}": value for name, value in custom.items() if name != "timeSource"}
    return stated


def _previous(metadata: Metadata[Root], path: Path, given: bytes | None) -> Root:
    """The Root that a prepared one follows: the one given, else the one in the file. Raises: UsageError, MalformedError."""
    carried = metadata.unrecognized_fields.get(PREVIOUS)
    data = json.dumps(carried).encode() if given is None and carried is not None else given
    if data is None:
        raise UsageError(reason=f"{path} does not carry the Root before it; name that with --previous")
    before = _read_root(data, PREVIOUS).signed
    if before.version != metadata.signed.version - 1:
        raise UsageError(
            reason=f"{path} holds Root {metadata.signed.version}, which does not follow Root {before.version}"
        )
    return before


def sign_into(path: Path, metadata: Metadata[Root], before: Root, keyring: Keyring) -> RootView:
    """Add the signatures of the Root keys held in ``keyring``, old and new, and write the file. Raises: as ``sign_root``."""
    authorities = (root_authority(metadata.signed, ROOT), root_authority(before, ROOT))
    named = dict.fromkeys(keyid for authority in authorities for keyid in authority.keyids)
    signers = keyring.signers(named | dict.fromkeys(sorted(attached_keyids(metadata) - named.keys())))
    sign_attached(metadata, signers)
    made = valid_signatures(metadata, authorities)
    for signer in signers:
        if signer.public_key.keyid in named and signer.public_key.keyid not in made:  # a false one is replaced
            metadata.sign(signer, append=True)
    replace_file(path, metadata.to_bytes(), max_bytes=MAX_PREPARED_BYTES)
    return count_signatures(metadata, before)


def tallies_of(metadata: Metadata[Root], before: Root) -> Iterator[tuple[Demand, frozenset[str]]]:
    """Every demand on a Root that follows ``before``, in all its forms, and the ids of the keys whose signatures verify."""
    authorities = (root_authority(metadata.signed, ROOT), root_authority(before, ROOT))
    made = valid_signatures(metadata, authorities)
    yield from ((Demand.by(each), made & set(each.keyids)) for each in authorities)
    yield from attached_tallies(metadata)


def count_signatures(metadata: Metadata[Root], before: Root) -> RootView:
    """What a prepared Root that follows ``before`` states, and which signatures it lacks."""
    tallies = list(tallies_of(metadata, before))
    lacks_post_quantum = any(demand.known.lacks_post_quantum(signed) for demand, signed in tallies)
    missing = max(demand.missing(signed) for demand, signed in tallies)
    wanting = frozenset[str]().union(*(demand.keyids - signed for demand, signed in tallies))
    made = frozenset[str]().union(*(signed for _, signed in tallies))
    root = metadata.signed
    own = own_root_role(metadata)
    roles = {str(role): root_authority(root, role) for role in TOP_LEVEL}
    roles |= ({} if own is None else {OWN_ROOT: own}) | time_source(root)
    return RootView(
        version=root.version,
        issued=_issued(root),
        expires=root.expires,
        keys={role: authority.keyids for role, authority in roles.items()},
        thresholds={role: authority.threshold for role, authority in roles.items()},
        signed=tuple(sorted(made - wanting)),
        missing=missing,
        post_quantum=tuple(role for role, authority in roles.items() if authority.post_quantum),
        lacks_post_quantum=lacks_post_quantum,
    )


def check_same_form(offered: Metadata[Root], kept: Metadata[Root], path: Path) -> None:
    """Check that ``offered``, which was read from ``path``, carries the same other form as ``kept``, signatures apart.

    Raises: UsageError.
    """
    if unsigned_content(attached_form(offered)) != unsigned_content(attached_form(kept)):
        reason = (
            f"{path} is not the Root that was prepared here: its member `aktualizr` was changed or removed, and its "
            "signatures cannot be counted; give the file as its signers returned it"
        )
        raise UsageError(reason=reason)


def unsigned_content(value: Any) -> Any:
    """JSON without the members named ``signatures``."""
    if isinstance(value, dict):
        return {name: unsigned_content(member) for name, member in value.items() if name != "signatures"}
    return [unsigned_content(item) for item in value] if isinstance(value, list) else value


def check_repository(root: Root, path: Path, expected: RepositoryName) -> None:
    """Check that ``root``, which was read from ``path``, is of that repository: only a Director's names who attests time.

    Raises: OtherRepositoryError.
    """
    found = DIRECTOR if time_source(root) else IMAGE
    if found != expected:
        raise OtherRepositoryError(path=str(path), found=found.capitalize(), expected=expected.capitalize())


def time_source(root: Root) -> dict[str, SigningAuthority]:
    """The keys that attest time by a Director's Root, under the name ``time``; empty where it names none."""
    source = root.unrecognized_fields.get("custom", {}).get("timeSource")
    if source is None:
        return {}
    return {TIME: SigningAuthority({keyid: root.keys[keyid] for keyid in source["keyids"]}, source["threshold"])}


def _issued(root: Root) -> datetime | None:
    text = root.unrecognized_fields.get(ISSUED)
    return None if text is None else datetime.fromisoformat(str(text))


def read_root_file(path: Path) -> Metadata[Root]:
    """A prepared Root. Raises: OperatorFileError, MalformedError."""
    return _read_root(read_whole(path), str(path))


def _read_root(data: bytes, what: str) -> Metadata[Root]:
    TUF.decode_root(data, what, DEFAULT_LIMITS)
    check_named_keys(what, data)
    return parse_root(what, data)


def read_whole(path: Path) -> bytes:
    """The bytes of a Root file. Raises: OperatorFileError."""
    return read_operator_file(path, "the prepared Root", MAX_PREPARED_BYTES)
