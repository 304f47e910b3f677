"""What is shown and recorded of ECUs that left and of changes that wait, and what is refused in words of its own."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from click.testing import CliRunner

from tests.unit.director.stuck_vehicle import NativeVehicle
from tests.unit.director.world import at
from twinlock.cli.main import main
from twinlock.cli.signing.root_commands import _expiry_words
from twinlock.director.director import Director
from twinlock.director.errors.operator import DeliveredElsewhereError, SamePersonError
from twinlock.director.errors.vehicles import KeyChangeError
from twinlock.director.model.vehicle_description import read_ecu
from twinlock.director.ways_out.key_changes import NewKey
from twinlock.repository.workspace.validity import utc_now
from twinlock.trust.names import EcuId

LAMP = EcuId("lamp-1")


def test_what_an_ecu_ran_that_left_is_marked_and_leaving_again_changes_nothing(wired: Director) -> None:
    vehicle = NativeVehicle()
    vehicle.register(wired)
    vehicle.send(wired)
    assert {item.left_at for item in wired.installations(vehicle.vin)} == {None}
    wired.ways_out.retire(vehicle.vin, [LAMP], now=at(minutes=5))
    left = {item.ecu: item.left_at for item in wired.installations(vehicle.vin)}
    assert (left.pop(LAMP), set(left.values())) == (at(minutes=5), {None})
    listed = CliRunner().invoke(main, ["director", "installed", str(wired.path), vehicle.vin])
    assert [LAMP in line for line in listed.output.splitlines() if "left the vehicle 2" in line] == [True]
    wired.ways_out.retire(vehicle.vin, [LAMP], release=True)
    wired.ways_out.retire(vehicle.vin, now=at(minutes=6))
    audited = len(wired.audit())
    wired.ways_out.retire(vehicle.vin, [LAMP], release=True, now=at(minutes=7))
    wired.ways_out.retire(vehicle.vin, now=at(minutes=7))
    assert len(wired.audit()) == audited
    assert wired.vehicle(vehicle.vin).retired_at == at(minutes=6)
    wired.ways_out.retire(vehicle.vin, release=True)
    assert len(wired.audit()) == audited + 1
    wired.ways_out.retire(vehicle.vin, release=True)
    assert len(wired.audit()) == audited + 1


def test_a_delivery_record_cannot_name_an_ecu_that_another_vehicle_has(wired: Director) -> None:
    vehicle = NativeVehicle()
    vehicle.register(wired)
    before = len(wired.audit())
    record = json.dumps({"VIN8": {"gw-8": {}}, "VIN9": {LAMP: {}}}).encode()
    with pytest.raises(DeliveredElsewhereError) as caught:
        wired.ways_out.declare_delivery(record)
    assert caught.value.fields() == {"ecu": LAMP, "vehicle": "VIN9", "owner": vehicle.vin}
    assert len(wired.audit()) == before
    assert wired.ways_out.declare_delivery(json.dumps({vehicle.vin: {LAMP: {}}}).encode()) == 1


def test_a_key_change_with_the_description_of_another_ecu_is_refused_in_its_own_words(wired: Director) -> None:
    vehicle = NativeVehicle()
    vehicle.register(wired)
    wanted = NewKey(ecu=LAMP, described=read_ecu(vehicle.describe("brake-1")))
    with pytest.raises(KeyChangeError) as caught:
        wired.ways_out.change_key(vehicle.vin, wanted)
    assert f"the key of {LAMP} in {vehicle.vin} cannot be changed" in str(caught.value)


def test_a_change_of_a_key_shows_for_whom_it_waits_and_one_person_is_not_two(wired: Director) -> None:
    vehicle = NativeVehicle()
    vehicle.register(wired)
    object.__setattr__(wired.ways_out, "_settings", type(wired.settings)(second_person=True))
    now = utc_now()
    change = wired.ways_out.change_key(
        vehicle.vin, NewKey(ecu=LAMP, fingerprint="ab" * 32), valid_s=86_400, actor="bob", now=now
    )

    def shown() -> str:
        lines = CliRunner().invoke(main, ["director", "show", str(wired.path), vehicle.vin]).output.splitlines()
        return next(line for line in lines if line.startswith(f"change {change.number} of the key"))

    assert "waits for a second person" in shown()
    for same in ("BOB", " bob ", "Bob"):
        with pytest.raises(SamePersonError):
            wired.ways_out.confirm(change.number, actor=same, now=now)
    wired.ways_out.confirm(change.number, actor="anna", now=now)
    assert f"waits for {LAMP} to come with it" in shown()


def test_an_expiry_is_shown_as_a_change_only_where_it_is_one_and_visibly() -> None:
    assert _expiry_words(at(), at()) == f"expires {at():%Y-%m-%d}, unchanged"
    assert _expiry_words(at(), at() + timedelta(days=1)).count("T") == 0
    words = _expiry_words(at(), at() + timedelta(seconds=1))
    old, new = words.removeprefix("expires ").split("; it was ")
    assert old != new
