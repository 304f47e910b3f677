"""Writing a file so that a crash leaves the old content or the new, never a part.

Belongs here: replace, create-once and directory flushes. Does not belong here: anything that knows what is written.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from twinlock.trust.errors.local import StorageError

PRIVATE = 0o600
SHARED = 0o644


@contextmanager
def storage_errors(path: Path, operation: str) -> Iterator[None]:
    """Turn any OSError inside into a StorageError about ``path`` that says what failed, in words."""
    try:
        yield
    except OSError as error:
        raise StorageError(path=str(path), operation=operation, reason=reason_of(error)) from error


def reason_of(error: OSError) -> str:
    """What an operator has to know of ``error``, with the way out where there is one."""
    advice = {
        errno.ENOSPC: "the disk is full; free some space and try again",
        errno.EDQUOT: "the quota is used up; free some space and try again",
        errno.EFBIG: "the file would be larger than allowed; free some space or raise the limit",
        errno.EROFS: "the file system is read-only; mount it writable and try again",
        errno.EACCES: "permission denied; run as the user that owns the file",
        errno.EPERM: "permission denied; run as the user that owns the file",
        errno.ENOENT: "it does not exist",
    }
    return advice.get(error.errno or 0) or os.strerror(error.errno) if error.errno else str(error)


def write_atomically(path: Path, data: bytes, *, mode: int = SHARED) -> None:
    """Replace ``path`` by ``data``: written beside it, flushed, renamed, and the directory flushed.

    Raises: StorageError; ``path`` then holds what it held before.
    """
    temporary = path.with_name(f".{path.name}.new")
    with storage_errors(path, "write"):
        try:
            write_flushed(temporary, data, mode=mode)
            temporary.replace(path)
        except OSError:
            temporary.unlink(missing_ok=True)
            raise
        flush_directory(path.parent)


def create_once(path: Path, data: bytes, *, mode: int = SHARED) -> None:
    """Write ``data`` to ``path``, which must not exist yet.

    Raises: StorageError if it exists or cannot be written; an existing file is left alone.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.new")
    with storage_errors(path, "create"):
        try:
            write_flushed(temporary, data, mode=mode)
            os.link(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
        flush_directory(path.parent)


def write_flushed(path: Path, data: bytes, *, mode: int = SHARED) -> None:
    """Write ``data`` to ``path`` and flush it to the disk. Raises: OSError."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(descriptor)


def flush_directory(path: Path) -> None:
    """Make renames and removals in ``path`` survive a power cut. Raises: OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
