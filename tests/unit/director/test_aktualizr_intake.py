"""Manifests of vehicles that run aktualizr: the same checks, where the profile has less to say."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.unit.director.aktualizr_vehicle import EPOCH, AktualizrVehicle, WireKey, outcome
from tests.unit.director.device_world import confirm_pending
from tests.unit.director.judging import judge_manifest
from tests.unit.director.world import NOW, TestVehicle, at
from twinlock.director.director import Director
from twinlock.director.errors.vehicles import EcuKeyChangedError, ManifestVehicleError
from twinlock.director.model.records import AKTUALIZR_PROFILE, VehicleRecord
from twinlock.trust.errors.base import RefusalError
from twinlock.trust.errors.images import UnknownEcuError
from twinlock.trust.errors.metadata import MalformedError
from twinlock.trust.errors.reports import (
    MissingEcuError,
    ReportReplayError,
    ReportSignatureError,
    ReportTimeError,
)
from twinlock.trust.names import EcuId, VehicleId
from twinlock.trust.wire.aktualizr.reports import decode_manifest
from twinlock.trust.wire.tuf.reports import NO_TIME

VIN, GW, BRAKE = "VIN7", EcuId("gw-7"), EcuId("brake-7")


def accept(director: Director, data: bytes, minutes: float = 0) -> list[tuple[str, EcuId | None, str]]:
    """The events of a manifest that is accepted."""
    accepted = director.receive_manifest(data, vehicle=VIN, now=at(minutes=minutes))
    return [(event.code, event.ecu, event.detail) for event in accepted.events]


def refuse(director: Director, data: bytes, error: type[RefusalError]) -> Any:
    """The refusal of a manifest, which changes nothing else: stored where its Primary signed it, counted where not."""
    before = director.vehicle(VIN)
    with pytest.raises(error) as caught:
        director.receive_manifest(data, vehicle=VIN)
    assert director.vehicle(VIN) == before
    newest = director.manifests(VIN)[0]
    kept = (newest.data, newest.refusal and newest.refusal["code"]) == (data, caught.value.code)
    counted = [item["code"] for item in director.junk(VIN)]
    assert kept is not (caught.value.code in counted)
    return caught.value


def test_what_every_ecu_runs_is_known_and_the_epoch_is_no_event(wired: Director, van: AktualizrVehicle) -> None:
    van.install("gw-7", "gw/1.3.bin")
    assert accept(wired, van.manifest()) == []
    record = wired.vehicle(VIN)
    assert record.reports[GW].installed.path == "gw/1.3.bin"
    assert record.reports[GW].installed.release_counter == 13
    assert (record.reports[GW].counter, record.reports[BRAKE].counter) == (2, None)
    assert record.reports[BRAKE].time == NO_TIME
    assert accept(wired, van.manifest(), minutes=60 * 24 * 40) == []


def test_nothing_installed_is_no_unlisted_image_but_a_strange_one_is(wired: Director, van: AktualizrVehicle) -> None:
    van.install("brake-7", "strange.bin")
    (event,) = accept(wired, van.manifest())
    assert event[:2] == ("unlisted-image", "brake-7")


def test_a_counter_of_the_primary_that_does_not_rise_is_a_replay(wired: Director, van: AktualizrVehicle) -> None:
    data = van.manifest()
    accept(wired, data)
    refused = refuse(wired, data, ReportReplayError)
    reason = "its counter is 2, and the last one was 2"
    assert refused.fields() == {"ecu": "gw-7", "field": "counter", "reason": reason, "offered": "2", "last": "2"}
    assert accept(wired, van.manifest()) == []


def test_a_primary_that_does_not_count_is_refused(wired: Director, van: AktualizrVehicle) -> None:
    report = van.report("gw-7")
    del report["signed"]["report_counter"]
    refused = refuse(
        wired, van.manifest(reports={"gw-7": van.keys["gw-7"].envelope(report["signed"])}), ReportReplayError
    )
    assert (refused.ecu, refused.offered) == ("gw-7", "")
    assert str(refused) == "the report of gw-7 is not new: a Primary's report needs a counter, and this one has none"


def test_an_ecu_that_is_left_out_is_named(wired: Director, van: AktualizrVehicle) -> None:
    data = van.manifest(ecu_version_manifests={"gw-7": van.report("gw-7", report_counter="9")})
    assert [event[:2] for event in accept(wired, data)] == [("missing-ecu", "brake-7")]
    assert wired.vehicle(VIN).ecus[BRAKE].missing_since == NOW
    data = van.manifest(ecu_version_manifests={"brake-7": van.report("brake-7")})
    assert refuse(wired, data, MissingEcuError).missing == ("gw-7",)
    van.counter = 10
    assert [event[:2] for event in accept(wired, van.manifest())] == [("ecu-returned", "brake-7")]


def test_an_ecu_that_is_not_registered_is_refused(wired: Director, van: AktualizrVehicle) -> None:
    stranger = AktualizrVehicle("VIN8", {"gw-8": "gw-1"})
    said = accept(wired, van.manifest(reports={"gw-8": stranger.report("gw-8")}))
    assert [event[:2] for event in said] == [("unregistered-ecu", "gw-8")]
    assert "gw-8" not in wired.vehicle(VIN).reports


def test_an_ecu_that_was_retired_may_not_report_and_need_not(wired: Director, van: AktualizrVehicle) -> None:
    van.hardware = {"gw-7": "gw-1"}
    van.register(wired)
    assert accept(wired, van.manifest()) == []
    said = accept(wired, van.manifest(reports={"brake-7": van.report("brake-7")}))
    assert [event[:2] for event in said] == [("unregistered-ecu", "brake-7")]


@pytest.mark.parametrize(
    ("what", "ecu"), [("manifest", "gw-7"), ("report", "brake-7"), ("report", "gw-7"), ("posing", "gw-7")]
)
def test_a_foreign_key_signs_nothing(wired: Director, van: AktualizrVehicle, what: str, ecu: str) -> None:
    mallory = WireKey("mallory", alias=van.keys[ecu].keyid if what == "posing" else "")
    if what == "report":
        counted = {"report_counter": "9"} if ecu == van.primary else {}
        data = van.manifest(reports={ecu: van.report(ecu, key=mallory, **counted)})
    else:
        data = van.manifest(key=mallory)
    if (what, ecu) == ("report", "brake-7"):
        said = accept(wired, data)
        assert [event[:2] for event in said] == [("report-signature", "brake-7"), ("missing-ecu", "brake-7")]
        return
    refused = refuse(wired, data, ReportSignatureError)
    assert refused.ecu == ecu


def test_a_secondary_does_not_speak_for_the_vehicle(wired: Director, van: AktualizrVehicle) -> None:
    data = van.manifest(key=van.keys["brake-7"], primary_ecu_serial="brake-7")
    assert refuse(wired, data, ReportSignatureError).ecu == "brake-7"


def test_a_manifest_that_came_to_another_vehicles_address_is_refused(wired: Director, van: AktualizrVehicle) -> None:
    other = AktualizrVehicle("VIN8", {"gw-8": "gw-1"})
    other.register(wired)
    with pytest.raises(UnknownEcuError):
        wired.receive_manifest(van.manifest(), vehicle="VIN8")


def test_without_an_address_nobody_says_whose_it_is(wired: Director, van: AktualizrVehicle) -> None:
    with pytest.raises(MalformedError):
        wired.receive_manifest(van.manifest())
    record = wired.vehicle(VIN)
    with pytest.raises(ManifestVehicleError) as caught:
        judge_manifest(decode_manifest(van.manifest()), record, now=NOW)
    assert caught.value.fields() == {"offered": "(none named)", "expected": VIN}
    with pytest.raises(ManifestVehicleError):
        judge_manifest(decode_manifest(van.manifest()), record, now=NOW, address="VIN8")


def test_each_vehicle_is_read_in_its_own_profile(wired: Director, van: AktualizrVehicle, car: TestVehicle) -> None:
    wired.register(car.description())
    wired.receive_manifest(car.manifest(), vehicle=car.vin)
    refuse(wired, car.manifest(), MalformedError)
    with pytest.raises(MalformedError):
        wired.receive_manifest(van.manifest(), vehicle=car.vin)


def test_after_new_keys_the_counter_may_start_again_and_still_rises(wired: Director, van: AktualizrVehicle) -> None:
    for _ in range(5):
        accept(wired, van.manifest())
    van.keys = {ecu: WireKey(f"new {ecu}") for ecu in van.hardware}
    with pytest.raises(EcuKeyChangedError):
        van.register(wired)
    confirm_pending(wired, VIN)
    van.register(wired)
    van.counter = 0
    first = van.manifest()
    accept(wired, first)
    assert wired.vehicle(VIN).reports[GW].counter == 1
    assert refuse(wired, first, ReportReplayError).fields() == {
        "ecu": "gw-7",
        "field": "counter",
        "reason": "its counter is 1, and the last one was 1",
        "offered": "1",
        "last": "1",
    }
    accept(wired, van.manifest())


def test_an_ecu_that_knows_the_time_is_held_to_it(wired: Director, van: AktualizrVehicle) -> None:
    def told(time: str) -> bytes:
        return van.manifest(reports={"brake-7": van.report("brake-7", timeserver_time=time)})

    accept(wired, told("2026-03-01T12:00:00Z"))
    for wrong in ("2026-03-02T12:00:00Z", "2026-02-01T12:00:00Z"):
        assert accept(wired, told(wrong))[0][:2] == ("report-time", "brake-7")
        assert wired.vehicle(VIN).ecus[BRAKE].missing_since == NOW
    accept(wired, told(EPOCH))


def test_the_epoch_is_a_time_like_any_other_in_our_own_profile(car: TestVehicle, director: Director) -> None:
    director.register(car.description())
    director.receive_manifest(car.manifest())
    with pytest.raises(ReportTimeError):
        director.receive_manifest(car.manifest(now=NO_TIME))
    record = director.vehicle("VIN1")
    assert record.profile != AKTUALIZR_PROFILE
    assert record.reports[EcuId("ecu-gw")].time == NOW


def test_an_attack_that_a_secondary_tells_of_is_an_event(wired: Director, van: AktualizrVehicle) -> None:
    said = {"brake-7": van.report("brake-7", attacks_detected="Target hash mismatch")}
    assert accept(wired, van.manifest(reports=said)) == [
        ("attacks-detected", "brake-7", "attacks-detected: Target hash mismatch")
    ]


def test_a_failed_installation_is_an_event_of_the_ecus_that_failed(wired: Director, van: AktualizrVehicle) -> None:
    ended = outcome("urn:x:1", "hw-7:INSTALL_FAILED", gw_7="OK", brake_7="INSTALL_FAILED", gone_7="INSTALL_FAILED")
    assert accept(wired, van.manifest(outcome=ended)) == [
        ("install-failed", "brake-7", "INSTALL_FAILED: done (order urn:x:1)")
    ]


def test_one_that_failed_before_any_ecu_was_reached_is_the_primarys(wired: Director, van: AktualizrVehicle) -> None:
    assert accept(wired, van.manifest(outcome=outcome("urn:x:1", "DOWNLOAD_FAILED"))) == [
        ("install-failed", "gw-7", "DOWNLOAD_FAILED: done (order urn:x:1)")
    ]
    assert accept(wired, van.manifest(outcome=outcome("urn:x:1", gw_7="OK"))) == []


def test_an_old_secondarys_report_under_a_new_manifest_is_believed(wired: Director, van: AktualizrVehicle) -> None:
    """What the profile cannot prevent: the threat model says so."""
    old = van.report("brake-7")
    van.install("brake-7", "brake/1.0.bin")
    accept(wired, van.manifest())
    accept(wired, van.manifest(reports={"brake-7": old}))
    assert wired.vehicle(VIN).reports[BRAKE].installed.path == "unknown"


def test_counters_of_a_past_life_do_not_bind_ecus_that_have_none(wired: Director, van: AktualizrVehicle) -> None:
    record = wired.vehicle(VIN)
    last = record.reports[BRAKE]
    counted = {**record.reports, BRAKE: type(last)(installed=last.installed, time=last.time, counter=40)}
    known = VehicleRecord(
        vehicle=VehicleId(VIN),
        primary=GW,
        ecus=record.ecus,
        reports=counted,
        registered_at=NOW - timedelta(days=1),
        profile=AKTUALIZR_PROFILE,
    )
    findings = judge_manifest(decode_manifest(van.manifest()), known, now=NOW, address=VIN)
    assert findings.reports[BRAKE].counter is None
