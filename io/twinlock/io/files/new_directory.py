"""Creating a directory: what a refused or failed attempt wrote is removed, so that the corrected one works.

A creation that was killed leaves its files; the next one continues with them and removes nothing that it did not find
missing.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from twinlock.io.files.durable import flush_directory, reason_of
from twinlock.trust.errors.local import StorageError


@contextmanager
def new_directory(path: Path, *, begun: Callable[[], bool] = lambda: False, mode: int = 0o755) -> Iterator[None]:
    """Make ``path`` and hold it alone; if the block fails, remove all that is in it.

    A directory that had content before is left as it is, and so is one for which ``begun`` reports that something
    signed may have left it. Raises: StorageError.
    """
    missing = next((each for each in (*reversed(path.parents), path) if not each.exists()), None)
    try:
        descriptor = _lock(path, mode)
        was_empty = not any(path.iterdir())
    except OSError as error:
        raise StorageError(path=str(path), operation="create", reason=reason_of(error)) from error
    try:
        yield
    except BaseException:
        if was_empty and not begun():
            _remove(path, missing)
        raise
    finally:
        os.close(descriptor)


def _lock(path: Path, mode: int) -> int:
    """Make and lock the directory; another creation that just failed may have removed it meanwhile. Raises: OSError."""
    while True:
        make_directory(path, mode)
        with suppress(FileNotFoundError):
            descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(descriptor), path.stat()):
                    return descriptor
            os.close(descriptor)


def _remove(path: Path, missing: Path | None) -> None:
    """Remove the content of ``path``, and those directories down to it that were missing before."""
    for entry in list(path.iterdir()):
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry, ignore_errors=True)
        else:
            entry.unlink(missing_ok=True)
    made = path if missing is not None else None
    while made is not None:
        with suppress(OSError):  # another process put something there
            made.rmdir()
        made = made.parent if made != missing else None


def make_directory(directory: Path, mode: int = 0o755) -> None:
    """Create ``directory`` and its parents, durably. Raises: OSError."""
    missing = []
    while not directory.is_dir():
        missing.append(directory)
        directory = directory.parent
    for path in reversed(missing):
        with suppress(FileExistsError):
            path.mkdir(mode)
        flush_directory(path.parent)
