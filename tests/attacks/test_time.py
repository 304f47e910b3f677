"""Time: moved backwards, moved forwards, signed falsely. The floor is what verified files prove by ``issued``."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.simulator.scenario import current, seasoned
from twinlock.testing.simulator.repository import wire_time
from twinlock.testing.simulator.vehicle import changed
from twinlock.testing.simulator.world import PARTS, World
from twinlock.trust.engine.time_floor import not_before, time_floor
from twinlock.trust.errors.metadata import ExpiredError

DAYS = timedelta(days=1)


@pytest.fixture
def world() -> World:
    made = World()
    current(made)
    return made


def _vehicle_clock(world: World, offset: timedelta) -> None:
    world.vehicle.clock = lambda: world.now + offset


@pytest.mark.parametrize("name", ["director", "image"])
@pytest.mark.parametrize("role", ["timestamp", "snapshot", "targets"])
def test_a_clock_set_back_revives_nothing(world: World, name: str, role: str) -> None:
    # Ten days pass and are proven by a release; then the vehicle's clock is set back and an expired file is offered.
    world.pass_time(days=10)
    world.release()
    world.update()
    _vehicle_clock(world, -10 * DAYS)
    floor = world.now
    world.release()
    repository = world.repositories[name]
    repository.bodies[role]["issued"] = wire_time(world.now - 9 * DAYS)
    repository.bodies[role]["expires"] = wire_time(world.now - DAYS)
    repository.put(role)
    if role == "snapshot":
        repository.index("snapshot")
        repository.put("timestamp")
    with pytest.raises(ExpiredError) as caught:
        world.vehicle.update()
    assert (caught.value.repository, caught.value.role, caught.value.now) == (name, role, floor)


@pytest.mark.parametrize("name", ["director", "image"])
def test_a_clock_set_back_does_not_stop_honest_updates(world: World, name: str) -> None:
    _vehicle_clock(world, -1000 * DAYS)
    world.release()
    decision = world.vehicle.update()
    assert {image.entry.path for image in decision.approved} == {part.path(4) for part in PARTS}
    assert decision.now == world.now
    assert name in decision.repositories


def test_the_director_proves_the_time_for_the_image_repository(world: World) -> None:
    # The clock stands still; the Director has signed later than the Image repository's Timestamp lives.
    world.vehicle.installed.clear()
    _vehicle_clock(world, -2 * DAYS)
    world.pass_time(days=2)
    world.director.publish("targets")
    with pytest.raises(ExpiredError) as caught:
        world.vehicle.update()
    assert (caught.value.repository, caught.value.role) == ("image", "timestamp")


def test_a_clock_set_forward_refuses_and_stores_nothing(world: World) -> None:
    stored = world.vehicle.snapshot_state()
    _vehicle_clock(world, 100 * DAYS)
    world.release()
    with pytest.raises(ExpiredError):
        world.vehicle.update()
    assert changed(stored, world.vehicle.snapshot_state()) == set()
    # The clock is right again: nothing was poisoned.
    _vehicle_clock(world, timedelta(0))
    assert {image.entry.path for image in world.update().approved} == {part.path(4) for part in PARTS}


@pytest.mark.parametrize("role", ["timestamp", "snapshot"])
def test_a_false_signed_time_ends_with_the_key_that_signed_it(world: World, role: str) -> None:
    director = world.director
    body = director.bodies[role]
    body["issued"], body["expires"] = wire_time(world.now + 3000 * DAYS), wire_time(world.now + 4000 * DAYS)
    body["version"] += 1
    if role == "snapshot":
        director.put("snapshot")
        director.index("snapshot")
        director.refresh_timestamp()
    else:
        director.put("timestamp")
    world.vehicle.installed.clear()
    with pytest.raises(ExpiredError):
        world.vehicle.update()
    # The false time is believed, so everything honest looks expired ...
    world.pass_time(hours=1)
    world.release()
    with pytest.raises(ExpiredError) as caught:
        world.vehicle.update()
    assert caught.value.now >= world.now + 2000 * DAYS
    # ... until the key is revoked: the file is dropped, and the false floor with it.
    director.rotate(role)
    world.release()
    decision = world.update()
    assert {image.entry.path for image in decision.approved} == {part.path(world.releases) for part in PARTS}
    assert decision.now == world.now


def test_the_floor_is_the_highest_issued_of_all_roles(world: World) -> None:
    director = world.vehicle.refresh("director")
    image = world.vehicle.refresh("image")
    assert time_floor([director, image]) == world.now
    assert time_floor([]) is None
    assert not_before(world.now - DAYS, [director]) == world.now
    assert not_before(world.now + DAYS, [director]) == world.now + DAYS
    assert not_before(world.now, []) == world.now


def test_files_without_a_signed_time_prove_none() -> None:
    world = World()
    for repository in world.repositories.values():
        for body in repository.bodies.values():
            body.pop("issued")
    world.director.publish_root()
    bare = world.director.bodies["timestamp"]
    bare.pop("issued", None)
    world.director.put("timestamp")
    trusted = world.vehicle.refresh("director")
    assert trusted.timestamp is not None
    assert trusted.timestamp.signed.issued is None


def test_one_time_holds_for_the_whole_cycle() -> None:
    world = World()
    seasoned(world)
    reads = []

    def clock() -> object:
        reads.append(world.now)
        return world.now

    world.vehicle.clock = clock  # type: ignore[assignment]
    world.vehicle.update()
    assert len(reads) == 1
