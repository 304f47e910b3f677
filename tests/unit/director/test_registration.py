"""ECUs of vehicles with aktualizr: what a registration has to be, and how the set of ECUs may change."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import insert, select

from tests.unit.director.device_world import Device, audited, confirm_pending, ed25519_public, rsa_public, wire_key
from tests.unit.director.world import NOW, TestVehicle, at
from twinlock.director.devices import ecu_changes as membership
from twinlock.director.devices.registration import read_registration
from twinlock.director.director import Director
from twinlock.director.errors.operator import NeedsNoCertificateError, ValidityError
from twinlock.director.errors.vehicles import (
    DailyLimitError,
    EcuKeyChangedError,
    EcuTakenError,
    RegistrationError,
    UnknownVehicleError,
)
from twinlock.director.inventory import schema
from twinlock.director.inventory.counters import raise_counter
from twinlock.director.inventory.database import Inventory
from twinlock.director.inventory.vehicles import key_identity
from twinlock.director.model.records import BY_CERTIFICATE, BY_SERIAL, VehicleRecord
from twinlock.director.ways_out.key_changes import NewKey
from twinlock.trust.errors.base import RefusalError
from twinlock.trust.errors.metadata import MalformedError, UnsafePathError, WeakKeyError
from twinlock.trust.names import EcuId

GW, BRAKE, ADAS = EcuId("gw-7"), EcuId("brake-7"), EcuId("adas-7")


@pytest.fixture
def device() -> Device:
    return Device()


def register(director: Director, device: Device, **options: Any) -> Any:
    return director.devices.register(device.identity(), device.registration(), **options)


def record_of(director: Director, device: Device) -> VehicleRecord:
    return director.vehicle(device.vehicle)


def write(director: Director, *statements: Any) -> None:
    with (
        Inventory.connect("sqlite:///inventory.sqlite", directory=director.path) as database,
        database.writing() as connection,
    ):
        for statement in statements:
            connection.execute(statement)


def counted(director: Director, ecu: EcuId, counter: int) -> None:
    """As if the ECU had sent a report with that counter under the key that it has."""
    with director._database.writing() as connection:
        key = connection.execute(select(schema.ecus.c.key_identity).where(schema.ecus.c.ecu == ecu)).scalar_one()
        raise_counter(connection, ecu, key, counter)


def test_a_first_registration_makes_a_vehicle_of_that_wire(director: Director, device: Device) -> None:
    rsa = rsa_public("gw")
    device.keys["gw-7"] = wire_key("RSA", rsa)
    assert register(director, device).new
    record = record_of(director, device)
    assert (record.profile, record.identified_by, record.primary) == ("aktualizr", BY_CERTIFICATE, GW)
    assert {ecu: item.hardware_id for ecu, item in record.ecus.items()} == device.hardware
    gateway, brake = record.ecus[GW].key, record.ecus[BRAKE].key
    assert (gateway.keytype, gateway.scheme) == ("rsa", "rsassa-pss-sha256")
    assert gateway.keyid == hashlib.sha256(json.dumps(rsa.rstrip("\n")).encode()).hexdigest()
    # As the client sends it, upper case and all: that is what its own key id is over.
    sent = ed25519_public("VIN7 brake-7")
    assert brake.keyid == hashlib.sha256(f'"{sent}"'.encode()).hexdigest()
    assert (brake.keytype, brake.public) == ("ed25519", sent.lower())
    assert audited(director, "VIN7", "register") == [
        {"ecus": ["brake-7", "gw-7"], "wire": "aktualizr", "identifiedBy": "certificate"}
    ]
    assert [item.profile for item in director.vehicles()] == ["aktualizr"]


def test_the_same_again_changes_nothing_in_any_order(director: Director, device: Device) -> None:
    register(director, device)
    before = record_of(director, device)
    body = device.body()
    body["ecus"].reverse()
    assert director.devices.register(device.identity(), json.dumps(body).encode()).nothing
    assert record_of(director, device) == before
    assert [row["action"] for row in director.audit("VIN7")] == ["register"]


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda body: body.pop("primary_ecu_serial"), MalformedError),
        (lambda body: body.update(primary_ecu_serial="none"), RegistrationError),
        (lambda body: body.update(ecus=[]), RegistrationError),
        (lambda body: body["ecus"].append(body["ecus"][0]), RegistrationError),
        (lambda body: body["ecus"][0].update(ecu_serial="../x"), UnsafePathError),
        (lambda body: body["ecus"][0].update(ecu_serial="x" * 200), UnsafePathError),
        (lambda body: body["ecus"][0].update(hardware_identifier=""), UnsafePathError),
        (lambda body: body["ecus"][0].pop("clientKey"), MalformedError),
        (lambda body: body["ecus"][0]["clientKey"].update(keytype="ECDSA"), MalformedError),
        (lambda body: body["ecus"][0]["clientKey"]["keyval"].update(public="\x7f" * 64), MalformedError),
        (lambda body: body["ecus"][0]["clientKey"]["keyval"].update(private="00"), MalformedError),
        (lambda body: body["ecus"][0]["clientKey"]["keyval"].update(public="00" * 32), WeakKeyError),
        (lambda body: body["ecus"][0].update(clientKey=wire_key("RSA", rsa_public("short", 1024))), WeakKeyError),
        (lambda body: body["ecus"][0].update(clientKey=body["ecus"][1]["clientKey"]), RegistrationError),
        (lambda body: body.update(ecus=body["ecus"] * 200), RefusalError),
    ],
)
def test_an_unsound_registration_is_refused(
    director: Director, device: Device, change: Callable[[Any], Any], error: type[RefusalError]
) -> None:
    body = device.body()
    change(body)
    with pytest.raises(error):
        director.devices.register(device.identity(), json.dumps(body).encode())
    with pytest.raises(RefusalError):
        director.devices.register(device.identity(), b"x" * 1_000_001)
    assert director.vehicles() == ()


def test_an_ecu_that_is_left_away_is_retired_and_its_assignment_ends(director: Director, device: Device) -> None:
    register(director, device)
    row = {"vehicle": "VIN7", "ecu": BRAKE, "path": "brake/1.0.bin"}
    size = {"length": 1, "hashes": {}, "withdrawn": False}
    write(
        director,
        insert(schema.assignments).values(**row, assigned_at=NOW, actor="operator"),
        insert(schema.outstanding).values(**row, **size, image="aa"),
    )
    del device.hardware["brake-7"]
    device.hardware["adas-7"] = "adas"
    change = register(director, device, now=at(hours=1))
    assert (change.added, change.retired, change.rekeyed) == ((ADAS,), (BRAKE,), ())
    record = record_of(director, device)
    assert set(record.ecus) == {GW, ADAS}
    assert record.retired == {BRAKE: at(hours=1)}
    assert director.assignments("VIN7") == ()
    assert [(item.ecus, item.primary) for item in director.vehicles()] == [(2, GW)]
    assert audited(director, "VIN7", "change-ecus") == [
        {"added": ["adas-7"], "retired": ["brake-7"], "primary": "gw-7"}
    ]
    assert audited(director, "VIN7", "unassign") == [{"ecus": ["brake-7"]}]
    # Nothing waits for the ECU that is gone.
    with (
        Inventory.connect("sqlite:///inventory.sqlite", directory=director.path) as database,
        database.reading() as connection,
    ):
        assert connection.execute(select(schema.outstanding)).all() == []
        assert connection.execute(select(schema.vehicles.c.revision)).scalar_one() > 0


def test_an_ecu_that_comes_back_with_its_key_is_what_it_was(director: Director, device: Device) -> None:
    register(director, device)
    counted(director, BRAKE, 41)
    before = record_of(director, device)
    hardware = device.hardware.pop("brake-7")
    register(director, device)
    device.hardware["brake-7"] = hardware
    change = register(director, device)
    assert (change.returned, change.added, change.rekeyed) == ((BRAKE,), (), ())
    assert record_of(director, device) == before
    with (
        Inventory.connect("sqlite:///inventory.sqlite", directory=director.path) as database,
        database.reading() as connection,
    ):
        query = select(schema.report_counters.c.highest).where(schema.report_counters.c.ecu == BRAKE)
        assert connection.execute(query).scalar_one() == 41


def test_a_changed_key_is_refused_until_an_operator_allows_it_once(director: Director, device: Device) -> None:
    register(director, device)
    counted(director, GW, 41)
    before = record_of(director, device)
    device.keys["gw-7"] = wire_key("ED25519", ed25519_public("a new one"))
    with pytest.raises(EcuKeyChangedError) as caught:
        register(director, device)
    assert caught.value.fields() == {"vehicle": "VIN7", "ecus": ("gw-7",)}
    assert "twinlock director rekey" in caught.value.hint
    assert record_of(director, device) == before
    (pending,) = director.ways_out.pending_keys("VIN7")
    assert (pending["ecu"], pending["hardwareId"]) == ("gw-7", "gateway")
    (refused,) = [event for _, event in director.events("VIN7")]
    assert (refused.kind, refused.code) == ("attack", "ecu-key-changed")
    assert confirm_pending(director, "VIN7") == ["gw-7"]
    after = record_of(director, device)
    assert after.ecus[GW].key.public == ed25519_public("a new one").lower()
    assert after.ecus[GW].highest_counter is None  # another key counts for itself
    assert director.ways_out.pending_keys("VIN7") == []
    (change,) = audited(director, "VIN7", "replace-key")
    assert change["keys"] == [before.ecus[GW].key.keyid, after.ecus[GW].key.keyid]
    assert register(director, device).nothing
    device.keys["gw-7"] = wire_key("ED25519", ed25519_public("and another"))
    with pytest.raises(EcuKeyChangedError):
        register(director, device, now=at(seconds=30))


def test_a_key_that_is_named_beforehand_is_taken_once_and_no_other(director: Director, device: Device) -> None:
    register(director, device)
    before, old = record_of(director, device), device.keys["gw-7"]
    device.keys["gw-7"] = wire_key("ED25519", ed25519_public("announced"))
    announced = read_registration(device.registration(), device.identity().vehicle).ecus[GW]
    wanted = NewKey(ecu=GW, fingerprint=key_identity(announced.key))
    director.ways_out.change_key("VIN7", wanted, valid_s=60)
    device.keys["gw-7"] = wire_key("ED25519", ed25519_public("a thief's"))
    with pytest.raises(EcuKeyChangedError):
        register(director, device)
    device.keys["gw-7"] = wire_key("ED25519", ed25519_public("announced"))
    with pytest.raises(EcuKeyChangedError):  # it lapses
        register(director, device, now=at(seconds=60))
    assert record_of(director, device) == before
    assert register(director, device, now=at(seconds=59)).rekeyed == (GW,)
    device.keys["gw-7"] = old
    with pytest.raises(EcuKeyChangedError):
        register(director, device, now=at(seconds=59))


def test_an_ecu_that_comes_back_with_another_key_is_no_old_friend(director: Director, device: Device) -> None:
    register(director, device)
    hardware = device.hardware.pop("brake-7")
    register(director, device)
    device.hardware["brake-7"] = hardware
    device.keys["brake-7"] = wire_key("ED25519", ed25519_public("other"))
    with pytest.raises(EcuKeyChangedError):
        register(director, device)
    confirm_pending(director, "VIN7")
    assert BRAKE in record_of(director, device).ecus
    assert register(director, device).nothing


def test_the_key_may_live_on_under_another_serial_of_the_vehicle(director: Director, device: Device) -> None:
    register(director, device)
    device.keys["gw-8"] = device.keys["gw-7"]
    device.hardware = {"gw-8": "gateway", "brake-7": "brake"}
    change = register(director, device)
    assert (change.added, change.retired) == (("gw-8",), (GW,))
    assert record_of(director, device).primary == "gw-8"
    device.hardware = {"gw-7": "gateway", "brake-7": "brake"}
    change = register(director, device)
    assert (change.returned, change.retired) == ((GW,), ("gw-8",))
    assert record_of(director, device).primary == GW


def test_two_ecus_never_hold_one_key(director: Director, device: Device) -> None:
    register(director, device)
    device.keys["brake-7"], device.keys["gw-7"] = device.keys["gw-7"], device.keys["brake-7"]
    with pytest.raises(RegistrationError) as caught:
        register(director, device)
    assert caught.value.field == "ecus"


def test_another_hardware_id_is_taken_and_ends_what_was_assigned(director: Director, device: Device) -> None:
    register(director, device)
    row = {"vehicle": "VIN7", "path": "x", "assigned_at": NOW, "actor": "operator"}
    write(
        director,
        insert(schema.assignments).values(**row, ecu=BRAKE),
        insert(schema.assignments).values(**row, ecu=GW),
    )
    device.hardware["brake-7"] = "brake-mk2"
    change = register(director, device)
    assert change.altered == (BRAKE,)
    assert record_of(director, device).ecus[BRAKE].hardware_id == "brake-mk2"
    assert [item.ecu for item in director.assignments("VIN7")] == [GW]
    assert audited(director, "VIN7", "change-ecus")[0]["hardware"] == {"brake-7": ["brake", "brake-mk2"]}


def test_the_primary_may_become_another(director: Director, device: Device) -> None:
    register(director, device)
    device.hardware = dict(reversed(device.hardware.items()))
    assert register(director, device).altered == (BRAKE, GW)
    assert record_of(director, device).primary == BRAKE


@pytest.mark.parametrize("retired", [False, True])
def test_ecus_and_keys_of_another_vehicle_are_refused(director: Director, device: Device, retired: bool) -> None:
    register(director, device)
    if retired:
        before = dict(device.hardware)
        del device.hardware["brake-7"]
        register(director, device)
        device.hardware = before
    thief = Device("VIN8", {"gw-8": "gateway", "brake-7": "brake"})
    with pytest.raises(EcuTakenError):
        register(director, thief)
    thief.hardware = {"gw-8": "gateway", "brake-8": "brake"}
    thief.keys["brake-8"] = device.keys["brake-7"]
    with pytest.raises(EcuTakenError):
        register(director, thief)
    with pytest.raises(UnknownVehicleError):
        director.vehicle("VIN8")
    del thief.hardware["brake-8"]
    register(director, thief)
    thief.hardware["brake-7"] = "brake"
    with pytest.raises(EcuTakenError) as caught:
        register(director, thief)
    assert "VIN7" not in str(caught.value)
    assert set(director.vehicle("VIN8").ecus) == {"gw-8"}


def test_a_device_that_cannot_make_up_its_mind_is_slowed_down(
    director: Director, device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(membership, "MAX_CHANGES_PER_DAY", 2)
    register(director, device)
    for hardware in ("mk2", "mk3"):
        device.hardware["brake-7"] = hardware
        register(director, device)
    device.hardware["brake-7"] = "mk4"
    with pytest.raises(DailyLimitError):
        register(director, device)
    assert record_of(director, device).ecus[BRAKE].hardware_id == "mk3"
    device.hardware["brake-7"] = "mk3"
    assert register(director, device).nothing
    device.hardware["brake-7"] = "mk4"
    assert register(director, device, now=at(days=1)).altered == (BRAKE,)


def test_a_vehicle_of_our_own_wire_stays_what_it_is(fleet: Director, car: TestVehicle) -> None:
    before = fleet.vehicle("VIN1")
    with pytest.raises(RegistrationError) as caught:
        register(fleet, Device("VIN1", {"gw-x": "gateway"}))
    assert caught.value.field == "vehicle"
    with pytest.raises(EcuTakenError):
        register(fleet, Device("VIN7", {"ecu-gw": "gw-1"}))
    assert fleet.vehicle("VIN1") == before


def test_a_permission_has_a_sane_lifetime_and_a_known_vehicle(director: Director, device: Device) -> None:
    with pytest.raises(UnknownVehicleError):
        director.devices.allow_certificate("VIN7")
    director.register(TestVehicle("VIN1", {"ecu-gw": "gw-1"}).description())
    with pytest.raises(NeedsNoCertificateError):
        director.devices.allow_certificate("VIN1")
    register(director, device)
    for valid_s in (0, -1, 10**8):
        with pytest.raises(ValidityError):
            director.devices.allow_certificate("VIN7", valid_s=valid_s)
    assert director.devices.allow_certificate("VIN7", valid_s=60, actor="alice") == at(seconds=60)
    assert director.audit("VIN7")[0]["actor"] == "alice"


def test_senders_that_prove_nothing_do_not_keep_the_vehicles_own_key_from_the_operator(
    director: Director, device: Device
) -> None:
    """Anybody who reaches the port can come with keys for a vehicle that is known by its serial; places are bounded."""
    register(director, device)
    noise = Device()

    def come(name: str, identified_by: str, **options: Any) -> None:
        noise.keys["gw-7"] = wire_key("ED25519", ed25519_public(name))
        with pytest.raises(EcuKeyChangedError):
            director.devices.register(noise.identity(identified_by), noise.registration(), **options)

    for number in range(12):
        come(f"noise {number}", BY_SERIAL)
    assert len(director.ways_out.pending_keys("VIN7")) == 8
    come("the new part", BY_CERTIFICATE, now=at(minutes=1))
    pending = director.ways_out.pending_keys("VIN7")
    assert len(pending) == 8
    assert [item["authenticated"] for item in pending] == [True] + 7 * [False]
    noise.hardware["gw-7"] = "evil"
    come("the new part", BY_SERIAL, now=at(minutes=2))
    assert director.ways_out.pending_keys("VIN7") == pending, "what a proven sender sent stays as it was sent"
    noise.hardware["gw-7"] = "gateway"
    come("more noise", BY_SERIAL, now=at(minutes=2))
    assert director.ways_out.pending_keys("VIN7") == pending, "what was first stays: newer noise displaces nothing"
    come("a month later", BY_SERIAL, now=at(days=31))
    kept = {item["fingerprint"] for item in director.ways_out.pending_keys("VIN7")}
    assert pending[0]["fingerprint"] in kept
    assert len(kept - {item["fingerprint"] for item in pending}) == 1
