"""What an ECU keeps of its own reports: the last counter, the time that it stated, and the digests of those with evidence.

A Secondary makes a report for anyone who asks. Where many are asked for, counters are reserved in blocks, so that each is still
used once, also after a crash, and the disk is written once for all of them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime, timedelta

from twinlock.client.storage.database import Database
from twinlock.client.storage.write_pace import WritePace
from twinlock.trust.text.times import format_time, parse_time

BURST, INTERVAL_S = 16, 10.0
"""Reports that are written one by one, and the seconds between writes after them."""
BLOCK = 1024
"""Counters that are reserved at once then. A crash skips those that no report has used."""


class ReportLog:
    """The reports of one ECU. Each write is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._counters = range(0)
        self._stated: datetime | None = None
        self._remembered: list[tuple[int, str]] | None = None
        self._reserving = WritePace(BURST, INTERVAL_S)
        self._remembering = WritePace(BURST, INTERVAL_S)

    def time_to_state(self, now: datetime) -> datetime:
        """The time that a report made at ``now`` states: that of its block of counters, which is stored, for some seconds."""
        if not self._counters or self._stated is None:
            return now
        is_recent = timedelta(0) <= now - self._stated < timedelta(seconds=INTERVAL_S)
        return self._stated if is_recent else now

    def reserve_counter(self, at_least: int, *, stated: datetime | None, most: int | None) -> int:
        """See ``TrustedState.reserve_counter``."""
        if not (self._counters and self._counters[0] >= at_least and stated == self._stated):
            self._counters = self._reserve(at_least, stated, most)
            self._stated = stated
        counter, self._counters = self._counters[0], self._counters[1:]
        return counter

    def _reserve(self, at_least: int, stated: datetime | None, most: int | None) -> range:
        size = 1 if self._reserving.take_permit() else BLOCK
        with self._database.transaction("reserve a report counter in") as connection:
            row = connection.execute("SELECT value FROM facts WHERE name = 'counter'").fetchone()
            last = int(row[0]) if row else 0
            first = at_least if most is not None and last >= most else max(last + 1, at_least)
            connection.execute("INSERT OR REPLACE INTO facts VALUES ('counter', ?)", (str(first + size - 1),))
            if stated is not None:
                value = json.dumps(format_time(stated))
                connection.execute("INSERT OR REPLACE INTO facts VALUES ('stated-time', ?)", (value,))
        return range(first, first + size)

    @property
    def stated_time(self) -> datetime | None:
        """The time that the last report stated; None before the first, and where it is damaged."""
        rows = self._database.rows("SELECT value FROM facts WHERE name = 'stated-time'")
        try:
            stated = json.loads(str(rows[0][0])) if rows else None
            return parse_time(stated) if stated else None
        except (TypeError, ValueError):
            return None

    @property
    def remembered(self) -> list[tuple[int, str]]:
        """The newest reports that carried evidence: the counter of each, and the SHA-256 of what was signed.

        None of them where they are damaged: then their evidence is sent again.
        """
        if self._remembered is None:
            rows = self._database.rows("SELECT value FROM facts WHERE name = 'reported'")
            try:
                stored = json.loads(str(rows[0][0])) if rows else None
                self._remembered = [(counter, digest) for counter, digest in stored or ()]
            except (TypeError, ValueError):
                self._remembered = []
        return self._remembered

    def remember(self, reports: Iterable[tuple[int, str]]) -> None:
        """Replace them all. Between two writes they are in memory alone.

        After a crash an ECU forgets nothing for the acknowledgement of one that was lost, and reports its evidence again.
        """
        self._remembered = list(reports)
        if self._remembering.take_permit():
            with self._database.transaction("store reported in") as connection:
                value = json.dumps([list(report) for report in self._remembered])
                connection.execute("INSERT OR REPLACE INTO facts VALUES ('reported', ?)", (value,))
