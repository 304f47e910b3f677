"""The next publication while it is made: the published state, the edits on top, and then the signed files.

    candidate = NextPublication(state)
    candidate.edit_targets("targets").targets[path] = entry
    record = candidate.sign(profiles, new)

Only what was edited is signed again; Snapshot and Timestamp follow by themselves. Nothing is stored here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from tuf.api.metadata import Delegations, Metadata, MetaFile, Root, Snapshot, Targets, Timestamp

from twinlock.repository.keys.demands import demanding_roles
from twinlock.repository.keys.new_keys import NewKeys
from twinlock.repository.signing.profile_writer import ProfileWriter
from twinlock.repository.signing.sign import SPEC_VERSION, SigningAuthority, renew, root_authority
from twinlock.repository.signing.signing_plan import RoleToSign, SigningPlan
from twinlock.repository.store.object_names import get_metadata
from twinlock.repository.store.publication_log import LogRecord
from twinlock.repository.workspace.current import CurrentPublication
from twinlock.repository.workspace.state import RepositoryState
from twinlock.trust.errors.base import UsageError
from twinlock.trust.limits import DEFAULT_LIMITS
from twinlock.trust.names import ROOT, SNAPSHOT, TARGETS, TIMESTAMP, RoleName

_SUFFIX = ".json"


class NextPublication:
    """One publication under construction, which follows ``state``; the first one where nothing is published there."""

    def __init__(self, state: RepositoryState) -> None:
        self.state = state
        self.published: CurrentPublication | None = state.newest
        self.now: datetime = state.now
        self.lasting_from: datetime = state.now
        """The time from which the life of what is signed counts; later than ``now`` after a signature of the future."""
        self._keyring = state.workspace.keyring
        self._periods = state.workspace.periods
        self._root: Root | None = None
        self._root_file: bytes | None = None
        self._targets: dict[str, Targets] = {}
        self._accepted: dict[str, bytes] = {}
        self._others: dict[str, bytes] = {}
        self._forgotten: set[str] = set()
        self._renew_snapshot = False
        self._renew_timestamp = False

    @property
    def published_root(self) -> Root:
        """The Root that is published now; a new object each time. Raises: UsageError if there is none."""
        if self.published is None:
            raise UsageError(reason="nothing was published yet")
        return self.published.root.signed

    def edit_root(self) -> Root:
        """Root, to be changed in place; it will be signed by the old and the new keys."""
        if self._root is None:
            self._root = self.published.root.signed if self.published else Root(spec_version=SPEC_VERSION)
        return self._root

    def put_root(self, data: bytes) -> None:
        """Take a Root that was signed elsewhere, as it is."""
        self._root_file = data

    @property
    def changes_root(self) -> bool:
        """Whether it publishes another Root."""
        return self._root is not None or self._root_file is not None

    @property
    def given_root(self) -> Root | None:
        """The Root that was signed elsewhere, if it publishes that."""
        return None if self._root_file is None else Metadata[Root].from_bytes(self._root_file).signed

    def edit_targets(self, role: str = TARGETS) -> Targets:
        """A Targets role's file, to be changed in place; it will be signed with the keys held here."""
        if role not in self._targets:
            self._targets[role] = self._current_targets(role) or Targets(spec_version=SPEC_VERSION)
        return self._targets[role]

    def view_targets(self, role: str = TARGETS) -> Targets | None:
        """A Targets role as it will be, for reading only; None if it has no file."""
        if role in self._accepted:
            return _targets_of(self._accepted[role])
        return self._targets.get(role) or self._current_targets(role)

    @property
    def edited_roles(self) -> frozenset[str]:
        """The Targets roles whose files will be signed with the keys held here."""
        return frozenset(self._targets)

    def target_versions(self) -> dict[str, int]:
        """The version of the file of every Targets role that Snapshot will list."""
        listed = self.published.listed if self.published else {}
        versions: dict[str, int] = {role: info.version for role, info in listed.items() if role not in self._forgotten}
        versions |= {role: versions.get(role, 0) + 1 for role in self._targets}
        return versions | {role: _targets_of(data).version for role, data in self._accepted.items()}

    def role_file(self, role: str) -> bytes | None:
        """The file of a delegated role that is accepted or listed, whichever role delegates to it; None if there is none."""
        if role in self._accepted:
            return self._accepted[role]
        listed = self.published.listed.get(RoleName(role)) if self.published else None
        if listed is None or self.published is None:
            return None
        stored = get_metadata(self.published.store, role, listed.version, max_bytes=DEFAULT_LIMITS.targets_bytes)
        return stored.data if stored else None

    def can_sign(self, authority: SigningAuthority) -> bool:
        """Whether enough of its keys are held here."""
        return authority.is_met_by(record.keyid for record in self._keyring.held(authority.keyids))

    def accept(self, role: str, data: bytes) -> None:
        """Take a delegated role's file that its owner signed, as it is."""
        self._accepted[role] = data

    def accept_other(self, role: str, data: bytes) -> None:
        """Take the same file, or Root, in the other profile that the repository publishes."""
        self._others[role] = data

    def forget(self, role: str) -> None:
        """Leave a role without a delegation out of Snapshot. Vehicles allow that only after a key rotation."""
        self._forgotten.add(role)

    def renew(self, role: str) -> None:
        """Have a role signed again with a new expiry though nothing in it changes."""
        if role == ROOT:
            self.edit_root()
        elif role == SNAPSHOT:
            self._renew_snapshot = True
        elif role == TIMESTAMP:
            self._renew_timestamp = True
        else:
            self.edit_targets(role)

    @property
    def changed(self) -> bool:
        """Whether there is anything to publish."""
        return bool(
            self._root
            or self._root_file
            or self._targets
            or self._accepted
            or self._forgotten
            or self._renew_snapshot
            or self._renew_timestamp
        )

    def roles(self) -> Iterator[tuple[str, SigningAuthority]]:
        """Every Targets role of the candidate with who signs for it, breadth first, each once. Bins have no children."""
        yield TARGETS, root_authority(self._new_root(), TARGETS)
        queue: list[str] = [TARGETS]
        seen = set(queue)
        while queue:
            targets = self.view_targets(queue.pop(0))
            if targets is None or targets.delegations is None:
                continue
            for name, authority in delegated(targets, targets.delegations):
                if name not in seen:
                    seen.add(name)
                    yield name, authority
                    if targets.delegations.succinct_roles is None:
                        queue.append(name)

    def authority(self, role: str) -> SigningAuthority:
        """Who signs for a Targets role. Raises: UsageError if it is not delegated to."""
        for name, authority in self.roles():
            if name == role:
                return authority
        raise UsageError(reason=f"no role delegates to {role}")

    def sign(self, profiles: Sequence[ProfileWriter], new: NewKeys) -> LogRecord:
        """Sign everything that has to be signed, in each of ``profiles``, of which ``tuf`` is the first. ``new``: see ``ProfileWriter``.

        Raises: MissingKeysError, PassphraseError, UsageError; ProfileError, before anything is signed.
        """
        plan = self._plan(initial=any(profile.initial for profile in profiles))
        # ``tuf`` signs last: it can express everything, and the others refuse what they cannot express before anything is signed.
        made = [profile.sign(plan, new) for profile in reversed(profiles)][::-1]
        tuf, *others = made
        root = _joined(each.roots for each in made)
        decisive = _joined([*(each.files for each in others), *(each.decisive for each in made)])
        # With files that satisfy the old Root too, Root comes last and there is no moment at which a vehicle fails.
        parts = (tuf.files, decisive, root) if self._is_bridged() else (tuf.files, root, decisive)
        return LogRecord(plan.timestamp.signed.version, self.published.etag if self.published else None, _joined(parts))

    def _is_bridged(self) -> bool:
        """Whether every file that changes hands is signed by its old keys as well."""
        return not self._forgotten and all(
            also is None or self.can_sign(also) for also in map(self._before, (TARGETS, SNAPSHOT, TIMESTAMP))
        )

    def _before(self, role: str) -> SigningAuthority | None:
        """Who signed for a top-level role until now, if the next Root changes that."""
        if self.published is None:
            return None
        old, new = root_authority(self.published.root.signed, role), root_authority(self._new_root(), role)
        return None if old.rule == new.rule else old

    def _current_targets(self, role: str) -> Targets | None:
        if self.published is None or role not in self.published.listed:
            return None
        try:
            return self.published.targets(role).signed
        except KeyError:  # still listed, but no longer delegated to
            return None

    def _new_root(self) -> Root:
        if self._root_file is not None:
            return Metadata[Root].from_bytes(self._root_file).signed
        if self._root is None:
            return self.published.root.signed if self.published else self.edit_root()
        return self._root

    def _plan(self, *, initial: bool) -> SigningPlan:
        """Everything that has to be signed, with its version and expiry, and what follows from it in the indexes."""
        root, targets = self._plan_root(), tuple(self._plan_targets())
        snapshot = self._plan_snapshot(targets)
        plan = SigningPlan(
            root=root,
            targets=targets,
            snapshot=snapshot,
            timestamp=self._plan_timestamp(snapshot),
            others=self._others,
        )
        return replace(plan, unchanged=tuple(self._unchanged(plan))) if initial else plan

    def _plan_root(self) -> RoleToSign[Root] | None:
        if self._root_file is not None:
            return RoleToSign(ROOT, self._new_root(), file=self._root_file)
        if self._root is None:
            return None
        version = self.published.root.signed.version + 1 if self.published else 1
        renew(self._root, self.now, self._periods.root, version=version, lasting_from=self.lasting_from)
        signers = [root_authority(self._root, ROOT)]
        if self.published:
            signers.append(root_authority(self.published.root.signed, ROOT))
        return RoleToSign(ROOT, self._root, tuple(signers))

    def _plan_targets(self) -> Iterator[RoleToSign[Targets]]:
        for role, targets in self._targets.items():
            listed = self.published.listed.get(RoleName(role)) if self.published else None
            version = listed.version + 1 if listed else 1
            renew(targets, self.now, self._periods.targets, version=version, lasting_from=self.lasting_from)
            also = self._before(role) if role == TARGETS else None
            yield RoleToSign(role, targets, (self.authority(role),), also)
        for role, data in self._accepted.items():
            yield RoleToSign(role, _targets_of(data), file=data)

    def _plan_snapshot(self, changed: tuple[RoleToSign[Targets], ...]) -> RoleToSign[Snapshot] | None:
        """Snapshot with the versions that it will list; the digests follow when the files are signed."""
        current = self.published.snapshot.signed if self.published else None
        if current and not (changed or self._forgotten or self._renew_snapshot):
            return None
        snapshot = current or Snapshot(spec_version=SPEC_VERSION, meta={})
        for planned in changed:
            snapshot.meta[planned.role + _SUFFIX] = MetaFile(planned.signed.version)
        for role in self._forgotten:
            snapshot.meta.pop(role + _SUFFIX, None)
        renew(
            snapshot,
            self.now,
            self._periods.snapshot,
            version=current.version + 1 if current else 1,
            lasting_from=self.lasting_from,
        )
        # A Snapshot that forgets roles must not be taken by a vehicle that has not dropped what it stored.
        also = None if self._forgotten else self._before(SNAPSHOT)
        return RoleToSign(SNAPSHOT, snapshot, (root_authority(self._new_root(), SNAPSHOT),), also)

    def _plan_timestamp(self, snapshot: RoleToSign[Snapshot] | None) -> RoleToSign[Timestamp]:
        if self.published:
            timestamp, version = self.published.timestamp.signed, self.published.version + 1
        else:
            timestamp, version = Timestamp(spec_version=SPEC_VERSION), 1
        if snapshot is not None:
            timestamp.snapshot_meta = MetaFile(snapshot.signed.version)
        renew(timestamp, self.now, self._periods.timestamp, version=version, lasting_from=self.lasting_from)
        also = None if self._forgotten else self._before(TIMESTAMP)
        return RoleToSign(TIMESTAMP, timestamp, (root_authority(self._new_root(), TIMESTAMP),), also)

    def _unchanged(self, plan: SigningPlan) -> Iterator[RoleToSign[Root | Snapshot | Targets]]:
        """The published files that the plan leaves as they are, delegators first."""
        if self.published is None:
            return
        if plan.root is None:
            root = self.published.root.signed
            yield RoleToSign(ROOT, root, (root_authority(root, ROOT),))
        planned = {item.role for item in plan.targets}
        for role, authority in self.roles():
            targets = None if role in planned else self._current_targets(role)
            if targets is not None:
                yield RoleToSign(role, targets, (authority,))
        if plan.snapshot is None:
            yield RoleToSign(SNAPSHOT, self.published.snapshot.signed, (root_authority(self._new_root(), SNAPSHOT),))


def _targets_of(data: bytes) -> Targets:
    return Metadata[Targets].from_bytes(data).signed


def _joined(parts: Iterable[Mapping[str, bytes]]) -> dict[str, bytes]:
    """The files of all parts, in their order."""
    return {name: data for part in parts for name, data in part.items()}


def delegated(targets: Targets, delegations: Delegations) -> Iterator[tuple[str, SigningAuthority]]:
    """The roles that ``targets`` delegate to, in order of priority, with who signs for them."""
    demanding = demanding_roles(targets)

    def authority(name: str, keyids: Iterable[str], threshold: int) -> SigningAuthority:
        return SigningAuthority({keyid: delegations.keys[keyid] for keyid in keyids}, threshold, name in demanding)

    if delegations.succinct_roles is not None:
        bins = delegations.succinct_roles
        shared = authority(bins.name_prefix, bins.keyids, bins.threshold)
        for name in bins.get_roles():
            yield name, shared
    for role in (delegations.roles or {}).values():
        yield role.name, authority(role.name, role.keyids, role.threshold)
    for several in delegations.unrecognized_fields.get("prioritized_delegations", ()):
        for item in several["roles"]:
            yield item["name"], authority(item["name"], item["keyids"], item["threshold"])


def meta_file(version: int, data: bytes) -> MetaFile:
    """What an index states about a file: version, length and SHA-256, so that no signer below can swap the bytes."""
    return MetaFile(version, len(data), {"sha256": hashlib.sha256(data).hexdigest()})
