"""What is published now, read back and verified before it is edited and signed again.

The store may be a server that others can reach, so nothing in it is believed: the Root chain is followed from a Root
kept beside the keys, every file is verified under it, and a store that went back in time is noticed. Expiry does not
matter here; an expired repository has to be readable in order to be renewed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

from tuf.api.metadata import Metadata, Root, Snapshot, Targets, Timestamp

from twinlock.repository.errors import StoreTamperedError
from twinlock.repository.store.interface import ObjectReader
from twinlock.repository.store.object_names import TIMESTAMP_OBJECT, metadata_object, root_object
from twinlock.trust.checks.context import Context
from twinlock.trust.checks.index import check_listed_bytes, check_listed_version
from twinlock.trust.checks.root import check_next_root
from twinlock.trust.engine.restore import bootstrap_repository, restore_repository
from twinlock.trust.errors.base import RefusalError
from twinlock.trust.keys.signatures import RoleKeys, Verified, verify_signatures
from twinlock.trust.limits import DEFAULT_LIMITS
from twinlock.trust.model.base import FileInfo
from twinlock.trust.model.delegations import Delegations as TrustedDelegations
from twinlock.trust.model.delegations import SuccinctBins
from twinlock.trust.model.root import Root as TrustedRoot
from twinlock.trust.model.targets import Targets as TrustedTargets
from twinlock.trust.names import IMAGE, ROOT, SNAPSHOT, TARGETS, TIMESTAMP, RoleName
from twinlock.trust.policy import LAX
from twinlock.trust.state.trusted import TrustedRepository
from twinlock.trust.wire.tuf.metadata import TUF

_NEVER = datetime.min.replace(tzinfo=UTC)
_CONTEXT = Context(repository=IMAGE, now=_NEVER, limits=DEFAULT_LIMITS, wire=TUF, policy=LAX)


@dataclass
class Published:
    """One verified state of the store. Delegated roles are read, and verified under their delegator, when asked for."""

    store: ObjectReader
    etag: str
    trusted: TrustedRepository
    _roles: dict[str, Verified[TrustedTargets]] = field(default_factory=dict)

    @property
    def version(self) -> int:
        """The version of Timestamp, which numbers publications."""
        assert self.trusted.timestamp is not None
        return self.trusted.timestamp.signed.version

    @property
    def root(self) -> Metadata[Root]:
        """Root for editing; a new object each time."""
        return Metadata[Root].from_bytes(self.trusted.root.data)

    @property
    def timestamp(self) -> Metadata[Timestamp]:
        """Timestamp for editing; a new object each time."""
        assert self.trusted.timestamp is not None
        return Metadata[Timestamp].from_bytes(self.trusted.timestamp.data)

    @property
    def snapshot(self) -> Metadata[Snapshot]:
        """Snapshot for editing; a new object each time."""
        assert self.trusted.snapshot is not None
        return Metadata[Snapshot].from_bytes(self.trusted.snapshot.data)

    @property
    def listed(self) -> dict[RoleName, FileInfo]:
        """Version, length and hashes of every Targets file, by role, as Snapshot lists them."""
        assert self.trusted.snapshot is not None
        return dict(self.trusted.snapshot.signed.targets)

    def targets(self, role: str = TARGETS) -> Metadata[Targets]:
        """The file of a Targets role for editing; a new object each time. Raises: StoreTamperedError, KeyError."""
        return Metadata[Targets].from_bytes(self.verified(role).data)

    def verified(self, role: str) -> Verified[TrustedTargets]:
        """The verified file of a Targets role that ``walk`` finds, or of a hash bin.

        Raises: StoreTamperedError; KeyError if it is not delegated to.
        """
        if role not in self._roles:
            for _, delegator in self.walk():
                delegations = delegator.signed.delegations
                if delegations and delegations.bins and role in _bin_names(delegations.bins):
                    self._roles[role] = self._load(RoleName(role), delegations)
                if role in self._roles:
                    break
        return self._roles[role]

    def walk(self) -> Iterator[tuple[RoleName, Verified[TrustedTargets]]]:
        """Every Targets role that can be reached, hash bins excepted; breadth first, under the first delegator found.

        Raises: StoreTamperedError for a role that is listed and does not verify.
        """
        assert self.trusted.targets is not None
        self._roles[TARGETS] = self.trusted.targets
        queue: list[RoleName] = [TARGETS]
        seen = set(queue)
        while queue:
            role = queue.pop(0)
            yield role, self._roles[role]
            delegations = self._roles[role].signed.delegations
            if delegations is None:
                continue
            for child in (member.name for entry in delegations.entries for member in entry.roles):
                if child not in seen and child in self.listed:
                    seen.add(child)
                    if child not in self._roles:
                        self._roles[child] = self._load(child, delegations)
                    queue.append(child)

    def _load(self, role: RoleName, delegations: TrustedDelegations) -> Verified[TrustedTargets]:
        listed = self.listed[role]
        data = _required(self.store, metadata_object(role, listed.version), DEFAULT_LIMITS.targets_bytes)
        try:
            check_listed_bytes(data, listed, role, _CONTEXT)
            envelope = TUF.decode_targets(data, f"{IMAGE}/{role}", DEFAULT_LIMITS)
            signers = _signers(delegations, role)
            verified = verify_signatures(envelope, delegations.keys, signers, repository=IMAGE, role_name=role)
            check_listed_version(verified.signed, listed, role, _CONTEXT)
        except RefusalError as error:
            raise StoreTamperedError(reason=str(error)) from error
        return verified


def read_published(store: ObjectReader, anchor: bytes) -> Published | None:
    """Read and verify what ``store`` publishes, from the Root ``anchor`` on. None if nothing is published.

    Raises: StoreTamperedError.
    """
    timestamp = store.get(TIMESTAMP_OBJECT, max_bytes=DEFAULT_LIMITS.timestamp_bytes)
    if timestamp is None:
        return None
    root = newest_root(store, anchor)
    files = {ROOT: root.data, TIMESTAMP: timestamp.data}
    try:
        trusted = restore_repository(IMAGE, files)
        if trusted.timestamp is None:
            raise StoreTamperedError(reason="timestamp.json is not signed by its keys")
        listed = trusted.timestamp.signed.snapshot
        files[SNAPSHOT] = _listed_file(store, SNAPSHOT, listed, DEFAULT_LIMITS.snapshot_bytes)
        trusted = restore_repository(IMAGE, files)
        if trusted.snapshot is None:
            raise StoreTamperedError(reason=f"version {listed.version} of snapshot is not signed by its keys")
        listed = trusted.snapshot.signed.targets[TARGETS]
        files[TARGETS] = _listed_file(store, TARGETS, listed, DEFAULT_LIMITS.targets_bytes)
        trusted = restore_repository(IMAGE, files)
        if trusted.targets is None:
            raise StoreTamperedError(reason=f"version {listed.version} of targets is not signed by its keys")
        check_listed_version(trusted.targets.signed, listed, TARGETS, _CONTEXT)
    except RefusalError as error:
        raise StoreTamperedError(reason=str(error)) from error
    return Published(store, timestamp.etag, trusted)


def newest_root(store: ObjectReader, anchor: bytes) -> Verified[TrustedRoot]:
    """Follow the Root chain in ``store`` from ``anchor`` to its end. Raises: StoreTamperedError."""
    try:
        root = bootstrap_repository(IMAGE, anchor).root
        while True:
            stored = store.get(root_object(root.signed.version + 1), max_bytes=DEFAULT_LIMITS.root_bytes)
            if stored is None:
                return root
            root = check_next_root(stored.data, trusted=root, context=_CONTEXT)
    except RefusalError as error:
        raise StoreTamperedError(reason=str(error)) from error


def check_not_older(published: Published, seen: Published | TrustedRepository) -> None:
    """Refuse a store that shows an older state than was seen there before. Raises: StoreTamperedError."""
    before = seen.trusted if isinstance(seen, Published) else seen
    now = published.trusted
    for role in (TIMESTAMP, SNAPSHOT):
        new, old = getattr(now, role), getattr(before, role)
        if old is not None and new.signed.version < old.signed.version:
            reason = f"it holds {role} {new.signed.version}, and version {old.signed.version} was published"
            raise StoreTamperedError(reason=reason)


def _signers(delegations: TrustedDelegations, role: RoleName) -> RoleKeys:
    if delegations.bins is not None:
        return delegations.bins.signers
    return next(member.signers for entry in delegations.entries for member in entry.roles if member.name == role)


def _bin_names(bins: SuccinctBins) -> frozenset[RoleName]:
    return frozenset(bins.name(number) for number in range(2**bins.bit_length))


def _listed_file(store: ObjectReader, role: RoleName, listed: FileInfo, max_bytes: int) -> bytes:
    data = _required(store, metadata_object(role, listed.version), max_bytes)
    check_listed_bytes(data, listed, role, _CONTEXT)
    return data


def _required(store: ObjectReader, name: str, max_bytes: int) -> bytes:
    stored = store.get(name, max_bytes=max_bytes)
    if stored is None:
        raise StoreTamperedError(reason=f"{name} is missing")
    return stored.data
