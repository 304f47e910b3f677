"""What vehicles would find in a publication that cannot be signed yet: it is signed with a key that is thrown away, and searched.

The owner's keys are not at hand where a supplier's outbox is accepted or a status is asked for. Only files that the owner would
sign get that key; what suppliers signed is taken as it is, under the keys that are named for it.
"""

from __future__ import annotations

import copy
from collections.abc import Set
from datetime import timedelta

from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import Delegations, Metadata, MetaFile, Root, Snapshot, Targets, Timestamp

from twinlock.repository.authoring.next_publication import NextPublication, meta_file
from twinlock.repository.keys.demands import demanding_roles
from twinlock.repository.signing.sign import SPEC_VERSION, S, renew
from twinlock.trust.checks.formats import check_format
from twinlock.trust.engine.commands import ABSENT, Answer, Command, Fetch, drive
from twinlock.trust.engine.delegation import find_image
from twinlock.trust.engine.refresh import refresh_repository
from twinlock.trust.engine.restore import bootstrap_repository
from twinlock.trust.errors.images import EndlessDataError
from twinlock.trust.model.targets import ImageEntry
from twinlock.trust.names import IMAGE, ROOT, SNAPSHOT, TARGETS, TIMESTAMP, TargetPath
from twinlock.trust.state.trusted import TrustedRepository
from twinlock.trust.wire.tuf.delegation_members import POST_QUANTUM

_LIFE = timedelta(days=1)
_CUSTOM = "custom"


class Rehearsal:
    """A candidate as a vehicle fresh from the factory would read it. Raises: RefusalError for one that it would refuse."""

    def __init__(self, candidate: NextPublication) -> None:
        self._candidate = candidate
        self._signer = CryptoSigner.generate_ed25519()
        self._versions = candidate.target_versions()
        own = {TARGETS, *candidate.edited_roles}
        self._files = {role: self._sign(self._targets(role, own)) for role in own}
        self._files[SNAPSHOT] = self._sign(self._snapshot())
        self._files[TIMESTAMP] = self._sign(self._timestamp())
        first = bootstrap_repository(IMAGE, self._sign(self._root()))
        self._vehicle: TrustedRepository = drive(refresh_repository(first, candidate.now), self._answer)

    def find(self, path: str) -> ImageEntry | None:
        """The entry of ``path`` that a vehicle with any hardware finds. Raises: RefusalError."""
        found = drive(find_image(self._vehicle, TargetPath(path), None, self._candidate.now), self._answer)
        self._vehicle = found.trusted
        if found.entry is not None:
            check_format(found.entry)
        return found.entry

    def _answer(self, command: Command) -> Answer:
        if not isinstance(command, Fetch):
            return None
        if command.role == ROOT:
            return ABSENT
        data = self._files.get(command.role) or self._candidate.role_file(command.role)
        if data is None:
            return ABSENT
        if len(data) > command.max_bytes:
            raise EndlessDataError(what=command.name, limit_bytes=command.max_bytes, clause=command.clause)
        return data

    def _sign(self, signed: S) -> bytes:
        renew(signed, self._candidate.now, _LIFE, version=signed.version)
        metadata = Metadata(signed)
        metadata.sign(self._signer)
        return metadata.to_bytes()

    def _root(self) -> Root:
        root = Root(spec_version=SPEC_VERSION, consistent_snapshot=True)
        for role in (ROOT, TIMESTAMP, SNAPSHOT, TARGETS):
            root.add_key(self._signer.public_key, role)
        return root

    def _timestamp(self) -> Timestamp:
        return Timestamp(spec_version=SPEC_VERSION, snapshot_meta=meta_file(1, self._files[SNAPSHOT]))

    def _snapshot(self) -> Snapshot:
        meta = {f"{role}.json": MetaFile(version) for role, version in self._versions.items()}
        return Snapshot(spec_version=SPEC_VERSION, meta=meta)

    def _targets(self, role: str, own: Set[str]) -> Targets:
        """What the owner would sign for ``role``, with the key of this rehearsal in place of those of its ``own`` roles."""
        targets = copy.deepcopy(self._candidate.view_targets(role)) or Targets(spec_version=SPEC_VERSION)
        targets.version = self._versions[role]
        delegations = targets.delegations
        if delegations is not None:
            self._take_over(delegations, own)
        if demands := demanding_roles(targets):
            targets.unrecognized_fields[_CUSTOM][POST_QUANTUM] = sorted(demands - own)
        return targets

    def _take_over(self, delegations: Delegations, own: Set[str]) -> None:
        keyid = self._signer.public_key.keyid
        delegations.keys[keyid] = self._signer.public_key
        for name, delegated in (delegations.roles or {}).items():
            if name in own:
                delegated.keyids, delegated.threshold = [keyid], 1
        for several in delegations.unrecognized_fields.get("prioritized_delegations", ()):
            for item in several["roles"]:
                if item["name"] in own:
                    item.update(keyids=[keyid], threshold=1)
