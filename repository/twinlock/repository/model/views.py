"""What the Image repository reports about itself: frozen values that the command prints and programs read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from twinlock.repository.model.import_findings import EntryFinding
from twinlock.trust.model.target_format import FILE
from twinlock.trust.names import HardwareId, KeyId, RoleName, TargetPath


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageView:
    """One image as its entry states it. ``length`` is in bytes, ``hashes`` algorithm to lower-case hex.

    ``target_format`` is ``file`` or ``OSTREE``; ``uri`` is where another host serves its bytes, None where they are here.
    """

    path: TargetPath
    role: RoleName
    length: int
    hashes: Mapping[str, str]
    release_counter: int | None = None
    hardware_ids: tuple[HardwareId, ...] = ()
    component: str | None = None
    version: str | None = None
    dependencies: Mapping[str, str] = field(default_factory=dict)
    conflicts: Mapping[str, str] = field(default_factory=dict)
    target_format: str = FILE
    uri: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleView:
    """One role: its published file, who signs it, and how many of those keys are held here.

    ``post_quantum``: one signature has to be by an ML-DSA key; ``lacks_post_quantum``: none of those is held here.
    """

    name: RoleName
    version: int
    expires: datetime
    issued: datetime | None
    threshold: int
    keyids: tuple[KeyId, ...]
    held: int
    post_quantum: bool = False
    lacks_post_quantum: bool = False

    @property
    def can_sign(self) -> bool:
        """Whether the keys held here are enough to sign."""
        return self.held >= self.threshold and not self.lacks_post_quantum


@dataclass(frozen=True, slots=True, kw_only=True)
class DelegationView:
    """One delegation, in order of priority within ``delegator``. ``hardware_ids`` None means any."""

    name: RoleName
    delegator: RoleName
    paths: tuple[str, ...]
    threshold: int
    keyids: tuple[KeyId, ...]
    terminating: bool
    hardware_ids: tuple[HardwareId, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RepositoryView:
    """Everything that is published now."""

    publication: int
    roles: tuple[RoleView, ...]
    images: tuple[ImageView, ...]
    delegations: tuple[DelegationView, ...]
    wires: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SupplierView:
    """A supplier's place: what is listed, and the version signed last (0: none)."""

    role: RoleName
    version: int
    expires: datetime | None
    unsigned_changes: bool
    threshold: int
    keyids: tuple[KeyId, ...]
    images: tuple[ImageView, ...]
    delegations: tuple[DelegationView, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RootView:
    """A Root on its way: its keys and thresholds by role, who signed, and how many signatures it lacks.

    ``post_quantum`` are the roles that demand a post-quantum signature; ``lacks_post_quantum``: Root is one of them, now
    or in the Root before, and lacks that one.
    """

    version: int
    issued: datetime | None
    expires: datetime
    keys: Mapping[str, tuple[str, ...]]
    thresholds: Mapping[str, int]
    signed: tuple[str, ...]
    missing: int
    post_quantum: tuple[str, ...] = ()
    lacks_post_quantum: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleChange:
    """What the next Root changes of a role: key ids, and how many keys must sign and whether one by ML-DSA, before and after.

    A threshold of 0 before: the role is new; after: it is gone.
    """

    role: str
    added: tuple[str, ...]
    removed: tuple[str, ...]
    threshold: tuple[int, int]
    post_quantum: tuple[bool, bool]

    @property
    def is_empty(self) -> bool:
        """Whether nothing changes."""
        return not self.added and not self.removed and len(set(self.threshold)) == len(set(self.post_quantum)) == 1


@dataclass(frozen=True, slots=True, kw_only=True)
class DueView:
    """A role whose file expires soon, or has expired. ``can_sign``: enough of its keys are held here."""

    role: RoleName
    expires: datetime
    can_sign: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class DamagedView:
    """A published image whose stored bytes are not those that are listed; ``reason`` is for people."""

    path: TargetPath
    role: RoleName
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockView:
    """The signing clock: the time ``now`` by which all was judged, its second source (None: none is set), whether that answered,
    and why nothing can be signed now.
    """

    now: datetime
    source: str | None
    answered: bool
    last_signed: datetime | None
    problem: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusView:
    """What is staged, what has to wait, what expires soon, what is damaged, and the signing clock.

    ``unpublishable`` is why what is staged cannot be published, None where it can.
    """

    staged_images: tuple[str, ...]
    staged_removals: tuple[str, ...]
    staged_delegations: tuple[str, ...]
    staged_undelegations: tuple[str, ...]
    accepted: tuple[RoleName, ...]
    unpublishable: str | None
    waiting: tuple[RoleName, ...]
    due: tuple[DueView, ...]
    damaged: tuple[DamagedView, ...]
    clock: ClockView
    prepared_root: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishResult:
    """What one publication did. ``version`` is the Timestamp's; ``files`` are the metadata files it brought.

    ``prepared_root`` is the number of a Root that others are signing, which no other Root may have.
    ``waiting`` are delegations that wait because the role that they name has delivered no file yet. ``overdue`` are
    roles that a refresh found due and could not sign, because too few of their keys are here. ``unchecked`` are OSTree
    commits of which only the commit object was checked, or nothing where the OSTree repository is not here.
    """

    version: int
    files: tuple[str, ...]
    changed: bool = True
    waiting: tuple[RoleName, ...] = ()
    overdue: tuple[RoleName, ...] = ()
    prepared_root: int | None = None
    unchecked: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeoverView:
    """What an import did. ``versions`` are those published now, by role; ``expired`` was so in what was taken over.

    ``release_counter`` is what images got that stated none; ``dropped`` are delegated roles that were left behind;
    ``left_out`` images that could not be taken over; ``warnings`` state what will not work later.
    """

    publication: int
    roots: int
    versions: Mapping[str, int]
    images: int
    release_counter: int
    expired: tuple[RoleName, ...] = ()
    dropped: tuple[RoleName, ...] = ()
    left_out: tuple[EntryFinding, ...] = ()
    warnings: tuple[EntryFinding, ...] = ()
