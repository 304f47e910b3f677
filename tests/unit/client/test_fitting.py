"""Parts that change in the workshop: a wiped Secondary, another one in its place, one more, one less."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from tests.unit.client.vehicle import Car, roots, running_car
from twinlock.cli.main import main
from twinlock.client.ecu.config import load_primary
from twinlock.client.ecu.provision import EcuPlan, provision_secondary
from twinlock.client.primary.primary import Primary
from twinlock.client.secondary.secondary import Secondary
from twinlock.client.secondary.server import start_secondary
from twinlock.testing.simulator.world import BRAKE, VIN, World


def described(directory: Path, world: World, serial: str, **fields: Any) -> Path:
    plan = EcuPlan(vehicle=VIN, ecu=serial, hardware_id=BRAKE.hardware_id)
    found = provision_secondary(directory, plan, roots(world), verification="full", listen="http://127.0.0.1:0")
    path = directory / "described.json"
    path.write_text(json.dumps(found | fields))
    return path


def run(*arguments: object) -> tuple[int, str]:
    done = CliRunner().invoke(main, ["primary", *map(str, arguments)])
    return done.exit_code, done.output


def test_a_wiped_secondary_is_named_to_its_primary_and_updates_again(tmp_path: Path) -> None:
    async def scenario(car: Car) -> None:
        await car.primary.close()
        described(tmp_path / "wiped", car.world, BRAKE.ecu)
        with Secondary.open(tmp_path / "wiped" / "secondary.json", wall=car.world.time) as wiped:
            server, address = await start_secondary(wiped)
            try:
                file = tmp_path / "brake.json"
                found = json.loads((tmp_path / "wiped" / "described.json").read_text())
                file.write_text(json.dumps(found | {"address": address}))
                async with Primary.open(car.config, wall=car.world.time) as before:
                    result = await before.update_cycle()
                    hints = [problem.error.hint for problem in result.problems]
                    assert all("set-secondary" in hint or not hint for hint in hints)
                    status, output = run("set-secondary", car.config.parent, file)
                    assert status == 3, output  # it runs
                assert run("set-secondary", car.config.parent, file) == (
                    0,
                    f"{BRAKE.ecu} at {address} replaces {BRAKE.ecu}\n",
                )
                async with Primary.open(car.config, wall=car.world.time) as again:
                    result = await again.update_cycle()
                    assert [problem for problem in result.problems if problem.ecu == BRAKE.ecu] == []
                    assert again.installed()[load_primary(car.config).secondaries[0].ecu.ecu].path == BRAKE.path(1)
            finally:
                await server.cleanup()

    async def once() -> None:
        async with running_car(tmp_path) as car:
            await scenario(car)

    asyncio.run(once())


@pytest.fixture
def gateway(tmp_path: Path) -> Path:
    from twinlock.client.ecu.provision import KnownRepositories, provision_primary

    given = roots(World())
    urls = KnownRepositories(
        director_root=given.director_root,
        image_root=given.image_root,
        director_url=f"http://127.0.0.1:1/vehicles/{VIN}",
        image_url="http://127.0.0.1:1",
    )
    first = json.loads(described(tmp_path / "first", World(), "ecu-a").read_text())
    plan = EcuPlan(vehicle=VIN, ecu="ecu-gw", hardware_id="gw")
    return provision_primary(tmp_path / "gw", plan, urls, secondaries=[first]).parent


def ecus(gateway: Path) -> list[str]:
    return [item.ecu.ecu for item in load_primary(gateway / "primary.json").secondaries]


def test_another_part_takes_the_place_or_is_one_more_or_goes(gateway: Path, tmp_path: Path) -> None:
    other = described(tmp_path / "other", World(), "ecu-b")
    before = (gateway / "primary.json").read_bytes()
    for words in (("set-secondary", gateway, other), ("set-secondary", gateway, other, "--replaces", "ecu-x")):
        status, output = run(*words)
        assert (status, "error[unknown-secondary]" in output) == (2, True)
    status, output = run("set-secondary", gateway, tmp_path / "first" / "described.json", "--new")
    assert (status, "error[known-secondary]" in output) == (2, True)
    assert run("set-secondary", gateway, other, "--new", "--replaces", "ecu-a")[0] == 2
    assert run("remove-secondary", gateway, "ecu-b", "--yes")[0] == 2
    assert (gateway / "primary.json").read_bytes() == before
    assert run("set-secondary", gateway, other, "--replaces", "ecu-a")[0] == 0
    assert ecus(gateway) == ["ecu-b"]
    assert run("set-secondary", gateway, tmp_path / "first" / "described.json", "--new")[0] == 0
    assert ecus(gateway) == ["ecu-b", "ecu-a"]
    assert run("remove-secondary", gateway, "ecu-b", "--yes")[0] == 0
    assert ecus(gateway) == ["ecu-a"]


@pytest.mark.parametrize(
    "fields", [{"verification": "half"}, {"ecu": "ecu-gw"}, {"colour": "red"}, {"address": "ftp://x"}]
)
def test_a_description_that_is_not_sound_changes_nothing(gateway: Path, tmp_path: Path, fields: dict[str, str]) -> None:
    bad = described(tmp_path / "bad", World(), "ecu-b", **fields)
    before = sorted((path.name, path.read_bytes()) for path in gateway.iterdir() if path.suffix == ".json")
    status, output = run("set-secondary", gateway, bad, "--replaces", "ecu-a")
    assert (status, "attack" in output) == (2, False), output
    assert f"{bad}: {next(iter(fields))} " in output
    assert sorted((path.name, path.read_bytes()) for path in gateway.iterdir() if path.suffix == ".json") == before
