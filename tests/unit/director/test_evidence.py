"""Attack, refusal and failure from an ECU's report to the operator, and what the Director acknowledges in signed Targets."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.unit.director.world import FACTORY, EcuSigner, TestVehicle, at, measured
from twinlock.director.director import Director
from twinlock.director.model.records import ATTACK, FAILURE, REFUSAL
from twinlock.trust.errors.base import Kind
from twinlock.trust.model.evidence import Evidence
from twinlock.trust.wire.tuf.reports import decode_report, report_digest

VIN = "VIN1"


def evidence(number: int, kind: Kind, code: str, attack: str = "none") -> Evidence:
    return Evidence(
        id=f"e{number}",
        kind=kind,
        code=code,
        attack=attack,
        clause="",
        detail=f"detail of {code}",
        step="metadata",
        first=at(),
        last=at(minutes=1),
        occurrences=2,
    )


def members(director: Director, minutes: float) -> dict[str, Any]:
    data = director.metadata(VIN, "targets.json", now=at(minutes=minutes))
    assert data is not None
    custom = json.loads(data)["signed"]["custom"]
    return {name: custom[name] for name in ("acknowledged", "acknowledgedReports", "resets") if name in custom}


def test_evidence_is_kept_once_and_acknowledged_by_the_counter_of_its_report(fleet: Director, car: TestVehicle) -> None:
    assert members(fleet, 0) == {}
    met = (
        evidence(1, Kind.ATTACK, "rollback", "rollback"),
        evidence(2, Kind.REFUSAL, "precondition"),
        evidence(3, Kind.FAILURE, "fetch"),
    )
    reports: list[bytes] = []
    for minutes in (1, 2):  # it comes again until it is acknowledged
        car.counter += 1
        reports = [
            car.report("ecu-gw", now=at(minutes=minutes)),
            car.report("ecu-brake", now=at(minutes=minutes), evidence=met),
        ]
        car.counter -= 1
        fleet.receive_manifest(car.manifest(reports=reports), now=at(minutes=minutes))
    events = [event for _, event in fleet.events(VIN) if event.evidence]
    assert {(event.kind, event.code) for event in events} == {
        (ATTACK, "rollback"),
        (REFUSAL, "precondition"),
        (FAILURE, "fetch"),
    }
    assert len(events) == 3
    assert next(event.data for event in events if event.code == "rollback") == {
        "attack": "rollback",
        "clause": "",
        "step": "metadata",
        "first": "2026-03-01T12:00:00Z",
        "last": "2026-03-01T12:01:00Z",
        "count": 2,
    }
    named = {"acknowledgedReports": {"ecu-brake": report_digest(decode_report(reports[1]).message)}}
    assert members(fleet, 3) == {"acknowledged": {"ecu-brake": car.counter}} | named
    fleet.receive_manifest(car.manifest(now=at(minutes=4)), now=at(minutes=4))
    before = fleet.issue(VIN, now=at(minutes=5))
    assert members(fleet, 6) == {"acknowledged": {"ecu-brake": car.counter - 1}} | named
    assert fleet.issue(VIN, now=at(minutes=6)) == before


def test_what_an_ecu_added_to_an_event_is_kept_before_it_is_acknowledged(fleet: Director, car: TestVehicle) -> None:
    first = evidence(1, Kind.ATTACK, "rollback", "rollback")
    grown = first._replace(last=at(minutes=2), occurrences=7, latest="another sentence")
    for minutes, event in ((1, first), (2, grown), (3, grown)):
        car.counter += 1
        reports = [
            car.report("ecu-gw", now=at(minutes=minutes)),
            car.report("ecu-brake", now=at(minutes=minutes), evidence=(event,)),
        ]
        car.counter -= 1
        fleet.receive_manifest(car.manifest(reports=reports), now=at(minutes=minutes))
    kept = [event.data for _, event in fleet.events(VIN) if event.evidence]
    assert [data and (data["count"], data.get("latest")) for data in kept] == [(7, "another sentence"), (2, None)]
    assert members(fleet, 4)["acknowledged"] == {"ecu-brake": car.counter}


def test_a_forged_report_in_front_is_not_the_one_that_is_acknowledged(fleet: Director, car: TestVehicle) -> None:
    thief = TestVehicle(VIN, {"ecu-gw": "gw-1", "ecu-brake": "hw-7"}, counter=car.counter + 1)
    thief.signers["ecu-brake"] = EcuSigner("TEST thief")
    met = evidence(1, Kind.ATTACK, "rollback", "rollback")
    car.counter += 1
    genuine = car.report("ecu-brake", now=at(minutes=1), evidence=(met,))
    reports = [thief.report("ecu-brake", now=at(minutes=1)), genuine, car.report("ecu-gw", now=at(minutes=1))]
    car.counter -= 1
    fleet.receive_manifest(car.manifest(reports=reports, now=at(minutes=1)), now=at(minutes=1))
    named = {"ecu-brake": report_digest(decode_report(genuine).message)}
    assert members(fleet, 2)["acknowledgedReports"] == named


@pytest.mark.parametrize(
    ("word", "kind"),
    [("rollback", ATTACK), ("precondition", REFUSAL), ("storage", FAILURE), ("install-failed", FAILURE), ("x", ATTACK)],
)
def test_what_an_older_client_calls_an_attack_has_its_true_kind(
    fleet: Director, car: TestVehicle, word: str, kind: str
) -> None:
    fleet.receive_manifest(car.manifest(attack=word, detail="what happened"))
    assert {event.kind for _, event in fleet.events(VIN) if event.code == word} == {kind}


def test_software_that_an_operator_declared_is_not_reported_as_unlisted(director: Director) -> None:
    car = TestVehicle("VIN5", {"ecu-5": "gw-1"})
    car.install("ecu-5", "factory/only-here.bin")
    other = TestVehicle("VIN6", {"ecu-6": "gw-1"})
    other.install("ecu-6", "factory/only-here.bin")
    for vehicle in (car, other):
        director.register(vehicle.description())
    record = {"VIN5": {"ecu-5": {"filename": "factory/only-here.bin", **measured("factory/only-here.bin")}}}
    assert director.ways_out.declare_delivery(json.dumps(record).encode(), actor="factory") == 1
    assert director.receive_manifest(car.manifest()).events == ()
    assert [event.code for event in director.receive_manifest(other.manifest()).events] == ["unlisted-image"]
    car.install("ecu-5", f"not/{FACTORY}")
    assert [event.code for event in director.receive_manifest(car.manifest()).events] == ["unlisted-image"]
    assert director.audit("VIN5")[0]["actor"] == "factory"
