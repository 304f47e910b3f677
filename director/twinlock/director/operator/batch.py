"""A batch: items that are judged one by one and stored together, in one transaction.

Reading an item happens before the transaction, so that no other writer waits for it; applying it happens inside, in a
savepoint of its own. A refused item is a result, and so the others are still judged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection

from twinlock.director.errors.vehicles import DailyLimitError
from twinlock.director.inventory.database import Inventory
from twinlock.trust.errors.base import RefusalError, TwinlockError, UsageError
from twinlock.trust.errors.local import ConflictError
from twinlock.trust.errors.metadata import UnsafePathError
from twinlock.trust.names import MAX_ID_BYTES

REFUSED = "refused"

# What one item can be guilty of. Anything else (storage, a passphrase, a broken network) ends the whole batch.
_OF_ONE_ITEM = (RefusalError, UsageError, ConflictError, DailyLimitError)


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemResult:
    """What became of one item. ``source`` is where the caller got it, such as a file and a line; ``outcome`` is one word.

    ``error`` is set where ``outcome`` is "refused".
    """

    source: str
    vehicle: str
    outcome: str
    detail: dict[str, Any] = field(default_factory=dict)
    error: TwinlockError | None = None

    def as_json(self) -> dict[str, Any]:
        """This result for programs."""
        row = {"source": self.source, "vehicle": self.vehicle or None, "outcome": self.outcome, **self.detail}
        return row if self.error is None else {**row, "error": self.error.as_json()}


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchResult:
    """Results in the order of the items. Nothing was stored unless ``stored``."""

    items: tuple[ItemResult, ...]
    stored: bool

    @property
    def refused(self) -> tuple[ItemResult, ...]:
        """The items that were refused."""
        return tuple(item for item in self.items if item.error is not None)

    @property
    def counts(self) -> dict[str, int]:
        """How many items had each outcome."""
        counted: dict[str, int] = {}
        for item in self.items:
            counted[item.outcome] = counted.get(item.outcome, 0) + 1
        return counted

    def as_json(self) -> dict[str, Any]:
        """The batch for programs."""
        items = [item.as_json() for item in self.items]
        return {"stored": self.stored, "counts": self.counts, "items": items}


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One item that was read: ``apply`` stores it, and returns the outcome with its details.

    A job with an ``error`` was refused while it was read.
    """

    source: str
    vehicle: str = ""
    apply: Callable[[Connection], tuple[str, dict[str, Any]]] | None = None
    error: TwinlockError | None = None


class _UndoError(Exception):
    """Ends a transaction without an effect. Never leaves this module."""


def read_job(read: Callable[..., Job], source: str, *rest: Any, vehicle: str = "") -> Job:
    """The job that ``read`` makes of an item, or one that carries the refusal. ``vehicle`` is what the item names."""
    vehicle = vehicle if vehicle.isprintable() and len(vehicle) <= MAX_ID_BYTES else ""
    try:
        return read(source, *rest)
    except UnsafePathError as error:  # what an operator wrote is never an attack
        return Job(source=source, vehicle=vehicle, error=UsageError(reason=str(error)))
    except _OF_ONE_ITEM as error:
        return Job(source=source, vehicle=vehicle, error=error)


def run_batch(
    database: Inventory,
    operation: str,
    jobs: Iterable[Job],
    *,
    skip_refused: bool = False,
    advance: Callable[[int], None] = lambda _count: None,
) -> BatchResult:
    """Apply all jobs in one transaction: all of them or none; with ``skip_refused`` all that are not refused.

    ``advance`` is called after each finished item. Raises: StorageError, ConflictError; UsageError without any job.
    """
    waiting = list(jobs)
    if not waiting:
        raise UsageError(reason=f"nothing to {operation}: the input holds no item")
    items: list[ItemResult] = []
    try:
        with database.writing(operation) as connection:
            for job in waiting:
                items.append(_apply(connection, job))
                advance(1)
            if not skip_refused and any(item.error is not None for item in items):
                raise _UndoError
    except _UndoError:
        return BatchResult(items=tuple(items), stored=False)
    return BatchResult(items=tuple(items), stored=True)


def _apply(connection: Connection, job: Job) -> ItemResult:
    error = job.error
    if job.apply is not None and error is None:
        try:
            with connection.begin_nested():
                outcome, detail = job.apply(connection)
        except _OF_ONE_ITEM as refused:
            error = refused
        else:
            return ItemResult(source=job.source, vehicle=job.vehicle, outcome=outcome, detail=detail)
    return ItemResult(source=job.source, vehicle=job.vehicle, outcome=REFUSED, error=error)
