"""Names that would leave their directory or open a device."""

from __future__ import annotations

import pytest

from tests.simulator.moves import ALL
from tests.simulator.scenario import (
    Accepted,
    Refused,
    Scenario,
    accepted,
    before,
    family,
    play,
    refused,
    scenario,
)
from twinlock.testing.simulator.world import ADAS, World
from twinlock.trust.errors.metadata import (
    UnsafePathError,
)

STORED = before(("director", "targets"))


@scenario("path-traversal", each=["../evil.bin", "/etc/evil.bin", "a/../../evil.bin", "a\\evil.bin", "nul/evil.bin"])
def director_orders(world: World, path: str) -> Refused:
    """The Director orders an image under a name that would leave its directory, or open a device."""
    images = world.director.bodies["targets"]["targets"]
    images[path] = images.pop(ADAS.path(3))
    world.director.put("targets")
    return refused(UnsafePathError, STORED, path=path)


@scenario("path-traversal", each=["../brake.bin", "/brake.bin", "brake/../../x", "brake\\x", "con/brake"])
def image_repository_lists(world: World, path: str) -> Accepted:
    """A hostile name in the Image repository is never looked up, because no Director order could have it."""
    entry = world.image.bodies["targets"]["targets"]
    entry[path] = next(iter(entry.values()))
    world.image.put("targets")
    return accepted(*ALL)


@pytest.mark.parametrize("scenario", family("path-traversal"), ids=str)
def test_path_traversal(scenario: Scenario) -> None:
    play(scenario)
