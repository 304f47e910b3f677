"""What a plan is made from, and what comes out: the values that planning and its rules hand to each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from twinlock.director.model.clients import OUR_CLIENT, Client
from twinlock.director.model.records import EcuRecord, Plan, VehicleRecord
from twinlock.director.model.software import fingerprint
from twinlock.trust.model.ecu import InstalledImage
from twinlock.trust.model.target_format import OSTREE, target_format
from twinlock.trust.model.targets import ImageEntry
from twinlock.trust.names import EcuId, TargetPath

Images = Mapping[EcuId, str]  # ECU to the fingerprint of an image


@dataclass(frozen=True, slots=True, kw_only=True)
class Outstanding:
    """An order that no manifest has confirmed yet. A withdrawn one may still be installing."""

    ecu: EcuId
    image: str
    path: TargetPath
    withdrawn: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanInputs:
    """Everything about one vehicle that a plan is made from. ``known`` are entries of installed images, by ECU, that
    the Director remembers; ``ordered`` is what its newest signed Targets list.

    ``listed`` are the images that its Targets ever listed, read only for clients that need them listed forever.
    ``unknown`` are the ECUs whose software is unknown; ``client`` is what the vehicle's client can and cannot do.
    """

    record: VehicleRecord
    client: Client = OUR_CLIENT
    assigned: Mapping[EcuId, TargetPath]
    ordered: Images = field(default_factory=dict)
    outstanding: tuple[Outstanding, ...] = ()
    known: Mapping[EcuId, ImageEntry] = field(default_factory=dict)
    manifest: int | None = None
    listed: tuple[InstalledImage, ...] = ()
    unknown: frozenset[EcuId] = frozenset()

    def installed_on(self, ecu: EcuId) -> InstalledImage | None:
        """What an ECU runs by its newest report, None if that is unknown."""
        report = None if ecu in self.unknown else self.record.reports.get(ecu)
        return None if report is None else report.installed


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedTargets:
    """A plan with the entries that Director Targets list for it, and the ECUs that each entry is for."""

    plan: Plan
    entries: Mapping[TargetPath, ImageEntry] = field(default_factory=dict)

    @property
    def images(self) -> Images:
        """The image ordered for each ECU, by fingerprint."""
        images = {}
        for order in self.plan.orders:
            entry = self.entries[order.path]
            images[order.ecu] = fingerprint(entry.path, entry.length, entry.hashes)
        return images


def entries_as_json(planned: PlannedTargets, hardware: Mapping[EcuId, EcuRecord]) -> dict[str, Any]:
    """What Director Targets list for a plan, by target path: length, hashes and custom, as plain JSON.

    The must-agree section is copied as it is; of the author's other members only those that state which software it is and
    its format. None that a client acts on (``uri``, ``downloadUrl``) comes from an Image repository. Source: Uptane 2.1.0 5.2.3.1 and 5.2.3.1.1.
    """
    listed: dict[str, Any] = {}
    for path, entry in sorted(planned.entries.items()):
        ecus = sorted(order.ecu for order in planned.plan.orders if order.path == path)
        shown = {name: entry.custom[name] for name in ("name", "version") if name in entry.custom}
        listed[path] = {
            "length": entry.length,
            "hashes": dict(entry.hashes),
            "custom": {
                **shown,
                **_format(entry),
                "mustAgree": entry.must_agree,
                "ecuIdentifiers": {ecu: {"hardwareId": hardware[ecu].hardware_id} for ecu in ecus},
            },
        }
    return listed


def _format(entry: ImageEntry) -> dict[str, str]:
    """``targetFormat`` where the author states one, as one of the two values that every reader understands alike."""
    if "targetFormat" not in entry.custom and entry.length:
        return {}
    return {"targetFormat": OSTREE if target_format(entry) == OSTREE else "BINARY"}
