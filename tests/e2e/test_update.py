"""A real update: firmware of three projects reaches the ECUs of a vehicle, and the Director hears of it."""

from __future__ import annotations

from pathlib import Path

from tests.e2e.commands import FAILED, twinlock
from tests.e2e.fleet import Servers, car


def test_firmware_reaches_every_ecu(
    repositories: Servers, tmp_path: Path, vehicle: str, firmware: dict[str, Path]
) -> None:
    opensbi, uboot, seabios = firmware["opensbi"], firmware["u-boot-qemu"], firmware["seabios"]
    with car(repositories, tmp_path / "car", vehicle, brake=("brake-7", "full"), door=("door-2", "partial")) as built:
        repositories.add(opensbi, "gw/opensbi-1.4.bin", "gw-1", 14, "--component", "gateway", "--version", "1.4")
        needs = ("--component", "brake", "--version", "2.0", "--needs", "gateway>=1.4")
        repositories.add(uboot, "brake/u-boot-2.0.bin", "brake-7", 20, *needs)
        repositories.add(seabios, "door/seabios-1.bin", "door-2", 1, "--component", "door", "--version", "1.0")
        repositories.publish()

        assert built.update()["outcome"] == "up-to-date"
        plan = repositories.assign(vehicle, brake="brake/u-boot-2.0.bin", door="door/seabios-1.bin")
        moved = [order["path"] for order in plan["orders"] if order["moved"]]
        assert moved == ["gw/opensbi-1.4.bin"]  # by dependency: nobody assigned it

        result = built.update()
        assert result["outcome"] == "updated"
        assert result["reported"]
        assert built.runs("gateway") == ("gw/opensbi-1.4.bin", opensbi.read_bytes())
        assert built.runs("brake") == ("brake/u-boot-2.0.bin", uboot.read_bytes())
        assert built.runs("door") == ("door/seabios-1.bin", seabios.read_bytes())
        assert repositories.known(vehicle) == {
            "gateway": "gw/opensbi-1.4.bin",
            "brake": "brake/u-boot-2.0.bin",
            "door": "door/seabios-1.bin",
        }
        assert built.update()["outcome"] == "up-to-date"
        assert twinlock("trusted", "why", "brake/u-boot-2.0.bin", built.gateway)["trusted"]


def test_a_supplier_signs_for_its_own_ecu_and_for_no_other(
    repositories: Servers, tmp_path: Path, vehicle: str, firmware: dict[str, Path]
) -> None:
    acme = tmp_path / "acme"
    twinlock("supplier", "init", acme, "--role", "acme")
    keys = acme / "acme.pub.json"
    twinlock(
        "image", "delegate", repositories.images, "acme", "--key", keys, "--path", "acme/*", "--hardware-id", "lidar-3"
    )
    image = firmware["u-boot-qemu"]
    twinlock("supplier", "add", acme, image, "acme/lidar-1.bin", "--hardware-id", "lidar-3", "--release-counter", "1")
    twinlock("supplier", "sign", acme)
    twinlock("image", "accept", repositories.images, acme / "outbox")
    repositories.publish()
    with car(repositories, tmp_path / "car", vehicle, lidar=("lidar-3", "full")) as built:
        built.update()
        repositories.assign(vehicle, lidar="acme/lidar-1.bin")
        assert built.update()["outcome"] == "updated"
        assert built.runs("lidar") == ("acme/lidar-1.bin", image.read_bytes())
        assert repositories.known(vehicle)["lidar"] == "acme/lidar-1.bin"

        twinlock("supplier", "add", acme, image, "acme/gw-1.bin", "--hardware-id", "gw-1", "--release-counter", "1")
        twinlock("supplier", "sign", acme)
        refused = twinlock("image", "accept", repositories.images, acme / "outbox", status=FAILED)
        assert refused["code"] == "not-delegated"
        assert (refused["kind"], refused["attack"]) == ("refusal", "none"), "a supplier may err"
