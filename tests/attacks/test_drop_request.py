"""Dropped requests: files that have to be there and are not."""

from __future__ import annotations

import pytest

from tests.simulator.hands import at
from tests.simulator.scenario import Refused, Scenario, before, family, play, refused, scenario
from twinlock.testing.simulator.world import World
from twinlock.trust.errors.metadata import MissingMetadataError

INDEXED = [("director", "targets"), ("image", "targets"), ("image", "acme")]


@scenario(
    "drop-request",
    each=[("director", "timestamp"), ("director", "snapshot"), *INDEXED, ("image", "timestamp"), ("image", "snapshot")],
)
def missing(world: World, *place: str) -> Refused:
    """A file that has to be there answers "not found"."""
    name, role = place
    file = at(world, (name, role)).drop(role)
    return refused(MissingMetadataError, before((name, role)), repository=name, role=role, name=file)


@pytest.mark.parametrize("scenario", family("drop-request"), ids=str)
def test_drop_request(scenario: Scenario) -> None:
    play(scenario)
