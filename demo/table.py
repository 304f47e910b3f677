"""The table at the end: one row for each attack, and whether every one of them ended as it has to.

Belongs here: rows, verdicts, and how they are shown to people and programs. Does not belong here: judging what an ECU
runs (``play.py``).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

STOPPED = "stopped"
KNOWN_LIMIT = "not stopped, as said"
FAILED = "GOT THROUGH"
UNEXPECTED = "UNEXPECTED"

_GOOD = frozenset({STOPPED, KNOWN_LIMIT})
_COLOURS = {STOPPED: "32", KNOWN_LIMIT: "33", FAILED: "1;31", UNEXPECTED: "1;31"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """How one attack ended. ``unchanged`` says whether every ECU runs what it ran before; ``recovered`` whether the
    next honest update went through; ``detail`` is the refusal's sentence, or what went wrong."""

    attack: str
    attacker: str
    refused_by: str
    code: str
    clause: str
    unchanged: bool
    recovered: bool
    verdict: str
    detail: str = ""

    @property
    def good(self) -> bool:
        """Whether it ended as it has to."""
        return self.verdict in _GOOD and self.recovered


@dataclass(frozen=True, slots=True)
class Paint:
    """Colours, or none."""

    colour: bool

    def __call__(self, text: str, code: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self.colour else text

    def verdict(self, text: str) -> str:
        """``text`` in the colour of the verdict it starts with."""
        return self(text, next((code for verdict, code in _COLOURS.items() if text.startswith(verdict)), "0"))


def as_text(rows: Sequence[Row], paint: Paint) -> list[str]:
    """The table for people, line by line."""
    header = ("attack", "refused by", "error code", "clause of Uptane", "ECUs", "afterwards", "")
    cells = [header, *(_cells(row) for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(header))]
    lines = []
    for line in cells:
        padded = [cell.ljust(width) for cell, width in zip(line, widths, strict=True)]
        shown = padded if line is header else [*padded[:-1], paint.verdict(padded[-1])]
        lines.append("  ".join(shown).rstrip())
    return [lines[0], "  ".join("-" * width for width in widths), *lines[1:]]


def as_json(rows: Iterable[Row], *, seconds: float) -> str:
    """The table for programs: ``{"ok": ..., "seconds": ..., "attacks": [...]}``."""
    found = list(rows)
    document = {
        "ok": all_good(found),
        "seconds": round(seconds, 1),
        "attacks": [{**asdict(row), "good": row.good} for row in found],
    }
    return json.dumps(document, indent=2, ensure_ascii=False)


def all_good(rows: Sequence[Row]) -> bool:
    """Whether there were attacks at all, and every one ended as it has to."""
    return bool(rows) and all(row.good for row in rows)


def summary(rows: Sequence[Row]) -> str:
    """One sentence about the table."""
    stopped = sum(row.verdict == STOPPED for row in rows)
    limits = sum(row.verdict == KNOWN_LIMIT for row in rows)
    bad = [row.attack for row in rows if not row.good]
    if bad:
        return f"{len(bad)} of {len(rows)} did not end as they have to: {', '.join(bad)}."
    return f"{stopped} attacks stopped, none got through; {limits} that nothing like Uptane can stop, shown as such."


def _cells(row: Row) -> tuple[str, ...]:
    return (
        row.attack,
        row.refused_by,
        row.code,
        row.clause.removeprefix("Uptane ").removeprefix("2.1.0 "),
        "unchanged" if row.unchanged else "CHANGED",
        "updates again" if row.recovered else "STUCK",
        row.verdict,
    )
