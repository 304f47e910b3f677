"""Replay of another vehicle's orders (Uptane 2.1.0 5.2.3.1; issue 202 of the Standard): rightly signed, not for us."""

from __future__ import annotations

import pytest

from tests.simulator.scenario import Refused, Scenario, before, family, play, refused, scenario
from twinlock.testing.simulator.world import OTHER_VIN, VIN, World
from twinlock.trust.errors.images import VehicleMismatchError

STORED = before(("director", "targets"))


@scenario("replay", cycles=True)
def orders_of_another_vehicle(world: World) -> Refused:
    """Director Targets of another vehicle with the same kinds of ECU, under the same Director keys."""
    world.director.bodies["targets"]["custom"]["vehicleIdentifier"] = OTHER_VIN
    world.director.put("targets")
    return refused(VehicleMismatchError, STORED, offered=OTHER_VIN, expected=VIN)


@scenario("replay")
def empty_orders_of_another_vehicle(world: World) -> Refused:
    """Another vehicle has nothing to do; its empty Targets would hide this vehicle's update."""
    world.director.bodies["targets"]["custom"]["vehicleIdentifier"] = OTHER_VIN
    world.director.bodies["targets"]["targets"] = {}
    world.director.put("targets")
    return refused(VehicleMismatchError, STORED, offered=OTHER_VIN, expected=VIN)


@scenario("replay")
def orders_for_nobody(world: World) -> Refused:
    """Director Targets with orders that name no vehicle at all."""
    del world.director.bodies["targets"]["custom"]["vehicleIdentifier"]
    world.director.put("targets")
    return refused(VehicleMismatchError, STORED, expected=VIN)


@scenario("replay")
def empty_orders_for_nobody(world: World) -> Refused:
    """Empty Director Targets that name no vehicle fit every vehicle, and are refused by every one."""
    del world.director.bodies["targets"]["custom"]
    world.director.bodies["targets"]["targets"] = {}
    world.director.put("targets")
    return refused(VehicleMismatchError, STORED, expected=VIN)


@scenario("replay")
def vehicle_id_that_differs_in_case(world: World) -> Refused:
    """Identifiers are compared byte for byte."""
    world.director.bodies["targets"]["custom"]["vehicleIdentifier"] = VIN.lower()
    world.director.put("targets")
    return refused(VehicleMismatchError, STORED, offered=VIN.lower(), expected=VIN)


@scenario("replay", each=(("director", "timestamp"), ("director", "snapshot")))
def index_of_another_vehicle(world: World, *place: str) -> Refused:
    """Another vehicle's Timestamp or Snapshot, with a higher version: stored, it would make our own look rolled back."""
    body = world.director.bodies[place[1]]
    body["custom"]["vehicleIdentifier"] = OTHER_VIN
    body["version"] += 100
    world.director.put(place[1])
    if place[1] == "snapshot":
        world.director.index("snapshot")
        world.director.put("timestamp")
    return refused(VehicleMismatchError, before((place[0], place[1])), offered=OTHER_VIN, expected=VIN)


@pytest.mark.parametrize("scenario", family("replay"), ids=str)
def test_replay(scenario: Scenario) -> None:
    play(scenario)
