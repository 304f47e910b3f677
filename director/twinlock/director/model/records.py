"""What the Director knows and decides, as frozen values. The command prints them; the database stores them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from twinlock.io.files.records import Record
from twinlock.trust.keys.public_keys import PublicKey
from twinlock.trust.model.ecu import Ecu, InstalledImage
from twinlock.trust.names import EcuId, HardwareId, TargetPath, VehicleId, Verification

NOTHING = "nothing"  # the vehicle has what it should have, or nothing is assigned
ORDERED = "ordered"  # images are ordered
HELD = "held"  # an earlier order has to be confirmed by a manifest first
WAITING = "waiting"  # the vehicle has not reported yet
IMPOSSIBLE = "impossible"  # no set of images fits; nothing is ordered

TUF_PROFILE = "tuf"  # our own client's
AKTUALIZR_PROFILE = "aktualizr"  # that of aktualizr
PROFILES = (TUF_PROFILE, AKTUALIZR_PROFILE)  # every wire profile; Roots are authored in the first

ATTACK, REFUSAL, FAILURE, NOTICE = "attack", "refusal", "failure", "notice"  # the kinds of events

BY_CERTIFICATE = "certificate"  # the name in its verified client certificate
BY_SERIAL = "serial"  # the serial of its Primary, as it states it


@dataclass(frozen=True, slots=True, kw_only=True)
class CounterReset:
    """A permission to start a counter again: the next report that carries ``nonce`` may, until ``expires``."""

    number: int
    nonce: str
    expires: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class EcuRecord:
    """One ECU as it was registered.

    ``counter_base`` is added to the counter of every report that it sends, and ``highest_counter`` is the highest sum that
    was accepted under this key; ``evidence_counter`` is that of its newest report with evidence, as it was sent, and
    ``evidence_digest`` the SHA-256 of what that report's signature is over. ``reset`` is what lets it count from the start once. ``missing_since`` is set while it is left out of manifests, ``out_of_order_since`` from when
    an operator declared it out of order until it reports again.
    """

    ecu: EcuId
    hardware_id: HardwareId
    key: PublicKey
    primary: bool
    verification: Verification = Verification.FULL
    counter_base: int = 0
    highest_counter: int | None = None
    missing_since: datetime | None = None
    out_of_order_since: datetime | None = None
    evidence_counter: int | None = None
    evidence_digest: str | None = None
    reset: CounterReset | None = None

    def as_json(self) -> dict[str, Any]:
        return {
            "ecu": self.ecu,
            "hardwareId": self.hardware_id,
            "keyid": self.key.keyid,
            "key": self.key.as_json(),
            "primary": self.primary,
            "verification": self.verification.value,
        }

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the key material, whatever key id it goes by: how an operator names the key."""
        return hashlib.sha256(self.key.identity).hexdigest()


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

    ``profile`` is that of its client; where that has no names of vehicles in it, ``identified_by`` is how the
    Director knows which vehicle sends a request. ``retired`` are ECUs that it had once, and when they left. ``retired_at`` is set while the vehicle itself
    is retired; ``primary`` is empty only then, if its ECUs were released. ``share_used`` is how much of its daily share of
    manifests was used at ``last_manifest_at``, in bytes.
    """

    vehicle: VehicleId
    primary: EcuId
    ecus: Mapping[EcuId, EcuRecord]
    reports: Mapping[EcuId, LastReport] = field(default_factory=dict)
    registered_at: datetime
    last_manifest_at: datetime | None = None
    share_used: int = 0
    profile: str = TUF_PROFILE
    identified_by: str | None = None
    retired: Mapping[EcuId, datetime] = field(default_factory=dict)
    retired_at: datetime | None = None

    def judged(self, ecu: EcuId, formats: tuple[str, ...]) -> Ecu:
        """An ECU as the trust engine judges images for it; ``formats`` are those that may be ordered (``Client``)."""
        return Ecu(ecu=ecu, hardware_id=self.ecus[ecu].hardware_id, formats=formats)

    @property
    def unknown(self) -> frozenset[EcuId]:
        """The ECUs whose software is unknown: they never reported, are missing, or were declared out of order."""
        return frozenset(
            ecu
            for ecu, item in self.ecus.items()
            if ecu not in self.reports or item.missing_since is not None or item.out_of_order_since is not None
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """What an operator assigned: this ECU shall run this image."""

    ecu: EcuId
    path: TargetPath
    assigned_at: datetime
    actor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that people should see. ``kind`` is ``attack`` (evidence of someone's act), ``refusal`` (a rule was not met),
    ``failure`` (something broke) or ``notice``; ``code`` names it, and docs/codes.md lists all codes.

    ``ecu`` is None where the whole vehicle is meant. ``evidence`` is the ECU's own id of a piece of evidence; ``data`` is all
    that was reported, as plain JSON.
    """

    kind: str
    code: str
    ecu: EcuId | None
    detail: str
    evidence: str | None = None
    data: Mapping[str, Any] | None = None

    def as_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        plain: dict[str, Any] = {"kind": self.kind, "code": self.code, "ecu": self.ecu, "detail": self.detail}
        return plain if self.data is None else {**plain, "data": dict(self.data)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Acceptance:
    """An accepted manifest: its number in the inventory, and what it shows."""

    manifest: int
    vehicle: VehicleId
    received_at: datetime
    events: tuple[Event, ...]


class PlannedImage(Record, frozen=True, kw_only=True):
    """One image for one ECU, as a decision keeps it. ``moved``: a dependency, not an assignment, asks for it."""

    ecu: EcuId
    path: TargetPath
    label: str
    release_counter: int | None
    moved: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What the Director orders from a vehicle now, and why. ``outcome`` is one of the constants above.

    ``orders`` are what its Targets will list; ``reasons`` are sentences for people.
    """

    vehicle: VehicleId
    outcome: str
    orders: tuple[PlannedImage, ...]
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AssignedPlan(Plan):
    """The plan after an assignment. ``assigned`` are the images that were assigned by it, which may have to wait."""

    assigned: tuple[PlannedImage, ...]


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
class InstallationRecord:
    """An image on an ECU: since when the vehicle reports it, until when it did, and who approved it.

    ``replaced_at`` None: nothing else was reported since. ``left_at``: when the ECU left the vehicle with it. ``decision`` None: the Director did not order it, as with
    software from the factory. ``actor`` and ``approved_at`` are of the assignment that led to the order.
    """

    vehicle: VehicleId
    ecu: EcuId
    path: TargetPath
    length: int
    hashes: Mapping[str, str]
    release_counter: int | None
    reported_at: datetime
    replaced_at: datetime | None
    counter: int | None
    decision: int | None
    actor: str | None
    approved_at: datetime | None
    left_at: datetime | None = None


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
    profile: str = TUF_PROFILE
    retired_at: datetime | None = None


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
