"""Two people for every change of a key: no other command brings a known serial with another key past the second one."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.unit.director.stuck_vehicle import AktualizrStuck, NativeVehicle, StuckVehicle, unknown
from tests.unit.director.world import NOW, ImageSite
from twinlock.director.director import Director
from twinlock.director.errors.operator import SamePersonError, UnknownKeyChangeError
from twinlock.director.errors.vehicles import EcuKeyChangedError, SecondPersonError
from twinlock.director.model.records import BY_CERTIFICATE
from twinlock.director.model.settings import Settings
from twinlock.director.ways_out.key_changes import NewKey
from twinlock.trust.errors.base import Attack
from twinlock.trust.names import EcuId

LAMP = EcuId("lamp-1")
VEHICLES: dict[str, Callable[[], StuckVehicle]] = {"tuf": NativeVehicle, "aktualizr": AktualizrStuck}


@pytest.fixture
def careful(tmp_path: Path, site: ImageSite) -> Iterator[Director]:
    settings = Settings(second_person=True, wires=("tuf", "aktualizr"))
    path = tmp_path / "careful"
    location, now = str(site.path), lambda: NOW
    with Director.create(path, image_root=site.root, image_url=location, settings=settings, clock=now) as director:
        yield director


def enter(director: Director, vehicle: StuckVehicle) -> None:
    """An operator registers the vehicle, by whichever command its profile has."""
    if isinstance(vehicle, AktualizrStuck):
        director.devices.enter(vehicle.vin, vehicle.van.registration(), identified_by=BY_CERTIFICATE, actor="anna")
    else:
        vehicle.register(director)


def confirm(director: Director, vin: str, ecu: EcuId, fingerprint: str) -> None:
    change = director.ways_out.change_key(vin, NewKey(ecu=ecu, fingerprint=fingerprint), actor="anna")
    assert not change.applied
    with pytest.raises(SamePersonError):
        director.ways_out.confirm(change.number, actor="anna")
    director.ways_out.confirm(change.number, actor="ben")
    with pytest.raises(UnknownKeyChangeError) as caught:
        director.ways_out.confirm(change.number + 1, actor="ben")
    assert caught.value.number == change.number + 1


@pytest.mark.parametrize("profile", VEHICLES)
def test_retiring_an_ecu_and_adding_it_with_another_key_needs_the_second_person(
    careful: Director, profile: str
) -> None:
    vehicle = VEHICLES[profile]()
    vehicle.register(careful)
    vehicle.send(careful)
    before = vehicle.fingerprint("lamp-1")
    vehicle.new_key("lamp-1")
    careful.ways_out.retire(vehicle.vin, ["lamp-1"], actor="anna")
    with pytest.raises(SecondPersonError) as caught:
        careful.ways_out.add_ecu(vehicle.vin, vehicle.describe("lamp-1"), actor="anna")
    assert (caught.value.vehicle, caught.value.ecus) == (vehicle.vin, ("lamp-1",))
    assert (caught.value.code, caught.value.attack) == ("second-person", Attack.NONE)
    assert "lamp-1" not in careful.vehicle(vehicle.vin).ecus
    assert before != vehicle.fingerprint("lamp-1")
    # Confirmed by somebody else, just that key is taken, and the vehicle goes on.
    confirm(careful, vehicle.vin, LAMP, vehicle.fingerprint("lamp-1"))
    careful.ways_out.add_ecu(vehicle.vin, vehicle.describe("lamp-1"), actor="anna")
    assert careful.audit(vehicle.vin)[1]["action"] == "replace-key"
    vehicle.send(careful)
    assert unknown(careful, vehicle) == set()
    assert careful.ways_out.key_changes(vehicle.vin) == ()  # the permission is used up


@pytest.mark.parametrize("profile", VEHICLES)
def test_an_ecu_with_the_key_that_it_had_joins_without_a_second_person(careful: Director, profile: str) -> None:
    vehicle = VEHICLES[profile]()
    vehicle.register(careful)
    careful.ways_out.retire(vehicle.vin, ["lamp-1"])
    careful.ways_out.add_ecu(vehicle.vin, vehicle.describe("lamp-1"))
    vehicle.send(careful)
    assert unknown(careful, vehicle) == set()


@pytest.mark.parametrize("profile", VEHICLES)
def test_releasing_a_vehicle_and_registering_it_with_other_keys_needs_the_second_person(
    careful: Director, profile: str
) -> None:
    vehicle = VEHICLES[profile]()
    enter(careful, vehicle)
    careful.ways_out.retire(vehicle.vin, release=True, actor="anna")
    vehicle.new_key("gw-1")
    with pytest.raises(SecondPersonError) as caught:
        enter(careful, vehicle)
    assert caught.value.ecus == ("gw-1",)
    assert careful.vehicle(vehicle.vin).ecus == {}
    confirm(careful, vehicle.vin, EcuId("gw-1"), vehicle.fingerprint("gw-1"))
    enter(careful, vehicle)
    vehicle.send(careful)
    assert unknown(careful, vehicle) == set()


@pytest.mark.parametrize("profile", VEHICLES)
def test_a_released_serial_joins_another_vehicle_with_another_key_after_the_second_person(
    careful: Director, profile: str
) -> None:
    vehicle = VEHICLES[profile]()
    vehicle.register(careful)
    careful.ways_out.retire(vehicle.vin, ["lamp-1"], release=True, actor="anna")
    other = type(vehicle)(vin="VIN2", hardware={"gw-2": "gw-1", "lamp-1": "hw-9"})  # type: ignore[call-arg]
    with pytest.raises(SecondPersonError):
        enter(careful, other)
    confirm(careful, vehicle.vin, LAMP, other.fingerprint("lamp-1"))
    enter(careful, other)
    other.send(careful)
    assert unknown(careful, other) == set()


@pytest.mark.parametrize("profile", VEHICLES)
def test_a_vehicle_that_comes_by_itself_with_a_released_serial_is_refused(careful: Director, profile: str) -> None:
    vehicle = VEHICLES[profile]()
    vehicle.register(careful)
    careful.ways_out.retire(vehicle.vin, ["lamp-1"], release=True, actor="anna")
    other = type(vehicle)(vin="VIN2", hardware={"gw-2": "gw-1", "lamp-1": "hw-9"})  # type: ignore[call-arg]
    with pytest.raises(EcuKeyChangedError) as caught:
        other.come_with_keys(careful)
    assert caught.value.ecus == ("lamp-1",)
    assert [item["ecu"] for item in careful.ways_out.pending_keys("VIN2")] == ["lamp-1"]


def test_a_batch_is_no_way_around_it(careful: Director) -> None:
    vehicle = NativeVehicle()
    vehicle.register(careful)
    careful.ways_out.retire(vehicle.vin, release=True)
    vehicle.new_key("gw-1")
    result = careful.batches.register([("one.json", json.dumps(vehicle.car.description()).encode())])
    assert not result.stored
    assert [type(item.error) for item in result.refused] == [SecondPersonError]


def test_without_the_setting_such_a_change_is_still_in_the_audit(wired: Director) -> None:
    vehicle = NativeVehicle()
    vehicle.register(wired)
    vehicle.new_key("lamp-1")
    wired.ways_out.retire(vehicle.vin, ["lamp-1"])
    wired.ways_out.add_ecu(vehicle.vin, vehicle.describe("lamp-1"), actor="anna")
    row = wired.audit(vehicle.vin)[1]
    assert (row["action"], row["actor"], row["detail"]["ecus"]) == ("replace-key", "anna", ["lamp-1"])


def test_two_names_are_two_people_to_the_director(careful: Director) -> None:
    """What no setting can prevent, and the threat model states: names are compared, not people."""
    vehicle = NativeVehicle()
    vehicle.register(careful)
    vehicle.new_key("lamp-1")
    confirm(careful, vehicle.vin, LAMP, vehicle.fingerprint("lamp-1"))
    assert [change.confirmed_by for change in careful.ways_out.key_changes(vehicle.vin)] == ["ben"]


def test_orders_that_an_operators_change_ends_are_under_the_operator(careful: Director) -> None:
    vehicle = VEHICLES["aktualizr"]()
    enter(careful, vehicle)
    vehicle.send(careful)
    careful.assign(vehicle.vin, {"brake-1": "brake/2.0.bin"}, actor="bob")
    vehicle.hardware.pop("brake-1")
    enter(careful, vehicle)
    ended = [entry["actor"] for entry in careful.audit(vehicle.vin) if entry["action"] == "unassign"]
    assert ended == ["anna"]
