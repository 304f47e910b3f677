"""The verdict itself: what a decision says, when an image counts as installed, and the bounds of the search."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.simulator.world import ADAS, BRAKE, GATEWAY, PARTS, VIN, World
from twinlock.trust.errors.images import ImageNotFoundError
from twinlock.trust.errors.metadata import LimitError
from twinlock.trust.limits import DEFAULT_LIMITS
from twinlock.trust.names import DIRECTOR, IMAGE, EcuId
from twinlock.trust.policy import LAX, STRICT
from twinlock.trust.state import Decision

GAPS = (
    "vehicle-id-not-required",
    "hardware-ids-not-required",
    "release-counter-not-required",
    "must-agree-not-required",
    "snapshot-hashes-not-required",
    "director-index-not-required",
)


@pytest.fixture
def world() -> World:
    return World()


def approved(decision: Decision) -> dict[str, tuple[str, str, tuple[str, ...]]]:
    return {image.ecu: (image.hardware_id, image.entry.path, tuple(image.repositories)) for image in decision.approved}


def test_a_decision_of_full_verification(world: World) -> None:
    world.pass_time(hours=1)
    decision = world.vehicle.update()
    both = (DIRECTOR, IMAGE)
    assert approved(decision) == {part.ecu: (part.hardware_id, part.path(1), both) for part in PARTS}
    assert decision.correlation_id == "urn:test:1"
    assert decision.now == world.now
    assert decision.weaker == ()
    assert set(decision.repositories) == {DIRECTOR, IMAGE}
    for name, repository in decision.repositories.items():
        stored = world.vehicle.stores[name].restore(name)
        assert repository.name == name
        assert repository.delegated == stored.delegated
        for role in ("root", "timestamp", "snapshot", "targets"):
            assert getattr(repository, role).data == getattr(stored, role).data


def test_a_decision_of_partial_verification(world: World) -> None:
    world.pass_time(hours=1)
    decision = world.vehicle.partial_update(BRAKE.ecu)
    assert approved(decision) == {BRAKE.ecu: (BRAKE.hardware_id, BRAKE.path(1), (DIRECTOR,))}
    assert decision.correlation_id == "urn:test:1"
    assert decision.now == world.now
    assert decision.weaker == ("image-repository-not-consulted",)
    assert set(decision.repositories) == {DIRECTOR}
    targets = decision.repositories[DIRECTOR].targets
    assert targets is not None
    assert targets.data == world.vehicle.stores["director"].files["targets"] == world.director.files["targets.json"]
    world.vehicle.partial_update(BRAKE.ecu)
    assert world.vehicle.persisted == []


def test_a_lax_policy_is_named_in_the_decision(world: World) -> None:
    world.vehicle.policy = LAX
    assert world.vehicle.update().weaker == GAPS
    assert world.vehicle.partial_update(BRAKE.ecu).weaker == (*GAPS, "image-repository-not-consulted")
    world.vehicle.policy = STRICT._replace(require_must_agree=False)
    assert world.vehicle.update().weaker == ("must-agree-not-required",)


@pytest.mark.parametrize("verification", ["full", "partial"])
def test_the_time_of_a_decision_is_never_before_what_is_proven(world: World, verification: str) -> None:
    issued = world.now
    world.now = issued - timedelta(hours=2)
    run = world.vehicle.update if verification == "full" else lambda: world.vehicle.partial_update(BRAKE.ecu)
    run()
    assert run().now == issued


@pytest.mark.parametrize(
    ("other", "pending"),
    [
        ({}, False),
        ({"path": "brake/other.bin"}, True),
        ({"length": 1}, True),
        ({"hashes": {}}, True),
        ({"hashes": {"md5": "00"}}, True),
        ({"hashes": {"sha256": "00"}}, True),
        ({"hashes": "one of two right"}, True),
        ({"hashes": "one of two known"}, False),
        ({"release_counter": None}, False),
    ],
)
def test_when_an_image_is_installed_already(world: World, other: dict[str, object], pending: bool) -> None:
    world.update()
    ecu = EcuId(BRAKE.ecu)
    before = world.vehicle.installed[ecu]
    hashes = dict(before.hashes)
    if other.get("hashes") == "one of two right":
        other = {"hashes": hashes | {"sha512": "00"}}
    elif other.get("hashes") == "one of two known":
        other = {"hashes": {"sha256": hashes["sha256"], "md5": "00"}}
    world.vehicle.installed[ecu] = before._replace(**other)  # type: ignore[arg-type]
    for decision in (world.vehicle.update(), world.vehicle.partial_update(BRAKE.ecu)):
        assert set(approved(decision)) == ({BRAKE.ecu} if pending else set())


def test_an_ecu_without_a_report_gets_its_image(world: World) -> None:
    world.update()
    del world.vehicle.installed[EcuId(ADAS.ecu)]
    assert set(approved(world.vehicle.update())) == {ADAS.ecu}


def test_an_image_that_is_ordered_and_not_listed(world: World) -> None:
    listed = world.image.bodies["targets"]["targets"].pop(GATEWAY.path(1))
    world.image.publish("targets")
    assert listed
    with pytest.raises(ImageNotFoundError) as caught:
        world.vehicle.update()
    assert caught.value.fields() == {"target": GATEWAY.path(1), "repository": IMAGE, "hardware_id": GATEWAY.hardware_id}
    world.director.withdraw(GATEWAY.ecu)
    world.director.publish("targets")
    assert set(approved(world.vehicle.update())) == {BRAKE.ecu, ADAS.ecu}


def test_the_image_repository_is_left_alone_when_nothing_is_pending(world: World) -> None:
    world.update()
    decision = world.vehicle.update()
    assert world.vehicle.fetched("image") == []
    assert world.vehicle.vehicle_id == VIN
    assert set(decision.repositories) == {DIRECTOR, IMAGE}


# the bounds of the search


def _tower(world: World, levels: int) -> None:
    """The brake's image under a chain of ``levels`` delegations; the first role is acme's place."""
    entry = world.image.bodies["acme"]["targets"].pop(BRAKE.path(1))
    parent = "acme"
    for level in range(2, levels + 1):
        world.image.delegate(parent, f"level{level}", ["brake/*"])
        world.image.publish(parent, f"level{level}")
        parent = f"level{level}"
    world.image.bodies[parent]["targets"][BRAKE.path(1)] = entry
    world.image.publish(*({"acme", parent}))


@pytest.mark.parametrize(("limit", "what"), [("delegation_depth", "depth"), ("delegation_visits", "roles opened")])
def test_a_search_up_to_its_bound_and_beyond(world: World, limit: str, what: str) -> None:
    _tower(world, 3)
    world.vehicle.limits = DEFAULT_LIMITS._replace(**{limit: 2})
    with pytest.raises(LimitError) as caught:
        world.vehicle.update()
    assert (caught.value.value, caught.value.limit) == (3, 2)
    assert caught.value.what.startswith(f"image: {what}")
    world.vehicle.limits = DEFAULT_LIMITS._replace(**{limit: 3})
    assert BRAKE.ecu in approved(world.vehicle.update())
