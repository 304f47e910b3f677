"""Equivocation: one version with two contents.

Each scenario is told and expected in ``tests/simulator/scenarios``; ``play`` runs it from the legitimate state, through
the attack and its refusal with exactly the honest files stored, to the next honest update.
"""

from __future__ import annotations

import pytest

from tests.simulator.scenario import Scenario, current, family, play
from tests.simulator.world import World
from twinlock.trust.errors.metadata import EquivocationError


@pytest.mark.parametrize("scenario", family("equivocation"), ids=str)
def test_equivocation(scenario: Scenario) -> None:
    play(scenario)


@pytest.mark.parametrize("name", ["director", "image"])
def test_an_equivocating_timestamp_replaces_nothing_and_what_it_lists_is_not_even_fetched(name: str) -> None:
    world = World()
    current(world)
    world.vehicle.installed.clear()
    before = world.vehicle.snapshot_state()
    with world.attack():
        repository = world.repositories[name]
        repository.bodies["snapshot"]["version"] += 1
        repository.put("snapshot")
        repository.index("snapshot")
        repository.put("timestamp")
        world.vehicle.update()
        assert [type(notice) for notice in world.vehicle.notices] == [EquivocationError]
        assert world.vehicle.snapshot_state() == before
        assert repository.current("snapshot") not in world.vehicle.fetched(name)
