"""What vehicles with aktualizr are told: the quirks of that client, handled for the operator."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
from sqlalchemy import update

from tests.unit.director.aktualizr_vehicle import AktualizrVehicle, canonical, image, outcome
from tests.unit.director.world import NOW, ImageSite, TestVehicle, at, entry, listed, measured
from twinlock.director.aktualizr.client import FIRST_ORDER, INSTALLED_INSTEAD, UNREACHABLE
from twinlock.director.director import Director
from twinlock.director.errors.vehicles import NoImageSetError
from twinlock.director.inventory import schema
from twinlock.director.inventory.database import Inventory
from twinlock.director.model.records import HELD, IMPOSSIBLE, NOTHING, ORDERED
from twinlock.trust.engine.commands import ABSENT, Answer, Command, Fetch, drive
from twinlock.trust.engine.restore import bootstrap_repository
from twinlock.trust.engine.verification import full_verification
from twinlock.trust.model.ecu import Ecu
from twinlock.trust.names import DIRECTOR, IMAGE, EcuId, HardwareId, VehicleId
from twinlock.trust.state.repository_map import plain_map
from twinlock.trust.state.trusted import TrustedVehicle, Vehicle
from twinlock.trust.wire.aktualizr.decode import AKTUALIZR

VIN = "VIN7"
GW, BRAKE, OLD_GW, OLD_BRAKE = "gw/1.4.bin", "brake/2.0.bin", "gw/1.3.bin", "brake/1.0.bin"
SUPPLIED = "acme/brake-3.bin"


def told(director: Director, minutes: float = 0) -> dict[str, Any]:
    """The signed part of what the vehicle is told now."""
    data = director.metadata(VIN, "targets.json", now=at(minutes=minutes))
    assert data is not None
    found: dict[str, Any] = json.loads(data)["signed"]
    return found


def ordered(director: Director, minutes: float = 0) -> dict[str, list[str]]:
    data = director.metadata(VIN, "targets.json", now=at(minutes=minutes))
    assert data is not None
    return listed(data)


def report(director: Director, van: AktualizrVehicle, *, minutes: float = 0, **changes: Any) -> None:
    director.receive_manifest(van.manifest(**changes), vehicle=VIN, now=at(minutes=minutes))


def newest(director: Director) -> Any:
    return director.decisions(VIN)[0].plan


@pytest.fixture
def running(wired: Director, van: AktualizrVehicle) -> AktualizrVehicle:
    """The vehicle after its first update: both ECUs run an image that the Image repository lists."""
    van.install("gw-7", OLD_GW)
    van.install("brake-7", OLD_BRAKE)
    report(wired, van)
    return van


def supply(site: ImageSite, path: str = SUPPLIED, *, hardware: str = "hw-7", counter: int = 3) -> None:
    """Let a supplier list an image, by a delegation of theirs."""
    site.suppliers = {"acme": {path: entry(path, hardware=[hardware], counter=counter)}}
    site.publish()


def test_a_list_has_the_form_that_this_client_takes(wired: Director, running: AktualizrVehicle) -> None:
    wired.assign(VIN, {"gw-7": GW})
    data = wired.metadata(VIN, "targets.json")
    assert data is not None
    assert canonical(json.loads(data)) == data
    signed = told(wired)
    assert signed["_type"] == "Targets"
    assert signed["expires"] == "2026-03-02T12:00:00Z"
    assert signed["custom"]["correlationId"].startswith("urn:uuid:")
    assert signed["custom"]["vehicleIdentifier"] == VIN
    assert "delegations" not in signed
    found = signed["targets"][GW]
    assert {"length": found["length"], "hashes": found["hashes"]} == measured(GW)
    assert found["custom"]["ecuIdentifiers"] == {"gw-7": {"hardwareId": "gw-1"}}
    assert "hardwareIds" not in found["custom"]
    assert found["custom"]["targetFormat"] == "BINARY"


def test_a_first_order_says_that_it_cannot_be_withdrawn(wired: Director, van: AktualizrVehicle) -> None:
    """An empty list withdraws nothing here, and nothing is installed that could be listed; another order replaces it."""
    plan = wired.assign(VIN, {"gw-7": GW})
    assert FIRST_ORDER in plan.reasons


def test_an_order_of_a_vehicle_that_runs_something_listed_says_nothing_of_it(
    wired: Director, running: AktualizrVehicle
) -> None:
    assert FIRST_ORDER not in wired.assign(VIN, {"gw-7": GW}).reasons


def test_an_order_says_what_a_secondary_that_chooses_by_hardware_would_do(
    wired: Director, running: AktualizrVehicle
) -> None:
    """No registration says how a Secondary verifies; one of type Tuf refuses as soon as two images fit its hardware."""
    plan = wired.assign(VIN, {"brake-7": "brake/2.0.bin", "gw-7": "gw/1.4.bin"})
    noted = [reason for reason in plan.reasons if "verification_type" in reason]
    assert len(noted) == 1
    assert noted[0].startswith("brake-7: several images are listed for hw-7")


def test_only_the_names_that_this_client_asks_for_exist(wired: Director, van: AktualizrVehicle) -> None:
    wired.issue(VIN)
    for name in ("1.root.json", "targets.json", "snapshot.json", "timestamp.json"):
        assert wired.metadata(VIN, name) is not None, name
    for name in ("2.root.json", "0.root.json", "root.json", "1.targets.json", "1.snapshot.json", "x.json", "../x"):
        assert wired.metadata(VIN, name) is None, name
    assert wired.metadata(VIN, "1.root.json") == wired.root_bytes(1, profile="aktualizr")
    wired.rotate("root")
    assert wired.metadata(VIN, "2.root.json") == wired.root_bytes(2, profile="aktualizr")
    assert wired.metadata(VIN, "1.root.json") == wired.root_bytes(1, profile="aktualizr")
    assert wired.metadata(VIN, "3.root.json") is None


def test_the_files_are_told_apart_by_the_correlation_id_of_their_order(wired: Director, van: AktualizrVehicle) -> None:
    served = wired.serve(VIN, "targets.json")
    assert served is not None
    assert served.correlation_id == told(wired)["custom"]["correlationId"]


@pytest.mark.parametrize("role", ["root", "targets", "snapshot", "timestamp"])
def test_our_own_engine_takes_the_files_under_the_strict_policy(
    wired: Director, running: AktualizrVehicle, site: ImageSite, role: str
) -> None:
    director = bootstrap_repository(DIRECTOR, wired.root_bytes(1, profile="aktualizr"), wire=AKTUALIZR)
    trusted = {DIRECTOR: director, IMAGE: bootstrap_repository(IMAGE, site.root)}
    ecus = {EcuId(ecu): Ecu(EcuId(ecu), HardwareId(hardware)) for ecu, hardware in running.hardware.items()}
    installed = {ecu: report.installed for ecu, report in wired.vehicle(VIN).reports.items()}

    def answer(command: Command) -> Answer:
        if not isinstance(command, Fetch):
            return None
        if command.repository == DIRECTOR:
            return wired.metadata(VIN, command.name) or ABSENT
        path = site.path / "metadata" / command.name
        return path.read_bytes() if path.exists() else ABSENT

    for images in ({"gw-7": GW}, {"gw-7": GW, "brake-7": BRAKE}):
        wired.assign(VIN, images)
        state = TrustedVehicle(map=plain_map("d", "i"), repositories=trusted)
        decision = drive(full_verification(state, Vehicle(VehicleId(VIN), ecus, installed), NOW), answer)
        assert {one.ecu: one.entry.path for one in decision.approved}.items() <= images.items()
        assert decision.missing_guarantees == ()
        trusted = dict(decision.repositories)
        wired.rotate(role)


def test_every_change_is_a_higher_version_and_another_correlation_id(
    wired: Director, running: AktualizrVehicle, site: ImageSite
) -> None:
    seen = [told(wired)]
    wired.assign(VIN, {"gw-7": GW})
    seen.append(told(wired))
    assert told(wired, minutes=5) == seen[-1]
    wired.unassign(VIN)
    seen.append(told(wired))
    report(wired, running, minutes=1)
    wired.assign(VIN, {"gw-7": GW})
    seen.append(told(wired, minutes=1))
    assert [signed["version"] for signed in seen] == [1, 2, 3, 4]
    assert len({signed["custom"]["correlationId"] for signed in seen}) == 4
    renewed = told(wired, minutes=60 * 20)
    assert renewed["version"] == 5
    assert renewed["custom"] == seen[-1]["custom"]


def test_nothing_is_listed_for_a_vehicle_that_was_never_told_anything(
    wired: Director, running: AktualizrVehicle
) -> None:
    assert ordered(wired) == {}
    assert newest(wired).reasons == ("nothing is assigned",)


def test_a_withdrawal_lists_what_is_installed_under_a_higher_version(
    wired: Director, running: AktualizrVehicle
) -> None:
    wired.assign(VIN, {"gw-7": GW})
    before = told(wired)
    plan = wired.unassign(VIN)
    assert (plan.outcome, plan.reasons) == (NOTHING, ("nothing is assigned", INSTALLED_INSTEAD))
    after = told(wired)
    assert after["version"] == before["version"] + 1
    assert ordered(wired) == {OLD_GW: ["gw-7"], OLD_BRAKE: ["brake-7"]}
    assert after["targets"][OLD_GW]["custom"]["mustAgree"] == {"hardwareIds": ["gw-1"], "releaseCounter": 13}
    assert newest(wired) == plan
    # What became of it is seen in the next report; if it was installed after all, that is what is listed then.
    running.install("gw-7", GW)
    report(wired, running, minutes=1)
    assert ordered(wired, minutes=1) == {GW: ["gw-7"], OLD_BRAKE: ["brake-7"]}


def test_one_of_two_orders_is_withdrawn_by_a_list_of_the_other(wired: Director, running: AktualizrVehicle) -> None:
    wired.assign(VIN, {"gw-7": GW, "brake-7": BRAKE})
    before = told(wired)
    wired.unassign(VIN, ["brake-7"])
    assert ordered(wired) == {GW: ["gw-7"]}
    assert told(wired)["version"] == before["version"] + 1


def test_a_replaced_order_is_withdrawn_until_the_vehicle_has_reported(
    wired: Director, running: AktualizrVehicle, site: ImageSite
) -> None:
    site.add("gw/1.5.bin", hardware=["gw-1"], counter=15, name="gateway", version="1.5")
    site.publish()
    wired.assign(VIN, {"gw-7": GW})
    told(wired)
    plan = wired.assign(VIN, {"gw-7": "gw/1.5.bin"})
    assert plan.outcome == HELD
    assert plan.reasons[-1] == INSTALLED_INSTEAD
    assert ordered(wired) == {OLD_GW: ["gw-7"], OLD_BRAKE: ["brake-7"]}
    report(wired, running, minutes=1)
    assert ordered(wired, minutes=1) == {"gw/1.5.bin": ["gw-7"]}


def test_a_withdrawal_that_cannot_reach_the_vehicle_is_told(wired: Director, van: AktualizrVehicle) -> None:
    wired.assign(VIN, {"gw-7": GW})
    told(wired)
    plan = wired.unassign(VIN)
    assert plan.reasons[-1] == UNREACHABLE
    assert ordered(wired) == {}


def test_what_the_image_repository_lists_no_more_is_not_named(
    wired: Director, running: AktualizrVehicle, site: ImageSite
) -> None:
    wired.assign(VIN, {"gw-7": GW})
    told(wired)
    del site.images[OLD_GW]
    site.publish()
    wired.unassign(VIN)
    assert ordered(wired, minutes=5) == {OLD_BRAKE: ["brake-7"]}


def test_without_the_image_repository_the_primarys_image_is_named_from_memory(
    wired: Director, running: AktualizrVehicle, site: ImageSite
) -> None:
    wired.assign(VIN, {"gw-7": GW})
    told(wired)
    wired.unassign(VIN)
    late = 60 * 24 * 30 + 60  # everything that the Image repository signed has expired
    assert ordered(wired, minutes=late) == {OLD_GW: ["gw-7"]}
    assert newest(wired).reasons == ("nothing is assigned", INSTALLED_INSTEAD)


def test_an_ecu_that_left_is_named_no_more_and_the_list_is_not_empty(
    wired: Director, running: AktualizrVehicle
) -> None:
    wired.assign(VIN, {"brake-7": OLD_BRAKE})
    before = told(wired)
    running.hardware = {"gw-7": "gw-1"}
    running.register(wired)
    report(wired, running)
    after = told(wired)
    assert listed(canonical({"signed": after})) == {OLD_GW: ["gw-7"]}
    assert after["version"] == before["version"] + 1


def test_a_delegated_image_for_the_primary_alone_is_ordered(
    wired: Director, running: AktualizrVehicle, site: ImageSite
) -> None:
    supply(site, "acme/gw-3.bin", hardware="gw-1", counter=30)
    assert wired.assign(VIN, {"gw-7": "acme/gw-3.bin"}).outcome == ORDERED
    assert ordered(wired) == {"acme/gw-3.bin": ["gw-7"]}


@pytest.mark.parametrize("depth", [5, 6])
def test_an_image_that_is_delegated_too_deep_for_the_client_is_refused(
    wired: Director, running: AktualizrVehicle, site: ImageSite, depth: int
) -> None:
    site.suppliers = {"acme": {}}
    site.tiers = {f"tier-{number}": {} for number in range(2, depth + 1)}
    site.tiers[f"tier-{depth}"] = {"gw/deep.bin": entry("gw/deep.bin", hardware=["gw-1"], counter=30)}
    site.publish()
    if depth == 5:
        assert wired.assign(VIN, {"gw-7": "gw/deep.bin"}).outcome == ORDERED
        return
    with pytest.raises(NoImageSetError) as caught:
        wired.assign(VIN, {"gw-7": "gw/deep.bin"})
    (cause,) = caught.value.causes
    assert "6 delegations" in cause
    assert "tier-6" in cause


@pytest.mark.parametrize("images", [{"brake-7": SUPPLIED}, {"brake-7": OLD_BRAKE, "gw-7": "acme/gw-3.bin"}])
def test_delegated_images_and_secondaries_together_are_refused(
    wired: Director, running: AktualizrVehicle, site: ImageSite, images: dict[str, str]
) -> None:
    supply(site)
    site.suppliers["acme"]["acme/gw-3.bin"] = entry("acme/gw-3.bin", hardware=["gw-1"], counter=30)
    site.publish()
    with pytest.raises(NoImageSetError) as caught:
        wired.assign(VIN, images)
    (cause,) = caught.value.causes
    for word in ("acme", "brake-7", "top-level", next(path for path in images.values() if path.startswith("acme/"))):
        assert word in cause
    assert wired.assignments(VIN) == ()
    assert wired.explain(VIN, images).outcome == IMPOSSIBLE


def test_an_image_that_becomes_delegated_after_it_was_assigned_is_withdrawn(
    wired: Director, running: AktualizrVehicle, site: ImageSite
) -> None:
    site.add(SUPPLIED, hardware=["hw-7"], counter=3)
    site.publish()
    wired.assign(VIN, {"brake-7": SUPPLIED})
    assert ordered(wired) == {SUPPLIED: ["brake-7"]}
    del site.images[SUPPLIED]
    supply(site)
    assert ordered(wired, minutes=5) == {OLD_GW: ["gw-7"], OLD_BRAKE: ["brake-7"]}
    assert newest(wired).outcome == IMPOSSIBLE


def test_a_list_of_what_is_installed_obeys_the_same_rule(
    wired: Director, van: AktualizrVehicle, site: ImageSite
) -> None:
    supply(site, "acme/gw-3.bin", hardware="gw-1", counter=30)
    van.install("gw-7", "acme/gw-3.bin")
    report(wired, van)
    wired.assign(VIN, {"brake-7": OLD_BRAKE})
    told(wired)
    wired.unassign(VIN)
    assert ordered(wired) == {"acme/gw-3.bin": ["gw-7"]}
    van.install("brake-7", OLD_BRAKE)
    report(wired, van, minutes=1)
    assert ordered(wired, minutes=1) == {OLD_BRAKE: ["brake-7"]}


def test_one_image_for_two_ecus_is_one_entry_and_no_ecu_is_in_two(wired: Director, site: ImageSite) -> None:
    van = AktualizrVehicle(VIN, {"gw-7": "gw-1", "left-7": "hw-7", "right-7": "hw-7"})
    van.register(wired)
    report(wired, van)
    wired.assign(VIN, {"left-7": OLD_BRAKE, "right-7": OLD_BRAKE})
    assert ordered(wired) == {OLD_BRAKE: ["left-7", "right-7"]}
    wired.assign(VIN, {"gw-7": GW})
    named = [ecu for ecus in ordered(wired).values() for ecu in ecus]
    assert len(named) == len(set(named))


def test_a_name_that_stands_for_other_content_in_the_vehicle_is_refused(
    wired: Director, running: AktualizrVehicle
) -> None:
    other = image(GW)
    other["fileinfo"]["hashes"]["sha256"] = hashlib.sha256(b"other").hexdigest()
    running.installed["gw-7"] = other
    report(wired, running)
    with pytest.raises(NoImageSetError) as caught:
        wired.assign(VIN, {"gw-7": GW})
    assert GW in caught.value.causes[0]
    assert "gw-7" in caught.value.causes[0]


def test_a_name_that_was_ordered_with_other_content_before_is_refused(
    wired: Director, running: AktualizrVehicle, site: ImageSite
) -> None:
    wired.assign(VIN, {"gw-7": GW})
    told(wired)
    changed = entry("other content", hardware=["gw-1"], counter=15, name="gateway", version="1.4.1")
    changed.path = GW
    site.images[GW] = changed
    site.publish()
    assert ordered(wired, minutes=5) == {OLD_GW: ["gw-7"], OLD_BRAKE: ["brake-7"]}
    assert newest(wired).outcome == IMPOSSIBLE
    assert GW in newest(wired).reasons[0]
    # A vehicle of our own profile is ordered the image as it is now.
    with pytest.raises(NoImageSetError):
        wired.assign(VIN, {"gw-7": GW}, now=at(minutes=5))


def test_an_order_that_is_too_large_for_the_client_is_refused(wired: Director, site: ImageSite) -> None:
    ecus = {f"ecu-{number}": "hw-7" for number in range(170)}
    van = AktualizrVehicle(VIN, ecus)
    van.register(wired)
    for ecu in ecus:
        site.add(f"{ecu}.bin", hardware=["hw-7"])
    site.publish()
    report(wired, van)
    with pytest.raises(NoImageSetError) as caught:
        wired.assign(VIN, {ecu: f"{ecu}.bin" for ecu in ecus})
    assert "65536" in caught.value.causes[0]
    half = {ecu: f"{ecu}.bin" for ecu in list(ecus)[:120]}
    assert wired.assign(VIN, half).outcome == ORDERED
    data = wired.metadata(VIN, "targets.json")
    assert data is not None
    assert 30_000 < len(data) <= 65_536


def test_an_order_that_failed_is_settled_by_its_correlation_id(wired: Director, running: AktualizrVehicle) -> None:
    wired.assign(VIN, {"gw-7": GW})
    correlation = told(wired)["custom"]["correlationId"]
    assert wired.assign(VIN, {"brake-7": BRAKE}).outcome == HELD
    report(wired, running, minutes=1, outcome=outcome("urn:uuid:another", "DOWNLOAD_FAILED"))
    assert ordered(wired, minutes=1) == {GW: ["gw-7"]}
    report(wired, running, minutes=2, outcome=outcome(correlation, "DOWNLOAD_FAILED"))
    assert ordered(wired, minutes=2) == {GW: ["gw-7"], BRAKE: ["brake-7"]}
    assert [event.code for _, event in wired.events(VIN)] == ["install-failed", "install-failed"]


def test_a_success_is_settled_by_what_is_reported_installed(wired: Director, running: AktualizrVehicle) -> None:
    wired.assign(VIN, {"gw-7": GW})
    correlation = told(wired)["custom"]["correlationId"]
    wired.assign(VIN, {"brake-7": BRAKE})
    report(wired, running, minutes=1, outcome=outcome(correlation, gw_7="OK"))
    assert ordered(wired, minutes=1) == {GW: ["gw-7"]}
    running.install("gw-7", GW)
    report(wired, running, minutes=2, outcome=outcome(correlation, gw_7="OK"))
    assert ordered(wired, minutes=2) == {GW: ["gw-7"], BRAKE: ["brake-7"]}
    assert wired.events(VIN) == ()


def test_a_vehicle_that_comes_to_speak_the_other_profile_is_signed_for_again(
    wired: Director, car: TestVehicle, site: ImageSite
) -> None:
    wired.register(car.description())
    wired.receive_manifest(car.manifest())
    first = wired.issue(car.vin)
    with (
        Inventory.connect(wired.settings.database, directory=wired.path) as database,
        database.writing() as connection,
    ):
        connection.execute(
            update(schema.vehicles).where(schema.vehicles.c.vehicle == car.vin).values(profile="aktualizr")
        )
    second = wired.issue(car.vin)
    assert (second.targets, second.snapshot, second.timestamp) == (2, 2, 2)
    assert second.correlation_id == first.correlation_id
    data = wired.metadata(car.vin, "targets.json")
    assert data is not None
    assert json.loads(data)["signed"]["_type"] == "Targets"
    assert wired.issue(car.vin) == second


def test_both_kinds_of_vehicle_are_served_from_one_inventory(
    wired: Director, running: AktualizrVehicle, car: TestVehicle
) -> None:
    wired.register(car.description())
    wired.receive_manifest(car.manifest())
    wired.assign(VIN, {"gw-7": GW})
    wired.assign(car.vin, {"ecu-gw": GW})
    assert ordered(wired) == {GW: ["gw-7"]}
    data = wired.metadata(car.vin, "targets.json")
    assert data is not None
    assert listed(data) == {GW: ["ecu-gw"]}
    assert json.loads(data)["signed"]["_type"] == "targets"
    wired.unassign(car.vin)
    data = wired.metadata(car.vin, "targets.json")
    assert data is not None
    assert listed(data) == {}
