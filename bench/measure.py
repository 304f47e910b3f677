"""Measuring: the best of several runs, for a thing and for its floor."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True)
class Result:
    """What something takes and what its floor takes, in seconds."""

    name: str
    ours_s: float
    floor_s: float

    @property
    def ratio(self) -> float:
        """How many times the floor."""
        return self.ours_s / self.floor_s


def compare(name: str, ours: Callable[[], object], floor: Callable[[], object], *, runs: int = 7) -> Result:
    """Run both in turn, so that a busy moment hits both, and keep the best run of each."""
    best = [float("inf"), float("inf")]
    for _ in range(runs):
        for place, function in enumerate((ours, floor)):
            started = time.perf_counter()
            function()
            best[place] = min(best[place], time.perf_counter() - started)
    return Result(name, *best)
