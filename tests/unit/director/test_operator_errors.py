"""What an operator asks that cannot be done has a class of its own, whose fields say what stands in the way."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.unit.director.aktualizr_vehicle import AktualizrVehicle
from tests.unit.director.world import NOW, TestVehicle, at
from twinlock.director.director import Director
from twinlock.director.errors.operator import (
    CounterResetError,
    EcusReleasedError,
    NotRetiredError,
    PrimaryNeededError,
    SettingError,
    UnfitRootError,
    UnknownSerialError,
)
from twinlock.director.model.records import BY_SERIAL
from twinlock.director.setup.config import CONFIG
from twinlock.trust.errors.base import TwinlockError, UsageError

VIN = "VIN1"


def refused(error: type[TwinlockError], act: Callable[[], object]) -> dict[str, object]:
    """The fields of the refusal without the empty ``reason`` that every usage error has; nothing is decided by a sentence."""
    with pytest.raises(UsageError) as caught:
        act()
    assert type(caught.value) is error
    return {name: value for name, value in caught.value.fields().items() if name != "reason" or value}


def test_a_primary_is_not_taken_from_its_vehicle(fleet: Director) -> None:
    for act in (
        lambda: fleet.ways_out.declare_out_of_order(VIN, ["ecu-gw"]),
        lambda: fleet.ways_out.retire(VIN, ["ecu-gw"]),
        lambda: fleet.ways_out.release("ecu-gw", to="VIN2"),
    ):
        assert refused(PrimaryNeededError, act) == {"vehicle": VIN, "ecu": "ecu-gw"}


def test_a_vehicle_comes_back_only_if_it_is_retired_and_has_ecus(fleet: Director) -> None:
    assert refused(NotRetiredError, lambda: fleet.ways_out.reactivate(VIN)) == {"vehicle": VIN}
    fleet.ways_out.retire(VIN, release=True)
    assert refused(EcusReleasedError, lambda: fleet.ways_out.reactivate(VIN)) == {"vehicle": VIN}


def test_a_serial_that_no_vehicle_registered_is_not_released(fleet: Director) -> None:
    for owner in (None, VIN):
        with pytest.raises(UnknownSerialError):
            fleet.ways_out.release("ecu-none", to=owner)
    assert refused(UnknownSerialError, lambda: fleet.ways_out.release("ecu-none")) == {"ecu": "ecu-none"}


def test_each_release_of_a_serial_is_in_the_audit(fleet: Director) -> None:
    for owner in (VIN, "VIN-TO-COME"):
        fleet.ways_out.release("ecu-brake", to=owner, actor="ann")
    entries = [entry for entry in fleet.audit() if entry["action"] == "release-serial"]
    assert [(entry["actor"], entry["detail"]["owner"]) for entry in entries] == [("ann", "VIN-TO-COME"), ("ann", VIN)]


def test_a_counter_that_was_never_sent_does_not_start_again(director: Director, car: TestVehicle) -> None:
    director.register(car.description())
    fields = refused(CounterResetError, lambda: director.ways_out.reset_counter(VIN))
    assert (fields["vehicle"], fields["ecus"]) == (VIN, ("ecu-brake", "ecu-gw"))
    fields = refused(CounterResetError, lambda: director.ways_out.reset_counter(VIN, ["ecu-gw"]))
    assert fields["ecus"] == ("ecu-gw",)


def test_a_counter_needs_a_certificate_where_no_nonce_can_be_carried(wired: Director) -> None:
    van = AktualizrVehicle()
    wired.devices.enter(van.vin, van.registration(), identified_by=BY_SERIAL)
    wired.receive_manifest(van.manifest(), vehicle=van.vin)
    fields = refused(CounterResetError, lambda: wired.ways_out.reset_counter(van.vin, ["gw-7"]))
    assert (fields["vehicle"], fields["ecus"]) == (van.vin, ("gw-7",))


def test_a_root_that_was_prepared_for_other_profiles_is_not_published(director: Director, tmp_path: Path) -> None:
    target = tmp_path / "next.json"
    director.prepare_root(target, {}, now=NOW)
    text = (director.path / CONFIG).read_text().replace('"tuf"', '"tuf", "aktualizr"')
    (director.path / CONFIG).write_text(text)
    with Director.open(director.path, clock=lambda: at(minutes=1)) as opened:
        fields = refused(UnfitRootError, lambda: opened.publish_root(target))
    assert fields["version"] == 2


@pytest.mark.parametrize(
    ("setting", "value"), [("renew_before_s", "0"), ("catalogue_max_age_s", "-1"), ("second_person", '"false"')]
)
def test_a_setting_that_cannot_be_is_named(director: Director, setting: str, value: str) -> None:
    path = director.path / CONFIG
    lines = [
        f'  "{setting}": {value},' if line.strip().startswith(f'"{setting}"') else line
        for line in path.read_text().splitlines()
    ]
    path.write_text("\n".join(lines))
    assert refused(SettingError, lambda: Director.open(director.path))["setting"] == setting
