"""What was repaired no longer counts as failing, though the history keeps it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.unit.director.stuck_vehicle import NativeVehicle
from tests.unit.director.world import at
from twinlock.director.director import Director
from twinlock.director.inventory.history import record_events
from twinlock.director.model.records import FAILURE, Event
from twinlock.trust.errors.local import FetchError
from twinlock.trust.names import EcuId

VIN, BRAKE = "VIN1", EcuId("brake-1")


def returns(director: Director, vehicle: NativeVehicle) -> None:
    vehicle.send(director)


def is_retired(director: Director, vehicle: NativeVehicle) -> None:
    director.ways_out.retire(VIN, [BRAKE])


def was_replaced(director: Director, vehicle: NativeVehicle) -> None:
    director.ways_out.retire(VIN, [BRAKE], release=True)
    other = NativeVehicle("VIN2", {"gw-2": "gw-1", BRAKE: "hw-7"})
    other.register(director)


@pytest.fixture
def vehicle(director: Director) -> NativeVehicle:
    made = NativeVehicle()
    made.register(director)
    made.send(director)
    return made


def failing(director: Director, minutes: float = 5) -> tuple[str, ...]:
    """The reasons of the state failing, and of nothing else."""
    state = director.status(now=at(minutes=minutes)).of(VIN)
    assert state is not None
    return state.reasons if state.state == "failing" else ()


@pytest.mark.parametrize("repair", [returns, is_retired, was_replaced])
def test_an_ecu_that_is_missing_no_longer_fails_its_vehicle(
    repair: Callable[[Director, NativeVehicle], None], director: Director, vehicle: NativeVehicle
) -> None:
    vehicle.send(director, without=[BRAKE])
    assert failing(director) == (f"missing from manifests: {BRAKE}",)
    repair(director, vehicle)
    assert failing(director) == ()
    assert "missing-ecu" in {event.code for _, event in director.events(VIN)}


def note(director: Director, code: str, ecu: str, detail: str) -> None:
    event = Event(kind=FAILURE, code=code, ecu=EcuId(ecu), detail=detail)
    with director._database.writing("note") as connection:
        record_events(connection, VIN, [event], at(minutes=3))


def test_failures_of_an_ecu_that_left_do_not_count_and_those_of_others_do(
    director: Director, vehicle: NativeVehicle
) -> None:
    note(director, "install-failed", BRAKE, "of the brake")
    note(director, "install-failed", "lamp-1", "of the lamp")
    assert len(failing(director)) == 2
    is_retired(director, vehicle)
    (reason,) = failing(director)
    assert "of the lamp" in reason


def test_an_active_vehicle_does_not_fail_because_it_was_deactivated(director: Director, vehicle: NativeVehicle) -> None:
    gone = FetchError(
        url="http://d/VIN1/timestamp.json", status=410, reason="the Director has deactivated this vehicle"
    )
    note(director, gone.code, "gw-1", str(gone))
    assert failing(director) == ()
    down = FetchError(url="http://d/VIN1/timestamp.json", status=502, reason="a metadata file or 404 was expected")
    note(director, down.code, "gw-1", str(down))
    assert len(failing(director)) == 1
