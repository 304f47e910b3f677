"""Every check of a manifest, one wrong thing at a time: Uptane 2.1.0 5.3.2.1 steps 1, 3 and 4."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from tests.unit.director.judging import judge_manifest
from tests.unit.director.world import NOW, EcuSigner, TestVehicle, at, installed_image
from twinlock.director.errors.vehicles import ManifestVehicleError
from twinlock.director.model.event_codes import kind_of
from twinlock.director.model.judgement import Findings, Knowledge, ManifestPolicy
from twinlock.director.model.records import ATTACK, FAILURE, NOTICE, REFUSAL, Event, LastReport, VehicleRecord
from twinlock.director.model.vehicle_description import read_description
from twinlock.trust.errors.base import Attack
from twinlock.trust.errors.images import UnknownEcuError
from twinlock.trust.errors.metadata import LimitError, MalformedError, UnsafePathError
from twinlock.trust.errors.reports import (
    DuplicateReportError,
    MissingEcuError,
    ReportReplayError,
    ReportSignatureError,
    ReportTimeError,
)
from twinlock.trust.limits import DEFAULT_LIMITS
from twinlock.trust.model.targets import ImageEntry
from twinlock.trust.names import EcuId, HardwareId, TargetPath
from twinlock.trust.wire.tuf.reports import decode_manifest

GW, BRAKE = EcuId("ecu-gw"), EcuId("ecu-brake")


def record_of(car: TestVehicle, **last: Any) -> VehicleRecord:
    """The inventory's view of ``car``; ``last`` are fields of what each ECU reported before, if anything."""
    described = read_description(car.description())
    reports, ecus = {}, dict(described.ecus)
    if last:
        fields = {"installed": installed_image("factory.bin"), "time": NOW, "counter": 5, **last}
        reports = {ecu: LastReport(**fields) for ecu in described.ecus}
        ecus = {ecu: replace(item, highest_counter=fields["counter"]) for ecu, item in ecus.items()}
    return VehicleRecord(
        vehicle=described.vehicle,
        primary=described.primary,
        ecus=ecus,
        reports=reports,
        registered_at=NOW,
    )


def judge(data: bytes, record: VehicleRecord, **options: Any) -> Findings:
    return judge_manifest(decode_manifest(data), record, now=options.pop("now", NOW), **options)


def dropped(findings: Findings, ecu: EcuId, code: str) -> Event:
    """The event of an ECU whose part alone was dropped."""
    assert ecu not in findings.reports
    assert findings.missing == (ecu,)
    assert set(findings.reports) == {GW}
    return next(event for event in findings.events if event.ecu == ecu and event.code == code)


def test_a_sound_manifest_shows_what_every_ecu_runs(car: TestVehicle) -> None:
    findings = judge(car.manifest(), record_of(car))
    assert set(findings.reports) == {GW, BRAKE}
    assert findings.installed[GW].path == "gw/1.3.bin"


def test_a_manifest_of_another_vehicle_is_refused(car: TestVehicle) -> None:
    with pytest.raises(ManifestVehicleError) as caught:
        judge(car.manifest(vin="VIN2"), record_of(car), address="VIN1")
    assert caught.value.fields() == {"offered": "VIN2", "expected": "VIN1"}
    assert caught.value.attack is Attack.REPLAY


def test_a_manifest_at_the_address_of_another_vehicle_is_refused(car: TestVehicle) -> None:
    with pytest.raises(ManifestVehicleError) as caught:
        judge(car.manifest(), record_of(car), address="VIN2")
    assert (caught.value.offered, caught.value.expected) == ("VIN1", "VIN2")


def test_a_primary_that_is_not_in_the_inventory_is_refused(car: TestVehicle) -> None:
    with pytest.raises(UnknownEcuError) as caught:
        judge(car.manifest(primary="ecu-x"), record_of(car))
    assert caught.value.ecu == "ecu-x"


def test_a_secondary_posing_as_primary_is_refused_though_its_signature_is_right(car: TestVehicle) -> None:
    data = car.manifest(primary="ecu-brake", signer=car.signers["ecu-brake"])
    with pytest.raises(ReportSignatureError) as caught:
        judge(data, record_of(car))
    assert (caught.value.what, caught.value.ecu) == ("manifest", "ecu-brake")


@pytest.mark.parametrize("signer", ["secondary", "stranger"])
def test_a_manifest_signed_with_another_key_is_refused(car: TestVehicle, signer: str) -> None:
    key = car.signers["ecu-brake"] if signer == "secondary" else EcuSigner("stranger")
    with pytest.raises(ReportSignatureError) as caught:
        judge(car.manifest(signer=key), record_of(car))
    assert (caught.value.what, caught.value.ecu) == ("manifest", "ecu-gw")


def test_a_secondarys_report_that_the_primary_made_up_is_refused(car: TestVehicle) -> None:
    car.counter = 1
    reports = [car.report("ecu-gw"), car.report("ecu-brake", signer=car.signers["ecu-gw"])]
    event = dropped(judge(car.manifest(reports=reports), record_of(car)), BRAKE, "report-signature")
    assert event.kind == ATTACK
    assert event.data is not None
    assert event.data["attack"] == "spoofed-report"
    assert event.data["fields"]["what"] == "report"


def test_a_report_changed_after_signing_is_refused(car: TestVehicle) -> None:
    changed = json.loads(car.report("ecu-brake"))
    changed["signed"]["installedImage"]["filename"] = "brake/9.bin"
    reports = [car.report("ecu-gw"), json.dumps(changed).encode()]
    dropped(judge(car.manifest(reports=reports), record_of(car)), BRAKE, "report-signature")


def test_an_ecu_that_is_left_out_is_named(car: TestVehicle) -> None:
    event = dropped(judge(car.manifest(reports=[car.report("ecu-gw")]), record_of(car)), BRAKE, "missing-ecu")
    assert event.kind == FAILURE


def test_an_ecu_that_stays_away_is_one_event_and_not_one_a_manifest(car: TestVehicle) -> None:
    record = record_of(car)
    away = replace(record.ecus[BRAKE], missing_since=NOW)
    record = replace(record, ecus={**record.ecus, BRAKE: away})
    findings = judge(car.manifest(reports=[car.report("ecu-gw")]), record)
    assert findings.missing == (BRAKE,)
    assert [event for event in findings.events if event.code == "missing-ecu"] == []
    returned = [event.code for event in judge(car.manifest(), record).events if event.ecu == BRAKE]
    assert "ecu-returned" in returned


def test_an_ecu_that_is_out_of_order_is_not_expected_and_may_come_back(car: TestVehicle) -> None:
    record = record_of(car)
    broken = replace(record.ecus[BRAKE], out_of_order_since=NOW)
    record = replace(record, ecus={**record.ecus, BRAKE: broken})
    assert judge(car.manifest(reports=[car.report("ecu-gw")]), record).missing == ()
    assert BRAKE in judge(car.manifest(), record).reports


@pytest.mark.parametrize("without", ["no report", "a stranger's key"])
def test_a_manifest_without_a_sound_report_of_its_primary_is_refused(car: TestVehicle, without: str) -> None:
    reports = [car.report("ecu-brake")]
    if without == "a stranger's key":
        reports.append(car.report("ecu-gw", signer=EcuSigner("stranger")))
    with pytest.raises(MissingEcuError if without == "no report" else ReportSignatureError) as caught:
        judge(car.manifest(reports=reports), record_of(car))
    assert "ecu-gw" in str(caught.value.fields())


def test_an_ecu_of_another_vehicle_is_refused(car: TestVehicle) -> None:
    other = TestVehicle("VIN2", {"ecu-other": "hw-7"})
    reports = [car.report("ecu-gw"), car.report("ecu-brake"), other.report("ecu-other")]
    findings = judge(car.manifest(reports=reports), record_of(car))
    assert set(findings.reports) == {GW, BRAKE}
    (event,) = [event for event in findings.events if event.code == "unregistered-ecu"]
    assert (event.kind, event.ecu) == (REFUSAL, "ecu-other")


def test_an_ecu_that_reports_twice_is_refused(car: TestVehicle) -> None:
    reports = [car.report("ecu-gw"), car.report("ecu-brake"), car.report("ecu-brake")]
    dropped(judge(car.manifest(reports=reports), record_of(car)), BRAKE, "duplicate-report")
    with pytest.raises(DuplicateReportError) as caught:
        judge(car.manifest(reports=[car.report("ecu-gw"), *reports]), record_of(car))
    assert caught.value.ecu == "ecu-gw"


@pytest.mark.parametrize(
    ("time", "accepted"),
    [
        (at(minutes=5), True),
        (at(minutes=5, seconds=1), False),
        (at(days=-30), True),
        (at(days=-30, seconds=-1), False),
    ],
)
def test_a_time_ahead_of_ours_or_long_past_is_refused(car: TestVehicle, time: Any, accepted: bool) -> None:
    record = record_of(car, time=at(days=-60))
    data = car.manifest(now=time, counter=6)
    if accepted:
        judge(data, record)
        return
    with pytest.raises(ReportTimeError) as caught:
        judge(data, record)
    assert caught.value.reported == time.strftime("%Y-%m-%dT%H:%M:%SZ")


def test_a_time_before_the_last_report_is_a_notice_where_the_counter_rose(car: TestVehicle) -> None:
    """An ECU that lost its attested time in a reset is honest. Its counter alone shows that the report is new."""
    findings = judge(car.manifest(now=at(days=-29), counter=6), record_of(car, time=NOW))
    assert set(findings.reports) == {GW, BRAKE}
    assert [(event.kind, event.ecu) for event in findings.events if event.code == "earlier-time"] == [
        (NOTICE, GW),
        (NOTICE, BRAKE),
    ]
    with pytest.raises(ReportReplayError):
        judge(car.manifest(now=at(seconds=-1), counter=5), record_of(car, time=NOW))
    with pytest.raises(ReportTimeError) as caught:
        judge(car.manifest(now=at(days=-30, seconds=-1), counter=6), record_of(car, time=NOW))
    assert caught.value.earliest == at(days=-30).strftime("%Y-%m-%dT%H:%M:%SZ")
    later = judge(car.manifest(now=NOW, counter=7), record_of(car, time=NOW))
    assert not [event for event in later.events if event.code == "earlier-time"]


def test_the_first_report_of_a_new_ecu_may_be_old_and_says_so(car: TestVehicle) -> None:
    findings = judge(car.manifest(now=at(days=-400)), record_of(car))
    assert {event.ecu for event in findings.events if event.code == "old-time"} == {GW, BRAKE}


def test_the_bounds_of_time_are_the_policys(car: TestVehicle) -> None:
    policy = ManifestPolicy(future=timedelta(0), past=timedelta(seconds=10))
    with pytest.raises(ReportTimeError):
        judge(car.manifest(now=at(seconds=1)), record_of(car), policy=policy)
    with pytest.raises(ReportTimeError):
        judge(car.manifest(now=at(seconds=-11), counter=6), record_of(car, time=at(days=-1)), policy=policy)


@pytest.mark.parametrize("counter", [0, 4, 5])
def test_a_counter_that_does_not_rise_is_a_replay(car: TestVehicle, counter: int) -> None:
    with pytest.raises(ReportReplayError) as caught:
        judge(car.manifest(counter=counter), record_of(car, counter=5))
    error = caught.value
    assert (error.field, error.offered, error.last) == ("counter", str(counter), "5")
    assert error.attack is Attack.REPLAY
    assert error.clause == "Uptane 2.1.0 5.3.2.1"


def test_yesterdays_report_in_a_fresh_manifest_is_a_replay(car: TestVehicle) -> None:
    car.counter = 5
    old = car.report("ecu-brake")
    car.counter = 6
    findings = judge(car.manifest(reports=[car.report("ecu-gw"), old]), record_of(car, counter=5))
    assert dropped(findings, BRAKE, "report-replay").kind == ATTACK


def test_a_nonce_that_was_seen_is_a_replay_only_for_the_same_ecu(car: TestVehicle) -> None:
    seen = Knowledge(nonces=frozenset({(BRAKE, "ab12")}))
    car.counter = 6
    data = car.manifest(reports=[car.report("ecu-gw", nonce="ab12"), car.report("ecu-brake", nonce="cd34")])
    judge(data, record_of(car, counter=5), knowledge=seen)
    data = car.manifest(reports=[car.report("ecu-gw", nonce="cd34"), car.report("ecu-brake", nonce="ab12")])
    event = dropped(judge(data, record_of(car, counter=5), knowledge=seen), BRAKE, "report-replay")
    assert event.data is not None
    assert (event.data["fields"]["field"], event.data["fields"]["offered"]) == ("nonce", "ab12")


def test_an_attack_indicator_is_an_event_and_no_reason_to_refuse(car: TestVehicle) -> None:
    car.counter = 1
    reports = [car.report("ecu-gw"), car.report("ecu-brake", attack="rollback", detail="older than trusted")]
    events = judge(car.manifest(reports=reports), record_of(car)).events
    assert [(event.kind, event.ecu) for event in events if event.kind == "attack"] == [("attack", BRAKE)]
    assert "rollback" in next(event.detail for event in events if event.kind == "attack")


def listed(path: str, hardware: str, counter: int) -> ImageEntry:
    image = installed_image(path)
    return ImageEntry(
        path=TargetPath(path),
        length=image.length,
        hashes=image.hashes,
        release_counter=counter,
        hardware_ids=frozenset({HardwareId(hardware)}),
    )


def test_the_release_counter_is_the_repositorys_not_the_ecus(car: TestVehicle) -> None:
    knowledge = Knowledge(images={GW: listed("gw/1.3.bin", "gw-1", 13)})
    findings = judge(car.manifest(), record_of(car), knowledge=knowledge)
    assert findings.installed[GW].release_counter == 13


def test_an_installed_image_for_other_hardware_or_unknown_to_all_stands_out(car: TestVehicle) -> None:
    knowledge = Knowledge(images={GW: listed("gw/1.3.bin", "hw-9", 13)})
    events = judge(car.manifest(), record_of(car), knowledge=knowledge).events
    assert {(event.code, event.ecu) for event in events} == {("wrong-hardware", GW), ("unlisted-image", BRAKE)}


def test_nothing_is_called_unlisted_while_the_repository_cannot_be_asked(car: TestVehicle) -> None:
    assert judge(car.manifest(), record_of(car), knowledge=Knowledge(complete=False)).events == ()


@pytest.mark.parametrize(
    "break_it",
    [
        lambda body: body.pop("signatures"),
        lambda body: body["signed"].pop("reports"),
        lambda body: body["signed"].update(reports={}),
        lambda body: body["signed"].update(primaryIdentifier=1),
        lambda body: body["signed"]["reports"][0]["signed"].update(counter=1.5),
    ],
)
def test_a_malformed_manifest_is_refused_as_such(car: TestVehicle, break_it: Callable[[Any], Any]) -> None:
    body = json.loads(car.manifest())
    break_it(body)
    with pytest.raises(MalformedError):
        decode_manifest(json.dumps(body).encode())


def test_a_vehicle_id_that_is_no_identifier_is_refused(car: TestVehicle) -> None:
    with pytest.raises(UnsafePathError):
        decode_manifest(car.manifest(vin="../x"))


def test_an_oversize_manifest_is_refused_before_it_is_read() -> None:
    with pytest.raises(LimitError):
        decode_manifest(b" " * (DEFAULT_LIMITS.report_bytes + 1))


def test_what_an_ecu_met_in_director_targets_stays_an_attack_and_what_the_director_drops_a_refusal() -> None:
    assert (kind_of("unknown-ecu"), kind_of("unregistered-ecu")) == (ATTACK, REFUSAL)
