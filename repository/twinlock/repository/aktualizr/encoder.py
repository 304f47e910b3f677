"""One publication in the ``aktualizr`` profile: each planned file translated, and signed by the same keys.

Everything is translated, measured and compared with the names that were ever listed before the first signature is made.
Snapshot and Timestamp follow from the versions alone.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tuf.api.metadata import Root, Signed, Snapshot, Targets

from twinlock.repository.aktualizr.names import NamedBytes, check_names_agree, new_names
from twinlock.repository.aktualizr.root_chain import RootChain, RootLink, filler_name
from twinlock.repository.aktualizr.signing import sign_aktualizr
from twinlock.repository.authoring.delegations import read_delegations
from twinlock.repository.errors import MissingKeysError, StoreTamperedError
from twinlock.repository.keys.keyring import Keyring
from twinlock.repository.keys.new_keys import NewKeys
from twinlock.repository.signing.sign import SigningAuthority
from twinlock.repository.signing.signing_plan import ProfileFiles, RoleToSign, SigningPlan
from twinlock.repository.store.interface import ObjectStore
from twinlock.repository.store.object_names import NEWCOMER_ROOT, aktualizr_object
from twinlock.repository.workspace.current import CurrentPublication
from twinlock.trust.errors.local import ProfileError
from twinlock.trust.names import ROOT, SNAPSHOT, TARGETS, TIMESTAMP
from twinlock.trust.state.trusted import TrustedRepository
from twinlock.trust.wire.aktualizr import form
from twinlock.trust.wire.aktualizr.encode import (
    Json,
    checked_size,
    translate_snapshot,
    translate_targets,
    translate_timestamp,
)
from twinlock.trust.wire.aktualizr.patterns import check_alike


@dataclass(frozen=True, slots=True)
class _Translation:
    """One file to be signed: its translated content, and the plan that it follows. ``version`` is the one in its name.

    ``link`` is for a Root, which others than those of the plan may sign.
    """

    planned: RoleToSign[Signed]
    signed: Json
    version: int
    link: RootLink | None = None

    @property
    def name(self) -> str:
        """What this file is called among those that others signed: its role, and for fillers of the Root chain its number."""
        return filler_name(self.version) if self.link is not None and self.link.filler else self.planned.role

    @property
    def signers(self) -> tuple[tuple[SigningAuthority, ...], SigningAuthority | None]:
        """Who has to sign, and who signs as far as their keys are held."""
        by = self.link or self.planned
        return by.authorities, by.also

    @property
    def max_bytes(self) -> int:
        return form.MAX_BYTES.get(self.planned.role, form.MAX_BYTES[TARGETS])


class AktualizrEncoder:
    """See ``ProfileWriter``. ``published`` is what is published in the profile; None if nothing is."""

    def __init__(
        self,
        store: ObjectStore,
        keyring: Keyring,
        *,
        current: CurrentPublication | None,
        published: TrustedRepository | None,
        chain: RootChain,
        initial: bool = False,
        new_root_keys: SigningAuthority | None = None,
    ) -> None:
        self.initial = initial
        self._store = store
        self._keyring = keyring
        self._current = current
        self._published = published
        self._chain = chain
        self._new_root_keys = new_root_keys

    def sign(self, plan: SigningPlan, new: NewKeys) -> ProfileFiles:
        """See ``ProfileWriter``. Raises: ProfileError, before anything is signed; MissingKeysError; PassphraseError."""
        translations = list(self._translated(plan, new))
        names = self._names(translations)
        for translation in translations:
            checked_size(translation.planned.role, form.encode_envelope(translation.signed, ()), translation.max_bytes)
        roots: dict[str, bytes] = {}
        files: dict[str, bytes] = {}
        snapshot = self._published.snapshot.data if self._published and self._published.snapshot else b""
        for translation in translations:
            data = self._signed_file(translation, plan.others)
            place = roots if translation.planned.role == ROOT else files
            place[aktualizr_object(translation.planned.role, translation.version)] = data
            snapshot = data if translation.planned.role == SNAPSHOT else snapshot
        if self._chain.handing_over:
            roots[NEWCOMER_ROOT] = list(roots.values())[-1]
        timestamp = _Translation(
            plan.timestamp,
            translate_timestamp(plan.timestamp.signed.to_dict(), snapshot),
            plan.timestamp.signed.version,
        )
        files[aktualizr_object(TIMESTAMP, timestamp.version)] = self._signed_file(timestamp, {})
        return ProfileFiles(roots, names | files)

    def _translated(self, plan: SigningPlan, new: NewKeys) -> Iterator[_Translation]:
        """Every file of the plan but Timestamp, in this form. Raises: ProfileError."""
        unchanged = {planned.role: planned for planned in plan.unchanged}
        root = plan.root or unchanged.pop(ROOT, None)
        snapshot = plan.snapshot or unchanged.pop(SNAPSHOT, None)
        for planned in (*unchanged.values(), *plan.targets):
            assert isinstance(planned.signed, Targets)
            if self.initial:
                _check_patterns(planned.signed)
            yield _Translation(
                planned, translate_targets(planned.role, planned.signed.to_dict()), planned.signed.version
            )
        if snapshot is not None:
            assert isinstance(snapshot.signed, Snapshot)
            yield _Translation(snapshot, translate_snapshot(snapshot.signed.to_dict()), snapshot.signed.version)
        if root is not None:  # last, since it may have to make keys
            assert isinstance(root.signed, Root)
            yield from self._roots(root.signed, root, plan, new)

    def _roots(
        self, root: Root, planned: RoleToSign[Signed], plan: SigningPlan, new: NewKeys
    ) -> Iterator[_Translation]:
        change = self._new_root_keys
        if ROOT in plan.others:  # signed elsewhere, with the keys that it names
            change = self._chain.role_in(plan.others[ROOT])
        for link in self._chain.links(root, self._keyring, new, change=change):
            yield _Translation(planned, link.signed, link.version, link)

    def _names(self, translations: Iterable[_Translation]) -> dict[str, bytes]:
        """The objects for file names that are listed for the first time. Raises: ProfileError."""
        objects: dict[str, bytes] = {}
        for translation in translations:
            if "targets" not in translation.signed:
                continue
            before = {} if self.initial else _listed_before(self._current, translation.planned.role)
            for name, data in new_names(self._store, translation.signed["targets"], before):
                check_names_agree(json.loads(data)["path"], objects.setdefault(name, data), data)
        return objects

    def _signed_file(self, translation: _Translation, others: Mapping[str, bytes]) -> bytes:
        planned = translation.planned
        authorities, also = translation.signers
        other = others.get(translation.name)
        if other is not None:
            return check_says_the_same(planned.role, other, translation.signed)
        if planned.file is not None:
            reason = "its owner signed it in one profile only; have it signed again in both"
            raise ProfileError(profile=form.NAME, what=planned.role, reason=reason)
        try:
            return sign_aktualizr(
                planned.role,
                translation.signed,
                authorities,
                self._keyring,
                max_bytes=translation.max_bytes,
                also=also,
            )
        except MissingKeysError:
            if planned.role in (ROOT, TARGETS, SNAPSHOT, TIMESTAMP):
                raise
            reason = "its keys are not on this machine; accept an outbox that its owner signed in both profiles"
            raise ProfileError(profile=form.NAME, what=planned.role, reason=reason) from None


def _check_patterns(targets: Targets) -> None:
    """A profile that is begun widens no supplier's right. Raises: ProfileError."""
    for entry in read_delegations(targets):
        check_alike(entry.name, entry.paths or ())


def check_says_the_same(role: str, other: bytes, wanted: Mapping[str, Any]) -> bytes:
    """``other``, a file of the profile, if it states exactly ``wanted``, the translation of the ``tuf`` file.

    Raises: ProfileError.
    """
    try:
        stated = json.loads(other)["signed"]
    except (ValueError, KeyError, TypeError):
        stated = None
    if stated != wanted:
        reason = "what its owner signed in this form is not what the tuf form states; its owner has to sign both again"
        raise ProfileError(profile=form.NAME, what=role, reason=reason)
    return other


def _listed_before(current: CurrentPublication | None, role: str) -> dict[str, NamedBytes]:
    """The names that a role lists now, which are kept already."""
    if current is None or role not in current.listed:
        return {}
    try:
        targets = current.targets(role).signed
    except (KeyError, StoreTamperedError):
        return {}
    return {path: NamedBytes(entry.length, entry.hashes.get("sha256", "")) for path, entry in targets.targets.items()}
