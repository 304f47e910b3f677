"""The verdict itself: what a decision says, when an image counts as installed, and the bounds of the search."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from twinlock.testing.simulator.world import ADAS, BRAKE, GATEWAY, PARTS, VIN, World
from twinlock.trust.engine.guarantees import GUARANTEES
from twinlock.trust.errors.images import (
    CustomFieldError,
    HardwareError,
    ImageNotFoundError,
    ReleaseCounterError,
)
from twinlock.trust.errors.metadata import LimitError
from twinlock.trust.limits import DEFAULT_LIMITS
from twinlock.trust.names import DIRECTOR, IMAGE, EcuId
from twinlock.trust.policy import LAX, Policy
from twinlock.trust.state.trusted import Decision


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
    assert decision.missing_guarantees == ()
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
    assert decision.missing_guarantees == ("image-repository-not-consulted",)
    assert set(decision.repositories) == {DIRECTOR}
    targets = decision.repositories[DIRECTOR].targets
    assert targets is not None
    assert targets.data == world.vehicle.stores["director"].files["targets"] == world.director.files["targets.json"]
    world.vehicle.partial_update(BRAKE.ecu)
    assert world.vehicle.persisted == []


def test_a_decision_ends_with_the_first_of_its_approvals(world: World) -> None:
    decision = world.update()
    first, *others = decision.approved
    early = first._replace(valid_until=first.valid_until - timedelta(hours=1))
    for approvals in ((early, *others), (*others, early)):
        assert len(approvals) > 1
        assert decision._replace(approved=approvals).valid_until == early.valid_until


def test_a_decision_that_approves_nothing_has_no_end(world: World) -> None:
    assert world.update()._replace(approved=()).valid_until is None


def test_a_lax_policy_that_found_everything_has_given_up_nothing(world: World) -> None:
    world.vehicle.policy = LAX
    assert world.vehicle.update().missing_guarantees == ()
    assert world.vehicle.partial_update(BRAKE.ecu).missing_guarantees == ("image-repository-not-consulted",)


def _no_vehicle(world: World) -> None:
    del world.director.bodies["targets"]["custom"]["vehicleIdentifier"]


def _no_snapshot_hashes(world: World) -> None:
    for member in ("length", "hashes"):
        del world.image.bodies["timestamp"]["meta"]["snapshot.json"][member]
    world.image.put("timestamp")


def _no_versioned_names(world: World) -> None:
    world.image.bodies["root"]["consistent_snapshot"] = False
    world.image.publish_root()
    for role in ("snapshot", "targets", "acme"):
        world.image.files[f"{role}.json"] = world.image.files.pop(world.image.current(role))


def _bare_entries(world: World, *members: str) -> None:
    for repository in world.repositories.values():
        for role in {"targets", "acme"} & repository.bodies.keys():
            for entry in repository.bodies[role]["targets"].values():
                agreed = entry["custom"].pop("mustAgree", {})
                if members == ("mustAgree",):
                    entry["custom"] |= agreed
                else:
                    entry["custom"]["mustAgree"] = {name: agreed[name] for name in agreed if name not in members}
    world.image.publish("targets", "acme")
    world.director.publish("targets")


def _none_has_an_order(world: World) -> None:
    world.director.bodies["targets"]["targets"].clear()
    _bare_entries(world, "releaseCounter")


@pytest.mark.parametrize(
    ("gap", "make"),
    [
        ("vehicle-id-missing", _no_vehicle),
        ("snapshot-hashes-missing", _no_snapshot_hashes),
        ("versioned-names-missing", _no_versioned_names),
        ("hardware-ids-missing", lambda world: _bare_entries(world, "hardwareIds")),
        ("release-counter-missing", lambda world: _bare_entries(world, "releaseCounter")),
        ("must-agree-missing", lambda world: _bare_entries(world, "mustAgree")),
    ],
)
def test_what_is_missing_and_let_pass_is_named(world: World, gap: str, make: Callable[[World], None]) -> None:
    make(world)
    world.director.put("targets")
    world.vehicle.policy = LAX
    decision = world.vehicle.update()
    assert decision.missing_guarantees == (gap,)
    assert len(decision.approved) == len(PARTS)


def test_what_no_verdict_rests_on_is_not_missing(world: World) -> None:
    _none_has_an_order(world)
    world.vehicle.policy = LAX
    decision = world.vehicle.update()
    assert (decision.missing_guarantees, decision.approved) == ((), ())


def test_the_names_of_guarantees_are_the_policys(world: World) -> None:
    assert len(set(GUARANTEES)) == len(GUARANTEES) == len(Policy._fields) + 1  # one more: partial verification


def _only_the_image_repository_says(world: World, member: str, value: object) -> None:
    """As foreign repositories have it: no section that has to agree, and the Director is silent."""
    _bare_entries(world, "mustAgree")
    for entry in world.director.bodies["targets"]["targets"].values():
        entry["custom"].pop(member)
    world.image.bodies["targets"]["targets"][ADAS.path(1)]["custom"][member] = value
    world.image.publish("targets", "acme")
    world.director.publish("targets")
    world.vehicle.policy = LAX


def test_hardware_ids_of_the_image_repository_count_where_the_director_is_silent(world: World) -> None:
    _only_the_image_repository_says(world, "hardwareIds", ["other-1"])
    with pytest.raises(HardwareError) as caught:
        world.vehicle.update()
    assert (caught.value.ecu, caught.value.target) == (ADAS.ecu, ADAS.path(1))
    assert (caught.value.listed, caught.value.actual) == (("other-1",), ADAS.hardware_id)


def test_a_release_counter_of_the_image_repository_counts_where_the_director_is_silent(world: World) -> None:
    _only_the_image_repository_says(world, "releaseCounter", 5)
    decision = world.vehicle.update()
    assert decision.missing_guarantees == ("must-agree-missing",)
    world.vehicle.install(decision)
    assert world.vehicle.installed[EcuId(ADAS.ecu)].release_counter == 5
    world.release()
    _only_the_image_repository_says(world, "releaseCounter", 5)
    world.image.bodies["targets"]["targets"][ADAS.path(2)]["custom"]["releaseCounter"] = 4
    world.image.publish("targets")
    with pytest.raises(ReleaseCounterError) as caught:
        world.vehicle.update()
    assert (caught.value.offered, caught.value.installed) == (4, 5)


def test_only_a_director_says_where_an_image_is_unless_its_profile_lets_others_too(world: World) -> None:
    world.image.bodies["targets"]["targets"][ADAS.path(1)]["custom"]["downloadUrl"] = "https://elsewhere.test/x"
    world.image.publish("targets")
    assert {image.entry.download_url for image in world.vehicle.update().approved} == {None}


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


@pytest.mark.parametrize("partial", [False, True])
def test_entries_that_state_nothing_are_for_the_lax_policy_alone(partial: bool) -> None:
    world = World()
    for role in ("targets", "acme"):
        for entry in world.image.bodies[role]["targets"].values():
            entry["custom"] = {}
    for entry in world.director.bodies["targets"]["targets"].values():
        entry["custom"] = {"ecuIdentifiers": entry["custom"]["ecuIdentifiers"]}
    world.refresh_all()

    def verify() -> Decision:
        return world.vehicle.partial_update(ADAS.ecu) if partial else world.vehicle.update()

    with pytest.raises(CustomFieldError):
        verify()
    world.vehicle.policy = LAX
    assert len(verify().approved) == (1 if partial else 3)
