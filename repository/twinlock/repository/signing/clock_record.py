"""The signing clock of an Image repository: its marks on disk, the check before it signs, and the way out.

trusted/clock.json         the time of the last signature, the highest time ever stated, and who confirmed what
trusted/time-source.json   the second source of time, where one is set: a Director's address and its Root
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from twinlock.io.files.durable import read_file, replace_file, storage_errors
from twinlock.io.files.new_directory import make_directory
from twinlock.io.files.records import Record, read_record, record_bytes
from twinlock.repository.errors import NothingToRecoverError
from twinlock.repository.signing.clock import (
    BEHIND,
    ClockMarks,
    SecondTime,
    check_signing_clock,
    highest,
    issued_of,
)
from twinlock.repository.signing.time_source import TimeSource
from twinlock.repository.workspace.current import CurrentPublication
from twinlock.repository.workspace.workspace import Workspace
from twinlock.trust.errors.base import RefusalError, TwinlockError
from twinlock.trust.errors.local import TransportError
from twinlock.trust.text.times import format_time, parse_time

log = logging.getLogger("twinlock.repository.signing.clock_record")

_MARKS, _SOURCE = "clock.json", "time-source.json"
_MAX_BYTES = 2_000_000


class RecoveryRecord(Record, frozen=True, kw_only=True):
    """Who confirmed that the clock is right now, and what had been signed in the future. Times as ``format_time`` writes them."""

    at: str
    actor: str
    highest: str
    roles: tuple[str, ...]


class ClockRecord(Record, frozen=True, kw_only=True):
    """``clock.json``. Times as ``format_time`` writes them."""

    last: str | UnsetType | None = UNSET
    highest: str | UnsetType | None = UNSET
    recoveries: tuple[RecoveryRecord, ...] | UnsetType = UNSET

    def __post_init__(self) -> None:
        _time(self.last)
        _time(self.highest)


class TimeSourceRecord(Record, frozen=True, kw_only=True):
    """``time-source.json``: the Director's address, and its Root as text."""

    url: str
    root: str


def signing_marks(workspace: Workspace, published: CurrentPublication | None, now: datetime) -> ClockMarks:
    """The past of this signer, after its clock was found to agree with that and with the second source.

    A second source that does not answer is logged and stops nothing.
    Raises: ClockBehindError, ClockContradictedError, StorageError.
    """
    marks = read_marks(workspace, published)
    check_signing_clock(now, marks, ask_second(read_time_source(workspace)))
    return marks


def read_marks(workspace: Workspace, published: CurrentPublication | None) -> ClockMarks:
    """The past of this signer by its record and by what is published. Raises: StorageError."""
    stored = _read(workspace)
    issued = highest(issued_of(data) for _, data in _files(published))
    return ClockMarks(last=_time(stored.last) or issued, highest=highest((issued, _time(stored.highest))))


def keep_marks(workspace: Workspace, marks: ClockMarks) -> None:
    """Record the marks. Raises: StorageError."""
    _write(workspace, replace(_read(workspace), last=_text(marks.last), highest=_text(marks.highest)))


@dataclass(frozen=True, slots=True, kw_only=True)
class FutureSignatures:
    """What a repository signed in the future: the ``highest`` time that it stated, and the ``roles`` that state one."""

    highest: datetime
    roles: tuple[str, ...]


def find_future_signatures(workspace: Workspace, published: CurrentPublication, now: datetime) -> FutureSignatures:
    """What is published, or was, with a time of the future. Raises: NothingToRecoverError, ClockContradictedError."""
    marks = read_marks(workspace, published)
    check_signing_clock(now, ClockMarks(), ask_second(read_time_source(workspace)))
    roles = tuple(role for role, data in _files(published) if (issued_of(data) or now) > now + BEHIND)
    if not roles and (marks.last is None or marks.last <= now + BEHIND):
        raise NothingToRecoverError()
    return FutureSignatures(highest=marks.highest or now, roles=roles)


def record_recovery(workspace: Workspace, future: FutureSignatures, *, actor: str, now: datetime) -> None:
    """Record who confirmed that the clock is right now and was ahead before. Raises: StorageError."""
    stored = _read(workspace)
    highest = format_time(future.highest)
    entry = RecoveryRecord(at=format_time(now), actor=actor, highest=highest, roles=future.roles)
    _write(workspace, replace(stored, recoveries=(*(stored.recoveries or ()), entry)))


def set_time_source(workspace: Workspace, source: TimeSource | None) -> None:
    """Set the second source of time, or none. Raises: StorageError."""
    if source is None:
        with storage_errors("remove", _place(workspace, _SOURCE)):
            _place(workspace, _SOURCE).unlink(missing_ok=True)
        return
    data = record_bytes(TimeSourceRecord(url=source.url, root=source.root.decode()))
    replace_file(_place(workspace, _SOURCE), data, max_bytes=_MAX_BYTES)


def read_time_source(workspace: Workspace) -> TimeSource | None:
    """The second source that is set, None if none is. Raises: StorageError."""
    data = read_file(_place(workspace, _SOURCE), max_bytes=_MAX_BYTES)
    if data is None:
        return None
    record = read_record(data, str(_place(workspace, _SOURCE)), TimeSourceRecord)
    return TimeSource(url=record.url, root=record.root.encode())


def ask_second(source: TimeSource | None) -> SecondTime | None:
    """What the second source proves now; None without one, and where it gives no usable answer, which is logged."""
    if source is None:
        return None
    try:
        return source.ask()
    except (TransportError, RefusalError) as error:
        _show_silence(source, error)
        return None


def _show_silence(source: TimeSource, error: TwinlockError) -> None:
    log.warning("the second source of time %s gave no usable answer, so only this clock vouches: %s", source.url, error)


def _files(published: CurrentPublication | None) -> Iterator[tuple[str, bytes]]:
    """The published files that this repository signs itself, or lists, by role."""
    if published is None:
        return
    trusted = published.trusted
    for role in ("root", "timestamp", "snapshot"):
        yield role, getattr(trusted, role).data
    for name, targets in published.walk():
        yield name, targets.data


def _read(workspace: Workspace) -> ClockRecord:
    path = _place(workspace, _MARKS)
    data = read_file(path, max_bytes=_MAX_BYTES)
    return ClockRecord() if data is None else read_record(data, str(path), ClockRecord)


def _write(workspace: Workspace, record: ClockRecord) -> None:
    path = _place(workspace, _MARKS)
    with storage_errors("write", path):
        make_directory(path.parent)
    replace_file(path, record_bytes(record), max_bytes=_MAX_BYTES)


def _place(workspace: Workspace, name: str) -> Path:
    return workspace.path / "trusted" / name


def _text(time: datetime | None) -> str | None:
    return None if time is None else format_time(time)


def _time(text: str | UnsetType | None) -> datetime | None:
    return parse_time(text) if isinstance(text, str) else None
