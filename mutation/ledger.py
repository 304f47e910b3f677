"""``ledger.txt``: the functions whose mutants were all judged, so that another checkout or machine goes on from there.

A function is named by a digest of its code and of how many ways there are to break it. Moving it, or writing its docstring again, does
not make it unjudged; changing a statement does. What the ledger cannot see is a test that has become weaker since:
``make mutants ARGS=--again`` judges everything afresh.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from mutation.mutants import Source

FILE = Path(__file__).with_name("ledger.txt")


class Entry(NamedTuple):
    """A function with its number of mutants. ``digest`` decides; the rest is for whoever reads the file."""

    digest: str
    path: str
    function: str
    mutants: int


def read_ledger(text: str) -> dict[str, Entry]:
    """The entries by digest. Raises: ValueError for a line of another form."""
    entries = {}
    for line in text.splitlines():
        digest, path, function, mutants = line.split()
        entries[digest] = Entry(digest, path, function, int(mutants))
    return entries


def write_ledger(entries: Iterable[Entry]) -> str:
    """The text of the file: a line for each function, in the order of the sources."""
    lines = sorted((entry.path, entry.function, entry.digest, entry.mutants) for entry in entries)
    return "".join(f"{digest} {path} {function} {mutants}\n" for path, function, digest, mutants in lines)


def entries_of(source: Source) -> list[Entry]:
    """The functions of a file that have mutants."""
    counts = Counter(zip(source.units, (mutant.function for mutant in source.mutants), strict=True))
    return [Entry(unit, source.path, function, count) for (unit, function), count in counts.items() if unit]


def updated(known: Mapping[str, Entry], sources: Iterable[Source], unsettled: Mapping[str, set[str]]) -> list[Entry]:
    """What the ledger says after a run over ``sources``; ``unsettled`` are digests, by file, of functions with mutants
    that are left or survived without an explanation. Functions that are gone from these files are dropped."""
    read = list(sources)
    paths = {source.path for source in read}
    kept = [entry for entry in known.values() if entry.path not in paths]
    judged = [e for source in read for e in entries_of(source) if e.digest not in unsettled.get(source.path, set())]
    return [*kept, *judged]
