"""Uptane 2.1.0 5.4.4.7 and 5.4.4.8: who has authority over an image, beyond what ``tests/attacks`` plays."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from tests.conformance.worlds import refused, seasoned_world
from tests.simulator.hands import delegation
from tests.simulator.moves import agree, drop_delegations, nest
from twinlock.testing.simulator.world import ADAS, BRAKE, GATEWAY, World
from twinlock.trust.engine.commands import drive
from twinlock.trust.engine.delegation import Found, find_image
from twinlock.trust.errors.images import ImageNotFoundError
from twinlock.trust.errors.metadata import ThresholdError
from twinlock.trust.names import HardwareId, TargetPath

HARDWARE = HardwareId(BRAKE.hardware_id)


def found(world: World, path: str = BRAKE.path(3), hardware: HardwareId | None = HARDWARE) -> Found:
    """What the Image repository says of an image, and by which roles."""
    trusted = world.vehicle.refresh("image")
    return drive(find_image(trusted, TargetPath(path), hardware, world.now), world.vehicle.answer)


def two_roles(world: World, first: str, second: str) -> dict[str, Any]:
    """Two roles list the brake's image, each with a length of its own (1 and 2)."""
    image = world.image
    entry = image.bodies["acme"]["targets"].pop(BRAKE.path(3))
    drop_delegations(image.bodies["targets"])
    for role in (first, second):
        image.delegate("targets", role, ["brake/*"])
        length = {"one": 1, "two": 2}[role]
        image.bodies[role]["targets"][BRAKE.path(3)] = copy.deepcopy(entry) | {"length": length}
    image.publish(first, second, "targets")
    return dict(image.bodies["targets"]["delegations"])


@pytest.mark.parametrize(("first", "second", "length"), [("one", "two", 1), ("two", "one", 2)])
def test_the_order_of_delegations_is_their_priority(first: str, second: str, length: int) -> None:
    world = seasoned_world()
    two_roles(world, first, second)
    outcome = found(world)
    assert outcome.entry is not None
    assert outcome.entry.length == length
    assert outcome.chain == ("targets", first)


def test_the_entry_of_the_delegator_comes_before_the_delegatee_s() -> None:
    """Pre-order: step 2 before step 4."""
    world = seasoned_world()
    entry = copy.deepcopy(world.image.bodies["acme"]["targets"][BRAKE.path(3)])
    world.image.bodies["targets"]["targets"][BRAKE.path(3)] = entry | {"length": 7}
    world.image.publish("targets")
    outcome = found(world)
    assert outcome.entry is not None
    assert outcome.entry.length == 7
    assert outcome.chain == ("targets",)


def test_a_role_that_is_not_delegated_the_image_is_not_asked() -> None:
    """Two roles hold the name; the one with authority wins, although the other comes first."""
    world = seasoned_world()
    two_roles(world, "one", "two")
    delegation(world.image, "one")["paths"] = ["gearbox/*"]
    world.image.publish("targets")
    outcome = found(world)
    assert outcome.entry is not None
    assert outcome.entry.length == 2
    assert "1.one.json" not in world.vehicle.fetched("image")


def test_a_bad_role_of_higher_priority_is_not_passed_over() -> None:
    """Step 1: invalid is an error of the whole search, though the next role lists the image."""
    world = seasoned_world()
    two_roles(world, "one", "two")
    world.image.put("one", signers=[world.keys("mallory")])
    with pytest.raises(ThresholdError):
        found(world)


def test_a_delegation_without_hardware_ids_is_for_any_hardware() -> None:
    world = seasoned_world()
    del delegation(world.image, "acme")["hardwareIds"]
    world.image.publish("targets")
    assert found(world, hardware=HardwareId("other-1")).entry is not None
    delegation(world.image, "acme")["hardwareIds"] = [BRAKE.hardware_id]
    world.image.publish("targets")
    assert found(world, hardware=HardwareId("other-1")).entry is None
    assert found(world).entry is not None


@pytest.mark.parametrize("level", [0, 1])
def test_hardware_counts_along_the_whole_chain(level: int) -> None:
    world = seasoned_world()
    nest(world, "tier-1", "tier-2")
    parent, role = [("targets", "tier-1"), ("tier-1", "tier-2")][level]
    delegation(world.image, role, parent)["hardwareIds"] = ["other-1"]
    world.image.publish("tier-1", "tier-2", "targets")
    refused(world, ImageNotFoundError, target=BRAKE.path(3), hardware_id=BRAKE.hardware_id)


def test_images_may_be_spread_over_roles() -> None:
    world = seasoned_world()
    entry = world.image.bodies["targets"]["targets"].pop(ADAS.path(3))
    world.image.delegate("targets", "vision", ["adas/*"])
    world.image.bodies["vision"]["targets"][ADAS.path(3)] = entry
    world.image.publish("vision", "targets")
    approved = {image.ecu for image in world.vehicle.update().approved}
    assert approved == {ADAS.ecu, BRAKE.ecu, GATEWAY.ecu}
    assert found(world, ADAS.path(3), HardwareId(ADAS.hardware_id)).chain == ("targets", "vision")
    assert found(world).chain == ("targets", "acme")


def test_each_way_to_a_role_goes_by_its_own_delegator_s_keys() -> None:
    """A role that two delegators trust under different keys: the file on offer is signed for the second alone."""
    world = seasoned_world()
    nest(world, "left", "shared")
    image = world.image
    image.delegate("targets", "right", ["brake/*"])
    other = image.key("shared", 2)
    theirs = {"name": "shared", "keyids": [other.keyid], "threshold": 1, "terminating": False, "paths": ["brake/*"]}
    image.bodies["right"]["delegations"] = {"keys": {other.keyid: other.public}, "roles": [theirs]}
    image.publish("left", "shared", "right", "targets")
    assert found(world).chain == ("targets", "left", "shared")
    image.signers["shared"] = [other]
    image.publish("shared")
    with pytest.raises(ThresholdError) as caught:
        found(world)
    assert caught.value.fields()["missing"] != (other.keyid,)
    drop = image.bodies["targets"]["delegations"]["roles"]
    image.bodies["targets"]["delegations"]["roles"] = [entry for entry in drop if entry["name"] == "right"]
    image.publish("targets")
    assert found(world).chain == ("targets", "right", "shared")


def test_a_key_of_a_delegation_does_not_sign_the_top_level() -> None:
    world = seasoned_world()
    world.image.put("targets", signers=world.image.signers["acme"])
    refused(world, ThresholdError, repository="image", role="targets", valid=0)


def test_an_image_that_nobody_lists_is_a_refusal_of_its_own() -> None:
    world = seasoned_world()
    del world.image.bodies["acme"]["targets"][BRAKE.path(3)]
    world.image.publish("acme")
    error = refused(world, ImageNotFoundError, target=BRAKE.path(3), repository="image")
    assert error.code == "image-not-found"


def test_a_role_of_several_may_answer_through_its_own_delegatee() -> None:
    world = seasoned_world()
    agree(world, ["team-0", "team-1"], 2)
    image = world.image
    entry = image.bodies["team-1"]["targets"].pop(BRAKE.path(3))
    image.delegate("team-1", "team-1-lab", ["brake/*"])
    image.bodies["team-1-lab"]["targets"][BRAKE.path(3)] = entry
    image.publish("team-0", "team-1", "team-1-lab", "targets")
    assert found(world).entry is not None
    entry["length"] += 1
    image.publish("team-1-lab")
    assert found(world).entry is None


def test_with_one_group_its_answer_counts_and_with_none_nothing_is_found() -> None:
    for needed, agreeing in ((2, True), (3, False)):
        world = seasoned_world()
        entries = agree(world, ["team-0", "team-1", "team-2"], needed)
        entries["team-2"]["length"] += 1
        world.image.publish("team-0", "team-1", "team-2", "targets")
        outcome = found(world)
        assert (outcome.entry is not None) == agreeing


def test_three_different_answers_are_no_agreement() -> None:
    world = seasoned_world()
    entries = agree(world, ["team-0", "team-1", "team-2"], 2)
    for number, role in enumerate(entries):
        entries[role]["length"] += number
    world.image.publish("team-0", "team-1", "team-2", "targets")
    assert found(world).entry is None


@pytest.mark.parametrize("needed", [0, -1, 4, "2"], ids=str)
def test_the_number_that_has_to_agree_is_between_one_and_all(needed: Any) -> None:
    from twinlock.trust.errors.metadata import MalformedError

    world = seasoned_world()
    agree(world, ["team-0", "team-1", "team-2"], 2)
    several = world.image.bodies["targets"]["delegations"]["prioritized_delegations"][0]
    several["min_roles_in_agreement"] = needed
    world.image.publish("team-0", "team-1", "team-2", "targets")
    refused(world, MalformedError)


def test_of_two_groups_the_one_of_the_earliest_role_counts() -> None:
    for earliest in (0, 1):
        world = seasoned_world()
        names = ["team-0", "team-1", "team-2", "team-3"]
        entries = agree(world, names, 2)
        for role in names[1:3] if earliest == 0 else (names[0], names[3]):
            entries[role]["length"] += 1
        honest = entries["team-0"]["length"]
        world.image.publish(*names, "targets")
        outcome = found(world)
        assert outcome.entry is not None
        assert outcome.entry.length == honest
