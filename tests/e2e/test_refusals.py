"""What may not be installed is not: by exit status and error code, with every ECU as it was."""

from __future__ import annotations

import itertools
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.commands import FAILED, TRANSPORT, USAGE, Running
from tests.e2e.fleet import Car, Servers, car

VEHICLE = "VIN-REFUSES"


@pytest.fixture(scope="module")
def updated(
    repositories: Servers, tmp_path_factory: pytest.TempPathFactory, firmware: dict[str, Path]
) -> Iterator[Car]:
    """A vehicle whose brake runs release 2, with release 1 still listed."""
    with car(repositories, tmp_path_factory.mktemp("refuses") / "car", VEHICLE, brake=("brake-7", "full")) as built:
        repositories.add(firmware["seabios"], "brake/1.bin", "brake-7", 1)
        repositories.add(firmware["opensbi"], "brake/2.bin", "brake-7", 2)
        repositories.publish()
        built.update()
        repositories.assign(VEHICLE, brake="brake/2.bin")
        assert built.update()["outcome"] == "updated"
        yield built


_releases = itertools.count(3)


def next_release(repositories: Servers, file: Path) -> str:
    """Publish and order one more release for the brake; its name."""
    number = next(_releases)
    repositories.add(file, f"brake/{number}.bin", "brake-7", number)
    repositories.publish()
    repositories.assign(VEHICLE, brake=f"brake/{number}.bin")
    return f"brake/{number}.bin"


def test_the_director_orders_nothing_that_a_vehicle_would_refuse(repositories: Servers, updated: Car) -> None:
    running = updated.runs("brake")
    downgrade = repositories.assign(VEHICLE, status=FAILED, brake="brake/1.bin")
    assert downgrade["code"] == "release-counter"
    assert downgrade["attack"] == "none"  # an operator's own order
    assert repositories.assign(VEHICLE, status=USAGE, brake="nobody/knows.bin")["code"] == "unknown-image"
    assert repositories.assign(VEHICLE, status=FAILED, gateway="brake/2.bin")["code"] == "wrong-hardware"
    assert repositories.assign(VEHICLE, status=USAGE, radio="brake/2.bin")["code"] == "no-such-ecu"
    assert repositories.assign("VIN-of-nobody", status=USAGE, brake="brake/2.bin")["code"] == "unknown-vehicle"
    assert updated.update()["outcome"] == "up-to-date"
    assert updated.runs("brake") == running


def test_a_vehicle_refuses_bytes_that_are_not_those_that_were_signed(
    repositories: Servers, updated: Car, firmware: dict[str, Path]
) -> None:
    running, genuine = updated.runs("brake"), firmware["u-boot-qemu"].read_bytes()
    name = next_release(repositories, firmware["u-boot-qemu"])
    stored = sorted((repositories.images / "public" / "targets" / "brake").glob(f"*.{name.removeprefix('brake/')}"))
    assert stored
    for file in stored:
        replace(file, genuine[:-1] + bytes([genuine[-1] ^ 1]))

    result = updated.update(status=FAILED)
    assert first_error(result)["code"] == "wrong-digest"
    assert first_error(result)["clause"] == "Uptane 2.1.0 5.4.3.4"
    assert updated.runs("brake") == running
    (gateway,) = (item for item in repositories.shown(VEHICLE)["ecus"] if item["primary"])
    assert gateway["installed"]["attack"] == "wrong-digest"  # the Director hears of it

    for file in stored:
        replace(file, genuine)
    assert updated.update()["outcome"] == "updated"
    assert updated.runs("brake") == (name, genuine)


def test_an_order_that_the_image_repository_does_not_confirm_is_refused(
    repositories: Servers, updated: Car, tmp_path: Path, firmware: dict[str, Path]
) -> None:
    """The Image repository that the vehicle sees is a copy from before the image was published."""
    running = updated.runs("brake")
    copy = tmp_path / "copy"
    shutil.copytree(repositories.images, copy)
    name = next_release(repositories, firmware["seabios"])
    config = updated.gateway / "map.json"
    genuine = config.read_text()
    with Running(("image", "serve", copy, "--port", "0", "--no-refresh"), tmp_path / "copy.log") as behind:
        config.write_text(genuine.replace(repositories.image.url, behind.url))
        try:
            result = updated.update(status=FAILED)
        finally:
            config.write_text(genuine)
    assert first_error(result)["code"] == "image-not-found"
    assert first_error(result)["attack"] == "arbitrary-software"
    assert updated.runs("brake") == running
    assert updated.update()["outcome"] == "updated"
    assert updated.runs("brake")[0] == name


def test_servers_that_cannot_be_reached_are_a_fault_of_transport_and_no_refusal(
    repositories: Servers, updated: Car
) -> None:
    config = updated.gateway / "map.json"
    genuine = config.read_text()
    config.write_text(genuine.replace(repositories.director.url, "http://127.0.0.1:1"))
    result = updated.update(status=TRANSPORT)
    assert first_error(result)["code"] == "transport"
    config.write_text(genuine)
    assert updated.update()["outcome"] == "up-to-date"


def first_error(result: dict[str, object]) -> dict[str, str]:
    """What went wrong in a cycle."""
    problems = json.loads(json.dumps(result))["problems"]
    error: dict[str, str] = problems[0]["error"]
    return error


def replace(file: Path, data: bytes) -> None:
    """Put other bytes where a server reads them, as an intruder on that machine can."""
    fresh = file.with_name(file.name + ".new")
    fresh.write_bytes(data)
    fresh.replace(file)
