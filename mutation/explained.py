"""The survivors that nothing can tell from the original, each with its reason: ``survivors.toml``.

Belongs here: reading that file and comparing it with an outcome. Does not belong here: running anything.
"""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any, NamedTuple

FILE = Path(__file__).with_name("survivors.toml")


class Identity(NamedTuple):
    """What names a mutant across edits of other lines: the file, the function, the text of the line, the change."""

    file: str
    function: str
    line: str
    change: str


class Verdict(NamedTuple):
    """Outcomes by kind; ``stale`` are explanations of mutants that are killed or exist no longer."""

    explained: list[dict[str, Any]]
    unexplained: list[dict[str, Any]]
    stale: list[Identity]


def read(text: str) -> dict[Identity, str]:
    """The reasons by mutant. Raises: ValueError for an entry without a reason or with unknown members."""
    found: dict[Identity, str] = {}
    for entry in tomllib.loads(text).get("survivor", []):
        if set(entry) != {*Identity._fields, "reason"} or not entry["reason"].strip():
            raise ValueError(f"an explanation has file, function, line, change and reason, this one not: {entry}")
        found[Identity(*(entry[name] for name in Identity._fields))] = entry["reason"]
    return found


def judge(outcomes: Iterable[dict[str, Any]], reasons: dict[Identity, str], left: Collection[Identity] = ()) -> Verdict:
    """Divide the survivors. Only explanations of files that were judged can be stale, and not of what is ``left``."""
    judged = list(outcomes)
    survivors = [outcome for outcome in judged if outcome["killer"] is None]
    alive = {identity_of(outcome) for outcome in survivors}
    files = {outcome["path"] for outcome in judged}
    return Verdict(
        explained=[outcome for outcome in survivors if identity_of(outcome) in reasons],
        unexplained=[outcome for outcome in survivors if identity_of(outcome) not in reasons],
        stale=[known for known in reasons if known.file in files and known not in alive and known not in left],
    )


def identity_of(outcome: dict[str, Any]) -> Identity:
    """The name of an outcome's mutant."""
    return Identity(outcome["path"], outcome["function"], outcome["text"], outcome["change"])
