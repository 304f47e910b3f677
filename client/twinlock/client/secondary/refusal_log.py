"""What a Secondary refused and what failed there, written to its disk at a bounded pace, because no key is needed to cause it."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime

from twinlock.client.ecu.evidence import EvidenceBook, Sort, describe_event, sort_of
from twinlock.client.model.events import StoredEvent
from twinlock.client.model.results import Step
from twinlock.client.storage.records import LastRefusal
from twinlock.client.storage.state import TrustedState
from twinlock.client.storage.write_pace import WritePace
from twinlock.trust.errors.base import TwinlockError

BURST, INTERVAL_S = 8, 60.0
"""Events of one sort that are written one by one, and the seconds between writes after them."""


class RefusalLog:
    """The refusals of one Secondary. The first of each sort are on the disk at once; later ones are counted until one is due.

    What waits is lost with the process: a count, and the latest sentence of an event that is stored.
    """

    def __init__(
        self, state: TrustedState, evidence: EvidenceBook, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        """``monotonic`` is replaced in tests."""
        self._state = state
        self._evidence = evidence
        self._monotonic = monotonic
        self._paces: dict[Sort, WritePace] = {}
        self._waiting: dict[Sort, StoredEvent] = {}

    def note(self, error: TwinlockError, *, step: Step, verified: datetime | None, now: datetime) -> None:
        """Store ``error`` for ``secondary show``, and for the Director until it acknowledges it.

        ``verified`` is the time of the verification, if it had one, ``now`` the best known time. Raises: StorageError.
        """
        event = describe_event(error, step=step.value, now=now)  # and not the error, whose traceback holds the bundle
        sort = sort_of(event)
        if (waiting := self._waiting.pop(sort, None)) is not None:
            count = waiting.evidence.occurrences + 1
            first, last = waiting.evidence.first, max(waiting.evidence.first, now)
            event = event._replace(evidence=event.evidence._replace(occurrences=count, first=first, last=last))
        if not self._pace(sort).take_permit():
            self._waiting[sort] = event
            return
        self._state.store_refusal(LastRefusal.of(error, step=step.value, now=verified))
        self._evidence.add(event)

    def flush(self) -> None:
        """Store what waits and is due, before a report. Raises: StorageError."""
        for sort in list(self._waiting):
            if self._pace(sort).take_permit():
                self._evidence.add(self._waiting.pop(sort))

    def acknowledged(self) -> None:
        """Events were forgotten because the Director has them: from now on, the first of each sort is stored at once again."""
        self._paces.clear()

    def _pace(self, sort: Sort) -> WritePace:
        return self._paces.setdefault(sort, WritePace(BURST, INTERVAL_S, self._monotonic))
