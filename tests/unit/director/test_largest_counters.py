"""Report counters near the end of what can be counted: one ECU's does no harm to the manifest, and a reset never overflows."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from tests.unit.director.world import TestVehicle, at
from twinlock.director.director import Director
from twinlock.director.errors.operator import CounterResetError
from twinlock.trust.errors.metadata import MalformedError
from twinlock.trust.names import EcuId
from twinlock.trust.wire.tuf.reports import MAX_COUNTER, decode_report

VIN, BRAKE = "VIN1", EcuId("ecu-brake")


@pytest.fixture
def fleet(director: Director, car: TestVehicle) -> Director:
    director.register(car.description())
    director.receive_manifest(car.manifest(), now=at(minutes=1))
    return director


def send(fleet: Director, car: TestVehicle, counter: int, minutes: int, *, nonce: str | None = None) -> list[str]:
    """The codes of the events of a manifest in which the brake reports ``counter`` and ``nonce``."""
    car.counter += 1
    reports = [car.report("ecu-gw", now=at(minutes=minutes))]
    reports.append(car.report("ecu-brake", now=at(minutes=minutes), counter=counter, nonce=nonce))
    car.counter -= 1
    accepted = fleet.receive_manifest(car.manifest(reports=reports, now=at(minutes=minutes)), now=at(minutes=minutes))
    return [event.code for event in accepted.events]


@pytest.mark.parametrize("counter", [MAX_COUNTER + 1, 2**63 - 1, 2**70])
def test_a_counter_without_end_drops_that_ecus_part_alone(fleet: Director, car: TestVehicle, counter: int) -> None:
    with pytest.raises(MalformedError):
        decode_report(car.report("ecu-brake", counter=counter))
    assert "missing-ecu" in send(fleet, car, counter, 2)
    assert fleet.vehicle(VIN).ecus[BRAKE].highest_counter == 1
    assert "missing-ecu" not in send(fleet, car, 9, 3)


def test_after_the_largest_counter_a_reset_leads_out(fleet: Director, car: TestVehicle) -> None:
    assert "missing-ecu" not in send(fleet, car, MAX_COUNTER, 2)
    armed = fleet.ways_out.reset_counter(VIN, [BRAKE], now=at(minutes=3))[BRAKE]
    car.counter += 1
    reports = [car.report("ecu-gw", now=at(minutes=4))]
    reports.append(car.report("ecu-brake", now=at(minutes=4), counter=1_790_000_000, nonce=armed.nonce))
    fleet.receive_manifest(car.manifest(reports=reports, now=at(minutes=4)), now=at(minutes=4))
    assert fleet.vehicle(VIN).ecus[BRAKE].highest_counter == MAX_COUNTER + 1_790_000_000


def test_an_ecu_may_repeat_the_nonce_of_its_reset_until_it_has_heard(fleet: Director, car: TestVehicle) -> None:
    """It cannot know that its answer arrived before it reads Targets without the nonce: on the bus another may have asked."""
    nonce = fleet.ways_out.reset_counter(VIN, [BRAKE], now=at(minutes=2))[BRAKE].nonce
    for minutes, counter in ((3, 1_790_000_000), (4, 1_790_000_001)):
        assert "missing-ecu" not in send(fleet, car, counter, minutes, nonce=nonce)
    assert fleet.vehicle(VIN).ecus[BRAKE].highest_counter == 1 + 1_790_000_001
    assert fleet.vehicle(VIN).ecus[BRAKE].reset is None  # it counted once
    for minutes, again in ((5, 1_790_000_001), (6, 1_790_000_000)):
        assert "report-replay" in send(fleet, car, again, minutes, nonce=nonce)
    assert "missing-ecu" not in send(fleet, car, 1_790_000_002, 7)


def test_a_reset_that_could_not_be_counted_is_refused_when_it_is_armed(fleet: Director) -> None:
    """An earlier version stored counters up to 2**63 - 1."""
    with closing(sqlite3.connect(fleet.path / "inventory.sqlite")) as connection, connection:
        connection.execute("UPDATE report_counters SET highest = ? WHERE ecu = ?", (2**63 - 1, BRAKE))
    with pytest.raises(CounterResetError, match="rekey"):
        fleet.ways_out.reset_counter(VIN, [BRAKE], now=at(minutes=3))
