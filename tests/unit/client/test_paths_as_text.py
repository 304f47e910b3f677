"""What opens an ECU takes its path as a string too."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.attacks.test_future_dated import opened
from tests.unit.client.vehicle import running_car
from twinlock.client.primary.primary import Primary
from twinlock.client.secondary.secondary import Secondary
from twinlock.testing.simulator.world import World


def test_a_secondary_is_opened_by_a_string(tmp_path: Path) -> None:
    world = World()
    opened(tmp_path, world, {}).close()
    Secondary.open(str(tmp_path / "s" / "secondary.json"), wall=world.time).close()


def test_a_primary_is_opened_by_a_string(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_car(tmp_path, with_secondaries=False) as car:
            await car.primary.close()
            await Primary.open(str(car.config), wall=car.world.time).close()

    asyncio.run(scenario())
