"""What a rotation drops within the cycle that meets it: in memory just what it drops in the store, and no more."""

from __future__ import annotations

import pytest

from tests.simulator.scenario import current
from tests.simulator.world import World
from twinlock.trust.checks.context import Context
from twinlock.trust.commands import drive
from twinlock.trust.limits import DEFAULT_LIMITS
from twinlock.trust.names import DIRECTOR, IMAGE, RoleName
from twinlock.trust.policy import LAX
from twinlock.trust.refresh import walk_roots
from twinlock.trust.state import TrustedRepository
from twinlock.trust.wire.tuf import TUF

ONLINE = ("timestamp", "snapshot")


@pytest.fixture
def world() -> World:
    made = World()
    current(made)
    return made


def held(trusted: TrustedRepository) -> dict[str, bytes]:
    files = {"timestamp": trusted.timestamp, "snapshot": trusted.snapshot, "targets": trusted.targets}
    found = {role: file.data for role, file in files.items() if file is not None}
    return found | dict(trusted.delegated)


def walked(world: World) -> TrustedRepository:
    context = Context(repository=DIRECTOR, now=world.now, limits=DEFAULT_LIMITS, wire=TUF, policy=LAX)
    trusted = drive(walk_roots(world.vehicle.stores["director"].restore("director"), context), world.vehicle.answer)
    assert held(trusted) == world.vehicle.stores["director"].files
    return trusted


@pytest.mark.parametrize("role", ONLINE)
def test_an_unchanged_snapshot_is_fetched_again_after_a_rotation(world: World, role: str) -> None:
    image, store = world.image, world.vehicle.stores["image"]
    image.set_keys(role, [image.key(role, 2)])
    image.publish_root()
    if role == "snapshot":
        image.publish()
    else:
        image.refresh_timestamp()
    trusted = world.vehicle.refresh(IMAGE)
    assert world.vehicle.fetched("image")[-2:] == [image.current("snapshot"), image.current("targets")]
    assert held(trusted) == store.files
    assert set(store.files) == {"timestamp", "snapshot", "targets"}


def test_without_a_snapshot_new_targets_keys_drop_targets_alone(world: World) -> None:
    world.vehicle.forget("director", ["snapshot"])
    world.director.rotate("targets")
    assert set(held(walked(world))) == {"timestamp"}


@pytest.mark.parametrize("role", ONLINE)
def test_without_a_snapshot_new_online_keys_leave_targets(world: World, role: str) -> None:
    world.vehicle.forget("director", ["snapshot"])
    world.director.rotate(role)
    assert set(held(walked(world))) == {"targets"}


def test_without_a_snapshot_all_new_keys_drop_all(world: World) -> None:
    world.vehicle.forget("director", ["snapshot"])
    for role in (*ONLINE, "targets"):
        world.director.rotate(role)
    assert held(walked(world)) == {}


def test_a_rotation_of_root_alone_drops_nothing(world: World) -> None:
    before = dict(world.vehicle.stores["director"].files)
    world.director.rotate("root")
    assert held(walked(world)) == before
    assert set(before) == {"timestamp", "snapshot", RoleName("targets")}
