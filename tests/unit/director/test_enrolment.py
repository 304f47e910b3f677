"""Registering vehicles: what a description has to be, what the inventory tolerates, and one-time tokens."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from tests.unit.director.world import TestVehicle, at, test_key
from twinlock.director.director import Director
from twinlock.director.errors.operator import ValidityError
from twinlock.director.errors.vehicles import (
    EcuKeyChangedError,
    EnrolmentTokenError,
    RegistrationError,
    UnknownVehicleError,
)
from twinlock.trust.errors.base import RefusalError
from twinlock.trust.errors.metadata import MalformedError, UnsafePathError, UnusableKeyError, WeakKeyError
from twinlock.trust.names import EcuId, Verification

VIN = "VIN1"


def encoded(description: dict[str, Any]) -> bytes:
    import json

    return json.dumps(description).encode()


def test_a_registered_vehicle_is_what_was_described(director: Director) -> None:
    car = TestVehicle(VIN, {"ecu-gw": "gw-1", "ecu-brake": "hw-7"}, partial=frozenset({"ecu-brake"}))
    assert director.register(car.description()) is True
    record = director.vehicle(VIN)
    assert record.primary == "ecu-gw"
    assert {ecu: item.hardware_id for ecu, item in record.ecus.items()} == car.hardware
    assert [item.primary for item in record.ecus.values()] == [False, True]
    assert record.ecus[EcuId("ecu-brake")].verification is Verification.PARTIAL
    for ecu, item in record.ecus.items():
        assert item.key == car.signers[ecu].public_key


def test_registering_the_same_again_changes_nothing_in_any_order(director: Director, car: TestVehicle) -> None:
    assert director.register(car.description()) is True
    again = car.description()
    again["ecus"].reverse()
    assert director.register(again) is False
    assert [row["action"] for row in director.audit(VIN)] == ["register"]


@pytest.mark.parametrize(
    "change",
    [
        lambda body: body["ecus"][1].update(hardwareId="hw-8"),
        lambda body: body["ecus"].pop(),
        lambda body: body.update(primary="ecu-brake"),
        lambda body: body["ecus"][1].update(verification="partial"),
        lambda body: body["ecus"][1]["key"]["keyval"].update(public=test_key("other").public_key.keyval["public"]),
    ],
)
def test_registering_something_else_under_the_same_id_is_refused(
    director: Director, car: TestVehicle, change: Callable[[Any], Any]
) -> None:
    director.register(car.description())
    before = director.vehicle(VIN)
    other = copy.deepcopy(car.description())
    change(other)
    with pytest.raises((RegistrationError, EcuKeyChangedError)) as caught:
        director.register(other)
    assert caught.value.fields()["vehicle"] == VIN
    assert "twinlock director" in caught.value.hint
    assert director.vehicle(VIN) == before


def test_an_ecu_belongs_to_one_vehicle(director: Director, car: TestVehicle) -> None:
    director.register(car.description())
    thief = TestVehicle("VIN2", {"ecu-gw": "gw-1"})
    with pytest.raises(RegistrationError) as caught:
        director.register(thief.description())
    assert caught.value.field == "ecus"
    assert VIN in caught.value.reason
    with pytest.raises(UnknownVehicleError):
        director.vehicle("VIN2")


def test_a_key_belongs_to_one_ecu_whatever_its_key_id(director: Director, car: TestVehicle) -> None:
    director.register(car.description())
    clone = TestVehicle("VIN2", {"ecu-new": "gw-1"}).description()
    clone["ecus"][0]["key"] = car.signers["ecu-gw"].public_key.as_json()
    with pytest.raises(RegistrationError) as caught:
        director.register(clone)
    assert "ecu-gw" in caught.value.reason
    twins = car.description()
    twins["vehicle"] = "VIN3"
    twins["ecus"][1]["key"] = twins["ecus"][0]["key"]
    with pytest.raises(RegistrationError):
        director.register(twins)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda body: body.pop("primary"), MalformedError),
        (lambda body: body.update(primary="ecu-none"), RegistrationError),
        (lambda body: body.update(ecus=[]), RegistrationError),
        (lambda body: body["ecus"].append(body["ecus"][0]), RegistrationError),
        (lambda body: body.update(vehicle="../etc"), UnsafePathError),
        (lambda body: body["ecus"][0].update(ecu="con"), UnsafePathError),
        (lambda body: body["ecus"][0].pop("key"), MalformedError),
        (lambda body: body["ecus"][0].pop("keyid"), MalformedError),
        (lambda body: body["ecus"][0].pop("hardwareId"), MalformedError),
        (lambda body: body["ecus"][0].update(verification="none"), MalformedError),
        (lambda body: body["ecus"][0].update(verification="partial"), MalformedError),
        (lambda body: body["ecus"][0]["key"]["keyval"].update(private="00"), MalformedError),
        (lambda body: body["ecus"][0]["key"].update(keytype="rot13"), UnusableKeyError),
        (lambda body: body["ecus"][0]["key"]["keyval"].update(public="00" * 32), WeakKeyError),
    ],
)
def test_an_unsound_description_is_refused(
    director: Director, car: TestVehicle, change: Callable[[Any], Any], error: type[RefusalError]
) -> None:
    body = car.description()
    change(body)
    with pytest.raises(error):
        director.register(body)
    assert director.vehicles() == ()


def test_a_token_admits_its_vehicle_once(director: Director, car: TestVehicle) -> None:
    token = director.enrolment_token(VIN)
    assert director.enrol(VIN, token, encoded(car.description())) is True
    assert director.vehicle(VIN).primary == "ecu-gw"
    # The answer may have been lost: the same request is answered again, and nothing else is.
    assert director.enrol(VIN, token, encoded(car.description())) is False
    other = car.description()
    other["ecus"].pop()
    with pytest.raises(EnrolmentTokenError):
        director.enrol(VIN, token, encoded(other))


def test_a_token_of_another_vehicle_or_none_or_an_old_one_admits_nobody(director: Director, car: TestVehicle) -> None:
    token = director.enrolment_token(VIN, valid_s=60)
    other = director.enrolment_token("VIN2")
    for wrong, now in ((other, at()), ("", at()), ("x", at()), (token, at(seconds=60))):
        with pytest.raises(EnrolmentTokenError) as caught:
            director.enrol(VIN, wrong, encoded(car.description()), now=now)
        assert caught.value.fields() == {"vehicle": VIN}
    assert director.vehicles() == ()
    assert director.enrol(VIN, token, encoded(car.description()), now=at(seconds=59)) is True


def test_a_refused_enrolment_does_not_use_the_token_up(director: Director, car: TestVehicle) -> None:
    token = director.enrolment_token(VIN)
    with pytest.raises(RegistrationError):
        director.enrol(VIN, token, encoded(TestVehicle("VIN2", {"ecu-2": "gw-1"}).description()))
    assert director.enrol(VIN, token, encoded(car.description())) is True


def test_the_inventory_holds_no_token_in_clear(director: Director) -> None:
    token = director.enrolment_token(VIN)
    files = [path.read_bytes() for path in director.path.glob("inventory.sqlite*")]
    assert files
    assert not any(token.encode() in data for data in files)


@pytest.mark.parametrize("valid_s", [0, -1, 10**9])
def test_a_token_has_a_sane_lifetime(director: Director, valid_s: int) -> None:
    with pytest.raises(ValidityError):
        director.enrolment_token(VIN, valid_s=valid_s)
