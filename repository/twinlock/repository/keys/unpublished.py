"""The record of new keys while they are written and published: after a crash it names those that nothing was published with.

Its writer holds a lock on it and removes it at the end, so one without a lock was left by a process that died.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from twinlock.io.files.durable import PRIVATE, flush_directory, storage_errors, write_all
from twinlock.io.files.new_directory import make_directory

if TYPE_CHECKING:
    from twinlock.repository.keys.records import KeyRecord

_PREFIX = ".new-keys-"
_MAX_BYTES = 1 << 20


@contextmanager
def announced(records: Iterable[KeyRecord]) -> Iterator[None]:
    """Keep a record of new keys in the directory of the first of them inside the block, durable before it begins. Raises: StorageError."""
    records = tuple(records)
    if not records:
        yield
        return
    place = records[0].place
    path = place / f"{_PREFIX}{os.urandom(8).hex()}"
    body = json.dumps({record.keyid: [file.name for file in record.files] for record in records}).encode()
    with storage_errors("write", path):
        make_directory(place, 0o700)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, PRIVATE)
    try:
        with storage_errors("write", path):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            write_all(descriptor, body[:_MAX_BYTES])
            os.fsync(descriptor)
            flush_directory(place)
        yield
    finally:
        with suppress(OSError):  # what was published is in force; the next command finds the record and removes it
            path.unlink(missing_ok=True)
        os.close(descriptor)


def has_abandoned(places: Iterable[Path]) -> bool:
    """Whether such a record was left. Raises: StorageError."""
    for path in (path for place in places for path in place.glob(f"{_PREFIX}*")):
        with storage_errors("read", path):
            if _read_abandoned(path) is not None:
                return True
    return False


def discard_abandoned(places: Iterable[Path], used: Iterable[str]) -> None:
    """Delete the keys of records that were left, but those ``used``: no signed file that names them left the process.

    Raises: StorageError.
    """
    places, used = tuple(dict.fromkeys(places)), frozenset(used)
    for path in [path for place in places for path in place.glob(f"{_PREFIX}*")]:
        with storage_errors("delete", path):
            files = _read_abandoned(path)
            if files is None:
                continue
            for name in (name for keyid, names in files.items() if keyid not in used for name in names):
                for place in places:
                    (place / Path(name).name).unlink(missing_ok=True)
            for place in filter(Path.is_dir, places):  # before the record goes: a power cut must leave one or the other
                flush_directory(place)
            path.unlink(missing_ok=True)
            flush_directory(path.parent)


def _read_abandoned(path: Path) -> Mapping[str, list[str]] | None:
    """The files of each key; none where it was cut off, before a key was written. None while its writer lives. Raises: OSError."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        found: dict[str, list[str]] = json.loads(os.read(descriptor, _MAX_BYTES))
    except BlockingIOError:
        return None
    except ValueError:
        return {}
    finally:
        os.close(descriptor)
    return found
