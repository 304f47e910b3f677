"""Endless data: more bytes, links, roles, signatures or keys than any honest repository has."""

from __future__ import annotations

import pytest

from tests.simulator.hands import offer
from tests.simulator.scenario import EVERYWHERE, before, next_releases, seasoned
from tests.simulator.vehicle import changed
from tests.simulator.world import BRAKE, PARTS, World
from twinlock.trust.errors.images import EndlessDataError
from twinlock.trust.errors.metadata import LimitError
from twinlock.trust.limits import DEFAULT_LIMITS, Limits

NEWEST = {"root": DEFAULT_LIMITS.root_bytes, "timestamp": DEFAULT_LIMITS.timestamp_bytes}


def _bound(world: World, name: str, role: str) -> int:
    if role == "snapshot":
        listed: int = world.repositories[name].bodies["timestamp"]["meta"]["snapshot.json"]["length"]
        return listed
    return NEWEST.get(role, DEFAULT_LIMITS.targets_bytes)


@pytest.fixture
def world() -> World:
    made = World()
    seasoned(made)
    return made


def _recovers(world: World) -> None:
    next_releases(world)
    approved = {image.entry.path for image in world.update().approved}
    assert approved == {part.path(world.releases) for part in PARTS}


@pytest.mark.parametrize(("name", "role"), EVERYWHERE)
def test_a_file_without_end(world: World, name: str, role: str) -> None:
    with world.attack():
        repository = offer(world, (name, role))
        bound = _bound(world, name, role)
        if bound > 1_000_000:
            world.vehicle.limits = Limits(targets_bytes=100_000)
            bound = 100_000
        repository.endless(role)
        stored = world.vehicle.snapshot_state()
        with pytest.raises(EndlessDataError) as caught:
            world.vehicle.update()
        assert caught.value.limit_bytes == bound
        assert changed(stored, world.vehicle.snapshot_state()) == set(before((name, role)))
    _recovers(world)


@pytest.mark.parametrize(("name", "role"), EVERYWHERE)
def test_a_driver_that_reads_on_is_stopped_by_the_engine(world: World, name: str, role: str) -> None:
    with world.attack():
        repository = offer(world, (name, role))
        world.vehicle.limits = Limits(targets_bytes=100_000)
        bound = min(_bound(world, name, role), 100_000 if role in {"targets", "acme"} else 10**9)
        repository.endless(role)
        repository.careless_driver = True
        stored = world.vehicle.snapshot_state()
        with pytest.raises(LimitError) as caught:
            world.vehicle.update()
        assert (caught.value.limit, caught.value.value) == (bound, bound + 1)
        assert changed(stored, world.vehicle.snapshot_state()) == set(before((name, role)))
    _recovers(world)


@pytest.mark.parametrize("name", ["director", "image"])
def test_as_many_roots_as_the_bound_are_followed(world: World, name: str) -> None:
    world.vehicle.limits = Limits(root_rotations=4)
    for _ in range(4):
        world.repositories[name].publish_root()
    world.update()
    assert max(world.vehicle.stores[name].roots) == 5


@pytest.mark.parametrize("name", ["director", "image"])
def test_a_root_chain_without_end(world: World, name: str) -> None:
    world.vehicle.limits = Limits(root_rotations=4)
    for _ in range(5):
        world.repositories[name].publish_root()
    with pytest.raises(LimitError) as caught:
        world.vehicle.update()
    assert (caught.value.limit, caught.value.value) == (4, 5)
    assert max(world.vehicle.stores[name].roots) == 5
    # What was followed is kept, so an honest publisher with a long chain is reached in the next cycle.
    _recovers(world)


def test_a_delegation_with_more_branches_than_may_be_opened(world: World) -> None:
    image = world.image
    world.vehicle.limits = Limits(delegation_visits=10)
    roles = [f"branch-{number:02}" for number in range(20)]
    for role in roles:
        image.delegate("targets", role, ["brake/*"])
    delegations = image.bodies["targets"]["delegations"]["roles"]
    delegations.append(delegations.pop(0))  # the one that lists the image comes last
    image.publish("targets", *roles)
    with pytest.raises(LimitError) as caught:
        world.vehicle.update()
    assert (caught.value.limit, caught.value.value) == (10, 11)
    assert [name for name in world.vehicle.fetched("image") if "branch" in name] == [
        f"1.branch-{number:02}.json" for number in range(10)
    ]
    world.vehicle.limits = Limits(delegation_visits=21)
    assert BRAKE.path(3) in {image.entry.path for image in world.update().approved}


def test_a_web_of_delegations_is_walked_once_along_each_thread(world: World) -> None:
    # Every role delegates to every other: without memory the walk would take 8! steps.
    image = world.image
    entry = image.bodies["acme"]["targets"].pop(BRAKE.path(3))
    roles = [f"web-{number}" for number in range(8)]
    for role in roles:
        image.delegate("targets", role, ["brake/*"])
        for other in roles:
            if other != role:
                image.delegate(role, other, ["brake/*"])
    image.delegate("targets", "last", ["brake/*"])
    image.bodies["last"]["targets"][BRAKE.path(3)] = entry
    image.publish("targets", *roles, "acme", "last")
    approved = {image.entry.path for image in world.update().approved}
    assert BRAKE.path(3) in approved
    assert len(world.vehicle.fetched("image")) < 20


@pytest.mark.parametrize("count", [128, 129])
def test_more_signatures_than_anybody_needs(world: World, count: int) -> None:
    director = world.director
    extra = [world.keys("bystander").alias(f"{number:064x}") for number in range(count - 1)]
    director.put("timestamp", signers=[*extra, *director.signers["timestamp"]])
    if count <= DEFAULT_LIMITS.signatures:
        world.vehicle.update()
        return
    with pytest.raises(LimitError) as caught:
        world.vehicle.update()
    assert (caught.value.limit, caught.value.value) == (128, 129)


def test_more_keys_than_anybody_needs(world: World) -> None:
    key = world.keys("spare").public
    world.image.bodies["root"]["keys"] |= {f"{number:064x}": key for number in range(DEFAULT_LIMITS.keys + 1)}
    world.image.publish_root()
    with pytest.raises(LimitError) as caught:
        world.vehicle.update()
    assert caught.value.limit == DEFAULT_LIMITS.keys


def test_more_hashes_than_anybody_needs(world: World) -> None:
    hashes = world.image.bodies["timestamp"]["meta"]["snapshot.json"]["hashes"]
    hashes |= {f"x-{number}": "00" for number in range(DEFAULT_LIMITS.hashes)}
    world.image.put("timestamp")
    with pytest.raises(LimitError) as caught:
        world.vehicle.update()
    assert caught.value.limit == DEFAULT_LIMITS.hashes


def test_more_orders_than_a_vehicle_has_ecus(world: World) -> None:
    images = world.director.bodies["targets"]["targets"]
    template = images[BRAKE.path(3)]
    for number in range(DEFAULT_LIMITS.ecus):
        images[f"brake/x-{number}.bin"] = template
    world.director.put("targets")
    with pytest.raises(LimitError) as caught:
        world.vehicle.update()
    assert caught.value.limit == DEFAULT_LIMITS.ecus
