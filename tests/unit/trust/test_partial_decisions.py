"""Partial verification: what a proven clock bounds, and which guarantees it went without beyond the Image repository."""

from __future__ import annotations

from datetime import timedelta

from tests.simulator.world import BRAKE, START, World
from twinlock.trust.engine.commands import drive
from twinlock.trust.engine.verification import partial_verification
from twinlock.trust.errors.metadata import IssuedInFutureError
from twinlock.trust.names import DIRECTOR, ROOT, TARGETS
from twinlock.trust.policy import LAX


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
    assert world.vehicle.partial_update(BRAKE.ecu).weaker == (
        "hardware-ids-missing",
        "release-counter-missing",
        "must-agree-missing",
        "image-repository-not-consulted",
    )
