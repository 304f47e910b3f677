"""The last look at a Director before a vehicle's first write: a newer Timestamp, the same one, another one, none."""

from __future__ import annotations

import pytest

from twinlock.testing.simulator.world import VIN, World
from twinlock.trust.engine.commands import Answer, Command, Fetch, FetchElsewhere, Notice, drive
from twinlock.trust.engine.last_look import is_superseded
from twinlock.trust.errors.images import VehicleMismatchError
from twinlock.trust.errors.metadata import EquivocationError, RollbackError
from twinlock.trust.limits import DEFAULT_LIMITS
from twinlock.trust.names import DIRECTOR, TIMESTAMP, VehicleId
from twinlock.trust.state.trusted import TrustedRepository


@pytest.fixture
def world() -> World:
    made = World()
    made.vehicle.update()
    return made


def trusted(world: World) -> TrustedRepository:
    return world.vehicle.stores["director"].restore("director")


def look(world: World, director: TrustedRepository, vehicle: str | None = None) -> tuple[bool, list[Notice]]:
    """The answer, and what was noticed on the way."""
    notices: list[Notice] = []

    def answer(command: Command) -> Answer:
        if isinstance(command, Notice):
            notices.append(command)
            return None
        if isinstance(command, FetchElsewhere):
            return None
        assert isinstance(command, Fetch)
        assert command.role == TIMESTAMP
        return world.director.serve(command)

    name = VehicleId(VIN if vehicle is None else vehicle)
    return drive(is_superseded(director, name, world.now, limits=DEFAULT_LIMITS), answer), notices


def test_the_same_timestamp_supersedes_nothing_and_a_newer_one_does(world: World) -> None:
    director = trusted(world)
    assert look(world, director) == (False, [])
    world.director.refresh_timestamp()
    assert look(world, director) == (True, [])


def test_a_director_without_timestamp_offers_none_and_is_not_asked(world: World) -> None:
    director = trusted(world)._replace(timestamp=None)
    with pytest.raises(StopIteration) as ended:
        next(is_superseded(director, VehicleId("any"), world.now, limits=DEFAULT_LIMITS))
    assert ended.value.value is False


def test_another_timestamp_of_the_same_version_is_noticed(world: World) -> None:
    director = trusted(world)
    world.director.bodies["timestamp"]["expires"] = "2030-01-01T12:00:00Z"
    world.director.put("timestamp")
    superseded, notices = look(world, director)
    assert superseded is False
    (error,) = (notice.error for notice in notices)
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
