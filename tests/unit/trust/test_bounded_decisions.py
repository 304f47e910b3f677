"""Decisions: what a proven clock bounds, and which guarantees a partial verification went without."""

from __future__ import annotations

from datetime import timedelta

from twinlock.testing.simulator.world import BRAKE, START, World
from twinlock.trust.engine.commands import drive
from twinlock.trust.engine.verification import full_verification, partial_verification
from twinlock.trust.errors.metadata import IssuedInFutureError
from twinlock.trust.names import DIRECTOR, IMAGE, ROOT, TARGETS, TOP_LEVEL
from twinlock.trust.policy import LAX
from twinlock.trust.state.trusted import TrustedVehicle


def test_a_proven_clock_caps_the_time_of_every_file() -> None:
    world = World()
    proven = START - timedelta(hours=1)
    vehicle = world.vehicle.vehicle(only=BRAKE.ecu)
    trusted = world.vehicle.stores["director"].restore("director")
    steps = partial_verification(trusted, vehicle, proven, ceiling=proven)
    decision = drive(steps, world.vehicle.answer)
    director = decision.repositories[DIRECTOR]
    assert [image.ecu for image in decision.approved] == [BRAKE.ecu]
    assert {role: floor.issued for role, floor in director.floors.items()} == {ROOT: proven, TARGETS: proven}
    found = world.vehicle.notices
    assert [type(error) for error in found] == [IssuedInFutureError] * 2
    assert [error.fields()["role"] for error in found] == [ROOT, TARGETS]
    assert [error.fields()["latest"] for error in found] == [proven, proven]


def test_without_a_proven_clock_nothing_is_capped() -> None:
    world = World()
    director = world.vehicle.partial_update(BRAKE.ecu).repositories[DIRECTOR]
    assert {role: floor.issued for role, floor in director.floors.items()} == {ROOT: START, TARGETS: START}
    assert world.vehicle.notices == []


def test_what_a_director_does_not_state_is_named_too() -> None:
    world = World()
    for entry in world.director.bodies["targets"]["targets"].values():
        entry["custom"] = {"ecuIdentifiers": entry["custom"]["ecuIdentifiers"]}
    world.refresh_all()
    world.vehicle.policy = LAX
    assert world.vehicle.partial_update(BRAKE.ecu).missing_guarantees == (
        "hardware-ids-missing",
        "release-counter-missing",
        "must-agree-missing",
        "image-repository-not-consulted",
    )


def test_full_verification_caps_the_time_of_every_repository() -> None:
    world = World()
    proven = START - timedelta(hours=1)
    repositories = {name: world.vehicle.stores[name].restore(name) for name in (DIRECTOR, IMAGE)}
    state = TrustedVehicle(world.vehicle.map, repositories)
    decision = drive(full_verification(state, world.vehicle.vehicle(), proven, ceiling=proven), world.vehicle.answer)
    for name in (DIRECTOR, IMAGE):
        floors = decision.repositories[name].floors
        assert {floors[role].issued for role in TOP_LEVEL} == {proven}
