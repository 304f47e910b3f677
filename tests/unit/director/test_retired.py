"""A vehicle that its operator retired is told so: what the operator did is no evidence of an attack."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from tests.unit.director.test_signing_clock import VIN, Fleet, play
from twinlock.client.model.results import Outcome
from twinlock.trust.errors.local import FetchError

if TYPE_CHECKING:
    from pathlib import Path


def test_a_retired_vehicle_sees_a_failure_and_no_attack_and_comes_back(tmp_path: Path) -> None:
    async def scenario(fleet: Fleet) -> None:
        assert await fleet.cycle() is Outcome.UP_TO_DATE
        await asyncio.to_thread(fleet.director.ways_out.retire, VIN)
        fleet.turn(hours=1)
        result = await fleet.primary.update_cycle()
        (problem,) = [found for found in result.problems if isinstance(found.error, FetchError)]
        assert (problem.error.fields()["status"], problem.error.as_json().get("attack")) == (410, None)
        assert "the Director has deactivated this vehicle" in str(problem.error)
        await asyncio.to_thread(fleet.director.ways_out.reactivate, VIN)
        fleet.turn(hours=1)
        assert await fleet.cycle() is Outcome.UP_TO_DATE
        events = await asyncio.to_thread(fleet.director.events, VIN)
        assert [event.code for _, event in events if event.kind == "attack"] == []

    play(tmp_path, scenario)
