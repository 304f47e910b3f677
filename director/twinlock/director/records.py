"""What the Director knows and decides, as frozen values. The command prints them; the database stores them.

Belongs here: shapes. Does not belong here: how they are read, stored or decided.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from twinlock.trust.keys import PublicKey
from twinlock.trust.names import EcuId, HardwareId, TargetPath, VehicleId, Verification
from twinlock.trust.state import InstalledImage

NOTHING = "nothing"  # the vehicle has what it should have, or nothing is assigned
ORDERED = "ordered"  # images are ordered
HELD = "held"  # an earlier order has to be confirmed by a manifest first
WAITING = "waiting"  # the vehicle has not reported yet
IMPOSSIBLE = "impossible"  # no set of images fits; nothing is ordered

TUF_WIRE = "tuf"  # a vehicle that speaks our own profile
AKTUALIZR_WIRE = "aktualizr"  # a vehicle that runs aktualizr

BY_CERTIFICATE = "certificate"  # the name in its verified client certificate
BY_SERIAL = "serial"  # its own word for the serial of its Primary


@dataclass(frozen=True, slots=True, kw_only=True)
class EcuRecord:
    """One ECU as it was registered. ``counter_base`` is added to the counter of every report that it sends."""

    ecu: EcuId
    hardware_id: HardwareId
    key: PublicKey
    primary: bool
    verification: Verification = Verification.FULL
    counter_base: int = 0

    def as_json(self) -> dict[str, Any]:
        return {
            "ecu": self.ecu,
            "hardwareId": self.hardware_id,
            "keyid": self.key.keyid,
            "key": self.key.as_json(),
            "primary": self.primary,
            "verification": self.verification.value,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class LastReport:
    """The newest accepted report of one ECU. ``counter`` is the highest seen, None if it never sent one."""

    installed: InstalledImage
    time: datetime
    counter: int | None
    attack: str = ""
    detail: str = ""
    manifest: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class VehicleRecord:
    """A registered vehicle: its ECUs by id, and what each last reported (absent: never reported).

    ``wire`` is the profile that it speaks; where that has no names of vehicles in it, ``identified_by`` tells how we
    know who speaks. ``retired`` are ECUs that it had once, and when they left.
    """

    vehicle: VehicleId
    primary: EcuId
    ecus: Mapping[EcuId, EcuRecord]
    reports: Mapping[EcuId, LastReport] = field(default_factory=dict)
    registered_at: datetime
    last_manifest_at: datetime | None = None
    wire: str = TUF_WIRE
    identified_by: str | None = None
    retired: Mapping[EcuId, datetime] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """An operator's wish: this ECU shall run this image."""

    ecu: EcuId
    path: TargetPath
    assigned_at: datetime
    actor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something in an accepted manifest that people should see: ``kind`` is ``attack``, ``detail``,
    ``install-failed``, ``old-time``, ``unlisted-image`` or ``wrong-hardware``."""

    kind: str
    ecu: EcuId
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Acceptance:
    """An accepted manifest: its number in the inventory, and what it shows."""

    manifest: int
    vehicle: VehicleId
    received_at: datetime
    events: tuple[Event, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One image for one ECU. ``moved`` tells that a dependency, not an assignment, asks for it."""

    ecu: EcuId
    path: TargetPath
    label: str
    release_counter: int | None
    moved: bool = False

    def as_json(self) -> dict[str, Any]:
        return {
            "ecu": self.ecu,
            "path": self.path,
            "label": self.label,
            "releaseCounter": self.release_counter,
            "moved": self.moved,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a vehicle should be told now, and why. ``outcome`` is one of the constants above.

    ``orders`` are what its Targets will list; ``reasons`` are sentences for people.
    """

    vehicle: VehicleId
    outcome: str
    orders: tuple[Order, ...]
    reasons: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        return {
            "vehicle": self.vehicle,
            "outcome": self.outcome,
            "orders": [order.as_json() for order in self.orders],
            "reasons": list(self.reasons),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionRecord:
    """A plan as it was recorded. ``versions`` are those of the Image repository's files that it was made from.

    ``entries`` are what Director Targets list for it, by target path.
    """

    number: int
    made_at: datetime
    plan: Plan
    entries: Mapping[str, Any]
    correlation_id: str
    manifest: int | None
    versions: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestRecord:
    """A stored manifest. ``refusal`` is the refusal's JSON, None where it was accepted."""

    number: int
    received_at: datetime
    data: bytes
    refusal: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class VehicleSummary:
    """One line of a list of vehicles."""

    vehicle: VehicleId
    primary: EcuId
    ecus: int
    registered_at: datetime
    last_manifest_at: datetime | None
    assignments: int
    wire: str = TUF_WIRE


@dataclass(frozen=True, slots=True, kw_only=True)
class Issue:
    """The versions of a vehicle's signed metadata, all of one set. ``root`` is that of the TUF Root, in every profile."""

    vehicle: VehicleId
    root: int
    targets: int
    snapshot: int
    timestamp: int
    issued_at: datetime
    expires: datetime
    correlation_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """A metadata file, and the correlation id of the order that it belongs to where that is known.

    ``held`` is the code of the error for which nothing newer could be signed.
    """

    data: bytes
    correlation_id: str | None = None
    held: str | None = None
