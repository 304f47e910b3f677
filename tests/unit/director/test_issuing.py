"""Signed metadata of vehicles: versions, expiry, keys, and that a client accepts it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from tuf.api.metadata import Root

from tests.unit.director.world import NOW, ImageSite, TestVehicle, at
from twinlock.director.director import Director
from twinlock.director.errors.operator import UnknownDirectorRoleError
from twinlock.director.errors.vehicles import OrderMismatchError
from twinlock.director.model.settings import Settings
from twinlock.director.signing import sign as issuing
from twinlock.repository.errors import MissingKeysError
from twinlock.repository.keys.keyring import KeyPlan
from twinlock.trust.engine.commands import ABSENT, Answer, Command, Fetch, drive
from twinlock.trust.engine.restore import bootstrap_repository
from twinlock.trust.engine.verification import full_verification, partial_verification
from twinlock.trust.errors.base import Kind, UsageError
from twinlock.trust.errors.images import VehicleMismatchError
from twinlock.trust.errors.metadata import ExpiredError, ThresholdError
from twinlock.trust.errors.reports import AttestationError
from twinlock.trust.model.ecu import Ecu
from twinlock.trust.names import DIRECTOR, IMAGE, EcuId, HardwareId, VehicleId
from twinlock.trust.state.repository_map import plain_map
from twinlock.trust.state.trusted import Decision, TrustedRepository, TrustedVehicle, Vehicle
from twinlock.trust.wire.tuf.attestation import check_attestation

VIN = "VIN1"
GW, BRAKE = "gw/1.4.bin", "brake/2.0.bin"


class Client:
    """A vehicle's client without a network: the engine, driven over the Director's face and the Image site's files."""

    def __init__(self, director: Director, site: ImageSite, car: TestVehicle) -> None:
        self.director, self.site, self.car = director, site, car
        self.address = car.vin
        self.trusted: dict[str, TrustedRepository] = {
            DIRECTOR: bootstrap_repository(DIRECTOR, director.root_bytes(1)),
            IMAGE: bootstrap_repository(IMAGE, site.root),
        }
        self.now = NOW

    def answer(self, command: Command) -> Answer:
        if not isinstance(command, Fetch):
            return None
        if command.repository == DIRECTOR:
            data = self.director.metadata(self.address, command.name, now=self.now)
            return ABSENT if data is None else data
        path = self.site.path / "metadata" / command.name
        return path.read_bytes() if path.exists() else ABSENT

    def vehicle(self, *ecus: str) -> Vehicle:
        chosen = ecus or tuple(self.car.hardware)
        return Vehicle(
            vehicle=VehicleId(self.car.vin),
            ecus={EcuId(ecu): Ecu(ecu=EcuId(ecu), hardware_id=HardwareId(self.car.hardware[ecu])) for ecu in chosen},
            installed={EcuId(ecu): self.car.installed[ecu] for ecu in chosen},
            complete=not ecus,
        )

    def verify(self, now: object = None) -> Decision:
        self.now = now or self.now  # type: ignore[assignment]
        state = TrustedVehicle(map=plain_map("d", "i"), repositories=self.trusted)  # type: ignore[arg-type]
        decision = drive(full_verification(state, self.vehicle(), self.now), self.answer)
        self.trusted = dict(decision.repositories)  # type: ignore[arg-type]
        return decision

    def installs(self, now: object = None) -> dict[str, str]:
        return {image.ecu: image.entry.path for image in self.verify(now).approved}


@pytest.fixture
def client(fleet: Director, site: ImageSite, car: TestVehicle) -> Client:
    return Client(fleet, site, car)


def signed(director: Director, name: str, **options: object) -> dict[str, object]:
    data = director.metadata(VIN, name, **options)  # type: ignore[arg-type]
    assert data is not None
    found: dict[str, object] = json.loads(data)["signed"]
    return found


def test_a_vehicle_with_full_verification_installs_what_was_assigned(fleet: Director, client: Client) -> None:
    assert client.installs() == {}
    fleet.assign(VIN, {"ecu-brake": BRAKE})
    assert client.installs(at(minutes=1)) == {"ecu-brake": BRAKE, "ecu-gw": GW}


def test_a_secondary_with_partial_verification_installs_its_own(fleet: Director, client: Client) -> None:
    fleet.assign(VIN, {"ecu-brake": BRAKE})
    director = bootstrap_repository(DIRECTOR, fleet.root_bytes(1))
    decision = drive(partial_verification(director, client.vehicle("ecu-brake"), NOW), client.answer)
    assert {image.ecu: image.entry.path for image in decision.approved} == {"ecu-brake": BRAKE}


def test_metadata_of_another_vehicle_is_refused_even_if_empty(fleet: Director, client: Client) -> None:
    other = TestVehicle("VIN2", {"ecu-2": "gw-1"})
    fleet.register(other.description())
    client.address = "VIN2"
    with pytest.raises(VehicleMismatchError) as caught:
        client.verify()
    assert (caught.value.offered, caught.value.expected) == ("VIN2", VIN)


def test_the_files_refer_to_each_other_and_state_when_they_were_issued(fleet: Director) -> None:
    issue = fleet.issue(VIN)
    timestamp = signed(fleet, "timestamp.json")
    assert timestamp["meta"]["snapshot.json"]["version"] == issue.snapshot  # type: ignore[index]
    snapshot = signed(fleet, f"{issue.snapshot}.snapshot.json")
    assert snapshot["meta"]["targets.json"]["version"] == issue.targets  # type: ignore[index]
    for name in ("timestamp.json", "snapshot.json", "targets.json"):
        assert signed(fleet, name)["issued"] == "2026-03-01T12:00:00Z"
        assert signed(fleet, name)["expires"] == "2026-03-02T12:00:00Z"


def test_versions_rise_only_when_something_changes_or_expiry_is_near(fleet: Director) -> None:
    first = fleet.issue(VIN)
    assert fleet.issue(VIN, now=at(hours=17)) == first
    second = fleet.issue(VIN, now=at(hours=18))
    assert (second.targets, second.snapshot, second.timestamp) == (2, 2, 2)
    assert second.expires == at(hours=42)
    assert second.correlation_id == first.correlation_id
    third = fleet.issue(VIN, force=True, now=at(hours=19))
    assert third.targets == 3


def test_old_versions_stay_available_byte_for_byte(fleet: Director) -> None:
    before = fleet.metadata(VIN, "targets.json")
    fleet.assign(VIN, {"ecu-gw": GW})
    assert fleet.metadata(VIN, "targets.json") != before
    assert fleet.metadata(VIN, "1.targets.json") == before
    assert fleet.metadata(VIN, "2.targets.json") == fleet.metadata(VIN, "targets.json")


@pytest.mark.parametrize(
    "name",
    [
        "3.targets.json",
        "0.targets.json",
        "1.timestamp.json",
        "2.root.json",
        "x.json",
        "../config.json",
        "1.mirrors.json",
    ],
)
def test_what_there_is_not_is_absent(fleet: Director, name: str) -> None:
    fleet.issue(VIN)
    assert fleet.metadata(VIN, name) is None


def test_concurrent_requests_get_the_same_files(fleet: Director) -> None:
    fleet.assign(VIN, {"ecu-gw": GW})
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: fleet.metadata(VIN, "timestamp.json"), range(12)))
    assert len(set(answers)) == 1
    assert fleet.issue(VIN).targets == 1


def test_concurrent_changes_never_make_two_files_of_one_version(fleet: Director, car: TestVehicle) -> None:
    seen: dict[str, set[bytes]] = {}

    def fetch(_: int) -> None:
        for role in ("targets", "snapshot"):
            data = fleet.metadata(VIN, f"{role}.json")
            assert data is not None
            seen.setdefault(f"{role} {json.loads(data)['signed']['version']}", set()).add(data)

    def change(number: int) -> None:
        if number % 2:
            fleet.issue(VIN, force=True)
        else:
            fetch(number)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(change, range(16)))
    assert all(len(files) == 1 for files in seen.values())


@pytest.mark.parametrize("role", ["targets", "snapshot", "timestamp", "root", "time"])
def test_rotating_a_role_reaches_the_vehicle(fleet: Director, client: Client, role: str) -> None:
    fleet.assign(VIN, {"ecu-gw": GW})
    client.verify()
    old = fleet.root_bytes()
    assert fleet.rotate(role) == 2
    assert client.installs(at(minutes=1)) == {"ecu-gw": GW}
    assert client.trusted[DIRECTOR].root.signed.version == 2
    keys = json.loads(old)["signed"]["keys"].keys() - json.loads(fleet.root_bytes())["signed"]["keys"].keys()
    assert len(keys) == 1


def test_after_a_theft_the_stolen_keys_sign_nothing_that_a_vehicle_takes(fleet: Director, client: Client) -> None:
    client.verify()
    stolen = fleet.metadata(VIN, "targets.json")
    assert stolen is not None
    assert fleet.rotate("targets", "snapshot", "timestamp", "time") == 2
    client.verify(at(minutes=1))
    fleet.issue(VIN, force=True, now=at(minutes=2))
    real = fleet.metadata

    def hostile(vehicle: str, name: str, **options: object) -> bytes | None:
        return stolen if name.endswith("targets.json") else real(vehicle, name, **options)  # type: ignore[arg-type]

    partial = client.trusted[DIRECTOR]
    fleet.metadata = hostile  # type: ignore[method-assign]
    with pytest.raises(ThresholdError) as caught:
        drive(partial_verification(partial, client.vehicle("ecu-gw"), at(minutes=3)), client.answer)
    assert caught.value.role == "targets"
    fleet.metadata = real  # type: ignore[method-assign]
    client.verify(at(minutes=3))


def test_root_is_followed_through_every_version(fleet: Director, client: Client) -> None:
    for role in ("root", "targets", "root", "snapshot"):
        fleet.rotate(role)
    assert fleet.refresh_root(now=at(days=1)) == 6
    client.verify(at(days=1))
    assert client.trusted[DIRECTOR].root.signed.version == 6
    assert [json.loads(fleet.root_bytes(number))["signed"]["version"] for number in range(1, 7)] == [1, 2, 3, 4, 5, 6]


def test_without_the_offline_keys_root_cannot_be_changed_but_vehicles_are_served(
    fleet: Director, client: Client, tmp_path: Path
) -> None:
    (fleet.path / "keys" / "offline").rename(tmp_path / "safe")
    with Director.open(fleet.path, clock=lambda: NOW) as away:
        with pytest.raises(MissingKeysError) as caught:
            away.rotate("targets")
        assert caught.value.role == "root"
        assert json.loads(away.root_bytes())["signed"]["version"] == 1
        away.assign(VIN, {"ecu-gw": GW})
        assert away.metadata(VIN, "timestamp.json") is not None
        away.check()


def test_an_unknown_role_cannot_be_rotated(fleet: Director) -> None:
    with pytest.raises(UnknownDirectorRoleError):
        fleet.rotate("mirrors")
    with pytest.raises(UsageError):
        fleet.rotate()


def test_an_expired_root_is_not_used_to_sign(fleet: Director, site: ImageSite) -> None:
    late = at(days=366)
    site.now, site.valid = at(days=360), timedelta(days=10)
    site.publish()
    renewed = Root.from_dict(json.loads(site.root)["signed"])
    renewed.version, renewed.expires = 2, at(days=700)
    site._write("2.root.json", renewed, "root")
    with pytest.raises(ExpiredError) as caught:
        fleet.issue(VIN, now=late)
    assert (caught.value.repository, caught.value.role) == ("director", "root")
    with pytest.raises(ExpiredError):
        fleet.check(now=late)
    fleet.refresh_root(now=late)
    fleet.issue(VIN, now=late)
    fleet.check(now=late)


def test_an_order_is_not_signed_once_the_image_repositorys_word_has_expired(fleet: Director) -> None:
    fleet.assign(VIN, {"ecu-gw": GW})
    fleet.issue(VIN, now=at(days=30, hours=1))
    newest = fleet.decisions(VIN)[0].plan
    assert newest.outcome == "impossible"
    assert newest.orders == ()


def test_an_order_that_the_engine_refuses_at_the_last_moment_is_not_stored(
    fleet: Director, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = issuing.verify_set

    def refuse(order: issuing.SigningRequest, *arguments: Any, **options: Any) -> None:
        if order.entries:
            raise ExpiredError(repository="image", role="acme", version=1, expires=NOW, now=NOW)
        real(order, *arguments, **options)

    fleet.assign(VIN, {"ecu-gw": GW})
    monkeypatch.setattr("twinlock.director.signing.issue.verify_set", refuse)
    assert client.installs() == {}
    newest = fleet.decisions(VIN)[0].plan
    assert newest.outcome == "impossible"
    assert "image/acme" in newest.reasons[0]
    assert fleet.metadata(VIN, "2.targets.json") is None
    monkeypatch.undo()
    fleet.unassign(VIN)
    fleet.assign(VIN, {"ecu-gw": GW})
    assert client.installs(at(minutes=1)) == {"ecu-gw": GW}


def test_metadata_in_which_the_engine_reads_another_order_are_a_fault_of_ours(
    fleet: Director, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither a conflict, which invites to try again, nor an attack; and nothing is issued."""
    real = issuing.verify_set

    def without_order(order: issuing.SigningRequest, *arguments: Any, **options: Any) -> None:
        real(replace(order, entries={}), *arguments, **options)

    fleet.assign(VIN, {"ecu-gw": GW})
    monkeypatch.setattr("twinlock.director.signing.issue.verify_set", without_order)
    with pytest.raises(OrderMismatchError) as caught:
        fleet.issue(VIN)
    assert (caught.value.approved, caught.value.ordered) == ((f"{GW} on ecu-gw",), ("nothing",))
    assert caught.value.kind is Kind.FAILURE
    assert "meanwhile" not in str(caught.value)
    assert fleet.metadata(VIN, "2.targets.json") is None


@pytest.fixture
def strict(tmp_path: Path, site: ImageSite) -> Iterator[Director]:
    settings = replace(Settings(), renew_before_s=60)
    plans = {"targets": KeyPlan(count=3, threshold=2), "root": KeyPlan(count=2, threshold=2)}
    with Director.create(
        tmp_path / "strict",
        image_root=site.root,
        image_url=str(site.path),
        passphrase="correct horse",
        keys=plans,
        settings=settings,
        clock=lambda: NOW,
    ) as director:
        yield director


def test_thresholds_above_one_and_a_passphrase(strict: Director, site: ImageSite, car: TestVehicle) -> None:
    strict.register(car.description())
    strict.receive_manifest(car.manifest())
    strict.assign(VIN, {"ecu-gw": GW})
    client = Client(strict, site, car)
    assert client.installs() == {"ecu-gw": GW}
    assert strict.rotate("targets") == 2
    root = json.loads(strict.root_bytes())["signed"]["roles"]
    assert (root["targets"]["threshold"], len(root["targets"]["keyids"])) == (2, 3)
    assert client.installs(at(minutes=1)) == {"ecu-gw": GW}


def test_a_time_attestation_is_believed_under_the_directors_root(fleet: Director) -> None:
    root = bootstrap_repository(DIRECTOR, fleet.root_bytes()).root.signed
    data = fleet.attest_time(["ab12"], now=at(seconds=7))
    assert check_attestation(data, root, nonce="ab12").time == NOW + timedelta(seconds=7)
    with pytest.raises(AttestationError):
        check_attestation(data, root, nonce="cd34")
    fleet.rotate("time")
    renewed = bootstrap_repository(DIRECTOR, fleet.root_bytes()).root.signed
    with pytest.raises(AttestationError):
        check_attestation(data, renewed, nonce="ab12")
    assert check_attestation(fleet.attest_time(["ab12"]), renewed, nonce="ab12").time == NOW
