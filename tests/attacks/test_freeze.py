"""Freeze: metadata past its time, whether it is served anew or vouched for by an unchanged Snapshot."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.simulator.hands import at, cover
from tests.simulator.moves import both_repositories
from tests.simulator.scenario import (
    ONLINE,
    REPOSITORIES,
    Accepted,
    Place,
    Refused,
    Scenario,
    accepted,
    before,
    current,
    family,
    play,
    refused,
    scenario,
    seasoned,
)
from twinlock.testing.simulator.repository import wire_time
from twinlock.testing.simulator.world import PARTS, World
from twinlock.trust.errors.metadata import ExpiredError

TARGETS_FILES = (("director", "targets"), ("image", "targets"), ("image", "acme"))


def _expired(place: Place, stored: list[str], version: int) -> Refused:
    repository, role = place
    return refused(ExpiredError, stored, repository=repository, role=role, version=version)


@scenario("freeze", each=ONLINE)
def expired_on_offer(world: World, *place: str) -> Refused:
    """A new file is served that is past its time already."""
    name, role = place
    repository = at(world, (name, role))
    body = repository.bodies[role]
    body["issued"] = wire_time(world.now - timedelta(days=2))
    body["expires"] = wire_time(world.now - timedelta(seconds=1))
    repository.put(role)
    cover(repository, role)
    return _expired((name, role), before((name, role)), body["version"])


@scenario("freeze", each=ONLINE)
def expires_at_this_very_second(world: World, *place: str) -> Refused:
    """A file is refused at the second of its expiry, not only after it."""
    name, role = place
    repository = at(world, (name, role))
    body = repository.bodies[role]
    body["expires"] = wire_time(world.now)
    repository.put(role)
    cover(repository, role)
    return _expired((name, role), before((name, role)), body["version"])


@scenario("freeze", prepare=current, cycles=True, each=REPOSITORIES)
def nothing_new_for_two_days(world: World, name: str) -> Refused:
    """The attacker keeps answering with what was current, until the Timestamp is past its time."""
    repository = world.repositories[name]
    world.pass_time(days=2)
    stored = []
    if name == "image":
        world.director.publish("targets")
        stored = before(("image", "timestamp"))
        _make_image_side_necessary(world)
    return _expired((name, "timestamp"), stored, repository.bodies["timestamp"]["version"])


@scenario("freeze", prepare=current, each=[place for place in ONLINE if place[1] not in ("timestamp", "acme")])
def behind_an_unchanged_snapshot(world: World, *place: str) -> Refused:
    """Timestamps stay fresh and list the Snapshot that is stored; what that vouches for is past its time."""
    name, role = place
    repository = at(world, (name, role))
    world.pass_time(days=8 if role == "snapshot" else 91)
    if role == "targets":
        # Only Targets is old: the Snapshot is renewed by its own key without a change.
        repository.bump("snapshot")
        repository.put("snapshot")
        repository.index("snapshot")
    repository.refresh_timestamp()
    stored = [f"{name}/timestamp"] + ([f"{name}/snapshot"] if role == "targets" else [])
    if name == "image":
        world.director.publish("targets")
        _make_image_side_necessary(world)
        stored += before(("image", "timestamp"))
    return _expired((name, role), stored, repository.bodies[role]["version"])


def _short_lived_targets(world: World) -> None:
    # Release 3 is stored, and its Targets files last three hours only; the Snapshots that list them last a week.
    seasoned(world)
    for name, role in TARGETS_FILES:
        repository = world.repositories[name]
        repository.bodies[role]["expires"] = wire_time(world.now + timedelta(hours=3))
        repository.put(role)
    world.update()


@scenario("freeze", prepare=_short_lived_targets, each=TARGETS_FILES)
def targets_behind_a_fresh_snapshot(world: World, *place: str) -> Refused:
    """The stored Snapshot is the one that Timestamp lists, and both are fresh; a Targets file behind it is not.

    This is the shortcut of Uptane 2.1.0 5.4.4.2 steps 4 and 8, which by its letter never looks at what it skips.
    """
    name, role = place
    world.pass_time(hours=4)
    stored: list[str] = []
    if name == "image":
        _make_image_side_necessary(world)
        world.director.publish("targets")
        stored = before(("image", "timestamp"))
    if role == "acme":
        world.image.bodies["targets"]["expires"] = wire_time(world.now + timedelta(hours=1))
        world.image.publish("targets")
        stored += both_repositories()[3:]
    return _expired((name, role), stored, at(world, (name, role)).bodies[role]["version"])


@scenario("freeze", prepare=current, undo=False, each=REPOSITORIES)
def root(world: World, name: str) -> Refused:
    """Everything is fresh but the Root, whose year is over."""
    other = world.image if name == "director" else world.director
    world.pass_time(days=366)
    other.publish_root()
    world.release()
    stored = [] if name == "director" else [*before(("image", "root")), "director/2.root"]
    return _expired((name, "root"), stored, 1)


@scenario("freeze", prepare=current, undo=False, each=REPOSITORIES)
def expired_intermediate_root_is_passed(world: World, name: str) -> Accepted:
    """Only the last Root of a chain has to be in time: one in the middle may be long past it."""
    for repository in world.repositories.values():
        repository.publish_root()
    world.pass_time(days=400)
    for repository in world.repositories.values():
        repository.publish_root()
    world.release()
    assert name
    return accepted(*(part.path(world.releases) for part in PARTS))


def _make_image_side_necessary(world: World) -> None:
    # With nothing ordered that is not installed a vehicle need not look at the Image repository at all
    # (Uptane 2.1.0 5.4.4.2 step 6), so the ECUs are made to run something else.
    world.vehicle.installed.clear()


@pytest.mark.parametrize("scenario", family("freeze"), ids=str)
def test_freeze(scenario: Scenario) -> None:
    play(scenario)
