"""What verified metadata proves about the time. Reading a clock is the client's business; this only bounds it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from twinlock.trust.state import TrustedRepository


def time_floor(repositories: Iterable[TrustedRepository]) -> datetime | None:
    """The highest ``issued`` among the trusted files: it cannot be earlier now. None when no file states one.

    The floor is derived from what is trusted and not kept by itself. So rotating the key that signed a false time
    drops that file, and the floor with it.
    """
    times = [
        verified.signed.issued
        for repository in repositories
        for verified in (repository.root, repository.timestamp, repository.snapshot, repository.targets)
        if verified is not None and verified.signed.issued is not None
    ]
    return max(times, default=None)


def not_before(now: datetime, repositories: Iterable[TrustedRepository]) -> datetime:
    """``now``, or the floor where the clock lags behind it."""
    floor = time_floor(repositories)
    return now if floor is None else max(now, floor)
