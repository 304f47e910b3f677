"""What each test does on the unbroken code, kept between runs because learning it takes longer than anything else.

A test is measured again when its file changes, and all are when the engine or what the tests share changes.
Belongs here: remembering. Does not belong here: measuring.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

_SHARED = ("trust", "testing", "tests/simulator", "metadata-fixtures")


class Tested(NamedTuple):
    """How long a test takes, which lines it runs (by file below ``trust``), and whether it passes."""

    seconds: float
    lines: Mapping[str, set[int]]
    passes: bool


class Measured:
    """A file of ``Tested`` by test. ``project`` is the folder that holds ``tests``."""

    def __init__(self, file: Path, project: Path) -> None:
        self._file = file
        self._project = project
        self._shared = digest(path for name in _SHARED for path in (project / name).rglob("*"))
        self._tests: dict[str, str] = {}
        self._found = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
        if self._found.get("shared") != self._shared:
            self._found = {"tests": {}}

    def get(self, test: str) -> Tested | None:
        """What is known of ``test``. A failure is not remembered."""
        entry = self._found["tests"].get(test)
        if entry is None or entry["digest"] != self._of_test(test):
            return None
        return Tested(entry["seconds"], {path: set(lines) for path, lines in entry["lines"].items()}, passes=True)

    def save(self, tests: Mapping[str, Tested]) -> None:
        """Remember all of ``tests`` that pass, and nothing else."""
        found = {
            test: {
                "digest": self._of_test(test),
                "seconds": tested.seconds,
                "lines": {path: sorted(lines) for path, lines in tested.lines.items()},
            }
            for test, tested in tests.items()
            if tested.passes
        }
        self._file.write_text(json.dumps({"shared": self._shared, "tests": found}), encoding="utf-8")

    def _of_test(self, test: str) -> str:
        name = test.partition("::")[0]
        if name not in self._tests:
            self._tests[name] = digest([self._project / name])
        return self._tests[name]


def digest(paths: Iterable[Path]) -> str:
    """One digest of the contents of all ``paths`` that are files, compiled ones left out."""
    state = hashlib.sha256()
    for path in sorted(paths):
        if path.is_file() and path.suffix != ".pyc":
            state.update(hashlib.sha256(path.read_bytes()).digest())
    return state.hexdigest()
