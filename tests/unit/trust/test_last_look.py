"""The last look at a Director before a vehicle's first write: a newer Root, a newer Timestamp, the same ones, others, none."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from twinlock.testing.simulator.world import VIN, World
from twinlock.trust.engine.commands import Answer, Command, Fetch, FetchElsewhere, Notice, drive
from twinlock.trust.engine.last_look import is_superseded
from twinlock.trust.errors.base import RefusalError
from twinlock.trust.errors.images import VehicleMismatchError
from twinlock.trust.errors.metadata import (
    EquivocationError,
    ExpiredError,
    LimitError,
    MalformedError,
    MissingMetadataError,
    RollbackError,
    ThresholdError,
)
from twinlock.trust.limits import DEFAULT_LIMITS, Limits
from twinlock.trust.names import DIRECTOR, ROOT, TIMESTAMP, VehicleId
from twinlock.trust.policy import LAX, STRICT, Policy
from twinlock.trust.state.trusted import TrustedRepository


@pytest.fixture
def world() -> World:
    made = World()
    made.vehicle.update()
    return made


def trusted(world: World) -> TrustedRepository:
    return world.vehicle.stores["director"].restore("director")


class Driver:
    """Serves what the Director publishes, or what ``lies`` has for a role first; keeps what was asked and what was refused."""

    def __init__(self, world: World, *lies: tuple[str, bytes]) -> None:
        self.world = world
        self.lies = list(lies)
        self.elsewhere: list[bytes] = []
        self.asked: list[Fetch] = []
        self.refused: list[RefusalError] = []
        self.before: Callable[[Fetch], None] = lambda _fetch: None

    def __call__(self, command: Command) -> Answer:
        if isinstance(command, Notice):
            self.refused.append(command.error)
            return None
        if isinstance(command, FetchElsewhere):
            if command.error is not None:
                self.refused.append(command.error)
            return self.elsewhere.pop(0) if self.elsewhere else None
        assert isinstance(command, Fetch)  # and no Persist: a look stores nothing
        self.before(command)
        self.asked.append(command)
        for number, (role, data) in enumerate(self.lies):
            if role == command.role:
                del self.lies[number]
                return data
        return self.world.director.serve(command)

    def look(
        self,
        director: TrustedRepository,
        vehicle: str = VIN,
        *,
        limits: Limits = DEFAULT_LIMITS,
        policy: Policy = STRICT,
    ) -> bool:
        steps = is_superseded(director, VehicleId(vehicle), self.world.now, limits=limits, policy=policy)
        return drive(steps, self)


def look(world: World, director: TrustedRepository, vehicle: str = VIN) -> tuple[bool, list[RefusalError]]:
    """The answer, and what was refused on the way."""
    driver = Driver(world)
    return driver.look(director, vehicle), driver.refused


def test_the_same_timestamp_supersedes_nothing_and_a_newer_one_does(world: World) -> None:
    director = trusted(world)
    assert look(world, director) == (False, [])
    world.director.refresh_timestamp()
    assert look(world, director) == (True, [])


def test_a_director_without_timestamp_is_asked_for_its_next_root_alone(world: World) -> None:
    director = trusted(world)._replace(timestamp=None)
    world.director.refresh_timestamp()
    driver = Driver(world)
    assert driver.look(director) is False
    assert [(fetch.role, fetch.version) for fetch in driver.asked] == [(ROOT, director.root.signed.version + 1)]
    world.director.publish_root()
    assert look(world, director) == (True, [])


def test_another_timestamp_of_the_same_version_is_noticed(world: World) -> None:
    director = trusted(world)
    world.director.bodies["timestamp"]["expires"] = "2030-01-01T12:00:00Z"
    world.director.put("timestamp")
    superseded, refused = look(world, director)
    assert superseded is False
    (error,) = refused
    assert isinstance(error, EquivocationError)
    assert (error.repository, error.role) == (DIRECTOR, TIMESTAMP)


def test_a_timestamp_below_the_floor_or_of_another_vehicle_is_refused(world: World) -> None:
    director = trusted(world)
    floor = director.floors[TIMESTAMP]
    raised = director._replace(floors={**director.floors, TIMESTAMP: floor._replace(version=floor.version + 9)})
    world.director.refresh_timestamp()
    with pytest.raises(RollbackError) as caught:
        look(world, raised)
    assert (caught.value.role, caught.value.offered, caught.value.trusted) == (TIMESTAMP, 3, 11)
    assert look(world, director)[0]
    with pytest.raises(VehicleMismatchError):
        look(world, director, "VIN-OTHER")


@pytest.mark.parametrize("roles", [(), ("timestamp",), ("targets", "snapshot", "timestamp")])
def test_a_newer_root_supersedes_whatever_it_changes_and_is_not_evidence(world: World, roles: tuple[str, ...]) -> None:
    director = trusted(world)
    for role in roles:
        world.director.rotate(role)
    world.director.publish_root()
    driver = Driver(world)
    assert driver.look(director) is True
    assert driver.refused == []
    (asked,) = driver.asked  # the Timestamp is left to the full verification, which judges it under that Root
    assert (asked.repository, asked.role, asked.version) == (DIRECTOR, ROOT, director.root.signed.version + 1)


def test_a_root_that_is_published_after_the_first_request_supersedes_and_is_not_evidence(world: World) -> None:
    director = trusted(world)
    driver = Driver(world)

    def rotate(fetch: Fetch) -> None:
        if fetch.role == TIMESTAMP:
            driver.before = lambda _fetch: None
            world.director.rotate("timestamp")
            world.director.publish()

    driver.before = rotate
    assert driver.look(director) is True
    assert driver.refused == []
    assert [fetch.role for fetch in driver.asked] == [ROOT, TIMESTAMP, ROOT]


def test_a_refused_root_supersedes_nothing_is_evidence_and_hides_no_newer_timestamp(world: World) -> None:
    director = trusted(world)
    driver = Driver(world, (ROOT, b"{}"))
    assert driver.look(director) is False
    assert [type(error) for error in driver.refused] == [MalformedError]
    assert [fetch.role for fetch in driver.asked] == [ROOT, TIMESTAMP]
    world.director.refresh_timestamp()
    driver = Driver(world, (ROOT, b"{}"))
    assert driver.look(director) is True
    assert [type(error) for error in driver.refused] == [MalformedError]


def test_a_timestamp_that_is_refused_under_the_root_in_force_stays_evidence(world: World) -> None:
    director = trusted(world)
    stranger = world.director.seal(world.director.bodies["timestamp"], [world.keys("stranger")])
    driver = Driver(world, *[(TIMESTAMP, stranger)] * 2)
    with pytest.raises(ThresholdError) as caught:
        driver.look(director)
    assert driver.refused == [caught.value]


def test_both_roles_are_asked_for_at_the_next_place_where_a_copy_is_refused(world: World) -> None:
    director = trusted(world)
    world.director.refresh_timestamp()
    newer = world.director.files["timestamp.json"]
    driver = Driver(world, *[(TIMESTAMP, b"{}")] * 2)
    driver.elsewhere = [newer]
    assert driver.look(director) is True
    assert [type(error) for error in driver.refused] == [MalformedError]
    world.director.publish_root()
    driver = Driver(world, (ROOT, b"{}"))
    driver.elsewhere = [world.director.serve(driver_root(director))]  # type: ignore[list-item]
    assert driver.look(director) is True
    assert [fetch.role for fetch in driver.asked] == [ROOT]


def driver_root(director: TrustedRepository) -> Fetch:
    version = director.root.signed.version + 1
    return Fetch(DIRECTOR, ROOT, version, director.wire.file_name(ROOT, version), DEFAULT_LIMITS.root_bytes)


def test_each_request_has_the_bound_of_a_full_verification(world: World) -> None:
    """An unlisted file is bounded by what an attacker on the line may choose, too."""
    director = trusted(world)
    limits = DEFAULT_LIMITS._replace(unlisted_bytes=DEFAULT_LIMITS.timestamp_bytes // 4)
    driver = Driver(world)
    assert driver.look(director, limits=limits) is False
    assert {fetch.role: fetch.max_bytes for fetch in driver.asked} == {
        ROOT: min(limits.root_bytes, limits.unlisted_bytes),
        TIMESTAMP: limits.unlisted_bytes,
    }
    for role in (ROOT, TIMESTAMP):
        with pytest.raises(LimitError) as caught:
            Driver(world, (role, bytes(limits.unlisted_bytes + 1))).look(director, limits=limits)
        assert caught.value.limit <= limits.unlisted_bytes


def test_each_role_has_a_bound_of_its_own(world: World) -> None:
    director = trusted(world)
    limits = DEFAULT_LIMITS._replace(root_bytes=20_001, timestamp_bytes=10_001)
    driver = Driver(world)
    assert driver.look(director, limits=limits) is False
    assert {fetch.role: fetch.max_bytes for fetch in driver.asked} == {ROOT: 20_001, TIMESTAMP: 10_001}


def test_an_expired_and_a_missing_timestamp_are_refused(world: World) -> None:
    director = trusted(world)
    world.pass_time(days=400)
    with pytest.raises(ExpiredError):
        look(world, director)
    del world.director.files["timestamp.json"]
    with pytest.raises(MissingMetadataError):
        look(world, director)


def test_the_policy_decides_whether_the_timestamp_may_list_no_hash_of_the_snapshot(world: World) -> None:
    director = trusted(world)
    world.director.bump("timestamp")
    del world.director.bodies["timestamp"]["meta"]["snapshot.json"]["hashes"]
    world.director.put("timestamp")
    with pytest.raises(MalformedError):
        look(world, director)
    assert Driver(world).look(director, policy=LAX)
