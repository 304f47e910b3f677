"""What became of each mutant, kept from run to run: a run that was stopped goes on where it was.

An outcome is written as soon as it is known. It holds while the broken file, the mutant and the tests are the same: for
a mutant that a test noticed, that test and what all tests share; for a survivor all tests, as a new one may notice it.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mutation.explained import Identity, identity_of
from mutation.ledger import Entry, Known
from mutation.measured import digest
from mutation.mutants import Source, Unit

Outcome = dict[str, Any]
"""The members of a ``Mutant``, ``killer`` (the id of the test that noticed, or None) and ``tests`` (how many ran it)."""

LEDGER = "the ledger"  # the killer of a mutant whose function was judged on another machine
_SHARED = ("testing", "tests/simulator", "metadata-fixtures")


class TestDigests:
    """What an outcome depends on: ``names`` are the files and folders of the tests below ``project``."""

    __test__ = False  # pytest takes the name for a class of tests

    def __init__(self, project: Path, names: Sequence[str]) -> None:
        self._project = project
        top = sorted((project / "tests").glob("*.py"))
        self._shared = digest([*top, *(path for name in _SHARED for path in (project / name).rglob("*"))])
        self._all = digest(path for name in names for path in ((project / name), *(project / name).rglob("*")))
        self._files: dict[str, str] = {}

    def of(self, killer: str | None) -> str:
        """The digest of the tests that an outcome with this killer depends on."""
        name = (killer or "").partition("::")[0]
        if not name.endswith(".py"):  # a survivor, or a mutant that hung: no single test noticed
            return f"{self._shared} {self._all}"
        if name not in self._files:
            self._files[name] = digest([self._project / name])
        return f"{self._shared} {self._files[name]}"


class Outcomes:
    """A file of outcomes, one a line. A line that a crash cut short is ignored.

    What the ``ledger`` has counts as judged: killed, but for the survivors that are ``explained``.
    """

    def __init__(
        self,
        file: Path,
        tests: TestDigests,
        ledger: Mapping[Known, Entry] | None = None,
        explained: Collection[Identity] = (),
    ) -> None:
        self._file = file
        self._tests = tests
        self._ledger = ledger or {}
        self._explained = explained
        self._entries: dict[str, dict[str, Any]] = {}
        for line in file.read_text(encoding="utf-8").splitlines() if file.exists() else ():
            try:
                entry = json.loads(line)
            except ValueError:
                continue
            self._entries[entry["key"]] = entry

    def begin(self, sources: Iterable[Source], *, again: bool = False) -> None:
        """Drop outcomes of ``sources`` that are out of date, or ``again`` all of them, and write the file again."""
        current = {source.path: set() if again else {*source.keys} for source in sources}
        self._entries = {
            key: entry
            for key, entry in self._entries.items()
            if entry["outcome"]["path"] not in current
            or (key in current[entry["outcome"]["path"]] and self._holds(entry))
        }
        partial = self._file.with_suffix(".partial")
        partial.write_text("".join(map(_line, self._entries.values())), encoding="utf-8")
        partial.replace(self._file)

    def get(self, source: Source, number: int) -> Outcome | None:
        """The outcome of a mutant, if it is known and still holds."""
        entry = self._entries.get(source.keys[number])
        if entry is not None and self._holds(entry):
            kept: Outcome = entry["outcome"]
            return kept
        if self._is_entered(source.units[number]):
            mutant = source.mutants[number]._asdict()
            survived = identity_of(mutant) in self._explained
            return {**mutant, "killer": None if survived else LEDGER, "tests": 0}
        return None

    def _is_entered(self, unit: Unit | None) -> bool:
        entry = None if unit is None else self._ledger.get((unit.path, unit.digest))
        return unit is not None and entry is not None and unit.way not in entry.left

    def add(self, source: Source, number: int, outcome: Outcome) -> None:
        """Remember an outcome, on disk too."""
        key = source.keys[number]
        entry = {"key": key, "tests": self._tests.of(outcome["killer"]), "outcome": outcome}
        self._entries[key] = entry
        with self._file.open("a", encoding="utf-8") as stream:
            stream.write(_line(entry))

    def _holds(self, entry: dict[str, Any]) -> bool:
        holds: bool = entry["tests"] == self._tests.of(entry["outcome"]["killer"])
        return holds


def _line(entry: dict[str, Any]) -> str:
    return json.dumps(entry) + "\n"
