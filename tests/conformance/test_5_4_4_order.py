"""Uptane 2.1.0 5.4.4.1 to 5.4.4.6: the order of the steps, seen by what is asked for, stored, and refused first."""

from __future__ import annotations

import copy
from datetime import timedelta
from typing import Any

import pytest

from tests.conformance.worlds import refused, seasoned_world, sign_deformed, stored
from tests.simulator.hands import replace
from tests.simulator.scenario import EVERYWHERE, ONLINE, REPOSITORIES, current
from twinlock.testing.simulator.repository import file_name, seal, wire_time
from twinlock.testing.simulator.world import ADAS, BRAKE, GATEWAY, PARTS, World
from twinlock.trust.engine.commands import Fetch, Persist
from twinlock.trust.errors.images import EndlessDataError, RepositoryMismatchError
from twinlock.trust.errors.metadata import (
    ExpiredError,
    LimitError,
    MalformedError,
    MixAndMatchError,
    RollbackError,
    RootVersionError,
    ThresholdError,
)
from twinlock.trust.limits import DEFAULT_LIMITS

both = pytest.mark.parametrize("name", REPOSITORIES)


def trace(world: World) -> list[str]:
    """One cycle as a list: ``get director 2.root.json``, ``put director timestamp``."""
    vehicle, seen = world.vehicle, []
    answer = vehicle.answer

    def watch(command: Any) -> Any:
        if isinstance(command, Fetch):
            seen.append(f"get {command.repository} {command.name}")
        elif isinstance(command, Persist):
            seen.extend(f"put {command.repository} {role}" for role, _, _ in command.files)
        return answer(command)

    vehicle.answer = watch  # type: ignore[method-assign]
    vehicle.update()
    return seen


# 5.4.4.2


def test_full_verification_goes_through_its_steps_in_order() -> None:
    expected = [
        "get director 2.root.json",
        "get director timestamp.json",
        "put director timestamp",
        "get director 2.snapshot.json",
        "put director snapshot",
        "get director 2.targets.json",
        "put director targets",
        "get image 2.root.json",
        "get image timestamp.json",
        "put image timestamp",
        "get image 2.snapshot.json",
        "put image snapshot",
        "get image 2.targets.json",
        "put image targets",
        "get image 1.acme.json",
        "put image acme",
    ]
    assert trace(World()) == expected


def test_an_unchanged_director_ends_it_after_two_requests() -> None:
    """Step 4: nothing changed, nothing is asked for; the Image repository is not looked at at all."""
    world = World()
    current(world)
    assert world.vehicle.update().approved == ()
    assert [fetch.name for fetch in world.vehicle.requests] == ["2.root.json", "timestamp.json"]


def test_orders_that_are_installed_already_end_it_before_the_image_repository() -> None:
    """Step 6."""
    world = World()
    current(world)
    world.director.publish("targets")
    assert world.vehicle.update().approved == ()
    assert world.vehicle.fetched("director")[-1].endswith("targets.json")
    assert world.vehicle.fetched("image") == []


def test_an_unchanged_image_repository_is_still_compared() -> None:
    """Step 8: with the Snapshot unchanged, the comparison goes by the stored files and catches a mismatch."""
    world = World()
    current(world)
    world.director.publish("targets")
    entry = world.director.bodies["targets"]["targets"][ADAS.path(3)]
    entry["length"] += 1
    world.director.publish("targets")
    refused(world, RepositoryMismatchError, target=ADAS.path(3), field="length")
    assert world.vehicle.fetched("image") == ["2.root.json", "timestamp.json"]


def test_a_single_mismatch_withholds_every_image() -> None:
    """Step 10 on a Primary: all images are compared before any may be installed."""
    world = seasoned_world()
    world.director.bodies["targets"]["targets"][BRAKE.path(3)]["length"] += 1
    world.director.put("targets")
    refused(world, RepositoryMismatchError, target=BRAKE.path(3))
    assert {image.path for image in world.vehicle.installed.values()} == {part.path(2) for part in PARTS}


def test_a_secondary_may_compare_its_own_image_alone() -> None:
    world = seasoned_world()
    world.vehicle.complete = False
    world.director.bodies["targets"]["targets"][BRAKE.path(3)]["length"] += 1
    world.director.put("targets")
    for ecu in (BRAKE.ecu, GATEWAY.ecu):
        del world.vehicle.ecus[next(known for known in world.vehicle.ecus if known == ecu)]
    assert [image.entry.path for image in world.vehicle.update().approved] == [ADAS.path(3)]


@pytest.mark.parametrize("place", EVERYWHERE, ids="-".join)
def test_a_bad_file_is_the_last_that_is_asked_for(place: tuple[str, str]) -> None:
    world = seasoned_world()
    sign_deformed(world, place, lambda body: body.update(expires=7))
    refused(world, MalformedError)
    assert world.vehicle.requests[-1].repository == place[0]
    assert world.vehicle.requests[-1].role == place[1]


def test_the_time_is_fixed_for_the_whole_cycle() -> None:
    """A file that expires while the cycle runs is judged by the time at its start."""
    world = seasoned_world()
    world.image.bodies["timestamp"]["expires"] = wire_time(world.now + timedelta(seconds=1))
    world.image.put("timestamp")
    serve = world.director.serve

    def slow(fetch: Fetch) -> Any:
        world.pass_time(hours=1)
        return serve(fetch)

    world.director.serve = slow  # type: ignore[method-assign]
    assert len(world.vehicle.update().approved) == 3
    world = seasoned_world()
    world.image.bodies["timestamp"]["expires"] = wire_time(world.now)
    world.image.put("timestamp")
    refused(world, ExpiredError, repository="image", role="timestamp")


# 5.4.4.3 Root


@both
def test_the_walk_starts_from_the_newest_stored_root(name: str) -> None:
    world = seasoned_world()
    for _ in range(2):
        world.repositories[name].publish_root()
    world.update()
    assert world.vehicle.fetched(name)[:3] == ["2.root.json", "3.root.json", "4.root.json"]
    world.release()
    world.update()
    assert world.vehicle.fetched(name)[0] == "4.root.json"


@both
def test_each_root_is_stored_before_the_next_is_asked_for(name: str) -> None:
    """Step 2.5: cut off right after it, the next cycle goes on from there."""
    world = seasoned_world()
    repository = world.repositories[name]
    repository.publish_root()
    repository.publish_root()

    def broken(_fetch: Fetch) -> Any:
        raise ConnectionError

    repository.tricks["3.root.json"] = broken
    with pytest.raises(ConnectionError):
        world.vehicle.update()
    assert max(world.vehicle.stores[name].roots) == 2
    repository.tricks.clear()
    world.update()
    assert max(world.vehicle.stores[name].roots) == 3
    assert "2.root.json" not in world.vehicle.fetched(name)


@both
def test_after_a_refused_root_the_next_cycle_begins_there_again(name: str) -> None:
    world = seasoned_world()
    with world.attack():
        repository = world.repositories[name]
        repository.bump("root")
        repository.put("root", signers=[world.keys("mallory")])
        refused(world, ThresholdError, repository=name, role="root")
        assert max(world.vehicle.stores[name].roots) == 1
    world.repositories[name].publish_root()
    world.update()
    assert max(world.vehicle.stores[name].roots) == 2


@both
def test_a_missing_link_ends_the_walk(name: str) -> None:
    world = seasoned_world()
    for _ in range(3):
        world.repositories[name].publish_root()
    del world.repositories[name].files["3.root.json"]
    world.update()
    assert max(world.vehicle.stores[name].roots) == 2


@both
def test_five_rotations_with_new_keys_are_walked(name: str) -> None:
    world = seasoned_world()
    for number in range(2, 7):
        world.repositories[name].rotate("root", number)
    world.update()
    assert max(world.vehicle.stores[name].roots) == 6


@both
def test_signatures_of_a_root_are_judged_before_its_version(name: str) -> None:
    world = seasoned_world()
    repository = world.repositories[name]
    body = copy.deepcopy(repository.bodies["root"]) | {"version": 9}
    repository.files["2.root.json"] = seal(body, [world.keys("mallory")])
    refused(world, ThresholdError, repository=name, role="root")
    repository.files["2.root.json"] = seal(body, repository.signers["root"])
    refused(world, RootVersionError, repository=name, offered=9, expected=2)


@both
def test_only_the_last_root_has_to_be_unexpired(name: str) -> None:
    world = seasoned_world()
    repository = world.repositories[name]
    repository.publish_root()
    repository.bodies["root"]["expires"] = wire_time(world.now)
    repository.put("root")
    refused(world, ExpiredError, repository=name, role="root", version=2)
    repository.publish_root()
    assert len(world.vehicle.update().approved) == 3


@both
def test_rotating_the_online_keys_forgets_what_they_signed(name: str) -> None:
    """Step 4: recovery from versions that a thief fast-forwarded; without the rotation the honest ones are refused."""
    world = seasoned_world()
    repository = world.repositories[name]
    with world.attack():
        for role in ("snapshot", "timestamp"):
            repository.bodies[role]["version"] = 2**31
        repository.reindex_listed()
        world.vehicle.update()
    refused(world, RollbackError, repository=name)
    repository.rotate("timestamp")
    repository.rotate("snapshot")
    assert world.vehicle.update().approved or name == "director"


# 5.4.4.4 to 5.4.4.6: two faults in one file, and the one that counts first


def _forged(world: World, place: tuple[str, str], **changes: object) -> None:
    repository = world.repositories[place[0]]
    body = repository.bodies[place[1]] | changes
    replace(world, place, seal(body, [world.keys("mallory")]))


def _signed(world: World, place: tuple[str, str], **changes: object) -> None:
    repository = world.repositories[place[0]]
    replace(world, place, seal(repository.bodies[place[1]] | changes, repository.signers[place[1]]))


def _past(world: World) -> dict[str, object]:
    return {"expires": wire_time(world.now), "issued": wire_time(world.now - timedelta(hours=2))}


@pytest.mark.parametrize("place", ONLINE, ids="-".join)
def test_signatures_are_judged_before_versions_and_expiry(place: tuple[str, str]) -> None:
    world = seasoned_world()
    _forged(world, place, **_past(world))
    refused(world, ThresholdError, repository=place[0], role=place[1])


@pytest.mark.parametrize("place", [place for place in ONLINE if place[1] == "timestamp"], ids="-".join)
def test_a_timestamp_s_version_is_judged_before_its_expiry(place: tuple[str, str]) -> None:
    world = seasoned_world()
    _signed(world, place, version=1, **_past(world))
    refused(world, RollbackError, repository=place[0], role="timestamp", offered=1, trusted=3)


@both
def test_a_snapshot_s_digest_is_judged_before_its_signatures(name: str) -> None:
    world = seasoned_world()
    repository = world.repositories[name]
    repository.files[repository.current("snapshot")] = seal(repository.bodies["snapshot"], [world.keys("mallory")])
    refused(world, MixAndMatchError, repository=name, role="snapshot")


@pytest.mark.parametrize(
    "place", [place for place in ONLINE if place[1] not in ("timestamp", "snapshot")], ids="-".join
)
def test_a_targets_file_s_version_is_judged_before_its_signatures(place: tuple[str, str]) -> None:
    """5.4.4.6: step 2 comes before step 3, and so it is for delegated Targets."""
    world = seasoned_world()
    repository, role = world.repositories[place[0]], place[1]
    repository.files[repository.current(role)] = seal(repository.bodies[role] | {"version": 9}, [world.keys("mallory")])
    refused(world, MixAndMatchError, repository=place[0], role=role, field="version", offered="9")


@both
def test_a_snapshot_s_version_is_judged_before_its_signatures(name: str) -> None:
    """5.4.4.5: the digest that Timestamp lists is right, the version and the signatures are not."""
    world = seasoned_world()
    repository = world.repositories[name]
    forged = seal(repository.bodies["snapshot"] | {"version": 9}, [world.keys("mallory")])
    repository.files[repository.current("snapshot")] = forged
    repository.index("snapshot")
    repository.put("timestamp")
    refused(world, MixAndMatchError, repository=name, role="snapshot", field="version", offered="9")


@both
def test_a_snapshot_s_versions_are_judged_before_its_expiry(name: str) -> None:
    world = seasoned_world()
    repository = world.repositories[name]
    repository.bodies["snapshot"] |= _past(world)
    repository.bodies["snapshot"]["meta"]["targets.json"] = {"version": 1}
    repository.reindex_listed()
    refused(world, RollbackError, repository=name, role="targets", offered=1, trusted=3)


@both
def test_a_snapshot_older_than_the_stored_one_is_refused_by_itself(name: str) -> None:
    """5.4.4.5 step 4, where no stored Timestamp would notice before it."""
    world = seasoned_world()
    world.vehicle.forget(name, ["timestamp"])
    repository = world.repositories[name]
    repository.bodies["snapshot"]["version"] = 2
    repository.put("snapshot", data=repository.history["snapshot"][1])
    repository.index("snapshot")
    repository.put("timestamp")
    before = stored(world, (name, "snapshot"))
    refused(world, RollbackError, repository=name, role="snapshot", offered=2, trusted=3)
    assert stored(world, (name, "snapshot")) == before


@both
def test_a_targets_file_s_version_is_judged_before_its_expiry(name: str) -> None:
    world = seasoned_world()
    repository = world.repositories[name]
    body = repository.bodies["targets"] | {"version": 9} | _past(world)
    repository.files[repository.current("targets")] = seal(body, repository.signers["targets"])
    refused(world, MixAndMatchError, repository=name, role="targets", field="version")


def test_a_director_s_rules_come_after_the_common_ones() -> None:
    world = seasoned_world()
    body = copy.deepcopy(world.director.bodies["targets"]) | _past(world)
    body["delegations"] = {"keys": {}, "roles": []}
    world.director.files[world.director.current("targets")] = seal(body, world.director.signers["targets"])
    refused(world, ExpiredError, repository="director", role="targets")


@pytest.mark.parametrize("place", ONLINE, ids="-".join)
def test_a_file_is_valid_until_the_second_before_its_expiry(place: tuple[str, str]) -> None:
    for expires, accepted in ((timedelta(0), False), (timedelta(seconds=1), True), (timedelta(seconds=-1), False)):
        world = seasoned_world()
        limits = {"expires": wire_time(world.now + expires), "issued": wire_time(world.now - timedelta(hours=2))}
        _signed(world, place, **limits)
        if accepted:
            assert len(world.vehicle.update().approved) == 3
        else:
            before = stored(world, place)
            refused(world, ExpiredError, repository=place[0], role=place[1])
            assert stored(world, place) == before


# how much is downloaded


@pytest.mark.parametrize("place", EVERYWHERE, ids="-".join)
@pytest.mark.parametrize("careless", [False, True], ids=["bounded driver", "careless driver"])
def test_no_file_may_be_longer_than_its_bound(place: tuple[str, str], careless: bool) -> None:
    world = seasoned_world()
    repository, role = world.repositories[place[0]], place[1]
    if role == "root":
        repository.publish_root()
    repository.endless(role)
    repository.careless_driver = careless
    before = stored(world, place)
    refused(world, LimitError if careless else EndlessDataError)
    assert stored(world, place) == before
    bounds = {"root": "root_bytes", "timestamp": "timestamp_bytes", "snapshot": "snapshot_bytes"}
    assert world.vehicle.requests[-1].max_bytes <= getattr(DEFAULT_LIMITS, bounds.get(role, "targets_bytes"))


@both
def test_a_snapshot_is_read_no_further_than_timestamp_states(name: str) -> None:
    world = seasoned_world()
    world.vehicle.update()
    asked = next(fetch for fetch in world.vehicle.requests if (fetch.repository, fetch.role) == (name, "snapshot"))
    assert asked.max_bytes == world.repositories[name].bodies["timestamp"]["meta"]["snapshot.json"]["length"]


# 5.4.4.1


def test_partial_verification_asks_for_director_root_and_targets_alone() -> None:
    world = seasoned_world()
    assert [image.entry.path for image in world.vehicle.partial_update(ADAS.ecu).approved] == [ADAS.path(3)]
    assert [(fetch.repository, fetch.name) for fetch in world.vehicle.requests] == [
        ("director", "2.root.json"),
        ("director", file_name("targets", None)),
    ]


def test_partial_verification_needs_no_snapshot_yet_takes_no_older_targets() -> None:
    world = seasoned_world()
    world.vehicle.forget("director", ["snapshot", "timestamp"])
    world.vehicle.partial_update(ADAS.ecu)
    world.director.rewind("targets", 2)
    refused(world, RollbackError, lambda: world.vehicle.partial_update(ADAS.ecu), role="targets")
    world.director.rewind("targets", 1)
    refused(world, RollbackError, lambda: world.vehicle.partial_update(ADAS.ecu), role="targets")
