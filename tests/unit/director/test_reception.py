"""Manifests and the inventory: what is stored, what changes, and that a race has one winner."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from tests.unit.director.world import NOW, EcuSigner, TestVehicle, at
from twinlock.director.director import Director
from twinlock.director.errors.vehicles import ManifestVehicleError, UnknownVehicleError
from twinlock.director.inventory import history
from twinlock.director.model.records import Acceptance
from twinlock.trust.errors.local import ConflictError
from twinlock.trust.errors.metadata import MalformedError
from twinlock.trust.errors.reports import MissingEcuError, ReportReplayError, ReportSignatureError
from twinlock.trust.names import EcuId

GW = EcuId("ecu-gw")


@pytest.fixture
def registered(director: Director, car: TestVehicle) -> Director:
    director.register(car.description())
    return director


def test_an_accepted_manifest_changes_what_is_known_of_every_ecu(registered: Director, car: TestVehicle) -> None:
    accepted = registered.receive_manifest(car.manifest())
    record = registered.vehicle("VIN1")
    assert record.last_manifest_at == NOW
    assert {ecu: report.installed.path for ecu, report in record.reports.items()} == {
        "ecu-gw": "gw/1.3.bin",
        "ecu-brake": "brake/1.0.bin",
    }
    assert record.reports[GW].installed.release_counter == 13
    assert record.reports[GW].counter == 1
    assert [item.number for item in registered.manifests("VIN1")] == [accepted.manifest]


def test_a_refused_manifest_is_kept_with_its_verdict_and_changes_nothing(
    registered: Director, car: TestVehicle
) -> None:
    registered.receive_manifest(car.manifest())
    before = registered.vehicle("VIN1")
    bad = car.manifest(now=at(minutes=1), reports=[car.report("ecu-brake")])
    with pytest.raises(MissingEcuError):
        registered.receive_manifest(bad, now=at(minutes=1))
    assert registered.vehicle("VIN1") == before
    newest = registered.manifests("VIN1")[0]
    assert newest.data == bad
    assert newest.refusal is not None
    assert newest.refusal["code"] == "missing-ecu"
    assert newest.refusal["fields"]["missing"] == ["ecu-brake", "ecu-gw"]


def test_a_replayed_manifest_is_refused_and_the_next_honest_one_is_taken(
    registered: Director, car: TestVehicle
) -> None:
    data = car.manifest()
    registered.receive_manifest(data)
    with pytest.raises(ReportReplayError):
        registered.receive_manifest(data)
    registered.receive_manifest(car.manifest())


def test_a_nonce_is_taken_once_for_ever(registered: Director, car: TestVehicle) -> None:
    registered.receive_manifest(car.manifest(nonce="aa"))
    registered.receive_manifest(car.manifest(nonce="bb"))
    with pytest.raises(ReportReplayError) as caught:
        registered.receive_manifest(car.manifest(nonce="aa"))
    assert caught.value.field == "nonce"


def test_a_manifest_of_an_unknown_vehicle_leaves_no_row(registered: Director) -> None:
    stranger = TestVehicle("VIN9", {"ecu-9": "gw-1"})
    with pytest.raises(UnknownVehicleError) as caught:
        registered.receive_manifest(stranger.manifest())
    assert caught.value.vehicle == "VIN9"
    assert registered.manifests("VIN1") == ()


def test_a_manifest_at_another_vehicles_address_is_counted_there(registered: Director, car: TestVehicle) -> None:
    other = TestVehicle("VIN2", {"ecu-2": "gw-1"})
    registered.register(other.description())
    with pytest.raises(ManifestVehicleError):
        registered.receive_manifest(car.manifest(), vehicle="VIN2")
    assert registered.manifests("VIN2") == ()  # another vehicle's signature proves nothing here
    assert [(item["code"], item["count"]) for item in registered.junk("VIN2")] == [("other-vehicle", 1)]
    assert registered.vehicle("VIN1").reports == {}


def test_nonsense_is_counted_and_displaces_nothing_that_is_signed(
    registered: Director, car: TestVehicle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "MAX_REFUSED_PER_CODE", 3)
    for number in range(6):
        with pytest.raises(MalformedError):
            registered.receive_manifest(b"nonsense number %d" % number, vehicle="VIN1")
    stranger = EcuSigner("stranger")
    with pytest.raises(ReportSignatureError):
        registered.receive_manifest(car.manifest(signer=stranger), vehicle="VIN1")
    assert registered.manifests("VIN1") == ()
    counted = {item["code"]: item["count"] for item in registered.junk("VIN1")}
    assert counted == {"malformed": 6, "report-signature": 1}
    # What the vehicle signed is kept with its verdict, whatever came before it.
    with pytest.raises(MissingEcuError):
        registered.receive_manifest(car.manifest(reports=[car.report("ecu-brake")]))
    assert [item.refusal and item.refusal["code"] for item in registered.manifests("VIN1")] == ["missing-ecu"]


def test_what_an_authenticated_sender_sends_is_kept_once_in_part_and_not_without_end(
    registered: Director, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "MAX_REFUSED_PER_CODE", 3)
    monkeypatch.setattr(history, "MAX_REFUSED_BYTES", 10)
    for number in (1, 1, 2, 3, 4, 5):
        with pytest.raises(MalformedError):
            registered.receive_manifest(b"nonsense number %d" % number, vehicle="VIN1", authenticated=True)
    assert [item.data for item in registered.manifests("VIN1")] == [b"nonsense n"] * 3
    with pytest.raises(MalformedError):
        registered.receive_manifest(b"tomorrow", vehicle="VIN1", authenticated=True, now=at(days=2))
    assert len(registered.manifests("VIN1")) == 4


def test_old_history_is_pruned_and_what_is_in_force_stays(registered: Director, car: TestVehicle) -> None:
    for minutes in range(4):
        registered.receive_manifest(car.manifest(now=at(minutes=minutes)), now=at(minutes=minutes))
    before = registered.vehicle("VIN1")
    deleted = registered.prune(timedelta(days=1), now=at(days=2))
    assert (deleted["reports"], deleted["manifests"]) == (6, 3)
    assert registered.vehicle("VIN1") == before
    assert len(registered.manifests("VIN1")) == 1
    assert registered.audit()[0]["action"] == "prune"
    with pytest.raises(ConflictError), registered._database.writing() as connection:
        connection.exec_driver_sql("DELETE FROM manifests")
    car.counter = 2
    with pytest.raises(ReportReplayError):  # the counter is kept though its report is gone
        registered.receive_manifest(car.manifest(now=at(minutes=9)), now=at(minutes=9))


def test_of_two_identical_manifests_that_race_exactly_one_is_accepted(registered: Director, car: TestVehicle) -> None:
    for _ in range(5):
        data = car.manifest()

        def send(data: bytes = data) -> Acceptance | ReportReplayError:
            try:
                return registered.receive_manifest(data)
            except ReportReplayError as error:
                return error

        with ThreadPoolExecutor(4) as pool:
            outcomes = [future.result() for future in [pool.submit(send) for _ in range(4)]]
        assert sum(isinstance(outcome, Acceptance) for outcome in outcomes) == 1
    assert registered.vehicle("VIN1").reports[GW].counter == 5


def test_an_attack_indicator_is_kept_as_an_event(registered: Director, car: TestVehicle) -> None:
    registered.receive_manifest(car.manifest(attack="freeze", detail="expired"))
    events = [event for _, event in registered.events("VIN1") if event.kind == "attack"]
    assert {event.ecu for event in events} == {"ecu-gw", "ecu-brake"}
    assert registered.vehicle("VIN1").reports[GW].attack == "freeze"


def test_reports_are_taken_in_while_the_image_repository_is_away(
    registered: Director, car: TestVehicle, tmp_path: object
) -> None:
    import shutil

    shutil.rmtree(registered.settings.image_url)
    accepted = registered.receive_manifest(car.manifest())
    assert accepted.events == ()
    assert registered.vehicle("VIN1").reports[GW].installed.path == "gw/1.3.bin"
