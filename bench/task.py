"""What a measured process is told to do, and what it can be asked to measure.

Imported by the measured processes too, so it imports nothing but the standard library.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

# first:  a client that knows nothing but the first Root.
# stored: a client that starts with everything stored, and finds nothing new.
# kept:   the same, in a process that has kept its verified state in memory.
# fresh:  the same as kept, but each repository has signed a new Timestamp over the same Snapshot.
MODES = ("first", "stored", "kept", "fresh")


def nothing() -> None:
    """For a task that needs no preparation."""


@dataclass(frozen=True)
class Task:
    """One thing to measure: ``prepare`` is not timed and runs before each timed ``run``."""

    run: Callable[[], object]
    prepare: Callable[[], None] = nothing
