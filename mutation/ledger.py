"""``ledger.txt``: the functions whose mutants were all judged, so that another checkout or machine goes on from there.

A function is named by its file and a digest of its code and of how many ways there are to break it. Moving it within
the file, or writing its docstring again, does not make it unjudged; changing a statement does. What the ledger cannot see is a test that has become weaker since:
``make mutants ARGS=--again`` judges everything afresh.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from mutation.mutants import Source, Unit

FILE = Path(__file__).with_name("ledger.txt")


class Entry(NamedTuple):
    """A function with its number of mutants, and the numbers of those that are ``left``: not judged, or they survived.

    Path and ``digest`` decide; the name is for people who read the file.
    """

    digest: str
    path: str
    function: str
    mutants: int
    left: frozenset[int] = frozenset()


Known = tuple[str, str]
"""What names an entry: its file and its digest. Two files may have the same function, with tests of their own."""


def read_ledger(text: str) -> dict[Known, Entry]:
    """The entries by file and digest. Raises: ValueError for a line of another form."""
    entries = {}
    for line in text.splitlines():
        digest, path, function, mutants, *left = line.split()
        entries[path, digest] = Entry(digest, path, function, int(mutants), frozenset(map(int, left)))
    return entries


def write_ledger(entries: Iterable[Entry]) -> str:
    """The text of the file: a line for each function, in the order of the sources, with the numbers that are left."""
    ordered = sorted(entries, key=lambda entry: (entry.path, entry.function, entry.digest))
    words = ([entry.digest, entry.path, entry.function, entry.mutants, *sorted(entry.left)] for entry in ordered)
    return "".join(" ".join(map(str, line)) + "\n" for line in words)


def entries_of(source: Source) -> list[Entry]:
    """The functions of a file that have mutants, as if all of these were judged."""
    units = ((unit, mutant.function) for unit, mutant in zip(source.units, source.mutants, strict=True))
    counts = Counter((unit.digest, function) for unit, function in units if unit is not None)
    return [Entry(digest, source.path, function, count) for (digest, function), count in counts.items()]


def updated(known: Mapping[Known, Entry], sources: Iterable[Source], unsettled: Collection[Unit]) -> list[Entry]:
    """The ledger after a run over ``sources``; ``unsettled`` are mutants that are left, or survived without an explanation.

    Functions that are gone from these files are dropped, and those of which nothing is judged are not entered.
    """
    read = list(sources)
    paths = {source.path for source in read}
    left: dict[Known, set[int]] = {}
    for unit in unsettled:
        left.setdefault((unit.path, unit.digest), set()).add(unit.way)
    kept = [entry for entry in known.values() if entry.path not in paths]
    entries = [
        e._replace(left=frozenset(left.get((e.path, e.digest), ()))) for source in read for e in entries_of(source)
    ]
    return [*kept, *(entry for entry in entries if len(entry.left) < entry.mutants)]
