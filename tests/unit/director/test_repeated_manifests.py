"""A manifest that states what the one before it stated leads to no new plan; whatever else it may show does."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from tests.unit.director.test_evidence import evidence
from tests.unit.director.world import NOW, ImageSite, TestVehicle, at
from twinlock.director.director import Director
from twinlock.director.inventory.signed_files import list_outstanding
from twinlock.director.inventory.vehicles import Marks, read_marks
from twinlock.director.model.records import ORDERED
from twinlock.trust.errors.base import Kind
from twinlock.trust.errors.reports import ReportReplayError

VIN = "VIN1"


def marks(director: Director) -> Marks:
    with director._database.reading() as connection:
        return read_marks(connection, VIN)


def settled(director: Director) -> Marks:
    """The marks after the Timestamp was asked for, as a vehicle does after its manifest."""
    assert director.metadata(VIN, "timestamp.json", now=at(seconds=10)) is not None
    return marks(director)


def test_a_repeated_manifest_is_kept_and_changes_nothing_else(fleet: Director, car: TestVehicle) -> None:
    before = settled(fleet)
    timestamp = fleet.metadata(VIN, "timestamp.json", now=at(seconds=10))
    for seconds in (20, 30):
        accepted = fleet.receive_manifest(car.manifest(now=at(seconds=seconds)), now=at(seconds=seconds))
        found = marks(fleet)
        assert (found.last_manifest, found.revision) == (accepted.manifest, before.revision)
        assert fleet.metadata(VIN, "timestamp.json", now=at(seconds=seconds)) == timestamp
        assert marks(fleet) == found, "asking for the Timestamp wrote something"
    record = fleet.vehicle(VIN)
    assert {report.counter for report in record.reports.values()} == {car.counter}
    assert {report.time for report in record.reports.values()} == {at(seconds=30)}


def test_of_two_equal_manifests_one_counts_also_when_nothing_is_new(fleet: Director, car: TestVehicle) -> None:
    settled(fleet)
    data = car.manifest(now=at(seconds=20))
    fleet.receive_manifest(data, now=at(seconds=20))
    with pytest.raises(ReportReplayError):
        fleet.receive_manifest(data, now=at(seconds=20))


def other_image(car: TestVehicle) -> bytes:
    car.install("ecu-gw", "gw/1.4.bin")
    return car.manifest(now=at(seconds=20))


def an_ecu_left_out(car: TestVehicle) -> bytes:
    car.counter += 1
    reports = [car.report("ecu-gw", now=at(seconds=20))]
    car.counter -= 1
    return car.manifest(now=at(seconds=20), reports=reports)


CHANGES: dict[str, Callable[[TestVehicle], bytes]] = {
    "another image": other_image,
    "an ECU left out": an_ecu_left_out,
    "an attack": lambda car: car.manifest(now=at(seconds=20), attack="freeze", detail="a file expired"),
    "another detail": lambda car: car.manifest(now=at(seconds=20), detail="a file expired"),
    "evidence": lambda car: car.manifest(
        now=at(seconds=20), evidence=(evidence(1, Kind.ATTACK, "rollback", "rollback"),)
    ),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_what_is_new_leads_to_a_new_plan(
    fleet: Director, car: TestVehicle, change: Callable[[TestVehicle], bytes]
) -> None:
    before = settled(fleet)
    fleet.receive_manifest(change(car), now=at(seconds=20))
    assert marks(fleet).revision == before.revision + 1
    assert settled(fleet).planned_from != before.planned_from


def test_an_ecu_that_is_back_leads_to_a_new_plan_and_one_that_stays_away_does_not(
    fleet: Director, car: TestVehicle
) -> None:
    settled(fleet)
    fleet.receive_manifest(an_ecu_left_out(car), now=at(seconds=20))
    away = marks(fleet).revision
    fleet.receive_manifest(an_ecu_left_out(car), now=at(seconds=20))
    assert marks(fleet).revision == away
    fleet.receive_manifest(car.manifest(now=at(seconds=30)), now=at(seconds=30))
    assert marks(fleet).revision == away + 1


def test_an_entry_that_the_image_repository_lists_now_leads_to_a_new_plan(
    fleet: Director, site: ImageSite, car: TestVehicle
) -> None:
    car.install("ecu-gw", "gw/9.bin")
    fleet.receive_manifest(car.manifest(now=at(seconds=20)), now=at(seconds=20))
    before = marks(fleet).revision
    site.add("gw/9.bin", hardware=["gw-1"], counter=90, name="gateway", version="9")
    site.publish()
    later = timedelta(hours=1)
    fleet.receive_manifest(car.manifest(now=NOW + later), now=NOW + later)
    assert marks(fleet).revision == before + 1


def test_an_order_that_is_installed_is_settled(fleet: Director, car: TestVehicle) -> None:
    settled(fleet)
    assert fleet.assign(VIN, {"ecu-gw": "gw/1.4.bin"}, now=at(seconds=15)).outcome == ORDERED
    settled(fleet)
    fleet.receive_manifest(other_image(car), now=at(seconds=20))
    with fleet._database.reading() as connection:
        assert list_outstanding(connection, VIN) == ()
