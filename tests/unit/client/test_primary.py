"""Whole cycles of a vehicle over real sockets: updates, refusals, and what is reported of them."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.simulator.world import ADAS, BRAKE, GATEWAY
from tests.unit.client.vehicle import running_car
from twinlock.client.results import Outcome


def test_one_primary_takes_one_image(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_car(tmp_path, with_secondaries=False) as car:
            first = await car.primary.update_cycle()
            assert first.problems == ()
            assert first.outcome is Outcome.UPDATED
            assert car.paths() == {GATEWAY.ecu: GATEWAY.path(1)}
            second = await car.primary.update_cycle()
            assert second.outcome is Outcome.UP_TO_DATE

    asyncio.run(scenario())


def test_a_whole_vehicle_is_updated_and_reported(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_car(tmp_path) as car:
            result = await car.primary.update_cycle()
            assert result.problems == ()
            assert result.outcome is Outcome.UPDATED
            assert car.paths() == {part.ecu: part.path(1) for part in (GATEWAY, BRAKE, ADAS)}
            car.world.release()
            result = await car.primary.update_cycle()
            assert result.outcome is Outcome.UPDATED
            assert car.paths() == {part.ecu: part.path(2) for part in (GATEWAY, BRAKE, ADAS)}
            last = car.servers.manifests[-1]
            assert {r.report.ecu: r.report.installed.path for r in last.reports} == car.paths()

    asyncio.run(scenario())
