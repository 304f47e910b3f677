"""Takes checks out, one at a time, and demands that a test of their rule notices: ``python -m conformance.removals``.

``removals.yaml`` lists them. Each is applied to a copy of the tree, in which the tests that the evidence names for its
rules are run until one fails. A removal that nobody notices, or that does not apply, ends the program with status 1.

Belongs here: applying, running, judging. Does not belong here: the list, and which tests show what (``evidence/``).
"""

from __future__ import annotations

import argparse
import os
import queue
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

from conformance.evidence import Evidence, load_evidence
from conformance.requirements import HERE, PROJECT
from conformance.running import run_tests

PARTS = ("trust", "io", "client", "repository", "director", "cli", "testing")
NOTICED, UNNOTICED, BROKEN = "noticed", "UNNOTICED", "BROKEN"
_LEFT_OUT = shutil.ignore_patterns(".git", ".venv", "build", "dist", "__pycache__", ".*_cache", ".hypothesis")


@dataclass(frozen=True, kw_only=True)
class Removal:
    """One check to take out: ``find`` stands exactly once in ``file`` and becomes ``put``."""

    name: str
    file: str
    find: str
    put: str
    ids: tuple[str, ...]

    def apply(self, text: str) -> str:
        """The source without the check. Raises: ValueError if the snippet is not there, or more than once."""
        count = text.count(self.find)
        if count != 1:
            raise ValueError(f"the snippet stands {count} times in {self.file}")
        return text.replace(self.find, self.put)


def load_removals(path: Path = HERE / "removals.yaml") -> list[Removal]:
    """Read the list."""
    items = yaml.safe_load(path.read_text(encoding="utf-8"))
    return [Removal(**{**item, "ids": tuple(item["ids"])}) for item in items]


def try_removal(removal: Removal, tree: Path, evidence: Mapping[str, Evidence]) -> tuple[str, str]:
    """Apply it in ``tree``, run its tests, and put the file back; gives a verdict and what it is by."""
    file = tree / removal.file
    whole = file.read_text(encoding="utf-8")
    try:
        file.write_text(removal.apply(whole), encoding="utf-8")
        nonsense = _nonsense(file)
        if nonsense:
            return BROKEN, nonsense
        selectors = {test for identifier in removal.ids for test in evidence[identifier].tests}
        paths = [str(tree), *(str(tree / part) for part in PARTS)]
        environment = {"PYTHONPATH": os.pathsep.join(paths), "PYTHONDONTWRITEBYTECODE": "1"}
        extra = ["-x", "--timeout=60", "-p", "no:cacheprovider"]
        outcomes = run_tests(selectors, project=tree, jobs=1, extra=extra, environment=environment, quiet=True)
    except ValueError as error:
        return BROKEN, str(error)
    finally:
        file.write_text(whole, encoding="utf-8")
    failed = [test for test, outcome in outcomes.items() if outcome == "failed"]
    if failed:
        return NOTICED, failed[0]
    return (UNNOTICED, f"{len(outcomes)} tests passed") if outcomes else (BROKEN, "no test ran")


def run_removals(removals: Sequence[Removal], jobs: int) -> Iterator[tuple[Removal, str, str]]:
    """Try each, ``jobs`` at once, each in a copy of the project that only one uses at a time; in the given order."""
    evidence = load_evidence()
    with _copies(jobs) as trees, ThreadPoolExecutor(jobs) as pool:

        def attempt(removal: Removal) -> tuple[Removal, str, str]:
            tree = trees.get()
            try:
                return (removal, *try_removal(removal, tree, evidence))
            finally:
                trees.put(tree)

        yield from pool.map(attempt, removals)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="conformance.removals", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("names", nargs="*", help="only removals whose name, file or rule holds one of these words")
    parser.add_argument("--jobs", type=int, default=2, help="how many at once (default: %(default)s)")
    options = parser.parse_args(arguments)
    chosen = [removal for removal in load_removals() if _is_chosen(removal, options.names)]
    bad = 0
    for number, (removal, verdict, reason) in enumerate(run_removals(chosen, options.jobs), 1):
        bad += verdict != NOTICED
        sys.stdout.write(f"[{number}/{len(chosen)}] {verdict:9} {removal.name}: {reason}\n")
        sys.stdout.flush()
    sys.stdout.write(f"{len(chosen) - bad} of {len(chosen)} removals noticed\n")
    return 1 if bad or not chosen else 0


def _is_chosen(removal: Removal, words: Sequence[str]) -> bool:
    return not words or any(
        word in (removal.name, removal.file, *removal.ids) or word in removal.name for word in words
    )


def _nonsense(file: Path) -> str:
    """What makes the changed source no program at all, so that tests would fail for a reason that shows nothing."""
    command = [sys.executable, "-m", "ruff", "check", "--isolated", "--select", "F821,F823", "--output-format=concise"]
    found = subprocess.run([*command, str(file)], capture_output=True, text=True, check=False)
    return "" if found.returncode == 0 else found.stdout.strip() or found.stderr.strip()


@contextmanager
def _copies(count: int) -> Iterator[queue.Queue[Path]]:
    with tempfile.TemporaryDirectory(prefix="twinlock-removals-") as place:
        trees: queue.Queue[Path] = queue.Queue()
        for number in range(count):
            tree = Path(place, str(number))
            shutil.copytree(PROJECT, tree, ignore=_LEFT_OUT)
            trees.put(tree)
        yield trees


if __name__ == "__main__":
    raise SystemExit(main())
