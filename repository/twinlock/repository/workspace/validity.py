"""How long each role's file stays valid, and when it is due for a new signature."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Annotated, Self

from msgspec import UNSET, Meta, UnsetType

from twinlock.io.files.records import Record, plain
from twinlock.trust.errors.base import UsageError

Clock = Callable[[], datetime]
STRANDED_FOR = timedelta(days=730)
"""How long old Root keys sign for stranded vehicles unless an operator chooses."""


def utc_now() -> datetime:
    """The time now, in UTC, to the second: what signed files can express."""
    return datetime.now(UTC).replace(microsecond=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Periods:
    """Validity of each role's file from the moment it is signed. All are positive.

    Offline roles last as long as people may take to meet; a stolen Timestamp or Snapshot stays useful to a freeze
    attack for as long as it is valid, so those are short and renewed unattended (Uptane 2.1.0 5.1.2).
    """

    root: timedelta = timedelta(days=365)
    targets: timedelta = timedelta(days=365)
    snapshot: timedelta = timedelta(days=7)
    timestamp: timedelta = timedelta(days=1)

    def __post_init__(self) -> None:
        for role in ("root", "targets", "snapshot", "timestamp"):
            if self.of(role) < timedelta(seconds=1):
                raise UsageError(reason=f"the validity of {role} must be positive")

    def of(self, role: str) -> timedelta:
        """The validity for ``role``; every delegated role has that of ``targets``."""
        if role in ("root", "snapshot", "timestamp"):
            chosen: timedelta = getattr(self, role)
            return chosen
        return self.targets

    def margin(self, role: str) -> timedelta:
        """How long before its expiry a role is due: half of its validity where no key holder has to be present for it.

        For offline roles a month, or a quarter of the validity if that is less: time for people to meet.
        """
        if role in ("snapshot", "timestamp"):
            return self.of(role) / 2
        return min(timedelta(days=30), self.of(role) / 4)


Seconds = Annotated[int, Meta(ge=1, le=10**10)]  # at most three hundred years, which every calendar here can add


class Validity(Record, frozen=True, kw_only=True):
    """``Periods`` as a configuration holds them: seconds by role."""

    root: Seconds | UnsetType = UNSET
    targets: Seconds | UnsetType = UNSET
    snapshot: Seconds | UnsetType = UNSET
    timestamp: Seconds | UnsetType = UNSET

    @classmethod
    def of(cls, periods: Periods) -> Self:
        """All of ``periods``."""
        return cls(**{role: int(periods.of(role).total_seconds()) for role in cls.__struct_fields__})

    def periods(self, default: Periods) -> Periods:
        """The periods; a role left out has that of ``default``."""
        return replace(default, **{role: timedelta(seconds=value) for role, value in plain(self).items()})
