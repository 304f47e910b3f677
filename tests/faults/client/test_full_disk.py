"""A disk that images have filled: the ECU drops what it can fetch again, reports, and takes the order that leads out.

The disk is a tmpfs where this process may mount one. Elsewhere those tests are skipped; the others need no such right.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web
from click.testing import CliRunner

from tests.faults.client.test_no_space import error_of
from tests.unit.client.test_slots import NEW, OLD, image
from tests.unit.client.vehicle import Car, only_the_gateway, running_car
from twinlock.cli.main import main
from twinlock.client.ecu import disk_space
from twinlock.client.install.ab_slots import SlotInstaller
from twinlock.client.model.results import Outcome
from twinlock.client.primary.primary import Primary
from twinlock.testing.simulator.world import GATEWAY
from twinlock.trust.errors.local import StorageError
from twinlock.trust.names import EcuId

MEGABYTE = 1_000_000


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 8 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={8 * MEGABYTE}", "tmpfs", str(place)]
    try:
        mounted = subprocess.run(mount, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        mounted = False
    if not mounted:
        pytest.skip("this process may not mount a disk of its own")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def fill(directory: Path, name: str) -> Path:
    """Write until nothing fits any more."""
    path = directory / name
    try:
        with path.open("wb", buffering=0) as file:
            while True:
                file.write(b"x" * 4096)
    except OSError:
        return path


@asynccontextmanager
async def gateway(directory: Path, size: int) -> AsyncIterator[Car]:
    """A vehicle of one ECU, which is ordered an image of ``size`` bytes."""
    data = b"x" * size

    async def serve(_request: web.Request) -> web.Response:
        return web.Response(body=data)

    async with running_car(directory, with_secondaries=False) as car:
        world, path = car.world, GATEWAY.path(1)
        listed = world.image.bodies[GATEWAY.role]["targets"][path]
        world.image.add_image(path, data, role=GATEWAY.role, **listed["custom"])
        world.image.publish("targets")
        world.order_release(1)
        only_the_gateway(world)
        car.servers.lies[car.servers.image_path(path, data)] = serve
        yield car


def test_a_failed_write_leaves_no_half_image_behind(tmp_path: Path) -> None:
    slots = SlotInstaller.provision(tmp_path / "slots", EcuId("e"), *image(tmp_path, OLD, 1))
    new = image(tmp_path, NEW, 2)
    assert error_of(lambda: slots.install(*new), tmp_path / "notes", max_file_bytes=50_000)["code"] == "storage"
    assert sorted(path.name for path in slots.directory.iterdir()) == ["active.json", "slot-a"]
    assert slots.installed().path == "brake/old.bin"
    assert slots.install(*new).path == "brake/new.bin"


def test_an_image_that_would_fill_the_disk_costs_no_old_image(small_disk: Path, tmp_path: Path) -> None:
    slots = SlotInstaller.provision(small_disk / "slots", EcuId("e"), *image(tmp_path, OLD, 1))
    slots.install(*image(tmp_path, NEW, 2))
    with pytest.raises(StorageError) as caught:
        slots.install(*image(tmp_path, b"large " * 1_300_000, 3))
    assert "bytes are needed" in caught.value.reason
    assert slots.installed().path == "brake/new.bin"
    assert slots.rollback().path == "brake/old.bin"


def test_a_primary_whose_images_filled_its_disk_reports_and_takes_the_way_out(small_disk: Path) -> None:
    async def scenario() -> None:
        async with gateway(small_disk, 4 * MEGABYTE) as car:
            result = await car.primary.update_cycle()  # staged, and no room for the slot
            assert result.outcome is Outcome.FAILED
            assert result.reported
            assert [problem.error.code for problem in result.problems] == ["storage"]
            fill(car.config.parent / "staging", "left.part")  # by a process that was killed
            slot = car.config.parent / "slots" / "slot-b"
            slot.write_bytes(b"")
            car.world.director.withdraw(GATEWAY.ecu)
            car.world.director.publish("targets")
            result = await car.primary.update_cycle()
            assert (result.outcome, result.reported) == (Outcome.UP_TO_DATE, True)
            fill(car.config.parent / "staging", "left.part")
            await car.primary.close()
            async with Primary.open(car.config, wall=car.world.time) as again:
                result = await again.update_cycle()
                assert (result.problems, result.reported) == ((), True)
            assert not slot.exists()
            assert (car.config.parent / "slots" / "slot-a").exists()

    asyncio.run(scenario())


def test_what_is_dropped_to_make_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        async with running_car(tmp_path, with_secondaries=False) as car:
            settings = car.primary.config
            await car.primary.update_cycle()
            staged = settings.staging / "x.image"
            staged.write_bytes(b"x")
            before = car.slot_bytes()
            assert not disk_space.make_room(settings)
            assert staged.exists()
            monkeypatch.setattr(disk_space, "free_bytes", lambda _directory: 4096)
            assert disk_space.make_room(settings)
            assert list(settings.staging.iterdir()) == []
            assert car.slot_bytes() == before  # both slots hold an image that the record names
            record = settings.slots / "active.json"
            record.write_bytes(b"damaged")
            assert disk_space.make_room(settings)
            assert (settings.slots / "slot-a").exists()
            assert (settings.slots / "slot-b").exists()

    asyncio.run(scenario())


@pytest.mark.parametrize("command", [["primary", "show"], ["trusted", "show"]])
def test_a_full_disk_keeps_nothing_from_being_looked_at(small_disk: Path, command: list[str]) -> None:
    async def once() -> Path:
        async with gateway(small_disk, 1000) as car:
            assert (await car.primary.update_cycle()).outcome is Outcome.UPDATED
            return car.config.parent

    place = asyncio.run(once())
    fill(small_disk, "full")
    before = sorted(place.rglob("*"))
    answer = CliRunner().invoke(main, [*command, str(place), "--json"])
    assert answer.exit_code == 0, answer.output
    assert json.loads(answer.stdout)
    assert sorted(place.rglob("*")) == before
