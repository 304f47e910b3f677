"""An ECU that is missing from manifests: its part alone is dropped, and every order that involves it is held."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.director.world import ImageSite, TestVehicle, at, listed
from twinlock.director.director import Director
from twinlock.director.model.records import ATTACK, FAILURE, HELD, NOTHING, NOTICE, ORDERED
from twinlock.trust.errors.reports import MissingEcuError, ReportSignatureError
from twinlock.trust.names import EcuId

VIN, GW, BRAKE, LAMP = "VIN1", EcuId("ecu-gw"), EcuId("ecu-brake"), EcuId("ecu-lamp")


@pytest.fixture
def car() -> TestVehicle:
    car = TestVehicle(VIN, {"ecu-gw": "gw-1", "ecu-brake": "hw-7", "ecu-lamp": "hw-9"})
    car.install("ecu-gw", "gw/1.4.bin")
    car.install("ecu-brake", "brake/1.0.bin")
    car.install("ecu-lamp", "lamp/1.bin")
    return car


@pytest.fixture
def fleet(site: ImageSite, director: Director, car: TestVehicle) -> Director:
    """The Director with a car of three ECUs; the lamp depends on nothing, the brake needs the gateway."""
    site.add("lamp/1.bin", hardware=["hw-9"], counter=1, name="lamp", version="1")
    site.add("lamp/2.bin", hardware=["hw-9"], counter=2, name="lamp", version="2")
    site.add("gw/1.5.bin", hardware=["gw-1"], counter=15, name="gateway", version="1.5")
    site.publish()
    director.register(car.description())
    director.receive_manifest(car.manifest())
    return director


def send(director: Director, car: TestVehicle, *ecus: str, minutes: float, **changes: Any) -> None:
    """The next manifest, with reports of ``ecus`` only."""
    car.counter += 1
    reports = [car.report(ecu, now=at(minutes=minutes), **changes) for ecu in ecus or car.hardware]
    car.counter -= 1
    director.receive_manifest(car.manifest(now=at(minutes=minutes), reports=reports), now=at(minutes=minutes))


def orders(director: Director, *, minutes: float) -> dict[str, list[str]]:
    data = director.metadata(VIN, "targets.json", now=at(minutes=minutes))
    assert data is not None
    return listed(data)


def test_a_dead_secondary_does_not_lock_its_vehicle_out(fleet: Director, car: TestVehicle) -> None:
    fleet.assign(VIN, {"ecu-brake": "brake/2.0.bin"}, now=at(minutes=1))
    assert orders(fleet, minutes=1) == {"brake/2.0.bin": ["ecu-brake"]}
    # The brake dies before it installed anything; the others go on reporting.
    send(fleet, car, "ecu-gw", "ecu-lamp", minutes=2)
    record = fleet.vehicle(VIN)
    assert record.ecus[BRAKE].missing_since == at(minutes=2)
    assert record.reports[GW].counter == 2
    (event,) = [event for _, event in fleet.events(VIN) if event.code == "missing-ecu"]
    assert (event.kind, event.ecu) == (FAILURE, BRAKE)
    # Its own order is held, and says why; an order that does not involve it is given.
    plan = fleet.assign(VIN, {"ecu-lamp": "lamp/2.bin"}, now=at(minutes=3))
    assert plan.outcome == HELD
    assert any("brake/2.0.bin for ecu-brake is held: ecu-brake has been missing" in reason for reason in plan.reasons)
    assert orders(fleet, minutes=3) == {"lamp/2.bin": ["ecu-lamp"]}
    car.install("ecu-lamp", "lamp/2.bin")
    send(fleet, car, "ecu-gw", "ecu-lamp", minutes=4)
    assert fleet.vehicle(VIN).reports[LAMP].installed.path == "lamp/2.bin"
    # It comes back: its order is given again, and the vehicle is as any other.
    send(fleet, car, minutes=5)
    assert [event.kind for _, event in fleet.events(VIN) if event.code == "ecu-returned"] == [NOTICE]
    assert orders(fleet, minutes=5)["brake/2.0.bin"] == ["ecu-brake"]
    car.install("ecu-brake", "brake/2.0.bin")
    send(fleet, car, minutes=6)
    assert fleet.explain(VIN, now=at(minutes=6)).outcome == NOTHING


def test_what_the_missing_ecu_may_run_holds_the_orders_that_involve_it(fleet: Director, car: TestVehicle) -> None:
    """Brake software needs the gateway, and nobody knows which brake software is there now."""
    send(fleet, car, "ecu-gw", "ecu-lamp", minutes=1)
    plan = fleet.assign(VIN, {"ecu-gw": "gw/1.5.bin", "ecu-lamp": "lamp/2.bin"}, now=at(minutes=2))
    assert plan.outcome == HELD
    assert [order.ecu for order in plan.orders] == [LAMP]
    assert any("what ecu-brake may run needs or conflicts with gateway" in reason for reason in plan.reasons)
    send(fleet, car, minutes=3)
    assert fleet.explain(VIN, now=at(minutes=3)).outcome == ORDERED
    assert set(orders(fleet, minutes=3)) == {"gw/1.5.bin", "lamp/2.bin"}


def test_an_order_that_needs_the_missing_ecu_to_move_is_held(
    fleet: Director, site: ImageSite, car: TestVehicle
) -> None:
    site.add("lamp/3.bin", hardware=["hw-9"], counter=3, name="lamp", version="3", dependencies={"brake": ">=2"})
    site.publish()
    send(fleet, car, "ecu-gw", "ecu-lamp", minutes=1)
    plan = fleet.assign(VIN, {"ecu-lamp": "lamp/3.bin"}, now=at(minutes=2))
    assert (plan.outcome, plan.orders) == (HELD, ())
    assert "lamp 3 needs or conflicts with brake, which ecu-brake may run" in plan.reasons[0]
    assert orders(fleet, minutes=2) == {}


def test_a_false_report_is_a_missing_one_and_evidence(fleet: Director, car: TestVehicle) -> None:
    before = fleet.vehicle(VIN).reports
    car.counter += 1
    forged = car.report("ecu-brake", signer=car.signers["ecu-gw"], installed=car.installed["ecu-lamp"])
    reports = [car.report("ecu-gw"), car.report("ecu-lamp"), forged]
    car.counter -= 1
    fleet.receive_manifest(car.manifest(reports=reports))
    record = fleet.vehicle(VIN)
    assert record.reports[BRAKE] == before[BRAKE]
    assert BRAKE in record.unknown
    (evidence,) = [event for _, event in fleet.events(VIN) if event.kind == ATTACK]
    assert (evidence.code, evidence.ecu) == ("report-signature", BRAKE)
    assert evidence.data is not None
    assert evidence.data["attack"] == "spoofed-report"
    send(fleet, car, minutes=1)
    assert fleet.vehicle(VIN).unknown == frozenset()


def test_without_its_primary_or_with_a_bad_signature_nothing_counts(fleet: Director, car: TestVehicle) -> None:
    before = fleet.vehicle(VIN)
    with pytest.raises(MissingEcuError) as missing:
        send(fleet, car, "ecu-brake", "ecu-lamp", minutes=1)
    assert missing.value.missing == ("ecu-gw",)
    car.counter += 1
    reports = [car.report(ecu) for ecu in car.hardware]
    with pytest.raises(ReportSignatureError):
        fleet.receive_manifest(car.manifest(reports=reports, signer=car.signers["ecu-lamp"]))
    assert fleet.vehicle(VIN) == before
    send(fleet, car, minutes=2)
    assert fleet.vehicle(VIN).last_manifest_at == at(minutes=2)


def test_a_vehicle_whose_secondary_was_dead_from_the_first_day_gets_its_orders(
    director: Director, site: ImageSite, car: TestVehicle
) -> None:
    site.add("lamp/1.bin", hardware=["hw-9"], counter=1, name="lamp", version="1")
    site.add("lamp/2.bin", hardware=["hw-9"], counter=2, name="lamp", version="2")
    site.publish()
    director.register(car.description())
    send(director, car, "ecu-gw", "ecu-lamp", minutes=0)
    director.assign(VIN, {"ecu-lamp": "lamp/2.bin", "ecu-brake": "brake/1.0.bin"}, now=at(minutes=2))
    assert orders(director, minutes=2) == {"lamp/2.bin": ["ecu-lamp"]}
