"""The marks of the signing clock in the inventory: the time of the last signature, and the highest that was stated.

They are written at most once a minute, so that vehicles signed for at the same time do not queue for one row. All
functions take a connection whose transaction the caller owns.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from sqlalchemy import Connection, func, insert, select, update

from twinlock.director.inventory import schema
from twinlock.repository.signing.clock import ClockMarks

_LAST, _HIGHEST, _PROBE = "last", "highest", "probe"
_GRAIN = timedelta(minutes=1)
_C = schema.signing_clock.c


def read_marks(connection: Connection) -> ClockMarks:
    """The marks as they are stored."""
    marks: Mapping[str, datetime] = {row.name: row.at for row in connection.execute(select(schema.signing_clock))}
    return ClockMarks(last=marks.get(_LAST), highest=marks.get(_HIGHEST))


def note_signature(connection: Connection, now: datetime) -> None:
    """Record a signature at ``now``."""
    marks = read_marks(connection)
    if is_news(marks, now):
        write_marks(connection, marks.signed(now))


def write_marks(connection: Connection, marks: ClockMarks) -> None:
    """Store the marks."""
    for name, at in ((_LAST, marks.last), (_HIGHEST, marks.highest)):
        if at is not None:
            _write(connection, name, at)


def write_probe(connection: Connection, now: datetime) -> None:
    """Write something, to see whether anything can be written."""
    _write(connection, _PROBE, now)


def marks_of_issues(connection: Connection) -> ClockMarks:
    """The marks that the stored sets of files show, for an inventory that kept none."""
    issued = schema.issues.c.issued_at
    last = connection.execute(select(issued).order_by(schema.issues.c.number.desc()).limit(1)).scalar_one_or_none()
    return ClockMarks(last=last, highest=connection.execute(select(func.max(issued))).scalar_one())


def is_news(marks: ClockMarks, now: datetime) -> bool:
    """Whether a signature at ``now`` is worth a new mark."""
    return marks.last is None or now >= marks.last + _GRAIN


def _write(connection: Connection, name: str, at: datetime) -> None:
    if not connection.execute(update(schema.signing_clock).where(_C.name == name).values(at=at)).rowcount:
        connection.execute(insert(schema.signing_clock).values(name=name, at=at))
