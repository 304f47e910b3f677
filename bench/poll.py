"""The poll of a vehicle: one repository, or both of them through full verification, with little or nothing new.

The Director orders an image that is not installed, so both repositories are consulted to the end. ``stored`` is a
process that starts with what an earlier one stored; ``kept`` and ``fresh`` are one that has kept its verified state.
With nothing new and everything kept there is no signature left to check; that case shows its floors for scale only:
they are those of ``stored``. python-tuf keeps no state, and does none of the checks between repositories.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench import options, report
from bench.processes import measure
from bench.refresh import FLOORS, PEERS, SUBJECTS
from bench.report import Case, Goal, at_most
from bench.repositories import DIRECTOR, SMALLEST, Recipe, obtain

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bench.options import Options

NAME = "poll"
IMAGES = (
    (SMALLEST, 20),
    (Recipe(name="flat-10k", images=10_000), 2),
    (Recipe(name="bins-1024", images=100_000, bins=1_024), 5),
)
MODES = ("stored", "kept", "fresh")


def main() -> None:
    """Measure, print and write."""
    run(options.parse(__doc__))


def run(chosen: Options) -> None:
    """Measure, print and write."""
    report.show_heading("poll of a vehicle, CPU", PEERS, FLOORS)
    cases = {case.name: case for case in measured(chosen)}
    goals = list(judged(cases))
    report.show_goals(goals)
    report.write(NAME, list(cases.values()), goals, quick=chosen.quick, folder=chosen.folder)


def measured(chosen: Options) -> Iterator[Case]:
    """The smallest Image repository alone, and image repositories of several sizes with the Director, in every mode."""
    director = obtain(DIRECTOR, chosen.repositories)
    smallest = obtain(SMALLEST, chosen.repositories)
    for recipe, repeat in IMAGES:
        if not chosen.wants(recipe.name) or (chosen.quick and recipe != SMALLEST):
            continue
        image = obtain(recipe, chosen.repositories)
        both = (f"director + {recipe.name}", [director, image], [director, smallest])
        alone = (recipe.name, [image], [smallest])
        for title, repositories, warm_up in (alone, both) if recipe == SMALLEST else (both,):
            for mode in MODES:
                runs = 2 if chosen.quick else 5
                found = measure(SUBJECTS, mode, repositories, warm_up=warm_up, runs=runs, repeat=repeat)
                case = Case(
                    name=f"{title} {mode}", samples_ms=found.samples_ms, repeat=repeat, peers=PEERS, floors=FLOORS
                )
                report.show(case)
                yield case


def judged(cases: Mapping[str, Case]) -> Iterator[Goal]:
    """The goals, as far as their cases were measured."""
    for name in ("director + flat-1 stored", "director + flat-1 kept", "director + flat-1 fresh"):
        if case := cases.get(name):
            what = (
                "times the signature checks of a stored start"
                if name.endswith("kept")
                else "times its signature checks"
            )
            yield at_most(what, name, 1.5, case.times_floor["signatures"])


if __name__ == "__main__":
    main()
