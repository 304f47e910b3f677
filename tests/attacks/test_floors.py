"""Floors under attack: yesterday's files stay refused while the keys that signed today's are still in their roles."""

from __future__ import annotations

import pytest

from tests.simulator.scenario import current
from twinlock.testing.simulator.vehicle import changed
from twinlock.testing.simulator.world import PARTS, World
from twinlock.trust.errors.metadata import EquivocationError, RollbackError
from twinlock.trust.names import ROOT, SNAPSHOT, TARGETS, TIMESTAMP, RoleName

ROLES = ("timestamp", "snapshot", "targets")


@pytest.fixture
def world() -> World:
    made = World()
    current(made)
    made.pass_time(hours=1)
    return made


def test_an_order_that_was_withdrawn_does_not_come_back_when_a_key_is_added(world: World) -> None:
    part, director = PARTS[0], world.director
    world.release()
    world.vehicle.update()
    director.withdraw(part.ecu)
    director.publish("targets")
    world.update()
    key = director.key("timestamp")
    director.set_keys("timestamp", [key, director.key("timestamp", 2)], threshold=1)
    director.signers["timestamp"] = [key]
    director.publish_root()
    before = world.vehicle.snapshot_state()
    with world.attack():
        director.rewind_all(1)
        with pytest.raises(RollbackError) as caught:
            world.vehicle.update()
    assert (caught.value.repository, caught.value.role) == ("director", TIMESTAMP)
    assert changed(before, world.vehicle.snapshot_state()) == {"director/2.root"}
    world.release()
    assert len(world.update().approved) == len(PARTS)


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("name", ["director", "image"])
def test_a_damaged_or_missing_stored_file_lowers_nothing(world: World, name: str, role: str) -> None:
    files = world.vehicle.stores[name].files
    honest = dict(files)
    for damage in (b"", files[role][:-5], None):
        files.clear()
        files.update(honest)
        if damage is None:
            del files[role]
        else:
            files[role] = damage
        world.vehicle.installed.clear()
        with world.attack():
            world.repositories[name].rewind_all(1)
            with pytest.raises(RollbackError) as caught:
                world.vehicle.update()
        assert (caught.value.repository, caught.value.role) == (name, TIMESTAMP)
    world.update()
    assert files == honest  # fetched again, the very same


def test_an_older_copy_put_back_into_the_store_is_not_trusted(world: World) -> None:
    store, director = world.vehicle.stores["director"], world.director
    for role in ROLES:
        store.files[role] = director.history[role][-2]
    trusted = store.restore("director")
    assert (trusted.timestamp, trusted.snapshot, trusted.targets) == (None, None, None)
    with world.attack():
        director.rewind_all(1)
        with pytest.raises(RollbackError) as caught:
            world.vehicle.update()
    assert (caught.value.role, caught.value.trusted) == (TIMESTAMP, 4)
    world.release()
    assert len(world.update().approved) == len(PARTS)


def test_a_lost_root_is_fetched_again_and_cannot_be_withheld(world: World) -> None:
    store, director = world.vehicle.stores["director"], world.director
    director.rotate("targets")
    world.update()
    del store.roots[2]
    held = dict(store.floors)
    with world.attack():
        del director.files["2.root.json"]
        with pytest.raises(RollbackError) as caught:
            world.vehicle.update()
    assert caught.value.fields() == {"repository": "director", "role": ROOT, "offered": 1, "trusted": 2}
    assert store.floors == held
    world.release()
    assert len(world.update().approved) == len(PARTS)
    assert set(store.roots) == {1, 2}


def test_a_lost_root_is_not_replaced_by_another_of_its_version(world: World) -> None:
    store, director = world.vehicle.stores["director"], world.director
    director.publish_root()
    world.update()
    del store.roots[2]
    honest = director.files["2.root.json"]
    director.bodies["root"]["x-other"] = 1
    director.put("root")
    with pytest.raises(EquivocationError) as caught:
        world.vehicle.update()
    assert caught.value.fields() == {"repository": "director", "role": ROOT, "version": 2}
    del director.bodies["root"]["x-other"]
    director.files["2.root.json"] = honest
    world.release()
    assert len(world.update().approved) == len(PARTS)


@pytest.mark.parametrize("role", ROLES)
def test_a_chain_that_is_walked_again_does_not_judge_floors_by_older_roots(world: World, role: str) -> None:
    """Root 2 brings new keys, which establish today's floors; Root 2 is lost, and on the way back Root 1 knows no such key."""
    store, director = world.vehicle.stores["director"], world.director
    director.rotate(role)
    director.rotate("root")
    world.update()
    del store.roots[2], store.roots[3]
    with world.attack():
        director.rewind(TIMESTAMP, 1)
        with pytest.raises(RollbackError) as caught:
            world.vehicle.update()
    assert caught.value.role == TIMESTAMP
    world.release()
    assert len(world.update().approved) == len(PARTS)


@pytest.mark.parametrize("dropped", [TIMESTAMP, SNAPSHOT, TARGETS, RoleName("acme")])
def test_dropping_a_stored_file_drops_no_floor(world: World, dropped: RoleName) -> None:
    store = world.vehicle.stores["image"]
    floors = dict(store.floors)
    del store.files[dropped]
    store.proofs.pop(dropped)
    assert set(store.restore("image").floors) == set(floors) | {ROOT}
    world.vehicle.installed.clear()
    assert len(world.update().approved) == len(PARTS)
    assert store.floors == floors
