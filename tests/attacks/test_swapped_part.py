"""A part that the workshop replaced: a new key begins to count at 1, and that is no replay. The old report is one."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from tests.unit.client.vehicle import roots, running_car
from twinlock.client.ecu.config import load_secondary
from twinlock.client.ecu.provision import EcuPlan, describe_secondary, provision_secondary
from twinlock.client.model.results import CycleResult, Outcome
from twinlock.client.primary.primary import Primary
from twinlock.client.secondary.secondary import Secondary
from twinlock.client.secondary.server import secondary_application
from twinlock.testing.servers import serving
from twinlock.testing.simulator.world import BRAKE, VIN
from twinlock.trust.names import EcuId


def complaints(result: CycleResult) -> list[str]:
    return [problem.error.code for problem in result.problems if problem.ecu == BRAKE.ecu]


async def _scenario(directory: Path) -> None:
    async with running_car(directory) as car:
        for _ in range(3):
            assert complaints(await car.primary.update_cycle()) == []
        spare = directory / "spare"
        plan = EcuPlan(vehicle=VIN, ecu=BRAKE.ecu, hardware_id=BRAKE.hardware_id)
        provision_secondary(spare, plan, roots(car.world), verification="full", listen="http://127.0.0.1:0")
        described = describe_secondary(load_secondary(spare / "secondary.json"))
        with Secondary.open(spare / "secondary.json", wall=car.world.time) as part:
            async with serving(secondary_application(part)) as described["address"]:
                config = json.loads(car.config.read_text())
                config["secondaries"] = [
                    described if item["ecu"] == BRAKE.ecu else item for item in config["secondaries"]
                ]
                await car.primary.close()
                car.config.write_text(json.dumps(config))
                async with Primary.open(car.config, wall=car.world.time) as primary:
                    assert (await primary.update_cycle()).outcome is Outcome.UPDATED
                    assert part.installed().path == BRAKE.path(1)
                    said = [item.report for item in car.servers.manifests[-1].reports]
                    assert {report.ecu: report.counter for report in said}[EcuId(BRAKE.ecu)] == 2

                    link = primary._services.secondaries.members[EcuId(BRAKE.ecu)].link
                    kept = await link.report()
                    assert complaints(await primary.update_cycle()) == []

                    async def replayed() -> bytes:
                        return kept

                    honest, link.report = link.report, replayed  # type: ignore[method-assign]
                    assert set(complaints(await primary.update_cycle())) == {"report-replay"}
                    link.report = honest  # type: ignore[method-assign]
                    assert complaints(await primary.update_cycle()) == []


def test_a_new_key_begins_to_count_at_one(tmp_path: Path) -> None:
    asyncio.run(asyncio.wait_for(_scenario(tmp_path), 120))
