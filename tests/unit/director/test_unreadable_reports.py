"""A report that cannot be read, in both profiles: only that ECU's part is dropped, with evidence; the rest counts."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import aiohttp
import pytest

from tests.unit.director.aktualizr_vehicle import AktualizrVehicle, outcome
from tests.unit.director.test_serve import run
from tests.unit.director.world import EcuSigner, TestVehicle, at, listed
from twinlock.director.director import Director
from twinlock.director.manifests.offered import find_candidates
from twinlock.director.model.records import ATTACK, FAILURE, HELD, NOTICE, REFUSAL, Event
from twinlock.trust.errors.base import RefusalError
from twinlock.trust.errors.reports import DuplicateReportError, ReportSignatureError
from twinlock.trust.names import EcuId
from twinlock.trust.wire.tuf.reports import decode_manifest

VIN, GW, BRAKE = "VIN1", EcuId("ecu-gw"), EcuId("ecu-brake")
VAN, VAN_GW, VAN_BRAKE = "VIN7", EcuId("gw-7"), EcuId("brake-7")

Deform = Callable[[dict[str, Any]], Any]
NATIVE: dict[str, tuple[Deform, str]] = {
    "a member of another type": (lambda body: body["signed"].update(counter="seven"), "malformed"),
    "a member is missing": (lambda body: body["signed"].pop("time"), "malformed"),
    "a name that leads elsewhere": (
        lambda body: body["signed"]["installedImage"].update(filename="../x"),
        "unsafe-path",
    ),
    "digests without end": (
        lambda body: body["signed"]["installedImage"].update(hashes={f"h{n}": "00" for n in range(99)}),
        "limit",
    ),
    "signatures without end": (lambda body: body.update(signatures=body["signatures"] * 40), "limit"),
    "another type of file": (lambda body: body["signed"].update(_type="vehicle-version-manifest"), "malformed"),
    "no object": (lambda body: body.update(signed=[1, 2, 3]), "malformed"),
}
FOREIGN: dict[str, tuple[Deform, str]] = {
    "a member of another type": (lambda body: body["signed"].update(installed_image=7), "malformed"),
    "a member is missing": (lambda body: body["signed"].pop("attacks_detected"), "malformed"),
    "a name that leads elsewhere": (
        lambda body: body["signed"]["installed_image"].update(filepath="../x"),
        "unsafe-path",
    ),
    "signatures without end": (lambda body: body.update(signatures=body["signatures"] * 40), "limit"),
    "another ECU's": (lambda body: body["signed"].update(ecu_serial="gw-7"), "malformed"),
    "no object": (lambda body: body.clear(), "malformed"),
}


def deformed(report: bytes | dict[str, Any], deform: Deform) -> bytes:
    body: dict[str, Any] = json.loads(report) if isinstance(report, bytes) else json.loads(json.dumps(report))
    deform(body)
    return json.dumps(body).encode()


def send(director: Director, car: TestVehicle, brake: bytes | None, *, minutes: float) -> tuple[Event, ...]:
    """The next manifest, with the gateway's report and ``brake`` for the brake's; None: an honest one."""
    car.counter += 1
    reports = [brake or car.report("ecu-brake", now=at(minutes=minutes)), car.report("ecu-gw", now=at(minutes=minutes))]
    car.counter -= 1
    data = car.manifest(reports=reports)
    return director.receive_manifest(data, vehicle=VIN, now=at(minutes=minutes)).events


@pytest.mark.parametrize("case", NATIVE)
def test_an_unreadable_report_drops_that_ecus_part_alone(fleet: Director, car: TestVehicle, case: str) -> None:
    deform, code = NATIVE[case]
    before = fleet.vehicle(VIN)
    car.install("ecu-gw", "gw/1.4.bin")
    events = send(fleet, car, deformed(car.report("ecu-brake"), deform), minutes=1)
    record = fleet.vehicle(VIN)
    assert (record.reports[GW].installed.path, record.reports[GW].counter) == ("gw/1.4.bin", 2)
    assert record.reports[BRAKE] == before.reports[BRAKE]
    assert record.ecus[BRAKE].missing_since == at(minutes=1)
    assert BRAKE in record.unknown
    evidence = {event.code: event for event in events}
    assert evidence["missing-ecu"].kind == FAILURE
    assert evidence[code].kind == (REFUSAL if code == "malformed" else ATTACK)
    assert evidence[code].ecu == (None if case == "no object" else BRAKE)
    assert evidence[code].data is not None
    # What involves the brake is held until it can be read again; then everything is as before.
    assert fleet.assign(VIN, {"ecu-brake": "brake/2.0.bin"}, now=at(minutes=2)).outcome == HELD
    (returned,) = send(fleet, car, None, minutes=3)
    assert (returned.code, returned.kind, returned.ecu) == ("ecu-returned", NOTICE, BRAKE)
    data = fleet.metadata(VIN, "targets.json", now=at(minutes=3))
    assert data is not None
    assert listed(data) == {"brake/2.0.bin": ["ecu-brake"]}


@pytest.mark.parametrize("case", [case for case in NATIVE if case != "no object"])
def test_an_unreadable_report_of_the_primary_drops_the_whole(fleet: Director, car: TestVehicle, case: str) -> None:
    before = fleet.vehicle(VIN)
    car.counter += 1
    data = car.manifest(reports=[deformed(car.report("ecu-gw"), NATIVE[case][0]), car.report("ecu-brake")])
    with pytest.raises(RefusalError) as caught:
        fleet.receive_manifest(data, vehicle=VIN, now=at(minutes=1))
    assert caught.value.code == NATIVE[case][1]
    assert fleet.vehicle(VIN) == before
    assert fleet.manifests(VIN)[0].data == data
    send(fleet, car, None, minutes=2)


def test_an_unreadable_report_under_a_stolen_name_costs_nobody_a_report(fleet: Director, car: TestVehicle) -> None:
    """A manifest of ours is a list, so a Secondary's junk may name any ECU, the Primary too."""
    car.counter += 1
    for number, named in enumerate(("ecu-gw", "ecu-brake")):
        renamed = json.loads(car.report("ecu-brake"))
        renamed["signed"].update(ecuIdentifier=named, time=7)
        junk = json.dumps(renamed).encode()
        forged = car.report(named, signer=EcuSigner("stranger"))
        honest = [car.report(ecu, now=at(minutes=number)) for ecu in car.hardware]
        data = car.manifest(reports=[junk, forged, *honest, forged])
        events = fleet.receive_manifest(data, vehicle=VIN, now=at(minutes=number)).events
        assert [(event.code, event.ecu, event.kind) for event in events] == [
            ("report-signature", named, ATTACK),
            ("report-signature", named, ATTACK),
            ("malformed", named, REFUSAL),
        ]
        assert fleet.vehicle(VIN).unknown == frozenset()


def test_two_reports_that_one_key_signed_are_still_none(fleet: Director, car: TestVehicle) -> None:
    car.counter += 1
    twice = [car.report("ecu-gw"), car.report("ecu-brake"), car.report("ecu-brake", nonce="ab")]
    events = fleet.receive_manifest(car.manifest(reports=twice), vehicle=VIN).events
    assert {event.code for event in events} == {"duplicate-report", "missing-ecu"}
    with pytest.raises(DuplicateReportError):
        fleet.receive_manifest(
            car.manifest(reports=[car.report("ecu-gw"), car.report("ecu-gw", nonce="ab")]), vehicle=VIN
        )


def test_a_forged_twin_hides_nothing_of_what_is_known_of_the_genuine_report(fleet: Director, car: TestVehicle) -> None:
    genuine = car.report("ecu-brake", nonce="ab")
    twin = car.report("ecu-brake", nonce="cd", signer=EcuSigner("stranger"))
    record = fleet.vehicle(VIN)
    for reports in ([genuine, twin], [twin, genuine]):
        found = find_candidates(decode_manifest(car.manifest(reports=reports)), record)
        assert [signed.report.nonce for signed in found] == ["ab"]
    assert len(find_candidates(decode_manifest(car.manifest(reports=[twin])), record)) == 1


@pytest.mark.parametrize("case", FOREIGN)
def test_the_same_in_the_other_profile(wired: Director, van: AktualizrVehicle, case: str) -> None:
    deform, code = FOREIGN[case]
    before = wired.vehicle(VAN).reports[VAN_BRAKE]
    van.install("gw-7", "gw/1.3.bin")
    junk = json.loads(deformed(van.report("brake-7"), deform))
    events = wired.receive_manifest(van.manifest(reports={"brake-7": junk}), vehicle=VAN).events
    record = wired.vehicle(VAN)
    assert record.reports[VAN_GW].installed.path == "gw/1.3.bin"
    assert record.reports[VAN_BRAKE] == before
    assert record.unknown == {VAN_BRAKE}
    assert {(event.code, event.ecu) for event in events} == {(code, VAN_BRAKE), ("missing-ecu", VAN_BRAKE)}
    wired.receive_manifest(van.manifest(), vehicle=VAN, now=at(minutes=1))
    assert wired.vehicle(VAN).unknown == frozenset()
    junk = json.loads(deformed(van.report("gw-7"), deform if case != "another ECU's" else dict.clear))
    with pytest.raises(RefusalError) as caught:
        wired.receive_manifest(van.manifest(reports={"gw-7": junk}), vehicle=VAN, now=at(minutes=2))
    assert caught.value.code in {code, "malformed"}


def test_an_outcome_that_cannot_be_read_costs_no_report(wired: Director, van: AktualizrVehicle) -> None:
    """Its words come from Secondaries through the Primary, in whatever Unicode they write."""
    van.install("brake-7", "brake/1.0.bin")
    ended = outcome("urn:x:1", "INSTALL_FAILED", brake_7="INSTALL_FAILED")
    ended["report"]["items"][0]["result"]["description"] = "e\u0301"  # decomposed, so not the form of RFC 5198
    (event,) = wired.receive_manifest(van.manifest(outcome=ended), vehicle=VAN).events
    assert (event.code, event.ecu, event.kind) == ("malformed", None, REFUSAL)
    assert "installation_report" in event.detail
    assert wired.vehicle(VAN).reports[VAN_BRAKE].installed.path == "brake/1.0.bin"


def test_a_manifest_that_its_primary_did_not_sign_drops_the_whole(fleet: Director, car: TestVehicle) -> None:
    before = fleet.vehicle(VIN)
    junk = deformed(car.report("ecu-brake"), dict.clear)
    car.counter += 1
    data = car.manifest(reports=[car.report("ecu-gw"), junk], signer=EcuSigner("stranger"))
    with pytest.raises(ReportSignatureError) as caught:
        fleet.receive_manifest(data, vehicle=VIN)
    assert caught.value.what == "manifest"
    assert fleet.vehicle(VIN) == before
    assert [item["code"] for item in fleet.junk(VIN)] == ["report-signature"]


def test_over_the_wire_the_manifest_is_taken_and_the_next_honest_one_frees_the_order(
    fleet: Director, car: TestVehicle
) -> None:
    """The attack and the honest manifest arrive over HTTP. The brake may need the gateway, so its order is held between."""
    fleet.assign(VIN, {"ecu-gw": "gw/1.4.bin"})
    car.counter += 1
    junk = deformed(car.report("ecu-brake"), lambda body: body["signed"].update(evidence=[{"id": 7}]))
    attack = car.manifest(reports=[junk, car.report("ecu-gw")])
    ordered: list[dict[str, list[str]]] = []

    async def scenario(session: aiohttp.ClientSession) -> None:
        for data in (attack, car.manifest()):
            async with session.put(f"/vehicles/{VIN}/manifest", data=data) as response:
                assert response.status == 204
            async with session.get(f"/vehicles/{VIN}/metadata/timestamp.json") as response:
                assert response.status == 200
            targets = fleet.metadata(VIN, "targets.json")
            assert targets is not None
            ordered.append(listed(targets))

    run(fleet, scenario)
    assert ordered == [{}, {"gw/1.4.bin": ["ecu-gw"]}]
    assert fleet.vehicle(VIN).unknown == frozenset()
