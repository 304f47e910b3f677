"""Our own cars and vehicles that run aktualizr update from one pair of repositories, and each is told the truth.

Every scenario runs with the simulated client, and with the real one too where AKTUALIZR names its binary.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.aktualizr.clients import CLIENTS
from tests.aktualizr.config import Secondary, SharedCredentials
from tests.e2e.commands import FAILED, twinlock
from tests.e2e.fleet import car, ecu_id
from tests.e2e.mixed_fleet import Device, MixedServers, device, mixed_servers

MakeDevice = Callable[..., Device]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, firmware: dict[str, Path]) -> Iterator[MixedServers]:
    """Both repositories in both profiles, with one release of everything."""
    with mixed_servers(tmp_path_factory.mktemp("mixed")) as running:
        running.add(firmware["opensbi"], "gw/opensbi-1.4.bin", "gw-1", 14)
        running.add(firmware["seabios"], "gw/seabios-1.5.bin", "gw-1", 15)
        running.add(firmware["u-boot-qemu"], "brake/u-boot-2.0.bin", "brake-7", 20)
        running.publish()
        yield running


@pytest.fixture(params=sorted(CLIENTS))
def build(request: pytest.FixtureRequest, made: MixedServers, tmp_path: Path, vehicle: str) -> MakeDevice:
    """Makes the vehicle of a test, with settings of the client."""

    def make(**settings: Any) -> Device:
        return device(made, tmp_path, vehicle, request.param, **settings)

    return make


def brake(vehicle: str, **settings: Any) -> Secondary:
    return Secondary(serial=ecu_id(vehicle, "brake"), hardware_id="brake-7", **settings)


def test_both_kinds_of_vehicle_update_from_one_pair_of_repositories(
    made: MixedServers, build: MakeDevice, tmp_path: Path, vehicle: str, firmware: dict[str, Path]
) -> None:
    theirs = build(secondaries=(brake(vehicle),))
    with car(made, tmp_path / "car", f"{vehicle}-own", brake=("brake-7", "full")) as ours:
        assert theirs.once().exit_status == 0
        assert ours.update()["outcome"] == "up-to-date"
        for name in (vehicle, ours.vehicle):
            made.assign(name, gateway="gw/opensbi-1.4.bin", brake="brake/u-boot-2.0.bin")

        run = theirs.once()
        assert run.success
        assert theirs.runs(run, "gateway") == "gw/opensbi-1.4.bin"
        assert ours.update()["outcome"] == "updated"
        assert ours.runs("brake") == ("brake/u-boot-2.0.bin", firmware["u-boot-qemu"].read_bytes())
        for name in (vehicle, ours.vehicle):
            assert made.known(name) == {"gateway": "gw/opensbi-1.4.bin", "brake": "brake/u-boot-2.0.bin"}
        assert not theirs.once().success  # there is nothing more to do
        assert ours.update()["outcome"] == "up-to-date"


def test_a_supplier_s_image_reaches_a_primary_and_never_a_vehicle_with_secondaries(
    made: MixedServers, build: MakeDevice, tmp_path: Path, vehicle: str, firmware: dict[str, Path]
) -> None:
    acme, role = tmp_path / "acme", f"acme-{vehicle}"
    twinlock("supplier", "init", acme, "--role", role, "--wire", "aktualizr")
    delegation = ("--key", acme / f"{role}.pub.json", "--path", f"{role}/**", "--hardware-id", "gw-1")
    twinlock("image", "delegate", made.images, role, *delegation)
    listed = ("--hardware-id", "gw-1", "--release-counter", "30")
    twinlock("supplier", "add", acme, firmware["u-boot-qemu"], f"{role}/fw-3.bin", *listed)
    twinlock("supplier", "sign", acme)
    twinlock("image", "accept", made.images, acme / "outbox")
    made.publish()

    theirs = build()
    theirs.once()
    made.assign(vehicle, gateway=f"{role}/fw-3.bin")
    run = theirs.once()
    assert run.success
    assert theirs.runs(run, "gateway") == f"{role}/fw-3.bin"

    # With a Secondary in the same order every image has to be in the top-level Targets.
    theirs.client.configure(secondaries=(brake(vehicle),))
    theirs.once()
    refused = made.assign(vehicle, FAILED, gateway=f"{role}/fw-3.bin", brake="brake/u-boot-2.0.bin")
    assert role in str(refused)


def test_every_key_may_be_replaced_while_vehicles_go_on(made: MixedServers, build: MakeDevice, vehicle: str) -> None:
    theirs = build()
    theirs.once()
    for repository, roles in (("image", ["root"]), ("image", ["targets", "snapshot", "timestamp"])):
        twinlock(repository, "rotate", made.images, *roles, "--yes")
    twinlock("director", "rotate", made.directory, "root", "--yes")
    twinlock("director", "rotate", made.directory, "targets", "snapshot", "timestamp", "time", "--yes")
    made.assign(vehicle, gateway="gw/opensbi-1.4.bin")
    run = theirs.once()
    assert run.success
    assert theirs.runs(run, "gateway") == "gw/opensbi-1.4.bin"


def test_a_failed_download_is_told_and_done_again(made: MixedServers, build: MakeDevice, vehicle: str) -> None:
    theirs = build()
    theirs.once()
    made.assign(vehicle, gateway="gw/seabios-1.5.bin")
    # The names of one image by its several digests are links to the same bytes.
    (stored, *_) = (path for path in (made.images / "public" / "targets" / "gw").iterdir() if "seabios" in path.name)
    good = stored.read_bytes()
    stored.chmod(0o644)
    stored.write_bytes(bytes(len(good)))
    try:
        assert not theirs.once().success
        assert any("DOWNLOAD_FAILED" in event["detail"] for event in made.events(vehicle))
    finally:
        stored.write_bytes(good)
    assert theirs.once().success
    assert made.known(vehicle)["gateway"] == "gw/seabios-1.5.bin"


def test_a_withdrawn_order_is_not_installed(made: MixedServers, build: MakeDevice, vehicle: str) -> None:
    theirs = build()
    theirs.once()
    made.assign(vehicle, gateway="gw/opensbi-1.4.bin")
    assert theirs.once().success
    made.assign(vehicle, gateway="gw/seabios-1.5.bin")
    twinlock("director", "refresh", made.directory, vehicle)
    made.unassign(vehicle)
    run = theirs.once()
    assert not run.success
    assert theirs.runs(run, "gateway") == "gw/opensbi-1.4.bin"


def test_a_vehicle_that_loses_an_ecu_registers_again_and_goes_on(
    made: MixedServers, build: MakeDevice, vehicle: str
) -> None:
    theirs = build(secondaries=(brake(vehicle),))
    theirs.once()
    made.assign(vehicle, gateway="gw/opensbi-1.4.bin", brake="brake/u-boot-2.0.bin")
    assert theirs.once().success
    theirs.client.configure(secondaries=())
    theirs.once()
    assert set(made.known(vehicle)) == {"gateway"}
    made.assign(vehicle, gateway="gw/seabios-1.5.bin")
    run = theirs.once()
    assert run.success
    assert theirs.runs(run, "gateway") == "gw/seabios-1.5.bin"


def test_a_device_asks_for_credentials_of_its_own(
    made: MixedServers, build: MakeDevice, tmp_path: Path, vehicle: str
) -> None:
    archive = tmp_path / "credentials.zip"
    twinlock("director", "issue-provisioning", made.directory, "--url", made.devices.url, "--output", archive)
    theirs = build(server="", director_server="", device_id=vehicle, shared=SharedCredentials(archive))
    assert theirs.once().exit_status == 0
    made.assign(vehicle, gateway="gw/opensbi-1.4.bin")
    assert theirs.once().success


def test_a_failed_installation_is_told_to_people(made: MixedServers, tmp_path: Path, vehicle: str) -> None:
    theirs = device(made, tmp_path, vehicle, "virtual", install_result="INSTALL_FAILED")
    theirs.once()
    made.assign(vehicle, gateway="gw/opensbi-1.4.bin")
    assert not theirs.once().success
    assert any("INSTALL_FAILED" in event["detail"] for event in made.events(vehicle))
    theirs.client.configure(install_result="OK")
    assert theirs.once().success
    assert made.known(vehicle)["gateway"] == "gw/opensbi-1.4.bin"
