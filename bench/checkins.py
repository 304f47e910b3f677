"""Check-ins of vehicles at a Director, in check-ins per CPU second of its process, as a share of a floor's.

The Director is ``twinlock director serve --plain`` on SQLite, pinned to one core; the load is on another. ``quiet`` vehicles
have nothing new; those with an ``order`` were given an image just before, so that their Timestamp has to be signed. Every
manifest was signed before, and every vehicle has checked in before: its first set of metadata is not counted. The floor
(``checkin_floor.py``) answers the very same requests, on the same core, in turn with the Director. Both write to the same disk.
"""

from __future__ import annotations

import json
import os
import statistics
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from bench import checkin_floor, checkin_load, options, report
from bench.checkin_fleet import Fleet
from bench.checkin_load import Answered, CheckIn, Run, UnexpectedAnswerError
from bench.checkin_server import Server, cores, pinned, supported
from bench.report import OURS, Case, Goal, at_least

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from bench.options import Options

NAME = "checkins"
FLOOR = "floor"
SIZES = (1, 5, 20)  # ECUs of a vehicle
CONNECTIONS = (1, 32)
QUIET, ORDER = "quiet", "order"
LOADS = (QUIET, ORDER)
GOAL = 0.8  # of the floor


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """How many vehicles check in, how often each case is measured, and for how much CPU time of the server at least.

    A quiet run has so many ``rounds``; an order needs a run of its own, and each case has ``orders`` at most.
    """

    vehicles: int
    samples: int
    cpu_s: float
    rounds: int
    orders: int


THOROUGH = Effort(vehicles=96, samples=3, cpu_s=2.0, rounds=4, orders=16)
QUICK = Effort(vehicles=32, samples=1, cpu_s=0.4, rounds=2, orders=4)


@dataclass(slots=True)
class Sample:
    """What a server did in runs of one case, one after the other."""

    cpu_s: float = 0.0
    seconds: list[float] = field(default_factory=list)

    def add(self, run: Run) -> None:
        """Count a run."""
        self.cpu_s += run.cpu_s
        self.seconds += [each.seconds for each in run.answered]

    @property
    def cpu_ms(self) -> float:
        """CPU milliseconds of one check-in."""
        return self.cpu_s * 1e3 / len(self.seconds)


def main() -> None:
    """Measure, print and write."""
    run(options.parse(__doc__))


def run(chosen: Options) -> None:
    """Measure, print and write. Raises: UnexpectedAnswerError."""
    if not supported():
        print(f"\n{NAME}: needs a system that pins processes and accounts for them in /proc, such as Linux")
        return
    server_core, load_core = cores()
    load_average = " ".join(f"{each:.2f}" for each in os.getloadavg())
    print(f"\ncheck-ins of vehicles; floor: aiohttp on {checkin_floor.event_loop()[0]}; load average {load_average}")
    if server_core == load_core:
        print("  one core only: the load disturbs the servers")
    show_heading()
    with pinned(load_core):
        cases = {case.name: case for case in measured(chosen, server_core)}
    goals = list(judged(cases))
    report.show_goals(goals)
    report.write(NAME, list(cases.values()), goals, quick=chosen.quick, folder=chosen.folder)


def measured(chosen: Options, core: int) -> Iterator[Case]:
    """Every size in every load over every number of connections."""
    chosen.folder.mkdir(parents=True, exist_ok=True)
    effort = QUICK if chosen.quick else THOROUGH
    for ecus in SIZES:
        if not chosen.wants(f"ecus-{ecus}"):
            continue
        # Next to the results, since a temporary directory may be in memory, where a durable commit costs nothing.
        with tempfile.TemporaryDirectory(dir=chosen.folder, prefix=f"{NAME}-") as folder, ExitStack() as stack:
            trial = Trial(Path(folder), ecus, effort, core=core, stack=stack)
            for load in LOADS:
                for connections in CONNECTIONS:
                    case = trial.case(load, connections)
                    show(case)
                    yield case


class Trial:
    """A fleet of one size, its Director and the floors, all running until ``stack`` is closed."""

    def __init__(self, folder: Path, ecus: int, effort: Effort, *, core: int, stack: ExitStack) -> None:
        self._effort = effort
        self._ecus = ecus
        orders = 1 + effort.orders * effort.samples * len(CONNECTIONS)
        self._fleet = stack.enter_context(Fleet(folder, vehicles=effort.vehicles, ecus=ecus, images=orders))
        served = ("-m", "twinlock.cli", "director", "serve", str(self._fleet.directory), "--plain", "--port", "0")
        director = Server([*served, "--json"], core=core, log=folder / "director.log")
        self._director = stack.enter_context(director)
        self._timestamps: dict[str, bytes] = {}
        self._warm_up()
        place = folder / "floor"
        keys = {vehicle.name: vehicle.public_keys() for vehicle in self._fleet.vehicles}
        checkin_floor.prepare(place, keys, self._fleet.files())
        self._floors = {load: stack.enter_context(_floor(place, load, core)) for load in LOADS}

    def case(self, load: str, connections: int) -> Case:
        """Measure the Director and the floor in turn. Raises: UnexpectedAnswerError."""
        taken: dict[str, list[Sample]] = {OURS: [], FLOOR: []}
        for _ in range(self._effort.samples):
            ours, check_ins = self._sample_director(load, connections)
            taken[OURS].append(ours)
            taken[FLOOR].append(self._sample_floor(load, connections, check_ins))
        servers = {OURS: self._director, FLOOR: self._floors[load]}
        return Case(
            name=f"ecus-{self._ecus} {load} connections-{connections}",
            samples_ms={label: [sample.cpu_ms for sample in samples] for label, samples in taken.items()},
            repeat=min(len(sample.seconds) for sample in taken[OURS]),
            floors=(FLOOR,),
            figures={label: figures(samples, servers[label]) for label, samples in taken.items()},
        )

    def _sample_director(self, load: str, connections: int) -> tuple[Sample, Sequence[CheckIn]]:
        sample, check_ins, orders = Sample(), list[CheckIn](), 0
        while sample.cpu_s < self._effort.cpu_s and orders < self._effort.orders:
            if load == ORDER:
                self._fleet.order()
                orders += 1
            check_ins = self._fleet.sign(self._effort.rounds if load == QUIET else 1)
            run = checkin_load.run(self._director, check_ins, connections=connections, follow=load == ORDER)
            self._judge(run.answered, signed=load == ORDER)
            self._fleet.install()
            sample.add(run)
        return sample, check_ins

    def _sample_floor(self, load: str, connections: int, check_ins: Sequence[CheckIn]) -> Sample:
        sample = Sample()
        checkin_load.run(self._floors[load], check_ins, connections=connections, follow=load == ORDER)
        while sample.cpu_s < self._effort.cpu_s:
            sample.add(checkin_load.run(self._floors[load], check_ins, connections=connections, follow=load == ORDER))
        return sample

    def _warm_up(self) -> None:
        """The first sets of metadata, then an image for each Primary, installed and reported."""
        most = CONNECTIONS[-1]
        checkin_load.run(self._director, self._fleet.sign(), connections=most, follow=False)
        self._fleet.order()
        checkin_load.run(self._director, self._fleet.sign(), connections=most, follow=True)
        self._fleet.install()
        done = checkin_load.run(self._director, self._fleet.sign(), connections=most, follow=False)
        self._timestamps = {each.vehicle: each.timestamp for each in done.answered}

    def _judge(self, answered: Sequence[Answered], *, signed: bool) -> None:
        """Check that the Director signed where something was new, and nowhere else: the rows have to be what they are called."""
        for each in answered:
            if (each.timestamp != self._timestamps[each.vehicle]) != signed:
                what = "an old Timestamp with a new order" if signed else "a new Timestamp with nothing new"
                raise UnexpectedAnswerError(f"the Director gave {each.vehicle} {what}")
            self._timestamps[each.vehicle] = each.timestamp


def _floor(place: Path, load: str, core: int) -> Server:
    order = json.dumps({"folder": str(place), "signs": load == ORDER})
    return Server(["-m", "bench.checkin_floor", order], core=core, log=place / f"{load}.log")


def figures(samples: Sequence[Sample], server: Server) -> dict[str, float]:
    """What else was measured of one server."""
    seconds = sorted(taken for sample in samples for taken in sample.seconds)
    return {
        "check_ins_per_cpu_s": statistics.median(1e3 / sample.cpu_ms for sample in samples),
        "wall_p50_ms": percentile(seconds, 50) * 1e3,
        "wall_p99_ms": percentile(seconds, 99) * 1e3,
        "resident_mib": server.resident_mib(),
    }


def percentile(ordered: Sequence[float], percent: int) -> float:
    """The least of the ascending values that so many percent of them do not exceed."""
    return ordered[max(-(-len(ordered) * percent // 100), 1) - 1]


def share_of_floor(case: Case) -> float:
    """The Director's check-ins per CPU second over the floor's."""
    return 1 / case.times_floor[FLOOR]


_COLUMNS: tuple[tuple[str, Callable[[Case], str]], ...] = (
    ("per CPU s", lambda case: f"{case.figures[OURS]['check_ins_per_cpu_s']:.1f}"),
    ("floor", lambda case: f"{case.figures[FLOOR]['check_ins_per_cpu_s']:.1f}"),
    ("/ floor", lambda case: f"{share_of_floor(case):.3f}"),
    ("p50 ms", lambda case: f"{case.figures[OURS]['wall_p50_ms']:.1f}"),
    ("p99 ms", lambda case: f"{case.figures[OURS]['wall_p99_ms']:.1f}"),
    ("floor p99", lambda case: f"{case.figures[FLOOR]['wall_p99_ms']:.1f}"),
    ("MiB", lambda case: f"{case.figures[OURS]['resident_mib']:.0f}"),
)


def show_heading() -> None:
    """Print what the columns are."""
    print(f"{'Director, SQLite':<32}{''.join(f'{title:>11}' for title, _ in _COLUMNS)}")


def show(case: Case) -> None:
    """Print one line."""
    print(f"{case.name:<32}{''.join(f'{cell(case):>11}' for _, cell in _COLUMNS)}", flush=True)


def judged(cases: Mapping[str, Case]) -> Iterator[Goal]:
    """The goals, as far as their cases were measured."""
    for ecus in SIZES:
        if case := cases.get(f"ecus-{ecus} {QUIET} connections-{CONNECTIONS[-1]}"):
            yield at_least("check-ins per CPU second over the floor's", case.name, GOAL, share_of_floor(case))


if __name__ == "__main__":
    main()
