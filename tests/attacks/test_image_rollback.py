"""Rollback of images: release counters hold even where the Director is the thief's."""

from __future__ import annotations

import pytest

from tests.simulator.moves import both_repositories
from tests.simulator.scenario import (
    Refused,
    Scenario,
    family,
    play,
    refused,
    scenario,
)
from twinlock.testing.simulator.world import ADAS, BRAKE, World
from twinlock.trust.errors.images import ReleaseCounterError


@scenario("image-rollback")
def compromised_director_orders_the_older_image(world: World) -> Refused:
    """The Director's keys are stolen; an older, rightly listed image is ordered again."""
    listed = world.image.bodies["targets"]["targets"][ADAS.path(1)]
    world.director.order(ADAS.ecu, ADAS.hardware_id, ADAS.path(1), listed)
    world.director.publish("targets")
    fields = {"ecu": ADAS.ecu, "target": ADAS.path(1), "offered": 1, "installed": 2}
    return refused(ReleaseCounterError, both_repositories(), **fields)


@scenario("image-rollback")
def older_image_of_a_supplier(world: World) -> Refused:
    """As above, for an image that a delegated role lists."""
    listed = world.image.bodies["acme"]["targets"][BRAKE.path(1)]
    world.director.order(BRAKE.ecu, BRAKE.hardware_id, BRAKE.path(1), listed)
    world.director.publish("targets")
    fields = {"ecu": BRAKE.ecu, "target": BRAKE.path(1), "offered": 1, "installed": 2}
    return refused(ReleaseCounterError, [*both_repositories(), "image/acme"], **fields)


@scenario("image-rollback")
def director_raises_the_counter_of_an_old_image(world: World) -> Refused:
    """The Director's keys are stolen; an old image is ordered under a release counter that was never signed for it."""
    from twinlock.trust.errors.images import RepositoryMismatchError

    listed = world.image.bodies["targets"]["targets"][ADAS.path(1)]
    entry = world.director.order(ADAS.ecu, ADAS.hardware_id, ADAS.path(1), listed)
    entry["custom"]["mustAgree"]["releaseCounter"] = 9
    world.director.publish("targets")
    return refused(RepositoryMismatchError, both_repositories(), target=ADAS.path(1), repository="image")


@scenario("image-rollback")
def same_name_lower_counter_at_both(world: World) -> Refused:
    """Both repositories list the new image with a release counter below the installed one's: a publisher's mistake,
    or both thefts at once; the counter still holds."""
    world.list_release(4, (ADAS,), counter=1)
    world.image.publish("targets")
    world.order_release(4, (ADAS,))
    world.director.publish("targets")
    fields = {"ecu": ADAS.ecu, "target": ADAS.path(4), "offered": 1, "installed": 2}
    return refused(ReleaseCounterError, both_repositories(), **fields)


@pytest.mark.parametrize("scenario", family("image-rollback"), ids=str)
def test_image_rollback(scenario: Scenario) -> None:
    play(scenario)
