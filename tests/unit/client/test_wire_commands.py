"""The commands for an ECU whose repositories speak the aktualizr profile, as a person runs them, against real sockets."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

import twinlock.testing.simulator.world as simulated
from tests.unit.client.test_commands import hurry, read, run
from tests.unit.client.vehicle import only_the_gateway
from twinlock.testing.servers import Servers, serving_world
from twinlock.testing.simulator.world import BRAKE, GATEWAY, VIN, World


@pytest.fixture(autouse=True)
def today(monkeypatch: pytest.MonkeyPatch) -> None:
    """The commands look at the system clock, so the simulated world lives today."""
    monkeypatch.setattr(simulated, "START", datetime.now(UTC).replace(microsecond=0))


@asynccontextmanager
async def foreign(directory: Path, *, index: bool = True) -> AsyncIterator[tuple[World, Servers, list[object]]]:
    """Both repositories in that profile, and the options that name them."""
    world = World(director="aktualizr", image="aktualizr")
    if not index:
        for role in ("timestamp", "snapshot"):
            del world.director.bodies["root"]["roles"][role]
        world.director.put("root")
    only_the_gateway(world)
    (directory / "director.json").write_bytes(world.director.files["1.root.json"])
    (directory / "image.json").write_bytes(world.image.files["1.root.json"])
    async with serving_world(world) as servers:
        yield world, servers, [
            "--vehicle", VIN, "--ecu", GATEWAY.ecu, "--hardware-id", GATEWAY.hardware_id,
            "--director-url", servers.director_url, "--image-url", servers.image_url,
            "--director-root", directory / "director.json", "--image-root", directory / "image.json",
            "--director-wire", "aktualizr", "--image-wire", "aktualizr",
        ]  # fmt: skip


@pytest.mark.parametrize("keytype", ["ed25519", "rsa"])
def test_from_nothing_to_an_update_and_its_explanation(tmp_path: Path, keytype: str) -> None:
    async def scenario() -> None:
        async with foreign(tmp_path) as (_world, servers, options):
            gateway = tmp_path / "gateway"
            made = await run("primary", "init", gateway, *options, "--key-type", keytype)
            assert made.exit_code == 0, made.output
            assert f"next: twinlock primary register {gateway}" in made.stdout
            config = json.loads((gateway / "primary.json").read_text())
            assert (config["wires"], config["policy"]) == ({"director": "aktualizr", "image": "aktualizr"}, "strict")
            hurry(gateway)
            assert (await run("primary", "register", gateway)).stdout == "registered 1 ECU\n"
            assert read(await run("primary", "register", gateway, "--json")) == {"registered": True, "ecus": 1}
            assert len(servers.registered) == 2
            updated = await run("primary", "update", gateway)
            assert updated.exit_code == 0, updated.output
            assert f"{GATEWAY.ecu} runs {GATEWAY.path(1)}" in updated.stdout
            assert "weaker" not in updated.stdout
            why = await run("trusted", "why", GATEWAY.path(1), gateway)
            assert why.exit_code == 0, why.output
            assert "timestamp" in (await run("trusted", "show", gateway)).stdout
            enrolled = await run("primary", "enrol", gateway, env={"TWINLOCK_ENROLMENT_TOKEN": "x"})
            assert enrolled.exit_code == 2
            assert "primary register" in enrolled.output

    asyncio.run(scenario())


def test_what_a_lax_policy_let_be_missing_is_shown(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with foreign(tmp_path, index=False) as (_world, _servers, options):
            gateway = tmp_path / "gateway"
            await run("primary", "init", gateway, *options)
            hurry(gateway)
            refused = await run("primary", "update", gateway)
            assert "error[missing-role]" in refused.output
            lax = tmp_path / "lax"
            await run("primary", "init", lax, *options, "--policy", "lax")
            hurry(lax)
            updated = await run("primary", "update", lax)
            assert updated.exit_code == 0, updated.output
            assert "  weaker: director-without-index\n" in updated.stdout
            assert "weaker: director-without-index" in (await run("primary", "show", lax)).stdout
            assert read(await run("primary", "update", lax, "--json"))["weaker"] == ["director-without-index"]
            assert read(await run("primary", "show", lax, "--json"))["lastDecision"]["weaker"] == [
                "director-without-index"
            ]

    asyncio.run(scenario())


def test_a_secondary_is_made_for_the_same_profile(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with foreign(tmp_path) as (_world, _servers, options):
            brake = [
                "--vehicle", VIN, "--ecu", BRAKE.ecu, "--hardware-id", BRAKE.hardware_id, "--listen", "unix:socket",
                "--director-root", tmp_path / "director.json", "--image-root", tmp_path / "image.json",
            ]  # fmt: skip
            wires = ["--director-wire", "aktualizr", "--image-wire", "aktualizr"]
            wrong = await run("secondary", "init", tmp_path / "wrong", *brake, *wires, "--key-type", "ecdsa")
            assert "error[wire-profile]" in wrong.output
            assert not (tmp_path / "wrong").exists()
            other = await run("secondary", "init", tmp_path / "other", *brake)
            assert "error[malformed]" in other.output  # Roots of one profile are no anchors in another
            made = await run("secondary", "init", tmp_path / "brake", *brake, *wires)
            assert made.exit_code == 0, made.output
            described = await run("secondary", "describe", tmp_path / "brake")
            (tmp_path / "brake.json").write_text(described.stdout)
            gateway = await run(
                "primary", "init", tmp_path / "gateway", *options, "--secondary", tmp_path / "brake.json"
            )
            assert gateway.exit_code == 0, gateway.output
            assert "2 ECUs" in (await run("primary", "register", tmp_path / "gateway")).stdout

    asyncio.run(scenario())
