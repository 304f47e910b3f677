"""The clock that everybody on the stage lives by: the machine's, plus as many days as the play has skipped.

Belongs here: telling and turning the time. All processes read the same small file, so a day that is skipped is skipped
for the servers and for the vehicle alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path


@dataclass(frozen=True, slots=True)
class StageClock:
    """UTC in whole seconds, ahead of the machine's clock by what ``file`` says (seconds; no file means none)."""

    file: Path

    def __call__(self) -> datetime:
        return datetime.now(UTC).replace(microsecond=0) + self.ahead

    @property
    def ahead(self) -> timedelta:
        """How far this clock is ahead of the machine's."""
        return timedelta(seconds=int(self.file.read_text())) if self.file.exists() else timedelta()

    def skip(self, time: timedelta) -> None:
        """Let ``time`` pass at once, for everybody."""
        fresh = self.file.with_suffix(".new")
        fresh.write_text(str(int((self.ahead + time).total_seconds())))
        fresh.replace(self.file)
