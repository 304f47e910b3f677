"""One event that an ECU met and reports until its Director acknowledges it: an attack, a refusal or a failure."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from twinlock.trust.errors.base import Kind

MAX_EVENTS = 16  # five of each kind, and one to spare
MAX_EVENT_WORD = 64  # characters of an id, code, attack, clause or step
MAX_EVENT_DETAIL_BYTES = 256  # sixteen events with two sentences then take 14 kB of a report


class Evidence(NamedTuple):
    """An event as a report carries it. ``id`` is the same in every report of the same event.

    ``code``, ``attack`` and ``clause`` are those of the error, ``detail`` is its sentence when it was met first, ``latest``
    when it was met last, empty where that is the same. ``occurrences`` is how often it was met between ``first`` and ``last``, which are UTC by the best time that the ECU had.
    Where that time went back, ``last`` is ``first``.
    """

    id: str
    kind: Kind
    code: str
    attack: str
    clause: str
    detail: str
    step: str
    first: datetime
    last: datetime
    occurrences: int = 1
    latest: str = ""
