"""The Director as a whole: from a manifest to signed metadata, through its face."""

from __future__ import annotations

import json

from tests.unit.director.world import TestVehicle, at, listed
from twinlock.director.director import Director
from twinlock.director.records import NOTHING, ORDERED, WAITING


def targets(director: Director, vin: str = "VIN1", **options) -> dict:
    data = director.metadata(vin, "targets.json", **options)
    assert data is not None
    return json.loads(data)["signed"]


def test_an_empty_list_is_bound_to_its_vehicle(fleet: Director) -> None:
    signed = targets(fleet)
    assert signed["targets"] == {}
    assert signed["custom"]["vehicleIdentifier"] == "VIN1"
    assert signed["custom"]["correlationId"].startswith("urn:")
    assert "delegations" not in signed


def test_an_assignment_brings_what_it_depends_on(fleet: Director, car: TestVehicle) -> None:
    plan = fleet.assign("VIN1", {"ecu-brake": "brake/2.0.bin"})
    assert plan.outcome == ORDERED
    assert {(order.ecu, order.path, order.moved) for order in plan.orders} == {
        ("ecu-brake", "brake/2.0.bin", False),
        ("ecu-gw", "gw/1.4.bin", True),
    }
    data = fleet.metadata("VIN1", "targets.json")
    assert listed(data) == {"brake/2.0.bin": ["ecu-brake"], "gw/1.4.bin": ["ecu-gw"]}
    custom = json.loads(data)["signed"]["targets"]["brake/2.0.bin"]["custom"]
    assert custom["mustAgree"] == {"hardwareIds": ["hw-7"], "releaseCounter": 2}
    assert custom["ecuIdentifiers"] == {"ecu-brake": {"hardwareId": "hw-7"}}

    car.install("ecu-gw", "gw/1.4.bin")
    car.install("ecu-brake", "brake/2.0.bin")
    fleet.receive_manifest(car.manifest(now=at(minutes=1)), now=at(minutes=1))
    assert fleet.explain("VIN1").outcome == NOTHING
    assert listed(fleet.metadata("VIN1", "targets.json", now=at(minutes=2))) == {"brake/2.0.bin": ["ecu-brake"]}


def test_nothing_is_ordered_before_the_first_manifest(director: Director, car: TestVehicle) -> None:
    director.register(car.description())
    plan = director.assign("VIN1", {"ecu-gw": "gw/1.4.bin"})
    assert plan.outcome == WAITING
    assert targets(director)["targets"] == {}
    director.receive_manifest(car.manifest())
    assert listed(director.metadata("VIN1", "targets.json")) == {"gw/1.4.bin": ["ecu-gw"]}
