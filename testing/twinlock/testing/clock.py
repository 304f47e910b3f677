"""The clock of a test bench, turned by hand."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from twinlock.testing.simulator.world import World


class BenchClock:
    """The time at which the repositories sign and the vehicle verifies. It moves only by ``advance``.

    Call it for the time (UTC), as ``wall`` of ``Primary.open`` does.
    """

    def __init__(self, world: World) -> None:
        self._world = world

    def __call__(self) -> datetime:
        return self._world.now

    def advance(self, **by: float) -> datetime:
        """Turn the clock forward by the arguments of ``timedelta``; returns the new time. Nothing is signed again."""
        self._world.pass_time(**by)
        return self._world.now
