"""A Primary that is killed at every change of the disk, one after another, still ends up updated and honest."""

from __future__ import annotations

import asyncio
import json
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from tests.unit.client.vehicle import running_car
from twinlock.client.install.ab_slots import SlotInstaller
from twinlock.testing.simulator.world import GATEWAY
from twinlock.trust.names import EcuId


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_vehicle_that_keeps_dying_gets_its_update(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_car(tmp_path, with_secondaries=False) as car:
            await car.primary.close()  # the processes below are the Primary now
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "tests.faults.client.dying_cycles", str(car.config), car.world.now.isoformat(),
                stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
                cwd=Path(__file__).parents[3],
            )  # fmt: skip
            out, err = await process.communicate()
            assert process.returncode == 0, err.decode()
            found = json.loads(out)
            assert found["deaths"] > 20
            assert found["last"]["problems"] == []
            lengths = {"factory": 0, GATEWAY.path(1): len(GATEWAY.image(1))}
            for path, length in found["ran"]:
                assert length == lengths[path], "what runs is whole after every death"
            paths = [path for path, _length in found["ran"]]
            assert "factory" in paths
            slots = SlotInstaller(car.primary.config.slots, EcuId(GATEWAY.ecu))
            assert slots.installed().path == GATEWAY.path(1)
            counters = [manifest.reports[0].report.counter or 0 for manifest in car.servers.manifests]
            assert all(earlier < later for earlier, later in pairwise(counters)), "no counter was used twice"
            last = car.servers.manifests[-1].reports[0].report
            assert (last.installed.path, last.attack) == (GATEWAY.path(1), "")

    asyncio.run(scenario())
