"""A program: runs update cycles of one Primary that die one change of the disk later each time, until one gets through.

``python -m tests.faults.client.dying_cycles PRIMARY.JSON TIME`` prints one JSON object: how often it died, what ran
after each death, and how the last cycle ended. Belongs here: dying and looking. Does not belong here: judging.
"""

from __future__ import annotations

import asyncio
import json
import sys
from datetime import datetime
from pathlib import Path

import aiohttp  # noqa: F401 - once here, not in every child

from tests.faults.client.dying import every_death
from twinlock.client.ecu.config import load_primary
from twinlock.client.install.ab_slots import SlotInstaller
from twinlock.client.primary.primary import Primary
from twinlock.client.storage.state import TrustedState
from twinlock.trust.limits import DEFAULT_LIMITS
from twinlock.trust.names import DIRECTOR, IMAGE


def main(config: Path, now: datetime) -> None:
    """See the module."""
    outcome = config.parent / "outcome.json"

    async def cycle() -> None:
        async with Primary.open(config, wall=lambda: now) as primary:
            result = await primary.update_cycle()
            outcome.write_text(json.dumps(result.as_json()))

    settings = load_primary(config)
    ran = []
    for _number in every_death(lambda: asyncio.run(cycle())):
        slots = SlotInstaller(settings.slots, settings.ecu.ecu)
        ran.append((slots.installed().path, len(slots.path.read_bytes())))
        with TrustedState.open(settings.state, limits=DEFAULT_LIMITS) as state:
            for name in (DIRECTOR, IMAGE):
                state.repository(name)
    print(json.dumps({"deaths": len(ran), "ran": ran, "last": json.loads(outcome.read_text())}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), datetime.fromisoformat(sys.argv[2]))
