"""A Director of the aktualizr profile that has no Timestamp and no Snapshot: its Targets alone say what is current.

The strict policy refuses it. The lax one reads it and says so, and everything that can still be checked is.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from twinlock.testing.simulator.repository import wire_time
from twinlock.testing.simulator.vehicle import changed
from twinlock.testing.simulator.world import OTHER_VIN, PARTS, VIN, World
from twinlock.trust.engine.guarantees import NO_DIRECTOR_INDEX
from twinlock.trust.errors.base import RefusalError
from twinlock.trust.errors.images import DirectorDelegationError, VehicleMismatchError
from twinlock.trust.errors.metadata import (
    EquivocationError,
    ExpiredError,
    MissingMetadataError,
    MissingRoleError,
    RollbackError,
    ThresholdError,
)
from twinlock.trust.policy import LAX, STRICT

INDEX = ("timestamp", "snapshot")


def without_index(world: World) -> None:
    """The Director names no keys for its index, and serves none."""
    root = world.director.bodies["root"]
    for role in INDEX:
        root["roles"].pop(role, None)
        world.director.files.pop(world.director.current(role), None)


@pytest.fixture
def world() -> World:
    """A vehicle that was made for such a Director, and has installed two releases of it."""
    made = World(director="aktualizr", image="aktualizr")
    without_index(made)
    made.vehicle.stores["director"].roots = {1: made.director.put("root")}
    made.vehicle.policy = LAX
    for _ in range(2):
        made.update()
        made.pass_time(hours=1)
        made.release()
    return made


def test_the_lax_policy_reads_it_and_says_what_is_missing(world: World) -> None:
    decision = world.update()
    assert decision.missing_guarantees == (NO_DIRECTOR_INDEX,)
    assert {image.entry.path for image in decision.approved} == {part.path(3) for part in PARTS}
    assert world.vehicle.fetched("director") == ["2.root.json", "targets.json"]
    assert set(world.vehicle.stores["director"].files) == {"targets"}
    assert world.vehicle.update().approved == ()
    assert [command for command in world.vehicle.persisted if command.repository == "director"] == []


def test_the_strict_policy_refuses_it(world: World) -> None:
    world.vehicle.policy = STRICT
    before = world.vehicle.snapshot_state()
    with pytest.raises(MissingRoleError) as caught:
        world.vehicle.update()
    assert (caught.value.repository, caught.value.role, caught.value.version) == ("director", "timestamp", 1)
    assert world.vehicle.snapshot_state() == before
    assert world.vehicle.fetched("image") == []


@pytest.mark.parametrize("policy", [LAX, STRICT], ids=["lax", "strict"])
@pytest.mark.parametrize("role", INDEX)
def test_an_image_repository_may_never_lack_it(role: str, policy: object) -> None:
    world = World(director="aktualizr", image="aktualizr")
    world.vehicle.policy = policy  # type: ignore[assignment]
    del world.image.bodies["root"]["roles"][role]
    world.image.publish_root()
    with pytest.raises(MissingRoleError) as caught:
        world.vehicle.update()
    assert (caught.value.repository, caught.value.role, caught.value.version) == ("image", role, 2)


def test_a_director_that_gives_up_its_index_is_followed_by_the_lax_policy_only() -> None:
    world = World(director="aktualizr", image="aktualizr")
    world.update()
    without_index(world)
    world.director.publish_root()
    world.release()
    with pytest.raises(MissingRoleError) as caught:
        world.vehicle.update()
    assert (caught.value.role, caught.value.version) == ("timestamp", 2)
    world.vehicle.policy = LAX
    decision = world.update()
    assert (decision.missing_guarantees, len(decision.approved)) == ((NO_DIRECTOR_INDEX,), len(PARTS))
    assert world.vehicle.stores["director"].files.keys() == {"targets"}


def _older(world: World) -> None:
    world.director.rewind("targets", 2)


def _older_after_a_new_root(world: World) -> None:
    outgoing = world.director.signers["root"]
    world.director.set_keys("root", [world.director.key("root", 2)])
    for role in INDEX:
        world.director.bodies["root"]["roles"].pop(role, None)
    world.director.publish_root(outgoing)
    world.director.rewind("targets", 2)


def _same_version(world: World) -> None:
    body = world.director.bodies["targets"]
    body["version"] -= 1
    body["x-other"] = 1
    world.director.put("targets")


def _expired(world: World) -> None:
    world.director.bodies["targets"]["expires"] = wire_time(world.now)
    world.director.put("targets")


def _stranger(world: World) -> None:
    world.director.put("targets", signers=[world.keys("mallory")])


def _others(world: World) -> None:
    world.director.bodies["targets"]["custom"]["vehicleIdentifier"] = OTHER_VIN
    world.director.put("targets")


def _delegates(world: World) -> None:
    world.director.delegate("targets", "helper", ["*"])
    world.director.put("targets")


def _gone(world: World) -> None:
    world.director.drop("targets")


@pytest.mark.parametrize(
    ("attack", "error", "fields", "stored"),
    [
        (_older, RollbackError, {"repository": "director", "role": "targets", "offered": 2, "trusted": 3}, set()),
        (_older_after_a_new_root, RollbackError, {"role": "targets", "offered": 2, "trusted": 3}, {"director/2.root"}),
        (_same_version, EquivocationError, {"repository": "director", "role": "targets", "version": 3}, set()),
        (_expired, ExpiredError, {"repository": "director", "role": "targets"}, set()),
        (_stranger, ThresholdError, {"repository": "director", "role": "targets", "valid": 0}, set()),
        (_others, VehicleMismatchError, {"offered": OTHER_VIN, "expected": VIN}, set()),
        (_delegates, DirectorDelegationError, {"roles": ("helper",)}, set()),
        (_gone, MissingMetadataError, {"repository": "director", "role": "targets"}, set()),
    ],
    ids=lambda value: value.__name__.strip("_") if callable(value) and not isinstance(value, type) else "",
)
def test_what_can_still_be_checked_is(
    world: World,
    attack: Callable[[World], None],
    error: type[RefusalError],
    fields: dict[str, object],
    stored: set[str],
) -> None:
    before = world.vehicle.snapshot_state()
    root = world.director.bodies["root"]["version"]
    with world.attack():
        attack(world)
        with pytest.raises(error) as caught:
            world.vehicle.update()
        found = caught.value.fields()
        assert {name: found[name] for name in fields} == fields
        assert changed(before, world.vehicle.snapshot_state()) == stored
        kept_root = world.director.bodies["root"], list(world.director.signers["root"])
        rotated = dict(world.director.files)
    if world.vehicle.stores["director"].roots.keys() - {root}:
        # What a threshold of Root keys signed stays signed: honest people go on from there.
        world.director.bodies["root"], world.director.signers["root"] = kept_root
        world.director.files["2.root.json"] = rotated["2.root.json"]
    world.pass_time(hours=1)
    world.release()
    decision = world.update()
    assert {image.entry.path for image in decision.approved} == {part.path(4) for part in PARTS}


def test_rotating_the_targets_keys_forgets_the_floor_as_for_partial_verification(world: World) -> None:
    """A fast-forward by a stolen key: the version that nobody can reach goes with the key."""
    world.director.bodies["targets"]["version"] = 10_000
    world.director.put("targets")
    world.update()
    world.director.bodies["targets"]["version"] = 4
    outgoing = world.director.signers["root"]
    world.director.set_keys("targets", [world.director.key("targets", 2)])
    for role in INDEX:
        world.director.bodies["root"]["roles"].pop(role, None)
    world.director.publish_root(outgoing)
    world.release()
    assert {image.entry.path for image in world.update().approved} == {part.path(4) for part in PARTS}
