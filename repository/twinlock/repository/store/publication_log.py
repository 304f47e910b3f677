"""The publication log: what makes many files change as one.

A publication is a record ``publications/N.json`` that holds every metadata file of the step to Timestamp version N.
Creating the record is the decision, and only one publisher can create it. Putting the files in their places follows,
in the order of the record; a reader sees a decided publication as complete, and the next writer completes it after a crash, with the
same result however often that is done. Timestamp is the last, or only Root comes after it (see ``authoring.next_publication``), so vehicles see old or new, never both.

    1. images are in the store already, under names that contain their digests
    2. create publications/N.json       exists: ConflictError, nothing was done
    3. create every versioned file      exists with the same bytes: fine
       replace timestamp.json           only if it is still the one that the record states it replaces
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property

from twinlock.io.files.records import Record, RecordError, plain, read_record
from twinlock.repository.errors import StoreTamperedError
from twinlock.repository.store.interface import ObjectStore, StoredObject
from twinlock.repository.store.object_names import AKTUALIZR, METADATA, TIMESTAMP_OBJECT, publication_object
from twinlock.trust.errors.base import RefusalError, TwinlockError
from twinlock.trust.errors.local import ConflictError, StorageError
from twinlock.trust.errors.metadata import LimitError
from twinlock.trust.limits import DEFAULT_LIMITS

log = logging.getLogger("twinlock.repository.store.publication_log")

_FORMAT = 1
_MAX_RECORD_BYTES = 1 << 30
_LARGEST_ESCAPE = 6  # bytes of JSON for one byte of a file
_KEPT = 64  # records behind the newest that stay, so that a stalled publisher still finds its number taken


@dataclass(frozen=True, slots=True)
class LogRecord:
    """One publication: ``files`` maps object name to bytes; ``replaces`` is the etag of the Timestamp before it."""

    version: int
    replaces: str | None
    files: Mapping[str, bytes]


class PublicationRecord(Record, frozen=True, kw_only=True):
    """The object of a publication: as ``LogRecord``, its files as text."""

    format: int = _FORMAT
    version: int
    replaces: str | None
    files: dict[str, str]


def publish_record(store: ObjectStore, record: LogRecord) -> None:
    """Publish, as one step.

    Raises: ConflictError if another publisher was first, LimitError as ``check_record``; then nothing of this is visible.
    """
    check_record(record)
    check_next(store, record)
    if not store.put_new(publication_object(record.version), _encode(record)):
        raise _conflict(record.version)
    _apply(store, record)
    with following_publication("an old record is still in `publications`, where it does no harm: delete it by hand"):
        _prune(store, record.version)


@contextmanager
def following_publication(left: str, faults: type[TwinlockError] = TwinlockError) -> Iterator[None]:
    """Log one of ``faults`` inside the block with what is ``left`` and the command that finishes it.

    A publication that is in force is not reported as failed: its operator would make it a second time.
    """
    try:
        yield
    except faults as error:
        log.warning("the publication is in force, but %s (%s)", left, error)


def check_next(store: ObjectStore, record: LogRecord) -> None:
    """Check that ``record`` follows what is in the store now, and that its names are free. Raises: ConflictError."""
    _check_base(store, record)
    for name, data in record.files.items():
        if name != TIMESTAMP_OBJECT:
            _check_free(store, name, data)


def check_record(record: LogRecord) -> None:
    """Refuse a publication that would not be read again: the next reader could not finish it. Raises: LimitError."""
    if _LARGEST_ESCAPE * sum(map(len, record.files.values())) <= _MAX_RECORD_BYTES // 2:
        return
    size = len(_encode(record))
    if size > _MAX_RECORD_BYTES:
        what = f"the record of publication {record.version}, in bytes"
        raise LimitError(what=what, value=size, limit=_MAX_RECORD_BYTES)


def roll_forward(store: ObjectStore, *, first: int = 1) -> None:
    """Finish publications that were decided but not completed: the next one, and what may lack of the last one.

    ``first`` is the number of the first publication, where a repository continues the numbers of another one.
    """
    while True:
        version = timestamp_version(store)
        if version:
            _complete(store, version)
        record = _read(store, version + 1 if version else first)
        if record is None:
            return
        _apply(store, record)


class DecidedReader:
    """The store as it is once every decided publication is complete. It reads only: a writer completes them (``roll_forward``)."""

    def __init__(self, store: ObjectStore, *, first: int = 1) -> None:
        self._store = store
        self._ahead: dict[str, bytes] = {}
        self._complete = self.version = timestamp_version(store)
        while record := _read(store, self.version + 1 if self.version else first):
            self._ahead |= record.files
            self.version = record.version

    def get(self, name: str, *, max_bytes: int) -> StoredObject | None:
        """See ``ObjectReader``. What is not in its place yet has no etag."""
        data = self._ahead.get(name)
        if data is None:
            stored = self._store.get(name, max_bytes=max_bytes)
            data = None if stored else self._missing.get(name)
            if data is None:
                return stored
        if len(data) > max_bytes:
            raise StorageError(path=name, operation="read", reason=f"{name} is larger than {max_bytes} bytes")
        return StoredObject(data, etag="")

    @cached_property
    def _missing(self) -> Mapping[str, bytes]:
        """The files of the publication that Timestamp names, which a crash may have left out."""
        record = _read(self._store, self._complete) if self._complete else None
        return record.files if record else {}


def is_decided(store: ObjectStore, version: int) -> bool:
    """Whether some publisher has decided publication ``version``, completed or not."""
    return store.stat(publication_object(version)) is not None


@contextmanager
def competing(store: ObjectStore, version: int) -> Iterator[None]:
    """Judging what is to be publication ``version`` while others publish.

    Where another publisher has decided it meanwhile, files of both were judged together: that is a conflict, and neither
    an attack nor a store that was tampered with. Raises: ConflictError then; otherwise what was raised.
    """
    try:
        yield
    except (RefusalError, StoreTamperedError) as error:
        if is_decided(store, version):
            raise _conflict(version) from error
        raise


def timestamp_version(store: ObjectStore) -> int:
    """The version of the Timestamp that is published now; 0 if there is none."""
    current = store.get(TIMESTAMP_OBJECT, max_bytes=DEFAULT_LIMITS.timestamp_bytes)
    if current is None:
        return 0
    try:
        version = json.loads(current.data)["signed"]["version"]
    except (ValueError, KeyError, TypeError):
        raise StoreTamperedError(reason="timestamp.json is not readable") from None
    if not isinstance(version, int) or version < 1:
        raise StoreTamperedError(reason="timestamp.json has no version")
    return version


def _check_base(store: ObjectStore, record: LogRecord) -> None:
    current = store.stat(TIMESTAMP_OBJECT)
    if (current.etag if current else None) != record.replaces:
        raise _conflict(record.version)


def _apply(store: ObjectStore, record: LogRecord) -> None:
    for name, data in record.files.items():
        if name == TIMESTAMP_OBJECT:
            _replace_timestamp(store, record)
        else:
            _put(store, name, data)


def _replace_timestamp(store: ObjectStore, record: LogRecord) -> None:
    try:
        store.replace(TIMESTAMP_OBJECT, record.files[TIMESTAMP_OBJECT], expected=record.replaces)
    except ConflictError:
        if timestamp_version(store) < record.version:
            raise StoreTamperedError(
                reason="another program replaced timestamp.json without a publication record"
            ) from None


def _complete(store: ObjectStore, version: int) -> None:
    """Put the files of a publication whose Timestamp is in place already, as far as they are missing."""
    record = _read(store, version)
    for name, data in record.files.items() if record else ():
        if name != TIMESTAMP_OBJECT and store.stat(name) is None:
            _put(store, name, data)


def _put(store: ObjectStore, name: str, data: bytes) -> None:
    if not store.put_new(name, data):
        _check_free(store, name, data)


def _check_free(store: ObjectStore, name: str, data: bytes) -> None:
    """Nothing else is in the place of a file. An attempt that lost against another publisher leaves nothing there."""
    info = store.stat(name)
    if info is None:
        return
    present = store.get(name, max_bytes=info.size)
    if present is None or present.data != data:
        raise StoreTamperedError(reason=f"{name} already exists with different content")


def _prune(store: ObjectStore, version: int) -> None:
    if version > _KEPT:
        store.delete(publication_object(version - _KEPT))


def _conflict(version: int) -> ConflictError:
    return ConflictError(what="the repository", reason=f"publication {version} was made by another process")


def _encode(record: LogRecord) -> bytes:
    files = {name: data.decode() for name, data in record.files.items()}
    body = PublicationRecord(version=record.version, replaces=record.replaces, files=files)
    return json.dumps(plain(body), ensure_ascii=False).encode()


def _read(store: ObjectStore, version: int) -> LogRecord | None:
    name = publication_object(version)
    stored = store.get(name, max_bytes=_MAX_RECORD_BYTES)
    if stored is None:
        return None
    try:
        record = read_record(stored.data, name, PublicationRecord, newest=_FORMAT)
    except RecordError:
        raise StoreTamperedError(reason=f"{name} is not readable") from None
    inside = all(file.startswith((METADATA, AKTUALIZR)) for file in record.files)
    if record.version != version or TIMESTAMP_OBJECT not in record.files or not inside:
        raise StoreTamperedError(reason=f"{name} is not the record of that publication")
    return LogRecord(version, record.replaces, {file: text.encode() for file, text in record.files.items()})
