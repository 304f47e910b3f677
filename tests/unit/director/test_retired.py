"""A vehicle that its operator retired is told so: what the operator did is no evidence of an attack."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tests.unit.director.test_commands import Shell
from tests.unit.director.test_signing_clock import VIN, Fleet, play
from tests.unit.director.world import ImageSite, TestVehicle
from twinlock.client.model.results import Outcome
from twinlock.director.director import Director
from twinlock.director.errors.operator import EcusReleasedError
from twinlock.director.errors.vehicles import EcuTakenError
from twinlock.director.model.vehicle_description import read_ecu
from twinlock.director.ways_out.key_changes import NewKey
from twinlock.repository.workspace.validity import utc_now
from twinlock.trust.errors.local import FetchError
from twinlock.trust.names import EcuId

if TYPE_CHECKING:
    from pathlib import Path


def test_a_retired_vehicle_holds_up_no_other(tmp_path: Path) -> None:
    """Work for all vehicles is for the active ones; a retired one that is named is refused."""
    path, now = tmp_path / "director", utc_now()
    site = ImageSite(tmp_path / "image", now=now)
    site.publish()
    cars = {vin: TestVehicle(vin, {f"ecu-{vin}": "gw-1"}) for vin in ("VIN1", "VIN2", "VIN3")}
    with Director.create(path, image_root=site.root, image_url=str(site.path)) as director:
        for vin, car in cars.items():
            director.register(car.description())
            director.issue(vin, now=now + timedelta(hours=20))
        director.ways_out.retire("VIN1", release=True)
        director.ways_out.retire("VIN2")
        assert director.recover_clock().vehicles == ("VIN3",)
        with pytest.raises(EcusReleasedError) as released:
            director.ways_out.reactivate("VIN1")
        assert "skip it" in str(released.value.hint)
    shell = Shell(path)
    for options in ([], ["--force"]):
        assert set(shell.json("refresh", *options)["vehicles"]) == {"VIN3"}
    assert shell.json("refresh", "VIN1", status=2)["error"]["code"] == "vehicle-retired"
    with Director.open(path) as director:
        assert director.register(cars["VIN1"].description())  # the way out where its ECUs were released
        director.ways_out.reactivate("VIN2")
        assert director.issue("VIN1").issued_at < now + timedelta(hours=1)  # in place of what stated the future
        assert director.issue("VIN2").issued_at < now + timedelta(hours=1)
    assert set(shell.json("refresh")["vehicles"]) == {"VIN1", "VIN2", "VIN3"}


def test_a_vehicle_that_is_retired_meanwhile_holds_up_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "director"
    site = ImageSite(tmp_path / "image", now=utc_now())
    site.publish()
    with Director.create(path, image_root=site.root, image_url=str(site.path)) as director:
        for vin in ("VIN1", "VIN2"):
            director.register(TestVehicle(vin, {f"ecu-{vin}": "gw-1"}).description())
    issue = Director.issue

    def retiring(director: Director, vehicle: str, **options: Any) -> Any:
        if vehicle == "VIN1":
            director.ways_out.retire(vehicle)
        return issue(director, vehicle, **options)

    monkeypatch.setattr(Director, "issue", retiring)
    assert set(Shell(path).json("refresh")["vehicles"]) == {"VIN2"}


def test_a_retired_vehicle_sees_a_failure_and_no_attack_and_comes_back(tmp_path: Path) -> None:
    async def scenario(fleet: Fleet) -> None:
        assert await fleet.cycle() is Outcome.UP_TO_DATE
        await asyncio.to_thread(fleet.director.ways_out.retire, VIN)
        fleet.turn(hours=1)
        result = await fleet.primary.update_cycle()
        (problem,) = [found for found in result.problems if isinstance(found.error, FetchError)]
        assert (problem.error.fields()["status"], problem.error.as_json().get("attack")) == (410, None)
        assert "the Director has deactivated this vehicle" in str(problem.error)
        await asyncio.to_thread(fleet.director.ways_out.reactivate, VIN)
        fleet.turn(hours=1)
        assert await fleet.cycle() is Outcome.UP_TO_DATE
        events = await asyncio.to_thread(fleet.director.events, VIN)
        assert [event.code for _, event in events if event.kind == "attack"] == []

    play(tmp_path, scenario)


def test_the_key_of_a_retired_ecu_is_given_to_no_other(fleet: Director, car: TestVehicle) -> None:
    """It was not released, so its holder may still sign with it; ``rekey`` refuses it as a registration does."""
    other = TestVehicle("VIN2", {"gw-2": "gw-1", "brake-2": "hw-7"})
    fleet.register(other.description())
    held = next(each for each in car.description()["ecus"] if each["ecu"] != car.primary)
    fleet.ways_out.retire(car.vin, [held["ecu"]])
    for change in ({"ecu": "brake-2"}, {"ecu": "brake-3"}):
        wanted = NewKey(ecu=EcuId("brake-2"), described=read_ecu({**held, **change}))
        with pytest.raises(EcuTakenError) as caught:
            fleet.ways_out.change_key("VIN2", wanted)
        assert caught.value.field == "key"
    fleet.ways_out.release(held["ecu"], to="VIN2")
    assert fleet.ways_out.change_key(
        "VIN2", NewKey(ecu=EcuId("brake-2"), described=read_ecu({**held, "ecu": "brake-2"}))
    ).applied


def test_whatever_an_operator_asks_of_a_retired_vehicle_names_the_way_back(tmp_path: Path) -> None:
    path = tmp_path / "director"
    site = ImageSite(tmp_path / "image", now=utc_now())
    site.publish()
    with Director.create(path, image_root=site.root, image_url=str(site.path)) as director:
        director.register(TestVehicle("VIN1", {"ecu-gw": "gw-1"}).description())
        director.ways_out.retire("VIN1")
    shell = Shell(path)
    for words in (
        ("assign", "VIN1", "ecu-gw=gw.bin"),
        ("unassign", "VIN1", "--yes"),
        ("explain", "VIN1"),
        ("refresh", "VIN1"),
        ("reset-counter", "VIN1"),
        ("token", "VIN1"),
        ("allow-certificate", "VIN1"),
    ):
        error = shell.json(*words, status=2)["error"]
        assert (error["code"], "twinlock director reactivate" in error["hint"]) == ("vehicle-retired", True), words
    error = shell.json("retire", "VIN1", "nope", status=2)["error"]
    assert (error["code"], "twinlock director reactivate" in error["hint"]) == ("no-such-ecu", True)
