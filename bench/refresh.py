"""One repository brought up to date, by our engine and by python-tuf's client.

Each repository is met twice: ``first``, by a client that knows only the first Root, and ``stored``, by one that has
everything stored and finds nothing new. Both read the same files from a folder and store what they accept.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench import options, report
from bench.processes import measure
from bench.report import OURS, Case, Goal, at_least, at_most
from bench.repositories import SMALLEST, Recipe, obtain

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bench.options import Options

NAME = "refresh"
PEERS = ("python-tuf",)
FLOORS = ("signatures", "json.loads", "sha256")
SUBJECTS = ("twinlock", "tuf", "floor")


@dataclass(frozen=True)
class Plan:
    """A repository with the number of processes, and of repetitions in each, that its size affords."""

    recipe: Recipe
    runs: int
    repeat: int
    quick: bool = True


PLANS = (
    Plan(SMALLEST, 5, 20),
    Plan(Recipe(name="flat-1k", images=1_000), 5, 5),
    Plan(Recipe(name="flat-10k", images=10_000), 5, 2),
    Plan(Recipe(name="flat-10k-indented", images=10_000, indented=True), 3, 1, quick=False),
    Plan(Recipe(name="flat-100k", images=100_000), 3, 1, quick=False),
    Plan(Recipe(name="bins-1024", images=100_000, bins=1_024), 5, 5),
    Plan(Recipe(name="bins-16384", images=1_000_000, bins=16_384), 5, 2, quick=False),
    Plan(Recipe(name="roots-100", roots=100), 5, 2),
)


def main() -> None:
    """Measure, print and write."""
    run(options.parse(__doc__))


def run(chosen: Options) -> None:
    """Measure, print and write."""
    report.show_heading("refresh of one repository, CPU", PEERS, FLOORS, memory=True)
    cases = {case.name: case for case in measured(chosen)}
    goals = list(judged(cases))
    report.show_goals(goals)
    report.write(NAME, list(cases.values()), goals, quick=chosen.quick, folder=chosen.folder)


def measured(chosen: Options) -> Iterator[Case]:
    """Every plan in both modes."""
    warm_up = [obtain(SMALLEST, chosen.repositories)]
    for plan in PLANS:
        if not chosen.wants(plan.recipe.name) or (chosen.quick and not plan.quick):
            continue
        repository = obtain(plan.recipe, chosen.repositories)
        for mode in ("first", "stored"):
            runs = min(plan.runs, 2) if chosen.quick else plan.runs
            found = measure(SUBJECTS, mode, [repository], warm_up=warm_up, runs=runs, repeat=plan.repeat)
            memory = {label: found.extra_memory_kib[label] for label in SUBJECTS if label in found.extra_memory_kib}
            case = Case(
                name=f"{plan.recipe.name} {mode}",
                samples_ms=found.samples_ms,
                repeat=plan.repeat,
                peers=PEERS,
                floors=FLOORS,
                extra_memory_kib=memory,
            )
            report.show(case)
            yield case


def judged(cases: Mapping[str, Case]) -> Iterator[Goal]:
    """The goals, as far as their cases were measured."""
    for name, bound in (("flat-10k", 8), ("flat-100k", 5)):
        for mode in ("first", "stored"):
            if case := cases.get(f"{name} {mode}"):
                yield at_least("times less CPU than python-tuf", case.name, bound, case.times_less["python-tuf"])
                memory = case.extra_memory_kib.get(OURS)
                if name == "flat-100k" and memory is not None:
                    yield at_most("extra memory in MB", case.name, 120, memory / 1024)
    if case := cases.get("roots-100 first"):
        yield at_most("times the signature checks alone", case.name, 1.4, case.times_floor["signatures"])


if __name__ == "__main__":
    main()
