"""What a program found: a table for people and ``NAME.json`` for machines.

The JSON holds no paths and no host names::

    {"benchmark": NAME, "quick": bool,
     "machine": {"python", "implementation", "system", "processor", "cpus", "libraries": {name: version}},
     "cases": [{"case", "runs" (processes), "repeat" (times in each),
                "medians_ms": {label: CPU ms}, "spread_ms": {label: [least, most]},
                "times_less": {peer: peer / ours}, "times_floor": {floor: engine / floor},
                "extra_memory_kib": {subject: KiB}, "figures": {label: {what: what else was measured}}}],
     "goals": [{"goal", "case", "bound", "measured", "reached"}]}
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import statistics
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

OURS = "twinlock"  # our client: what peers are compared with
ENGINE = "engine"  # our engine by itself: what floors are compared with
TOGETHER = "all floors"
LIBRARIES = ("aiohttp", "cryptography", "securesystemslib", "tuf")


@dataclass(frozen=True, kw_only=True)
class Case:
    """One line of the table. ``samples_ms`` holds our label, peers and floors, in CPU milliseconds."""

    name: str
    samples_ms: dict[str, list[float]]
    repeat: int = 1
    peers: tuple[str, ...] = ()
    floors: tuple[str, ...] = ()
    extra_memory_kib: dict[str, int] = field(default_factory=dict)
    figures: dict[str, dict[str, float]] = field(default_factory=dict)

    def median(self, label: str) -> float:
        """The middle sample."""
        return statistics.median(self.samples_ms[label])

    @property
    def times_less(self) -> dict[str, float]:
        """How many times our CPU time each peer takes."""
        return {peer: self._times([peer], OURS) for peer in self.peers}

    @property
    def times_floor(self) -> dict[str, float]:
        """How many times each floor the engine's CPU time is, and how many times all of them together."""
        engine = ENGINE if ENGINE in self.samples_ms else OURS
        ratios = {floor: 1 / self._times([floor], engine) for floor in self.floors}
        if len(self.floors) > 1:
            ratios[TOGETHER] = 1 / self._times(self.floors, engine)
        return ratios

    def _times(self, labels: Sequence[str], over: str) -> float:
        """The middle of the ratios of each round: what slows the machine for a while slows all that a round runs."""
        together = [sum(taken) for taken in zip(*(self.samples_ms[label] for label in labels), strict=True)]
        ratios: list[float] = [one / other for one, other in zip(together, self.samples_ms[over], strict=True)]
        return statistics.median(ratios)

    def as_json(self) -> dict[str, Any]:
        """See the module."""
        return {
            "case": self.name,
            "runs": len(self.samples_ms[OURS]),
            "repeat": self.repeat,
            "medians_ms": {label: round(self.median(label), 4) for label in self.samples_ms},
            "spread_ms": {label: [round(min(all_), 4), round(max(all_), 4)] for label, all_ in self.samples_ms.items()},
            "times_less": {label: round(ratio, 3) for label, ratio in self.times_less.items()},
            "times_floor": {label: round(ratio, 3) for label, ratio in self.times_floor.items()},
            "extra_memory_kib": self.extra_memory_kib,
            "figures": {
                label: {what: round(value, 3) for what, value in found.items()} for label, found in self.figures.items()
            },
        }


@dataclass(frozen=True, kw_only=True)
class Goal:
    """A bound that the project wants to keep, next to what was measured. Printed, never asserted."""

    goal: str
    case: str
    bound: float
    measured: float
    reached: bool


def at_least(goal: str, case: str, bound: float, measured: float) -> Goal:
    """A goal where more is better."""
    return Goal(goal=goal, case=case, bound=bound, measured=round(measured, 3), reached=measured >= bound)


def at_most(goal: str, case: str, bound: float, measured: float) -> Goal:
    """A goal where less is better."""
    return Goal(goal=goal, case=case, bound=bound, measured=round(measured, 3), reached=measured <= bound)


def machine() -> dict[str, Any]:
    """What the figures were measured on, as far as it says nothing about whose machine it is."""
    return {
        "python": platform.python_version(),
        "implementation": platform.python_implementation(),
        "system": platform.system(),
        "processor": platform.machine(),
        "cpus": os.cpu_count(),
        "libraries": {name: importlib.metadata.version(name) for name in LIBRARIES},
    }


def write(name: str, cases: Sequence[Case], goals: Sequence[Goal], *, quick: bool, folder: Path) -> None:
    """Write ``NAME.json`` below ``folder``."""
    content = {
        "benchmark": name,
        "quick": quick,
        "machine": machine(),
        "cases": [case.as_json() for case in cases],
        "goals": [asdict(goal) for goal in goals],
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps(content, indent=2) + "\n")


def show_heading(title: str, peers: Sequence[str], floors: Sequence[str], *, memory: bool = False) -> None:
    """Print what the columns are."""
    columns = [f"{'ours ms':>10}", *(f"{'x less: ' + peer:>22}" for peer in peers)]
    columns += [f"{'x ' + floor:>16}" for floor in (*floors, *([TOGETHER] if len(floors) > 1 else []))]
    columns += [f"{'+MB':>7}"] if memory else []
    print(f"\n{title:<44}{''.join(columns)}")


def show(case: Case) -> None:
    """Print one line: our median, peers over ours, the engine over floors, and our extra memory."""
    cells = [f"{case.median(OURS):>10.2f}", *(f"{ratio:>22.2f}" for ratio in case.times_less.values())]
    cells += [f"{ratio:>16.2f}" for ratio in case.times_floor.values()]
    memory = case.extra_memory_kib.get(OURS)
    cells += [] if memory is None else [f"{memory / 1024:>7.1f}"]
    print(f"{case.name:<44}{''.join(cells)}", flush=True)


def show_goals(goals: Sequence[Goal]) -> None:
    """Print which goals are reached."""
    for goal in goals:
        verdict = "reached    " if goal.reached else "NOT reached"
        print(f"  {verdict}  {goal.goal}: {goal.measured:g} (bound {goal.bound:g}; {goal.case})")
