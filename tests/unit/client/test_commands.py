"""The commands for ECUs, as a person or a script runs them, against real sockets."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from click.testing import CliRunner, Result

import twinlock.testing.simulator.world as simulated
from tests.unit.client.vehicle import FAST_FETCH, only_the_gateway
from twinlock.cli.main import main
from twinlock.testing.servers import Servers, serving_world
from twinlock.testing.simulator.world import BRAKE, GATEWAY, VIN, World

Run = Callable[..., Awaitable[Result]]


@pytest.fixture(autouse=True)
def today(monkeypatch: pytest.MonkeyPatch) -> None:
    """The commands look at the system clock, so the simulated world lives today."""
    monkeypatch.setattr(simulated, "START", datetime.now(UTC).replace(microsecond=0))


async def run(*arguments: object, env: dict[str, str] | None = None) -> Result:
    """One command, in a thread of its own."""
    words = [str(argument) for argument in arguments]
    return await asyncio.to_thread(lambda: CliRunner().invoke(main, words, env=env, standalone_mode=True))


def read(result: Result) -> Any:
    """The JSON that a command wrote to stdout."""
    return json.loads(result.stdout)


@asynccontextmanager
async def repositories(directory: Path) -> AsyncIterator[tuple[World, Servers, list[object]]]:
    """A world on sockets, and the options that every ``primary init`` here has in common."""
    world = World()
    only_the_gateway(world)
    (directory / "director.json").write_bytes(world.director.files["1.root.json"])
    (directory / "image.json").write_bytes(world.image.files["1.root.json"])
    async with serving_world(world) as servers:
        yield world, servers, [
            "--vehicle", VIN, "--ecu", GATEWAY.ecu, "--hardware-id", GATEWAY.hardware_id,
            "--director-url", servers.director_url, "--image-url", servers.image_url,
            "--director-root", directory / "director.json", "--image-root", directory / "image.json",
        ]  # fmt: skip


def hurry(directory: Path) -> None:
    """Replace the waiting times of a Primary by short ones."""
    path = directory / "primary.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"fetch": FAST_FETCH}))


def test_from_nothing_to_an_update_and_its_explanation(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with repositories(tmp_path) as (_world, _servers, options):
            gateway = tmp_path / "gateway"
            (tmp_path / "old.bin").write_bytes(b"old")
            made = await run("primary", "init", gateway, *options, "--factory-image", tmp_path / "old.bin", "--json")
            assert made.exit_code == 0, made.output
            shown = {"config": str(gateway / "primary.json"), "ecu": GATEWAY.ecu, "vehicle": VIN, "warnings": []}
            assert read(made) == shown
            described = read(await run("primary", "describe", gateway))
            assert described["primary"] == GATEWAY.ecu
            assert described["ecus"][0]["key"]["keytype"] == "ed25519"
            updated = await run("primary", "update", gateway)
            assert updated.exit_code == 0, updated.output
            assert f"{GATEWAY.ecu} runs {GATEWAY.path(1)}" in updated.stdout
            again = await run("primary", "update", gateway, "--json")
            assert read(again)["outcome"] == "up-to-date"
            assert GATEWAY.path(1) in (await run("primary", "show", gateway)).stdout
            assert "timestamp" in (await run("trusted", "show", gateway)).stdout
            why = await run("trusted", "why", GATEWAY.path(1), gateway)
            assert why.exit_code == 0
            assert f"{GATEWAY.path(1)} is trusted for {GATEWAY.ecu}" in why.stdout
            other = await run("trusted", "why", "evil.bin", gateway, "--json")
            assert other.exit_code == 1
            assert read(other)["refusal"]["code"] == "not-ordered"

    asyncio.run(scenario())


def test_a_refused_cycle_shows_attack_and_clause_and_fails(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with repositories(tmp_path) as (world, _servers, options):
            gateway = tmp_path / "gateway"
            await run("primary", "init", gateway, *options)
            world.director.deform("timestamp", lambda envelope: envelope["signatures"].clear())
            refused = await run("primary", "update", gateway)
            assert refused.exit_code == 1
            assert "error[threshold]" in refused.stdout
            assert "attack: arbitrary-software (refused by Uptane 2.1.0" in refused.stdout
            shown = await run("primary", "show", gateway)
            assert "last cycle, attack at metadata: error[threshold]" in shown.stdout

    asyncio.run(scenario())


def test_an_unreachable_director_is_a_failure_of_transport(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with repositories(tmp_path) as (_world, _servers, options):
            gateway = tmp_path / "gateway"
            options[options.index("--director-url") + 1] = f"http://127.0.0.1:1/vehicles/{VIN}"
            await run("primary", "init", gateway, *options, "--offline")
            hurry(gateway)
            failed = await run("primary", "update", gateway, "--json")
            assert failed.exit_code == 4
            assert [problem["step"] for problem in read(failed)["problems"]] == ["manifest"]

    asyncio.run(scenario())


def test_enrolment_hands_in_the_description_with_the_token(tmp_path: Path) -> None:
    seen: list[tuple[str, Any]] = []

    async def enrolment(request: web.Request) -> web.Response:
        token = request.headers["Authorization"].removeprefix("Bearer ")
        if token != "right":
            return web.json_response({"code": "enrolment-token", "detail": "no"}, status=403)
        seen.append((token, await request.json()))
        return web.json_response({}, status=201)

    async def scenario() -> None:
        async with repositories(tmp_path) as (_world, servers, options):
            gateway = tmp_path / "gateway"
            await run("primary", "init", gateway, *options)
            servers.lies[f"/vehicles/{VIN}/enrolment"] = enrolment
            assert (await run("primary", "enrol", gateway)).exit_code == 2
            wrong = await run("primary", "enrol", gateway, "--json", env={"TWINLOCK_ENROLMENT_TOKEN": "wrong"})
            assert wrong.exit_code == 1
            assert read(wrong)["error"]["code"] == "enrolment-refused"
            (tmp_path / "token").write_text("right\n")
            right = await run("primary", "enrol", gateway, "--token-file", tmp_path / "token", "--json")
            assert read(right) == {"registered": True, "new": True}
            assert seen == [("right", read(await run("primary", "describe", gateway)))]

    asyncio.run(scenario())


@pytest.mark.slow
def test_a_secondary_as_a_process_serves_its_primary(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with repositories(tmp_path) as (world, _servers, options):
            brake, gateway = tmp_path / "brake", tmp_path / "gateway"
            made = await run(
                "secondary", "init", brake, "--vehicle", VIN, "--ecu", BRAKE.ecu, "--hardware-id", BRAKE.hardware_id,
                "--listen", "unix:link.sock", "--director-root", tmp_path / "director.json",
                "--image-root", tmp_path / "image.json",
            )  # fmt: skip
            assert made.exit_code == 0, made.output
            (tmp_path / "brake.json").write_text((await run("secondary", "describe", brake)).stdout)
            made = await run("primary", "init", gateway, *options, "--secondary", tmp_path / "brake.json")
            assert made.exit_code == 0, made.output
            world.order_release(1, (BRAKE,))
            world.director.publish("targets")
            async with served(brake) as process:
                updated = await run("primary", "update", gateway, "--json")
                assert {done["ecu"] for done in read(updated)["installed"]} == {GATEWAY.ecu, BRAKE.ecu}, updated.output
                shown = read(await run("secondary", "show", brake, "--json"))
                assert shown["installed"]["path"] == BRAKE.path(1)
                second = await run("secondary", "run", brake, "--json")
                assert second.exit_code == 3, "a second process is told"
                assert read(second)["error"]["code"] == "state-in-use"
                process.send_signal(signal.SIGTERM)
                assert await process.wait() == 0
            async with served(brake):  # whatever the first one left behind
                assert read(await run("primary", "update", gateway, "--json"))["outcome"] == "up-to-date"

    asyncio.run(scenario())


@asynccontextmanager
async def served(directory: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    """``twinlock secondary run`` on ``directory``, listening."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "twinlock.cli", "secondary", "run", str(directory), "--json",
        stdout=asyncio.subprocess.PIPE, env=os.environ,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        event = json.loads(await process.stdout.readline())
        assert event["event"] == "listening"
        assert event["url"] == f"unix:{directory}/link.sock"
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


@pytest.mark.slow
def test_a_running_primary_keeps_its_vehicle_up_to_date(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with repositories(tmp_path) as (_world, _servers, options):
            gateway = tmp_path / "gateway"
            await run("primary", "init", gateway, *options)
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "twinlock.cli", "primary", "run", str(gateway), "--interval", "0.2", "--json",
                stdout=asyncio.subprocess.PIPE,
            )  # fmt: skip
            assert process.stdout is not None
            try:
                events = [json.loads(await process.stdout.readline()) for _ in range(3)]
                assert [event.get("outcome") for event in events] == [None, "updated", "up-to-date"]
                busy = await run("primary", "update", gateway)
                assert busy.exit_code == 3
                process.send_signal(signal.SIGINT)
                assert await process.wait() == 0
            finally:
                if process.returncode is None:
                    process.kill()
                    await process.wait()

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["primary", "update", "nowhere"], "not-provisioned", "twinlock primary init"),
        (["primary", "show", "nowhere"], "not-provisioned", "has no primary.json"),
        (["secondary", "run", "nowhere"], "not-provisioned", "twinlock secondary init"),
        (["trusted", "show", "nowhere"], "not-provisioned", "primary.json or secondary.json"),
        (["primary", "init", "x", "--vehicle", "v"], "usage", "Missing option"),
        (["trusted", "why", "../../etc/passwd", "nowhere"], "not-provisioned", "primary.json or secondary.json"),
    ],
)
def test_mistakes_are_usage_errors_with_a_way_out(arguments: list[str], code: str, said: str) -> None:
    result = asyncio.run(run(*arguments))
    assert result.exit_code == 2
    assert f"error[{code}]" in result.stderr
    assert said in result.stderr


def test_a_description_that_is_none_is_refused(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with repositories(tmp_path) as (_world, _servers, options):
            for content, code in (("[]", "usage"), ("nonsense", "usage"), ('{"ecu": "x"}', "secondary-description")):
                (tmp_path / "brake.json").write_text(content)
                refused = await run(
                    "primary", "init", tmp_path / "gateway", *options, "--secondary", tmp_path / "brake.json"
                )
                assert refused.exit_code == 2, content
                assert f"error[{code}]" in refused.stderr

    asyncio.run(scenario())
