"""A gateway has 64 MiB to spare: a whole cycle of a Primary, with an image larger than that, stays below."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import pytest

from tests.unit.client.vehicle import running_car
from twinlock.testing.simulator.world import GATEWAY

SPARE_KIB = 64 * 1024
IMAGE_BYTES = 96 * 1024 * 1024

CYCLE = """
import asyncio, json, sys
from datetime import datetime
from pathlib import Path
from twinlock.client.primary.primary import Primary

async def main():
    async with Primary.open(Path(sys.argv[1]), wall=lambda: datetime.fromisoformat(sys.argv[2])) as primary:
        return (await primary.update_cycle()).as_json()

result = asyncio.run(main())
# The peak of this program alone: a child's ru_maxrss would begin with that of the process it was forked from.
peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
print(json.dumps({"outcome": result["outcome"], "problems": result["problems"], "peak_kib": int(peak.split()[1])}))
"""


@pytest.mark.slow
def test_memory_does_not_grow_with_the_image(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running_car(tmp_path, with_secondaries=False, changes={"fetch": {}}) as car:
            data = bytes(IMAGE_BYTES)
            world = car.world
            agreed = {"hardwareIds": [GATEWAY.hardware_id], "releaseCounter": 2}
            listed = world.image.add_image("gateway/large.bin", data, mustAgree=agreed)
            world.image.publish("targets")
            world.director.order(GATEWAY.ecu, GATEWAY.hardware_id, "gateway/large.bin", listed)
            world.director.publish("targets")
            car.servers.add_blob("gateway/large.bin", data)
            await car.primary.close()  # the process below is the Primary now
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-c", CYCLE, str(car.config), world.now.isoformat(), stdout=asyncio.subprocess.PIPE
            )
            out, _ = await process.communicate()
            found = json.loads(out)
            assert found["problems"] == []
            assert found["peak_kib"] < SPARE_KIB

    asyncio.run(scenario())
