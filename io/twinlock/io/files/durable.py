"""Files that hold the old content or the new, never a part, whatever happens to the process, the disk or the power.

An ``OSError`` becomes a ``StorageError`` that names the operation, the path and, where there is one, the remedy.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from twinlock.trust.errors.local import StorageError

PRIVATE = 0o600
SHARED = 0o644
TEMPORARY = ".tmp-"
_OURS = re.compile(re.escape(TEMPORARY) + "[0-9a-f]{16}")
_ADVICE = {
    errno.ENOSPC: "the disk is full; free some space and try again",
    errno.EDQUOT: "the quota is used up; free some space and try again",
    errno.EFBIG: "the file would be larger than allowed; free some space or raise the limit",
    errno.EROFS: "the file system is read-only; mount it writable and try again",
    errno.EACCES: "permission denied; run as the user that owns the file",
    errno.EPERM: "permission denied; run as the user that owns the file",
    errno.ENOENT: "no such file or directory",
}


@contextmanager
def storage_errors(operation: str, path: Path | str) -> Iterator[None]:
    """Turn an OSError inside the block into a StorageError: ``operation`` is a verb, such as ``write``."""
    try:
        yield
    except OSError as error:
        raise StorageError(path=str(path), operation=operation, reason=reason_of(error)) from error


def reason_of(error: OSError) -> str:
    """The reason for ``error`` in an operator's words, with the remedy where there is one."""
    return _ADVICE.get(error.errno or 0) or error.strerror or str(error)


@contextmanager
def temporary_file(directory: Path, mode: int) -> Iterator[tuple[int, Path]]:
    """A new file in ``directory``, open for writing and locked; gone after the block unless renamed meanwhile.

    The lock shows ``clean_stale`` that its writer is alive. Raises: OSError.
    """
    while True:
        path = directory / f"{TEMPORARY}{os.urandom(8).hex()}"
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, mode)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        if os.fstat(descriptor).st_nlink:  # a cleaner may have taken it between creation and lock
            break
        os.close(descriptor)
    try:
        yield descriptor, path
    finally:
        with suppress(FileNotFoundError):
            path.unlink()
        os.close(descriptor)


def clean_stale(directory: Path) -> int:
    """Remove temporary files whose writer died, and return how many. Those being written are locked and stay.

    A symbolic link in the place of ``directory`` is not followed: its target is not ours.
    """
    if directory.is_symlink():
        return 0
    try:
        temporary = [path for path in directory.iterdir() if _OURS.fullmatch(path.name)]
    except OSError:
        return 0
    return sum(_remove_unlocked(path) for path in temporary)


def _remove_unlocked(path: Path) -> bool:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path.unlink()
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True


def check_readable(path: Path, data: bytes, max_bytes: int | None) -> None:
    """Refuse to write what would not be read: a file above the bound of its reader locks its owner out. Raises: StorageError."""
    if max_bytes is not None and len(data) > max_bytes:
        reason = f"{len(data)} bytes would be written, and at most {max_bytes} are read"
        raise StorageError(path=str(path), operation="write", reason=reason)


def write_all(descriptor: int, data: bytes | memoryview) -> None:
    """Write every byte of ``data``. Raises: OSError."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def replace_file(path: Path, data: bytes, *, mode: int = SHARED, max_bytes: int | None = None) -> None:
    """Replace ``path`` by ``data``, durably. ``max_bytes`` is up to where its reader reads.

    Raises: StorageError, also above ``max_bytes``; ``path`` then holds what it held before.
    """
    check_readable(path, data, max_bytes)
    with storage_errors("write", path), temporary_file(path.parent, mode) as (descriptor, temporary):
        write_all(descriptor, data)
        os.fsync(descriptor)
        temporary.rename(path)
        flush_directory(path.parent)


def create_file(path: Path, data: bytes, *, mode: int = SHARED, max_bytes: int | None = None) -> bool:
    """Write ``data`` to a new file ``path``, durably; False if the path is taken. ``max_bytes``: as ``replace_file``.

    Raises: StorageError.
    """
    check_readable(path, data, max_bytes)
    with storage_errors("write", path), temporary_file(path.parent, mode) as (descriptor, temporary):
        write_all(descriptor, data)
        os.fsync(descriptor)
        return link_new(temporary, path)


def link_new(temporary: Path, path: Path) -> bool:
    """Give ``temporary`` the name ``path`` unless that is taken; durable either way. Raises: OSError."""
    try:
        os.link(temporary, path, follow_symlinks=False)
        created = True
    except FileExistsError:
        created = False
    flush_directory(path.parent)
    return created


def create_once(path: Path, data: bytes, *, mode: int = SHARED) -> None:
    """As ``create_file``, for a path that must be free. Raises: StorageError if it exists or cannot be written."""
    if not create_file(path, data, mode=mode):
        raise StorageError(path=str(path), operation="create", reason=os.strerror(errno.EEXIST))


def flush_directory(directory: Path) -> None:
    """Make renames and removals in ``directory`` survive a power cut. Raises: OSError."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock file ``path`` alone among processes and threads; waits for it. Raises: StorageError."""
    with storage_errors("lock", path):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        yield
    finally:
        os.close(descriptor)


@contextmanager
def locked_directory(directory: Path) -> Iterator[None]:
    """As ``locked``, by the directory itself: a disk that has no room for a lock file prevents nothing. Raises: StorageError."""
    with storage_errors("lock", directory):
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        yield
    finally:
        os.close(descriptor)


def read_file(path: Path, *, max_bytes: int) -> bytes | None:
    """The content of ``path``, or None if there is no such file. Raises: StorageError, also above ``max_bytes``."""
    with storage_errors("read", path):
        try:
            # Without O_NONBLOCK opening a pipe waits for a writer.
            with open(path, "rb", opener=_open_at_once) as stream:
                if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
                    raise StorageError(path=str(path), operation="read", reason="not a regular file")
                data = stream.read(max_bytes + 1)
        except FileNotFoundError:
            return None
    if len(data) > max_bytes:
        raise StorageError(path=str(path), operation="read", reason=f"larger than {max_bytes} bytes")
    return data


def _open_at_once(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY)
