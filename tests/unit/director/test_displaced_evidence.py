"""A captured manifest sent again and again: it displaces nothing that the vehicle itself sends."""

from __future__ import annotations

import pytest

from tests.unit.director.world import TestVehicle, at
from twinlock.director.director import Director
from twinlock.director.errors.vehicles import DailyLimitError, UnknownVehicleError
from twinlock.director.inventory import history
from twinlock.director.model.judgement import ManifestPolicy
from twinlock.trust.errors.base import RefusalError
from twinlock.trust.errors.metadata import MalformedError
from twinlock.trust.errors.reports import MissingEcuError, ReportReplayError, ReportTimeError

VIN = "VIN1"


def refuse(director: Director, data: bytes, *, minutes: float = 0, authenticated: bool = False) -> RefusalError:
    with pytest.raises(RefusalError) as caught:
        director.receive_manifest(data, vehicle=VIN, authenticated=authenticated, now=at(minutes=minutes))
    return caught.value


def refusals(director: Director) -> list[str]:
    return [item.refusal["code"] for item in director.manifests(VIN, limit=1000) if item.refusal]


def counted(director: Director, vehicle: str = VIN) -> dict[str, int]:
    return {item["code"]: item["count"] for item in director.junk(vehicle)}


def test_copies_of_one_captured_manifest_are_junk_and_the_next_own_refusal_is_kept(
    director: Director, car: TestVehicle
) -> None:
    director.register(car.description())
    captured = car.manifest()
    director.receive_manifest(captured, vehicle=VIN)
    # The attack: no key is needed to send it again, each time with other white space around what is signed.
    copies = history.MAX_REFUSED_PER_CODE + 8
    for number in range(copies):
        error = refuse(director, captured + b" " * (number + 1))
        assert isinstance(error, ReportReplayError)
        assert (error.code, error.field, error.last) == ("report-replay", "counter", "1")
    assert refusals(director) == []
    assert counted(director) == {"report-replay": copies}
    # What the vehicle itself is refused for is kept, and its next honest manifest is taken.
    own = car.manifest(reports=[car.report("ecu-brake")])
    assert isinstance(refuse(director, own), MissingEcuError)
    assert next(item.data for item in director.manifests(VIN) if item.refusal) == own
    director.receive_manifest(car.manifest(), vehicle=VIN)


def test_copies_of_a_captured_manifest_that_was_refused_are_junk_too(director: Director, car: TestVehicle) -> None:
    director.register(car.description())
    director.receive_manifest(car.manifest(), vehicle=VIN)
    refused = car.manifest(reports=[car.report("ecu-brake")])
    refuse(director, refused)
    for number in range(5):
        refuse(director, refused + b"\n" * (number + 1))
    assert refusals(director) == ["missing-ecu"]
    assert counted(director) == {"missing-ecu": 5}


def test_an_old_manifest_is_junk_whatever_it_is_refused_for(director: Director, car: TestVehicle) -> None:
    director.register(car.description())
    captured = car.manifest()
    director.receive_manifest(captured, vehicle=VIN)
    director.receive_manifest(car.manifest(now=at(minutes=1)), vehicle=VIN, now=at(minutes=1))
    assert isinstance(refuse(director, captured, minutes=31 * 24 * 60), ReportTimeError)
    assert refusals(director) == []
    assert counted(director) == {"report-time": 1}


def test_an_authenticated_sender_is_in_the_history_with_what_it_repeats_once(
    director: Director, car: TestVehicle
) -> None:
    director.register(car.description())
    director.receive_manifest(car.manifest(), vehicle=VIN)
    car.counter = 0
    low = car.manifest(now=at(minutes=1))
    for number in range(3):
        refuse(director, low + b" " * number, minutes=2, authenticated=True)
    assert refusals(director) == ["report-replay"]
    assert counted(director) == {}
    accepted = next(item.data for item in director.manifests(VIN) if not item.refusal)
    for _ in range(2):  # one that repeats to the byte what was accepted, as after a restored backup
        refuse(director, accepted, authenticated=True)
    assert refusals(director) == ["report-replay"] * 2


def test_each_code_has_a_share_of_its_own(
    director: Director, car: TestVehicle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "MAX_REFUSED_PER_CODE", 3)
    director.register(car.description())
    for number in range(5):
        refuse(director, b"nonsense %d" % number, authenticated=True)
    refuse(director, car.manifest(reports=[car.report("ecu-brake")]))
    assert refusals(director) == ["missing-ecu", *["malformed"] * 3]


def test_refusals_outside_manifests_have_a_share_for_each_code(
    director: Director, car: TestVehicle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "MAX_REFUSED_PER_CODE", 3)
    director.register(car.description())
    for number in range(5):
        error = MalformedError(what="registration", json_path="$", reason=f"number {number}")
        with director._database.writing() as connection:
            history.record_refusal(connection, VIN, error, at())
    with director._database.writing() as connection:
        history.record_refusal(connection, VIN, MissingEcuError(vehicle=VIN, missing=("ecu-gw",)), at())
    assert [event.code for _, event in director.events(VIN)] == ["missing-ecu", *["malformed"] * 3]


def test_what_comes_to_an_unknown_address_is_counted_together(director: Director, car: TestVehicle) -> None:
    director.register(car.description())
    for vehicle, data in (("NOPE", b"junk"), ("NONE", TestVehicle("NONE", {"ecu-x": "hw-1"}).manifest())):
        with pytest.raises(UnknownVehicleError):
            director.receive_manifest(data, vehicle=vehicle)
    assert counted(director, "") == {"unknown-vehicle": 2}
    assert counted(director) == {}
    director.ways_out.retire(VIN)
    with pytest.raises(UnknownVehicleError):
        director.receive_manifest(car.manifest(), vehicle=VIN)
    assert counted(director) == {"vehicle-retired": 1}


def test_one_vehicle_cannot_fill_the_disk(
    director: Director, car: TestVehicle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever has its Primary's key signs as many manifests as they like. Nothing that was stored is lost, and others go on."""
    director.register(car.description())
    first = car.manifest()
    director.receive_manifest(first, vehicle=VIN)
    monkeypatch.setattr(director._intake, "_policy", ManifestPolicy(daily_bytes=3 * len(first)))
    director.receive_manifest(car.manifest(now=at(minutes=1)), vehicle=VIN, now=at(minutes=1))
    for minutes in (2, 3):
        with pytest.raises(DailyLimitError):
            director.receive_manifest(car.manifest(now=at(minutes=minutes)), vehicle=VIN, now=at(minutes=minutes))
            director.receive_manifest(car.manifest(now=at(minutes=minutes)), vehicle=VIN, now=at(minutes=minutes))
    assert [event.code for _, event in director.events(VIN)].count("daily-limit") == 1
    shown = director.status(now=at(minutes=4)).vehicles[VIN]
    assert shown.state == "failing"
    assert [reason for reason in shown.reasons if reason.startswith(f"daily-limit on {VIN}: ")] == list(
        shown.reasons[:1]
    )
    assert director.status(now=at(days=2)).vehicles[VIN].state != "failing"
    kept = director.manifests(VIN)
    assert sum(len(item.data) for item in kept) <= 3 * len(first)
    tomorrow = at(days=1, minutes=2)
    director.receive_manifest(car.manifest(now=tomorrow), vehicle=VIN, now=tomorrow)
    assert len(director.manifests(VIN)) == len(kept) + 1
