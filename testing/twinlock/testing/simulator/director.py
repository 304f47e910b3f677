"""The Director of one vehicle: a repository whose Targets are orders, bound to the vehicle by its id."""

from __future__ import annotations

import copy
from typing import Any

from twinlock.testing.simulator.keys import JSON, Key, KeyPool
from twinlock.testing.simulator.repository import Clock, RepositorySimulator
from twinlock.testing.simulator.wires import TUF_WIRE, Wire


class DirectorSimulator(RepositorySimulator):
    """Signs orders for ``vehicle``. Also offers Targets by its bare name, which partial verification asks for."""

    orders = True

    def __init__(
        self, keys: KeyPool, clock: Clock, vehicle: str, name: str = "director", *, wire: Wire = TUF_WIRE
    ) -> None:
        self.vehicle = vehicle
        super().__init__(name, keys, clock, with_delegations=False, wire=wire)
        self.bodies["targets"]["custom"] = {"vehicleIdentifier": vehicle, "correlationId": "urn:test:0"}
        for role in ("snapshot", "timestamp"):
            self.bodies[role]["custom"] = {"vehicleIdentifier": vehicle}
        self.bodies["root"]["custom"] = {"timeSource": {"keyids": [self.key("time").keyid], "threshold": 1}}
        self.bodies["root"]["keys"][self.key("time").keyid] = self.key("time").public
        self.history.clear()
        self.put("root")
        for role in ("targets", "snapshot", "timestamp"):
            self.put(role)
            self.index(role)

    def put(self, role: str, *, signers: Any = None, data: bytes | None = None) -> bytes:
        """As in the base; Targets are offered under their bare name as well."""
        made = super().put(role, signers=signers, data=data)
        if role == "targets":
            self.files[self.wire.file_name("targets", None)] = made
        return made

    def rewind(self, role: str, back: int = 1) -> bytes:
        """As in the base; Targets are rewound under their bare name as well."""
        made = super().rewind(role, back)
        if role == "targets":
            self.files[self.wire.file_name("targets", None)] = made
        return made

    def time_key(self) -> Key:
        """The TEST key of the time source."""
        return self.key("time")

    def order(self, ecu: str, hardware_id: str, path: str, listed: JSON) -> JSON:
        """Order (unpublished) the image that the Image repository lists as ``listed`` for ``ecu``; returns the entry."""
        self.withdraw(ecu)
        images = self.bodies["targets"]["targets"]
        entry: JSON = images.get(path) or copy.deepcopy(listed)
        entry["custom"].setdefault("ecuIdentifiers", {})[ecu] = {"hardwareId": hardware_id}
        images[path] = entry
        return entry

    def withdraw(self, ecu: str) -> None:
        """Withdraw (unpublished) the order for ``ecu``."""
        images = self.bodies["targets"]["targets"]
        for path in list(images):
            images[path]["custom"].get("ecuIdentifiers", {}).pop(ecu, None)
            if not images[path]["custom"].get("ecuIdentifiers"):
                del images[path]
