"""Uptane 2.1.0 5.3.2: the Director's process in its order, and its inventory."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.conformance.real import VIN, Site, keyid_of, make_site
from tests.unit.director.world import NOW, TestVehicle, at
from twinlock.director.api.device_api import director_application
from twinlock.director.director import Director
from twinlock.director.errors.vehicles import RegistrationError, UnknownVehicleError
from twinlock.director.inventory.vehicles import load_vehicle
from twinlock.director.manifests import intake
from twinlock.director.manifests import judge as judging
from twinlock.director.signing import issue as issuing
from twinlock.repository.serving.http import serving
from twinlock.trust.errors.base import RefusalError
from twinlock.trust.errors.images import HardwareError
from twinlock.trust.errors.metadata import MalformedError, UnusableKeyError
from twinlock.trust.errors.reports import MissingEcuError


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with make_site(tmp_path) as made:
        yield made


def test_the_process_goes_through_its_steps_in_order(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """5.3.2.1: look up, check the manifest, check freshness, resolve, sign, send."""
    steps: list[str] = []

    def note(place: Any, name: str, step: str) -> None:
        whole = getattr(place, name)

        def noted(*arguments: Any, **named: Any) -> Any:
            steps.append(step)
            return whole(*arguments, **named)

        monkeypatch.setattr(place, name, noted)

    note(intake, "load_active_vehicle", "look up")
    note(judging, "_check_primary", "check the manifest")
    note(judging, "check_signed_once", "check the reports")
    note(judging, "_check_fresh", "check freshness")
    note(issuing, "make_plan", "resolve")
    note(issuing, "sign_set", "sign")
    site.director.assign(VIN, {"ecu-gw": "gw/1.4.bin"})
    steps.clear()
    site.car.install("ecu-gw", "gw/1.4.bin")
    site.director.receive_manifest(site.car.manifest(now=at(minutes=1)), vehicle=VIN, now=at(minutes=1))
    site.director.assign(VIN, {"ecu-brake": "brake/2.0.bin"}, now=at(minutes=2))
    site.director.metadata(VIN, "targets.json", now=at(minutes=2))
    first = [steps.index(step) for step in dict.fromkeys(steps)]
    assert list(dict.fromkeys(steps)) == [
        "look up",
        "check the manifest",
        "check the reports",
        "check freshness",
        "resolve",
        "sign",
    ]
    assert first == sorted(first)


def test_the_signed_part_says_which_vehicle_it_is(site: Site) -> None:
    """5.3.2.1: no header and no address, but the manifest; without an address it is found all the same."""
    accepted = site.director.receive_manifest(site.car.manifest(now=at(minutes=1)), now=at(minutes=1))
    assert accepted.vehicle == VIN
    stranger = TestVehicle("VIN9", {"ecu-x": "gw-1"})
    with pytest.raises(UnknownVehicleError):
        site.director.receive_manifest(stranger.manifest())


def test_every_ecu_of_the_vehicle_is_looked_up_and_no_other(site: Site) -> None:
    other = TestVehicle("VIN2", {"other-gw": "gw-1", "other-brake": "hw-7"})
    site.director.register(other.description())
    with site.director._database.reading() as connection:
        assert set(load_vehicle(connection, VIN).ecus) == set(site.car.hardware)
        assert set(load_vehicle(connection, "VIN2").ecus) == set(other.hardware)


def test_a_refused_manifest_signs_nothing_and_is_recorded(site: Site) -> None:
    before = site.ordered("targets.json")["signed"]["version"]
    known = site.director.vehicle(VIN)
    with pytest.raises(MissingEcuError):
        site.director.receive_manifest(site.car.manifest(reports=[site.car.report("ecu-brake")]))
    assert site.ordered("targets.json")["signed"]["version"] == before
    assert site.director.vehicle(VIN) == known
    refusal = site.director.manifests(VIN)[0].refusal
    assert refusal is not None
    assert refusal["code"] == MissingEcuError.code


def test_a_difference_alone_is_refused(site: Site) -> None:
    """5.4.2.1: we take no differences; without the Primary's report it is no manifest, and the answer names it."""
    with pytest.raises(MissingEcuError) as caught:
        site.director.receive_manifest(site.car.manifest(reports=[site.car.report("ecu-brake")]))
    assert "ecu-gw" in caught.value.fields()["missing"]


def test_an_up_to_date_vehicle_gets_nothing_and_an_outdated_one_its_set(site: Site) -> None:
    assert site.ordered("targets.json")["signed"]["targets"] == {}
    site.director.assign(VIN, {"ecu-brake": "brake/2.0.bin"})
    assert set(site.ordered("targets.json")["signed"]["targets"]) == {"brake/2.0.bin"}


def test_an_image_for_other_hardware_is_never_ordered(site: Site) -> None:
    with pytest.raises(HardwareError):
        site.director.assign(VIN, {"ecu-gw": "brake/2.0.bin"})
    assert site.ordered("targets.json")["signed"]["targets"] == {}


def test_the_served_set_is_whole_after_a_cut_between_signing_and_serving(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {role: site.ordered(f"{role}.json") for role in ("targets", "snapshot", "timestamp")}

    def cut(*_arguments: object, **_named: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(issuing, "insert_issue", cut)
        with pytest.raises(KeyboardInterrupt):
            site.director.assign(VIN, {"ecu-brake": "brake/2.0.bin"})
            site.director.issue(VIN)
    site.director.close()
    with Director.open(site.path / "director", clock=site.clock) as again:
        files = {}
        for role in ("targets", "snapshot", "timestamp"):
            data = again.metadata(VIN, f"{role}.json")
            assert data is not None
            files[role] = json.loads(data)["signed"]
    assert files["snapshot"]["meta"]["targets.json"]["version"] == files["targets"]["version"]
    assert files["timestamp"]["meta"]["snapshot.json"]["version"] == files["snapshot"]["version"]
    assert files["targets"]["version"] >= before["targets"]["signed"]["version"]


# 5.3.2.2


def description(**changes: Any) -> dict[str, Any]:
    """A new vehicle with one Secondary, its second ECU changed."""
    made = TestVehicle("VIN3", {"three-gw": "gw-1", "three-brake": "hw-7"}).description()
    made["ecus"][1] |= changes
    return made


def test_an_ecu_needs_its_key_hardware_and_identifier(site: Site) -> None:
    for member in ("ecu", "hardwareId", "keyid", "key"):
        wrong = description()
        del wrong["ecus"][1][member]
        with pytest.raises(MalformedError):
            site.director.register(wrong)
    assert site.director.register(description())


def test_an_ecu_that_verifies_nothing_is_not_registered(site: Site) -> None:
    """3.2.2.1: nor is a Primary that verifies partially."""
    for verification in ("none", "", "no"):
        with pytest.raises(MalformedError):
            site.director.register(description(verification=verification))
    wrong = description()
    wrong["ecus"][0]["verification"] = "partial"
    with pytest.raises(MalformedError):
        site.director.register(wrong)


def test_a_vehicle_without_its_primary_is_not_registered(site: Site) -> None:
    """5.4.2: a Secondary that no Primary is in charge of is a mistake."""
    with pytest.raises(RegistrationError):
        site.director.register(description() | {"primary": "nobody"})
    wrong = description()
    del wrong["ecus"][0]
    with pytest.raises(RegistrationError):
        site.director.register(wrong)


def test_no_private_key_is_taken_or_kept(site: Site) -> None:
    key = TestVehicle("VIN3", {"three-brake": "hw-7"}).signers["three-brake"].public_key.as_json()
    for wrong in (
        key | {"keyval": {**key["keyval"], "private": "00" * 32}},
        key | {"keyval": {"private": "00" * 32}},
        key | {"private": "00" * 32},
        {"keytype": "rsa", "scheme": "rsassa-pss-sha256", "keyval": {"public": _private_pem()}},
    ):
        with pytest.raises((MalformedError, UnusableKeyError)):
            site.director.register(description(key=wrong))
    with closing(sqlite3.connect(site.path / "director" / "inventory.sqlite")) as database:
        dump = "\n".join(database.iterdump())
    assert "PRIVATE" not in dump
    assert '"private"' not in dump


def test_two_ecus_of_one_vehicle_never_share_a_key(site: Site) -> None:
    """5.4.1: nor under two key ids."""
    shared = description()["ecus"][0]
    for keyid in (shared["keyid"], "another"):
        with pytest.raises(RegistrationError) as caught:
            site.director.register(description(key=shared["key"], keyid=keyid))
        assert caught.value.fields()["field"] == "ecus"
        assert "same key" in caught.value.fields()["reason"]


def test_the_recorded_key_id_is_the_key_s(site: Site) -> None:
    for record in site.director.vehicle(VIN).ecus.values():
        assert record.key.keyid == keyid_of(record.key.as_json())


def test_a_vehicle_and_an_ecu_are_registered_once(site: Site) -> None:
    with pytest.raises(RegistrationError):
        site.director.register(TestVehicle(VIN, {"another": "gw-1"}).description())
    with pytest.raises(RegistrationError):
        site.director.register(TestVehicle("VIN4", {"ecu-gw": "gw-1"}).description())


def test_an_ecu_without_a_vehicle_cannot_be_stored(site: Site) -> None:
    with closing(sqlite3.connect(site.path / "director" / "inventory.sqlite")) as database:
        database.execute("PRAGMA foreign_keys = ON")
        columns = {row[1]: row for row in database.execute("PRAGMA table_info(ecus)")}
        owner = next(name for name in columns if name.startswith("vehicle"))
        row = dict(zip(columns, database.execute("SELECT * FROM ecus").fetchone(), strict=True))
        row.pop("id", None)
        for wrong in (None, "nobody"):
            changed = row | {owner: wrong, "ecu": "stray", "key_identity": "stray", "primary": 0}
            changed = {name: value for name, value in changed.items() if name in columns}
            names = ", ".join(f'"{name}"' for name in changed)
            with pytest.raises(sqlite3.IntegrityError, match=r"(?i)foreign key|not null"):
                database.execute(
                    f"INSERT INTO ecus ({names}) VALUES ({', '.join('?' * len(changed))})",
                    list(changed.values()),
                )


def test_the_inventory_survives_a_restart(site: Site) -> None:
    before = site.director.vehicle(VIN)
    site.director.close()
    with Director.open(site.path / "director", clock=site.clock) as again:
        assert again.vehicle(VIN) == before


def test_no_address_of_the_device_interface_shows_the_inventory(site: Site) -> None:
    """5.3.2.2: the inventory is private. Whatever is asked without credentials, no row of it comes back."""
    key = site.car.signers["ecu-brake"].public_key

    async def probe() -> None:
        async with serving(director_application(site.director)) as server, aiohttp.ClientSession() as session:
            for method in ("GET", "POST", "PUT", "DELETE"):
                for path in (
                    "/vehicles",
                    f"/vehicles/{VIN}",
                    f"/vehicles/{VIN}/ecus",
                    f"/vehicles/{VIN}/manifest",
                    f"/vehicles/{VIN}/enrolment",
                    f"/vehicles/{VIN}/assignments",
                    f"/vehicles/{VIN}/metadata/inventory.sqlite",
                    "/inventory",
                    "/admin",
                    "/api/vehicles",
                ):
                    async with session.request(method, server.url + path) as answer:
                        text = await answer.text()
                        assert answer.status in (400, 401, 403, 404, 405), (method, path, answer.status)
                        assert key.public not in text
                        assert "hw-7" not in text

    asyncio.run(probe())


def test_a_manifest_goes_in_and_metadata_comes_out_over_http(site: Site) -> None:
    """5.3.2: the two interfaces of a Director, as a vehicle uses them."""

    async def visit() -> None:
        async with serving(director_application(site.director)) as server, aiohttp.ClientSession() as session:
            manifest = site.car.manifest()
            async with session.put(f"{server.url}/vehicles/{VIN}/manifest", data=manifest) as answer:
                assert answer.status == 204, await answer.text()
            for name in ("1.root.json", "timestamp.json", "snapshot.json", "targets.json"):
                async with session.get(f"{server.url}/vehicles/{VIN}/metadata/{name}") as answer:
                    assert answer.status == 200
                    assert await answer.read() == site.director.metadata(VIN, name)

    asyncio.run(visit())


def test_facts_beyond_the_required_ones_are_kept(site: Site) -> None:
    """5.3.2.2: what an ECU verifies, and what it runs, come back as they were recorded."""
    record = site.director.vehicle(VIN)
    assert {ecu: str(item.hardware_id) for ecu, item in record.ecus.items()} == site.car.hardware
    assert record.primary == "ecu-gw"
    assert record.ecus[record.primary].primary


def test_reports_wrong_in_one_aspect_are_each_refused(site: Site) -> None:
    """5.3.2.1: the comparison with the inventory, one aspect at a time."""
    car = site.car
    other = TestVehicle("VIN2", {"other-gw": "gw-1"})
    site.director.register(other.description())
    wrong: dict[str, Callable[[], bytes]] = {
        "another vehicle": lambda: car.manifest(vin="VIN2"),
        "another Primary": lambda: car.manifest(primary="ecu-brake"),
        "the key of a Secondary": lambda: car.manifest(signer=car.signers["ecu-brake"]),
        "the Primary's key under a Secondary's report": lambda: car.manifest(
            reports=[car.report("ecu-gw"), car.report("ecu-brake", signer=car.signers["ecu-gw"])]
        ),
        "an ECU left out": lambda: car.manifest(reports=[car.report("ecu-gw")]),
        "an ECU twice": lambda: car.manifest(
            reports=[car.report("ecu-gw"), car.report("ecu-brake"), car.report("ecu-brake")]
        ),
        "no report at all": lambda: car.manifest(reports=[]),
        "a time to come": lambda: car.manifest(now=at(days=400)),
        "a time long past": lambda: car.manifest(now=NOW.replace(year=2001)),
        "an old counter": lambda: car.manifest(counter=0),
    }
    for name, make in wrong.items():
        if "Secondary's report" in name or name.startswith("an ECU"):
            # What is wrong with one Secondary drops that ECU's part only (docs/POUF.md, a deviation from step 3).
            car.counter += 1
            site.director.receive_manifest(make(), vehicle=VIN)
            assert site.director.vehicle(VIN).unknown == {"ecu-brake"}, name
            site.director.receive_manifest(car.manifest(), vehicle=VIN)
            continue
        with pytest.raises(RefusalError):
            pytest.fail(f"{name}: {site.director.receive_manifest(make(), vehicle=VIN)}")
    site.director.receive_manifest(car.manifest(), vehicle=VIN)


def _private_pem() -> str:
    from cryptography.hazmat.primitives.asymmetric import rsa
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
