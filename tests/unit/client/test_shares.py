"""Each Secondary has its own time, size and share: one that exceeds them is left out, and the others are served."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.unit.client.liars import lying, silent
from tests.unit.client.test_boundaries import OPEN, BadLink, problems_of, replace_link, signed_report
from tests.unit.client.test_fetch import SETTINGS
from tests.unit.client.test_primary import RELEASE, drive, updated
from tests.unit.client.test_secondary import bundle
from tests.unit.client.test_staging import entry_of
from tests.unit.client.vehicle import Car, roots
from twinlock.client.ecu.provision import EcuPlan, provision_secondary
from twinlock.client.link.http import HttpLink
from twinlock.client.model.errors import SecondaryTimeoutError
from twinlock.client.primary.secondaries import manifest_share, oversize_reports
from twinlock.client.secondary import server as secondary_server
from twinlock.client.secondary.secondary import Secondary
from twinlock.client.secondary.server import secondary_application
from twinlock.io.http import request_bodies
from twinlock.testing.servers import serving
from twinlock.testing.simulator.world import ADAS, BRAKE, GATEWAY, VIN, World
from twinlock.trust.errors.metadata import LimitError
from twinlock.trust.limits import DEFAULT_LIMITS
from twinlock.trust.names import EcuId


def test_a_secondary_that_takes_nothing_of_its_image_delays_no_other(tmp_path: Path) -> None:
    async def scenario(car: Car) -> None:
        genuine = car.primary._services.secondaries.members[EcuId(ADAS.ecu)].link
        fetch = replace(car.primary.config.fetch, floor_bytes_per_s=100_000, deadline_s=2.0)
        async with lying(silent) as url:
            stalled = HttpLink(EcuId(ADAS.ecu), url, fetch, DEFAULT_LIMITS)

            class Link:
                close = genuine.close
                report, identity, send_metadata = genuine.report, genuine.identity, genuine.send_metadata
                send_time, send_image = genuine.send_time, stalled.send_image

            replace_link(car, ADAS.ecu, Link())
            started = time.monotonic()
            result = await car.primary.update_cycle()
            await stalled.close()
        (problem, *_) = problems_of(result, ADAS.ecu)
        assert isinstance(problem.error, SecondaryTimeoutError)
        assert car.paths() == RELEASE[1] | {ADAS.ecu: "factory"}
        assert result.reported
        assert time.monotonic() - started < 15
        replace_link(car, ADAS.ecu, genuine)
        await updated(car)

    drive(tmp_path, scenario, changes=OPEN)


def test_a_link_that_hangs_has_its_own_time(tmp_path: Path) -> None:
    async def scenario(car: Car) -> None:
        class Hanging(BadLink):
            async def report(self) -> bytes:  # type: ignore[override]
                await asyncio.Event().wait()
                return b""

        secondaries = car.primary._services.secondaries
        secondaries._fetch = replace(secondaries._fetch, deadline_s=0.2)
        replace_link(car, ADAS.ecu, Hanging(lambda: None))
        result = await car.primary.update_cycle()
        (problem, *_) = problems_of(result, ADAS.ecu)
        assert isinstance(problem.error, SecondaryTimeoutError)
        assert set(car.servers.attacks()[-1]) == {GATEWAY.ecu, BRAKE.ecu}

    drive(tmp_path, scenario, changes=OPEN)


def test_the_largest_reports_are_left_out_first_and_none_within_its_share() -> None:
    share = manifest_share(4, 1_000)
    assert share * 4 <= 1_000 - 1_000 // 8
    small, large, larger = share, share + 1, 900
    assert oversize_reports({EcuId("a"): small, EcuId("b"): small, EcuId("c"): small, EcuId("d"): small}, 1_000) == []
    reports = {EcuId("a"): small, EcuId("b"): large, EcuId("c"): larger, EcuId("d"): 0}
    assert oversize_reports(reports, 1_000) == ["c"]
    assert oversize_reports({EcuId("a"): larger}, 10_000) == []
    assert oversize_reports({}, 1_000) == []


def test_a_report_of_many_values_does_not_push_the_manifest_over_the_bound(tmp_path: Path) -> None:
    async def scenario(car: Car) -> None:
        link = car.primary._services.secondaries.members[EcuId(ADAS.ecu)].link
        whole = DEFAULT_LIMITS.report_values - 1_000

        async def report() -> bytes:
            return signed_report(car, tmp_path, "[" + ",".join(["0"] * whole) + "]")

        link.report = report  # type: ignore[method-assign]
        result = await car.primary.update_cycle()
        (first, *_) = problems_of(result, ADAS.ecu)
        assert isinstance(first.error, LimitError)
        assert first.error.what == f"report of {ADAS.ecu} in JSON values"
        assert first.error.value > whole > first.error.limit
        assert set(car.servers.attacks()[-1]) == {GATEWAY.ecu, BRAKE.ecu}
        assert result.reported

    drive(tmp_path, scenario, changes=OPEN)


# The Secondary's server


async def served(tmp_path: Path, world: World) -> Secondary:
    plan = EcuPlan(vehicle=VIN, ecu=BRAKE.ecu, hardware_id=BRAKE.hardware_id)
    provision_secondary(tmp_path / "b", plan, roots(world), verification="full", listen="http://127.0.0.1:0")
    return Secondary.open(tmp_path / "b" / "secondary.json", wall=world.time)


def test_few_bundles_are_held_at_a_time_and_slow_ones_give_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Senders that never end hold few places, and no longer than it takes for another one to come; the others are told."""
    monkeypatch.setattr(secondary_server, "_BODIES", 2)
    monkeypatch.setattr(request_bodies, "GRACE_S", 0.5)

    async def scenario() -> None:
        world = World()
        with await served(tmp_path, world) as secondary:
            async with serving(secondary_application(secondary)) as url:
                host, port = url.removeprefix("http://").split(":")
                writers = []
                for _ in range(6):
                    _reader, writer = await asyncio.open_connection(host, int(port))
                    writer.write(b"PUT /v1/metadata HTTP/1.1\r\nHost: x\r\nContent-Length: 9000000\r\n\r\n{")
                    await writer.drain()
                    writers.append((_reader, writer))
                answers = [await asyncio.wait_for(reader.readline(), 5) for reader, _ in writers[2:]]
                assert answers == [b"HTTP/1.1 503 Service Unavailable\r\n"] * 4
                async with aiohttp.ClientSession() as session, session.get(f"{url}/v1/identity") as response:
                    assert response.status == 200
                async with aiohttp.ClientSession() as session:
                    status = 503
                    while status == 503:
                        async with session.put(f"{url}/v1/metadata", data=bundle(world)) as response:
                            status = response.status
                    assert status == 200
                for _, writer in writers:
                    writer.close()

    asyncio.run(scenario())


def test_a_body_that_is_never_done_has_a_deadline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secondary_server, "_BODY_S", 0.3)

    async def dripping() -> Any:
        while True:
            yield b" " * 2_000
            await asyncio.sleep(0.02)

    async def scenario() -> None:
        with await served(tmp_path, World()) as secondary:
            async with serving(secondary_application(secondary)) as url, aiohttp.ClientSession() as session:
                async with session.put(f"{url}/v1/metadata", data=dripping()) as response:
                    assert response.status == 408
                    problem = await response.json(content_type=None)
                assert problem["code"] == "slow-retrieval"

    asyncio.run(scenario())


def test_an_upload_that_is_taken_is_not_cut_off(tmp_path: Path) -> None:
    async def scenario() -> None:
        world = World()
        with await served(tmp_path, world) as secondary:
            async with serving(secondary_application(secondary)) as url:
                link = HttpLink(EcuId(BRAKE.ecu), url, SETTINGS, DEFAULT_LIMITS)
                secondary.accept_metadata(bundle(world))
                source = tmp_path / "image"
                source.write_bytes(BRAKE.image(1))
                await link.send_image(entry_of(BRAKE.image(1), BRAKE.path(1)), source)
                await link.close()
            assert secondary.installed().path == BRAKE.path(1)

    asyncio.run(scenario())
