"""One vehicle of either profile that can be brought into every state in which it is stuck, for the table of ways out."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol

from tests.unit.director.aktualizr_vehicle import AktualizrVehicle, WireKey
from tests.unit.director.world import EcuSigner, TestVehicle, at
from twinlock.director.director import Director
from twinlock.director.inventory.vehicles import key_identity
from twinlock.director.model.records import Acceptance, EcuRecord
from twinlock.trust.names import EcuId


class StuckVehicle(Protocol):
    """What a test does to a vehicle, and what the vehicle does by itself. ``hardware`` begins with the Primary."""

    vin: str
    hardware: dict[str, str]
    minutes: float
    nonces: bool

    def register(self, director: Director) -> None: ...
    def come_with_keys(self, director: Director) -> None: ...
    def send(self, director: Director, *, without: Iterable[str] = ()) -> Acceptance: ...
    def new_key(self, ecu: str, name: str = "") -> None: ...
    def restore(self) -> None: ...
    def describe(self, ecu: str) -> dict[str, Any]: ...
    def fingerprint(self, ecu: str) -> str: ...


@dataclass
class NativeVehicle:
    """A vehicle of our own profile. It registers by an operator, and again with a one-time token."""

    vin: str = "VIN1"
    hardware: dict[str, str] = field(default_factory=lambda: {"gw-1": "gw-1", "brake-1": "hw-7", "lamp-1": "hw-9"})
    car: TestVehicle = field(init=False)
    minutes: float = 0
    nonces: bool = True

    def __post_init__(self) -> None:
        self.car = TestVehicle(self.vin, self.hardware)

    def register(self, director: Director) -> None:
        director.register(self.car.description())

    def come_with_keys(self, director: Director) -> None:
        token = director.enrolment_token(self.vin)
        director.enrol(self.vin, token, json.dumps(self.car.description()).encode())

    def send(self, director: Director, *, without: Iterable[str] = ()) -> Acceptance:
        self.minutes += 1
        now = at(minutes=self.minutes)
        nonces: dict[str, str] = {}
        if director.vehicle(self.vin).retired_at is None:
            targets = director.metadata(self.vin, "targets.json", now=now)
            nonces = json.loads(targets or b"{}")["signed"]["custom"].get("resets", {})
        self.car.counter += 1
        left = [ecu for ecu in self.hardware if ecu not in set(without)]
        reports = [self.car.report(ecu, now=now, nonce=nonces.get(ecu)) for ecu in left]
        self.car.counter -= 1
        return director.receive_manifest(self.car.manifest(now=now, reports=reports), vehicle=self.vin, now=now)

    def new_key(self, ecu: str, name: str = "") -> None:
        self.car.signers[ecu] = EcuSigner(name or f"new {self.vin} {ecu}")
        self.car.installed.setdefault(ecu, next(iter(self.car.installed.values())))

    def restore(self) -> None:
        self.car.counter = 1

    def describe(self, ecu: str) -> dict[str, Any]:
        return next(item for item in self.car.description()["ecus"] if item["ecu"] == ecu)

    def fingerprint(self, ecu: str) -> str:
        return key_identity(self.car.signers[ecu].public_key)


@dataclass
class AktualizrStuck:
    """A vehicle that runs aktualizr. It registers by itself, and again whenever its list of ECUs changes."""

    vin: str = "VIN1"
    hardware: dict[str, str] = field(default_factory=lambda: {"gw-1": "gw-1", "brake-1": "hw-7", "lamp-1": "hw-9"})
    van: AktualizrVehicle = field(init=False)
    minutes: float = 0
    nonces: bool = False

    def __post_init__(self) -> None:
        self.van = AktualizrVehicle(self.vin, self.hardware)

    def register(self, director: Director) -> None:
        self.van.register(director)

    def come_with_keys(self, director: Director) -> None:
        self.van.register(director)

    def send(self, director: Director, *, without: Iterable[str] = ()) -> Acceptance:
        self.minutes += 1
        self.van.counter += 1
        reports = {ecu: self.van.report(ecu) for ecu in self.hardware if ecu not in set(without)}
        self.van.counter -= 1
        data = self.van.manifest(ecu_version_manifests=reports)
        return director.receive_manifest(data, vehicle=self.vin, now=at(minutes=self.minutes))

    def new_key(self, ecu: str, name: str = "") -> None:
        self.van.keys[ecu] = WireKey(name or f"new {self.vin} {ecu}")
        self.van.installed.setdefault(ecu, next(iter(self.van.installed.values())))

    def restore(self) -> None:
        self.van.counter = 1

    def describe(self, ecu: str) -> dict[str, Any]:
        return {**self._record(ecu).as_json(), "verification": "full"}

    def fingerprint(self, ecu: str) -> str:
        return key_identity(self._record(ecu).key)

    def _record(self, ecu: str) -> EcuRecord:
        return self.van.keys[ecu].record(ecu, self.hardware[ecu], primary=False)


def unknown(director: Director, vehicle: StuckVehicle) -> set[EcuId]:
    """The ECUs whose software the Director does not know."""
    return set(director.vehicle(vehicle.vin).unknown)
