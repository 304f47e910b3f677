"""What is published now, read back and verified before it is edited and signed again.

The store may be a server that others can reach, so nothing in it is trusted: the Root chain is followed from a Root
kept with the keys, every file is verified under it, and a store that went back in time is noticed. Expiry does not
matter here; an expired repository has to be readable in order to be renewed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TypeVar

from tuf.api.metadata import Metadata, Root, Snapshot, Targets, Timestamp

from twinlock.repository.errors import StoreTamperedError
from twinlock.repository.store.interface import ObjectReader
from twinlock.repository.store.object_names import TIMESTAMP_OBJECT, get_metadata, metadata_object, root_object
from twinlock.trust.checks.context import Context
from twinlock.trust.checks.index import check_listed_bytes, check_listed_version
from twinlock.trust.checks.root import check_next_root
from twinlock.trust.engine.restore import bootstrap_repository
from twinlock.trust.errors.base import RefusalError
from twinlock.trust.keys.signatures import Envelope, RoleKeys, Verified, verify_signatures
from twinlock.trust.limits import DEFAULT_LIMITS, Limits
from twinlock.trust.model.base import FileInfo, Signed
from twinlock.trust.model.delegations import Delegations as TrustedDelegations
from twinlock.trust.model.delegations import SuccinctBins
from twinlock.trust.model.root import Root as TrustedRoot
from twinlock.trust.model.targets import Targets as TrustedTargets
from twinlock.trust.names import IMAGE, ROOT, SNAPSHOT, TARGETS, TIMESTAMP, RoleName
from twinlock.trust.policy import LAX
from twinlock.trust.state.floors import Floor, Floors, establish
from twinlock.trust.state.trusted import TrustedRepository
from twinlock.trust.wire.tuf.metadata import TUF

S = TypeVar("S", bound=Signed)

_NEVER = datetime.min.replace(tzinfo=UTC)
_CONTEXT = Context(repository=IMAGE, now=_NEVER, limits=DEFAULT_LIMITS, wire=TUF, policy=LAX)


@dataclass
class CurrentPublication:
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
        data = _required(self.store, role, listed.version, DEFAULT_LIMITS.targets_bytes)
        try:
            check_listed_bytes(data, listed, role, _CONTEXT)
            envelope = TUF.decode_targets(data, f"{IMAGE}/{role}", DEFAULT_LIMITS)
            signers = _signers(delegations, role)
            verified = verify_signatures(envelope, delegations.keys, signers, repository=IMAGE, role_name=role)
            check_listed_version(verified.signed, listed, role, _CONTEXT)
        except RefusalError as error:
            raise StoreTamperedError(reason=str(error)) from error
        return verified


def read_published(
    store: ObjectReader, anchor: bytes, *, known: TrustedRepository | None = None
) -> CurrentPublication | None:
    """Read and verify what ``store`` publishes, from the Root ``anchor`` on. None if nothing is published.

    Each file is verified once. A file of ``known``, a state of the same repository that was verified here before, counts
    again if the store still holds the same bytes under the same Root.
    Raises: StoreTamperedError.
    """
    stored = store.get(TIMESTAMP_OBJECT, max_bytes=DEFAULT_LIMITS.timestamp_bytes)
    if stored is None:
        return None
    root = newest_root(store, anchor, known=known)
    under = None if known is None or known.root.data != root.data else known
    try:
        timestamp = _verified(
            stored.data, TIMESTAMP, TUF.decode_timestamp, root.signed, known=under and under.timestamp
        )
        listed = timestamp.signed.snapshot
        data = _listed_file(store, SNAPSHOT, listed, DEFAULT_LIMITS.snapshot_bytes)
        snapshot = _verified(data, SNAPSHOT, TUF.decode_snapshot, root.signed, known=under and under.snapshot)
        check_listed_version(snapshot.signed, listed, SNAPSHOT, _CONTEXT)
        listed = snapshot.signed.targets[TARGETS]
        data = _listed_file(store, TARGETS, listed, DEFAULT_LIMITS.targets_bytes)
        targets = _verified(data, TARGETS, TUF.decode_targets, root.signed, known=under and under.targets)
        check_listed_version(targets.signed, listed, TARGETS, _CONTEXT)
    except RefusalError as error:
        raise StoreTamperedError(reason=str(error)) from error
    trusted = TrustedRepository(
        name=IMAGE, root=root, timestamp=timestamp, snapshot=snapshot, targets=targets, wire=TUF
    )
    return CurrentPublication(store, stored.etag, trusted._replace(floors=_floors(trusted)))


def newest_root(store: ObjectReader, anchor: bytes, *, known: TrustedRepository | None = None) -> Verified[TrustedRoot]:
    """Follow the Root chain in ``store`` from ``anchor`` to its end; a Root of ``known`` is not verified again.

    Raises: StoreTamperedError.
    """
    try:
        root = known.root if known is not None and known.root.data == anchor else _trusted_root(anchor)
        while True:
            stored = store.get(root_object(root.signed.version + 1), max_bytes=DEFAULT_LIMITS.root_bytes)
            if stored is None:
                return root
            root = check_next_root(stored.data, trusted=root, context=_CONTEXT)
    except RefusalError as error:
        raise StoreTamperedError(reason=str(error)) from error


def _trusted_root(anchor: bytes) -> Verified[TrustedRoot]:
    return bootstrap_repository(IMAGE, anchor).root


def _verified(
    data: bytes,
    role: RoleName,
    decode: Callable[[bytes, str, Limits], Envelope[S]],
    root: TrustedRoot,
    *,
    known: Verified[S] | None,
) -> Verified[S]:
    """The file of a top-level role, verified under ``root``; ``known`` if it has the same bytes. Raises: StoreTamperedError."""
    if known is not None and known.data == data:
        return known
    try:
        envelope = decode(data, f"{IMAGE}/{role}", DEFAULT_LIMITS)
        return verify_signatures(envelope, root.keys, root.roles[role], repository=IMAGE, role_name=role)
    except RefusalError as error:
        raise StoreTamperedError(reason=f"the file of {role} does not verify: {error}") from error


def _floors(trusted: TrustedRepository) -> Floors:
    """What the files of ``trusted`` establish, for a vehicle that has followed the repository up to them."""
    root, floors = trusted.root.signed, dict[RoleName, Floor]()
    for role in (ROOT, TIMESTAMP, SNAPSHOT, TARGETS):
        file: Verified[Signed] = getattr(trusted, role)
        floors[role] = establish(floors, role, file, keys=root.keys, root=root.version)
    return floors


def check_not_older(published: CurrentPublication, seen: CurrentPublication | TrustedRepository) -> None:
    """Refuse a store that shows an older state than was seen there before. Raises: StoreTamperedError."""
    before = seen.trusted if isinstance(seen, CurrentPublication) else seen
    now = published.trusted
    for role in (TIMESTAMP, SNAPSHOT):
        new, old = getattr(now, role), getattr(before, role)
        if old is not None and new.signed.version < old.signed.version:
            reason = f"the store holds {role} {new.signed.version}, and version {old.signed.version} was published"
            raise StoreTamperedError(reason=reason)


def _signers(delegations: TrustedDelegations, role: RoleName) -> RoleKeys:
    if delegations.bins is not None:
        return delegations.bins.signers
    return next(member.signers for entry in delegations.entries for member in entry.roles if member.name == role)


def _bin_names(bins: SuccinctBins) -> frozenset[RoleName]:
    return frozenset(bins.name(number) for number in range(2**bins.bit_length))


def _listed_file(store: ObjectReader, role: RoleName, listed: FileInfo, max_bytes: int) -> bytes:
    data = _required(store, role, listed.version, max_bytes)
    check_listed_bytes(data, listed, role, _CONTEXT)
    return data


def _required(store: ObjectReader, role: RoleName, version: int, max_bytes: int) -> bytes:
    stored = get_metadata(store, role, version, max_bytes=max_bytes)
    if stored is None:
        raise StoreTamperedError(reason=f"{metadata_object(role, version)} is missing")
    return stored.data
