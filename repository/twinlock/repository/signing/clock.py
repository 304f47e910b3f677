"""The signing clock: whether a signer may sign at this time, and how long what it signs has to last.

A signature that states a time of the future locks every vehicle that takes it: a vehicle's time never lies before the
highest ``issued`` that it trusts. So a signer compares its clock with its own past and with a second source before it
signs, and every publisher refuses a file that was issued in the future.

Everything here is pure; the time is an argument. Where the marks are kept is the business of each signer.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from twinlock.repository.errors import ClockBehindError, ClockContradictedError, FutureSignatureError, SigningClockError
from twinlock.trust.text.times import parse_time

BEHIND = timedelta(seconds=60)
"""How far behind its last signature a signer's own clock may lie: a clock that is steered steps back by less."""

SKEW = timedelta(minutes=5)
"""How far two machines' clocks may differ."""

STALE = timedelta(hours=12)
"""How long after the expiry of the second source's newest file the clock still counts as agreeing with it.

Shorter, and an Image repository that comes back an hour late stops a Director; longer, and a clock that is two days
ahead passes although Timestamp lasts a day.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockMarks:
    """The past of a signer. ``last`` is the time of its last signature, ``highest`` the highest it ever stated.

    They differ only after a signature of the future was confirmed as one: then ``last`` is true and ``highest`` is not.
    """

    last: datetime | None = None
    highest: datetime | None = None

    def signed(self, now: datetime) -> ClockMarks:
        """The marks after a signature at ``now``."""
        return ClockMarks(last=now, highest=max(now, self.highest or now))

    def lasting_from(self, now: datetime) -> datetime:
        """The time from which the life of a new file counts.

        After a signature of the future it counts from there: a vehicle that took that file judges expiry by it, and
        accepts the true file only if that has not expired by then.
        """
        return max(now, self.highest or now)


@dataclass(frozen=True, slots=True, kw_only=True)
class SecondTime:
    """What a second, authenticated ``source`` proves: it is not before ``earliest``, nor ``slack`` after ``latest``."""

    source: str
    earliest: datetime | None
    latest: datetime | None
    slack: timedelta = STALE


def check_signing_clock(now: datetime, marks: ClockMarks, second: SecondTime | None = None) -> None:
    """See that a signer whose clock shows ``now`` may sign; ``second`` is None where no second source answered.

    Raises: ClockBehindError, ClockContradictedError.
    """
    if marks.last is not None and now < marks.last - BEHIND:
        raise ClockBehindError(now=now, signed=marks.last)
    if second is None:
        return
    if second.earliest is not None and now < second.earliest - SKEW:
        raise ClockContradictedError(now=now, source=second.source, other=second.earliest, how="already shows")
    if second.latest is not None and now > second.latest + second.slack:
        how = "was kept fresh until" if second.slack > SKEW else "shows"
        raise ClockContradictedError(now=now, source=second.source, other=second.latest, how=how)


def clock_problem(now: datetime, marks: ClockMarks, second: SecondTime | None = None) -> str | None:
    """Why a signer whose clock shows ``now`` may not sign, for people; None if it may."""
    try:
        check_signing_clock(now, marks, second)
    except SigningClockError as error:
        return str(error)
    return None


def check_issued(files: Mapping[str, bytes], now: datetime) -> None:
    """See that none of the metadata ``files``, by name, states a time of the future. Raises: FutureSignatureError."""
    for name, data in files.items():
        issued = issued_of(data)
        if issued is not None and issued > now + SKEW:
            raise FutureSignatureError(name=name, issued=issued, now=now)


def issued_of(data: bytes) -> datetime | None:
    """The time at which a metadata file of ours states that it was signed; None if it states none."""
    stated = json.loads(data)["signed"].get("issued")
    if not isinstance(stated, str):
        return None
    return parse_time(stated)


def highest(times: Iterable[datetime | None]) -> datetime | None:
    """The highest of the times that are there."""
    return max((time for time in times if time is not None), default=None)
