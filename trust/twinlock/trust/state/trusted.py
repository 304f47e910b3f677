"""What is trusted, as values. A check returns new state or raises; nothing here changes in place."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from twinlock.trust.keys.signatures import Verified
from twinlock.trust.model.base import NOTHING
from twinlock.trust.model.ecu import Ecu, InstalledImage
from twinlock.trust.model.root import Root
from twinlock.trust.model.snapshot import Snapshot
from twinlock.trust.model.targets import ImageEntry, Targets
from twinlock.trust.model.timestamp import Timestamp
from twinlock.trust.names import EcuId, HardwareId, RepositoryName, RoleName, VehicleId
from twinlock.trust.state.floors import Floors
from twinlock.trust.state.repository_map import RepositoryMap
from twinlock.trust.wire.profile import WireProfile
from twinlock.trust.wire.tuf.metadata import TUF


class TrustedRepository(NamedTuple):
    """One repository as far as it has been verified.

    ``delegated`` holds the stored bytes of delegated roles. They are *not* verified by being here: each use verifies
    them under the keys of the role that delegates, because another delegator may not trust them. ``opened`` are those
    that a search has verified, by role and the ``Authority.digest`` under which its delegator names it. ``proofs`` are what was
    stored with files, as bytes that may prove nothing. ``wire`` is the encoding of all its files: the two repositories
    of a vehicle need not share one. ``floors`` outlive the files: checks compare with them, never with what is stored.
    """

    name: RepositoryName
    root: Verified[Root]
    timestamp: Verified[Timestamp] | None = None
    snapshot: Verified[Snapshot] | None = None
    targets: Verified[Targets] | None = None
    delegated: Mapping[RoleName, bytes] = NOTHING
    wire: WireProfile = TUF
    opened: Mapping[tuple[RoleName, bytes], Verified[Targets]] = NOTHING
    proofs: Mapping[RoleName, bytes] = NOTHING
    floors: Floors = NOTHING

    @property
    def valid_until(self) -> datetime:
        """The earliest expiry (UTC) of Root, Timestamp, Snapshot and top-level Targets, as far as there are any."""
        files = (self.root, self.timestamp, self.snapshot, self.targets)
        return min(file.signed.expires for file in files if file is not None)


class Vehicle(NamedTuple):
    """Who is verifying: the vehicle, its ECUs as far as known here, and what they run.

    A Primary knows all ECUs (``complete``), so an ECU id that is not among them is refused; a Secondary knows itself.
    """

    vehicle: VehicleId
    ecus: Mapping[EcuId, Ecu]
    installed: Mapping[EcuId, InstalledImage] = NOTHING
    complete: bool = True


class TrustedVehicle(NamedTuple):
    """The state that full verification starts from: the map and each repository in it."""

    map: RepositoryMap
    repositories: Mapping[RepositoryName, TrustedRepository]


class ApprovedImage(NamedTuple):
    """An image that one ECU may now fetch and install: every check on metadata has passed.

    ``valid_until`` (UTC) is the earliest expiry of all that the approval rests on. Before the first write, an ECU has to
    ask again whether that has passed.
    """

    ecu: EcuId
    hardware_id: HardwareId
    entry: ImageEntry
    repositories: tuple[RepositoryName, ...]
    valid_until: datetime


class Decision(NamedTuple):
    """The verdict of a verification. ``missing_guarantees`` names those that it went without (``engine/guarantees.py``).

    Each entry in ``approved`` is the Director's, completed by what only a repository that agrees states.
    """

    repositories: Mapping[RepositoryName, TrustedRepository]
    approved: tuple[ApprovedImage, ...]
    correlation_id: str | None
    now: datetime
    missing_guarantees: tuple[str, ...] = ()

    @property
    def valid_until(self) -> datetime | None:
        """When the first of the approvals ends (UTC); None if there are none."""
        return min((image.valid_until for image in self.approved), default=None)
