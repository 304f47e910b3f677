"""What a rotation drops within the cycle that meets it: in memory just what it drops in the store, and no more."""

from __future__ import annotations

from typing import Any

import pytest

from tests.simulator.scenario import current
from twinlock.testing.simulator.world import BRAKE, World
from twinlock.trust.checks.context import Context
from twinlock.trust.engine.commands import drive
from twinlock.trust.engine.refresh import walk_roots
from twinlock.trust.keys.signatures import Verified
from twinlock.trust.limits import DEFAULT_LIMITS
from twinlock.trust.names import DIRECTOR, IMAGE, RoleName
from twinlock.trust.policy import LAX
from twinlock.trust.state.trusted import TrustedRepository
from twinlock.trust.wire.tuf.metadata import TUF

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


def test_new_targets_keys_drop_targets_alone(world: World) -> None:
    world.director.rotate("targets")
    assert set(held(walked(world))) == {"timestamp", "snapshot"}


@pytest.mark.parametrize(("role", "left"), [("timestamp", {"targets"}), ("snapshot", {"targets"}), ("targets", set())])
def test_without_an_index_only_new_targets_keys_drop_targets(role: str, left: set[str]) -> None:
    world = World()
    world.vehicle.partial_update(BRAKE.ecu)
    world.director.rotate(role)
    assert set(held(walked(world))) == left


def test_all_new_keys_drop_all(world: World) -> None:
    for role in (*ONLINE, "targets"):
        world.director.rotate(role)
    assert held(walked(world)) == {}


def test_a_rotation_of_root_alone_drops_nothing(world: World) -> None:
    before = dict(world.vehicle.stores["director"].files)
    world.director.rotate("root")
    assert held(walked(world)) == before
    assert set(before) == {"timestamp", "snapshot", RoleName("targets")}


@pytest.mark.parametrize("signers", [1, 2])
@pytest.mark.parametrize("role", [*ONLINE, "targets"])
def test_a_raised_threshold_of_the_same_keys_is_asked_of_what_is_held(world: World, role: str, signers: int) -> None:
    director = world.director
    keys = [director.key(role), director.key(role, 2)]
    director.set_keys(role, keys, threshold=1)
    director.publish_root()
    director.signers[role] = keys[:signers]
    world.release()
    world.vehicle.refresh(DIRECTOR)
    before = dict(world.vehicle.stores["director"].files)
    director.set_keys(role, keys, threshold=2)
    director.publish_root()
    context = Context(repository=DIRECTOR, now=world.now, limits=DEFAULT_LIMITS, wire=TUF, policy=LAX)
    trusted = drive(walk_roots(world.vehicle.stores["director"].restore("director"), context), world.vehicle.answer)
    assert trusted.root.signed.version == 3
    gone = {2: set(), 1: {"targets"} if role == "targets" else {*ONLINE, "targets"}}[signers]
    assert held(trusted) == {name: data for name, data in before.items() if name not in gone}
    assert held(trusted) == world.vehicle.stores["director"].files
    assert held(world.vehicle.stores["director"].restore("director")) == held(trusted)
    assert {name: file.tally.required for name, file in _files(trusted)} == {
        name: 2 if name == role else 1 for name in held(trusted)
    }
    world.release()
    world.vehicle.refresh(DIRECTOR)


def _files(trusted: TrustedRepository) -> list[tuple[str, Verified[Any]]]:
    files = [("timestamp", trusted.timestamp), ("snapshot", trusted.snapshot), ("targets", trusted.targets)]
    return [(name, file) for name, file in files if file is not None]
