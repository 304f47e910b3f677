"""Files that are there whole or not at all, whatever happens to the process, the disk or the power.

Belongs here: the few system calls that make a write atomic and durable, and the turning of ``OSError`` into
``StorageError``. Does not belong here: what the files mean.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from twinlock.io.new_directory import sync_directory
from twinlock.trust.errors.local import StorageError

TEMPORARY = ".tmp-"


@contextmanager
def storage(operation: str, path: Path | str) -> Iterator[None]:
    """Turn what the system refuses inside the block into a StorageError that says what was being done to which path."""
    try:
        yield
    except OSError as error:
        raise StorageError(path=str(path), operation=operation, reason=error.strerror or str(error)) from error


@contextmanager
def temporary_file(directory: Path, mode: int) -> Iterator[tuple[int, Path]]:
    """A new file in ``directory``, open for writing and locked; gone after the block unless renamed meanwhile.

    The lock tells ``clean_stale`` that its writer lives. Raises: OSError.
    """
    while True:
        path = directory / f"{TEMPORARY}{secrets.token_hex(8)}"
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

    A symbolic link in the place of ``directory`` is not followed: what it leads to is not ours.
    """
    if directory.is_symlink():
        return 0
    try:
        found = list(directory.glob(f"{TEMPORARY}*"))
    except OSError:
        return 0
    return sum(_remove_unlocked(path) for path in found)


def _remove_unlocked(path: Path) -> bool:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
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


def write_all(descriptor: int, data: bytes | memoryview) -> None:
    """Write every byte of ``data``. Raises: OSError."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def replace_file(path: Path, data: bytes, *, mode: int = 0o644) -> None:
    """Put ``data`` at ``path``, in place of what was there. Raises: StorageError; the old content then stands."""
    with storage("write", path), temporary_file(path.parent, mode) as (descriptor, temporary):
        write_all(descriptor, data)
        os.fsync(descriptor)
        temporary.rename(path)
        sync_directory(path.parent)


def create_file(path: Path, data: bytes, *, mode: int = 0o644) -> bool:
    """Put ``data`` at ``path`` unless something is there; say whether it was put. Raises: StorageError."""
    with storage("write", path), temporary_file(path.parent, mode) as (descriptor, temporary):
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
    sync_directory(path.parent)
    return created


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock file ``path`` alone among processes and threads; waits for it. Raises: StorageError."""
    with storage("lock", path):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        yield
    finally:
        os.close(descriptor)


def read_file(path: Path, *, max_bytes: int) -> bytes | None:
    """The content of ``path``, or None if there is no such file. Raises: StorageError, also above ``max_bytes``."""
    with storage("read", path):
        try:
            # Without O_NONBLOCK opening a pipe waits until somebody writes to it.
            with open(path, "rb", opener=_open_at_once) as stream:
                if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
                    raise StorageError(path=str(path), operation="read", reason="it is not a regular file")
                data = stream.read(max_bytes + 1)
        except FileNotFoundError:
            return None
    if len(data) > max_bytes:
        raise StorageError(path=str(path), operation="read", reason=f"it is larger than {max_bytes} bytes")
    return data


def _open_at_once(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY)
