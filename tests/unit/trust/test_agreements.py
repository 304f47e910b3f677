"""What a repository that has to agree is asked, under which settings, and what an approval takes from it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from twinlock.testing.simulator.repository import wire_time
from twinlock.testing.simulator.world import BRAKE, START, World
from twinlock.trust.engine.commands import drive
from twinlock.trust.engine.verification import full_verification
from twinlock.trust.errors.images import ImageNotFoundError, RepositoryMismatchError
from twinlock.trust.errors.metadata import ConsistentSnapshotError, IssuedInFutureError, LimitError
from twinlock.trust.limits import DEFAULT_LIMITS
from twinlock.trust.names import DIRECTOR, IMAGE, TargetPath
from twinlock.trust.policy import LAX, STRICT
from twinlock.trust.state.trusted import ApprovedImage, TrustedVehicle

HOUR = timedelta(hours=1)
PATH = TargetPath(BRAKE.path(1))


@pytest.fixture
def world() -> World:
    """One ECU, whose image a delegated role lists."""
    return World(parts=(BRAKE,))


def acme_ends(world: World, after: timedelta) -> None:
    world.image.bodies["acme"]["expires"] = wire_time(START + after)
    world.image.put("acme")


def director_ends(world: World, after: timedelta) -> None:
    world.director.bodies["timestamp"]["expires"] = wire_time(START + after)
    world.director.put("timestamp")


@pytest.mark.parametrize("ends", [acme_ends, director_ends])
def test_an_approval_names_who_agreed_and_ends_with_the_first_file_it_rests_on(
    world: World, ends: Callable[[World, timedelta], None]
) -> None:
    ends(world, HOUR)
    decision = world.vehicle.update()
    targets = decision.repositories[DIRECTOR].targets
    assert targets is not None
    approved = ApprovedImage(
        ecu=BRAKE.ecu,  # type: ignore[arg-type]
        hardware_id=BRAKE.hardware_id,  # type: ignore[arg-type]
        entry=targets.signed.images[PATH],
        repositories=(DIRECTOR, IMAGE),
        valid_until=START + HOUR,
    )
    assert decision.approved == (approved,)


def test_what_the_search_fetched_is_in_the_decision(world: World) -> None:
    image = world.vehicle.update().repositories[IMAGE]
    assert image.delegated == {"acme": world.image.files[world.image.current("acme")]}
    assert image.floors.keys() == {"root", "timestamp", "snapshot", "targets", "acme"}


def test_an_image_that_the_other_repository_does_not_list(world: World) -> None:
    world.image.bodies["acme"]["targets"].clear()
    world.image.publish("acme")
    with pytest.raises(ImageNotFoundError) as caught:
        world.vehicle.update()
    assert caught.value.fields() == {"target": PATH, "repository": IMAGE, "hardware_id": BRAKE.hardware_id}


def test_another_image_under_the_name_that_is_ordered(world: World) -> None:
    world.image.bodies["acme"]["targets"][PATH]["length"] += 1
    world.image.publish("acme")
    with pytest.raises(RepositoryMismatchError) as caught:
        world.vehicle.update()
    length = len(BRAKE.image(1))
    assert caught.value.fields() == {
        "target": PATH,
        "repository": IMAGE,
        "field": "length",
        "director": str(length),
        "image": str(length + 1),
    }


def test_a_role_for_other_hardware_is_not_asked(world: World) -> None:
    world.image.delegate("targets", "zeta", ["brake/*"], hardwareIds=["other-1"])
    world.image.bodies["targets"]["delegations"]["roles"].reverse()
    world.image.bodies["zeta"]["targets"][PATH] = world.image.bodies["acme"]["targets"][PATH] | {"length": 1}
    world.image.publish("targets", "zeta")
    assert [image.ecu for image in world.vehicle.update().approved] == [BRAKE.ecu]
    assert world.vehicle.fetched("image")[-1] == world.image.current("acme")


@pytest.mark.parametrize(
    ("limit", "what"),
    [
        ("root_rotations", "image: Root rotations in one cycle"),
        ("delegation_depth", f"image: depth of delegations in search of {PATH}"),
    ],
)
def test_the_bounds_of_a_vehicle_hold_for_every_repository(world: World, limit: str, what: str) -> None:
    for number in (2, 3):
        world.image.rotate("root", number)
    world.image.delegate("acme", "zeta", ["brake/*"])
    world.image.bodies["zeta"]["targets"][PATH] = world.image.bodies["acme"]["targets"].pop(PATH)
    world.image.publish("acme", "zeta")
    world.vehicle.limits = DEFAULT_LIMITS._replace(**{limit: 1})
    with pytest.raises(LimitError) as caught:
        world.vehicle.update()
    assert caught.value.fields() == {"what": what, "value": 2, "limit": 1}
    world.vehicle.limits = DEFAULT_LIMITS._replace(**{limit: 2})
    assert len(world.vehicle.update().approved) == 1


def test_the_policy_of_a_vehicle_holds_for_every_repository(world: World) -> None:
    world.image.bodies["root"]["consistent_snapshot"] = False
    world.image.publish_root()
    for role in ("snapshot", "targets", "acme"):
        world.image.files[f"{role}.json"] = world.image.files.pop(world.image.current(role))
    world.vehicle.policy = STRICT
    with pytest.raises(ConsistentSnapshotError) as caught:
        world.vehicle.update()
    assert caught.value.fields() == {"repository": IMAGE, "version": 2}
    world.vehicle.policy = LAX
    assert len(world.vehicle.update().approved) == 1


def test_a_proven_clock_holds_for_delegated_roles_too(world: World) -> None:
    world.now = START + HOUR
    world.image.publish("acme")
    repositories = {name: world.vehicle.stores[name].restore(name) for name in (DIRECTOR, IMAGE)}
    state = TrustedVehicle(world.vehicle.map, repositories)
    drive(full_verification(state, world.vehicle.vehicle(), world.now, ceiling=START), world.vehicle.answer)
    assert [type(error) for error in world.vehicle.notices] == 3 * [IssuedInFutureError]
    told = [error.fields() for error in world.vehicle.notices]
    assert [fields["role"] for fields in told] == ["timestamp", "snapshot", "acme"]
    assert told[-1] == {"repository": IMAGE, "role": "acme", "version": 2, "issued": world.now, "latest": START}
