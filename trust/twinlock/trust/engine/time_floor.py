"""What verified metadata proves about the time. Reading a clock is the client's business; this only bounds it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from twinlock.trust.state.trusted import TrustedRepository


def time_floor(repositories: Iterable[TrustedRepository]) -> datetime | None:
    """The highest time that a floor of ``repositories`` proves: it cannot be earlier now. None if no file states one.

    It is the maximum over what is trusted now and no high-water mark. Where a key leaves that signed a false time, the
    floor falls and the time with it; losing the file lowers nothing.
    """
    times = [
        floor.issued for repository in repositories for floor in repository.floors.values() if floor.issued is not None
    ]
    return max(times, default=None)


def not_before(now: datetime, repositories: Iterable[TrustedRepository]) -> datetime:
    """``now``, or the floor where the clock lags behind it."""
    floor = time_floor(repositories)
    return now if floor is None else max(now, floor)
