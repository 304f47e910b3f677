"""Dying on purpose: a function runs in a child process that kills itself (kill -9) before its n-th change of the disk.

What counts as a change is seen from outside, by the interpreter's own hook for calls into C: every write, flush,
rename, link, removal, truncation and SQL statement, whoever makes it. Nothing of the product is patched.
"""

from __future__ import annotations

import io
import os
import signal
import sqlite3
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from typing import Any

_SYSTEM_CALLS = frozenset(["fsync", "replace", "rename", "link", "unlink", "open", "mkdir", "chmod"])
_FILE_CALLS = frozenset(["write", "flush", "truncate", "close"])
KILLED = -signal.SIGKILL


def in_child(action: Callable[[], object]) -> int:
    """Run ``action`` in a child process; its exit status, or minus the signal that ended it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # the test runner has threads; the child uses none of them
        pid = os.fork()
    if pid == 0:
        status = 1
        try:
            action()
            status = 0
        except BaseException as error:  # noqa: BLE001 - the child says what went wrong and ends here
            sys.stderr.write(f"child: {error!r}\n")
        finally:
            sys.setprofile(None)
            os._exit(status)
    _, wait_status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(wait_status)


def dying_at(number: int, action: Callable[[], object]) -> int:
    """Run ``action`` in a child that is killed before its ``number``-th change of the disk; see ``in_child``."""

    def run() -> None:
        remaining = number

        def hook(_frame: Any, event: str, called: Any) -> None:
            nonlocal remaining
            if event == "c_call" and _changes_the_disk(called):
                remaining -= 1
                if remaining == 0:
                    os.kill(os.getpid(), signal.SIGKILL)

        threading.setprofile(hook)  # for threads that are yet to start
        sys.setprofile(hook)
        action()

    return in_child(run)


def every_death(action: Callable[[], object], *, limit: int = 1000) -> Iterator[int]:
    """Run ``action`` again and again, each time dying one change later; yields after each death, with its number.

    Ends when a run got through. Raises AssertionError when one failed otherwise, or after ``limit`` deaths.
    """
    for number in range(1, limit):
        status = dying_at(number, action)
        if status == 0:
            assert number > 1, "nothing was changed at all"
            return
        assert status == KILLED, f"the run that should die at change {number} ended with {status}"
        yield number
    raise AssertionError(f"still dying after {limit} changes")


def _changes_the_disk(called: Any) -> bool:
    owner = getattr(called, "__self__", None)
    if isinstance(owner, sqlite3.Connection):
        return called.__name__ in ("execute", "executemany", "executescript")
    if isinstance(owner, (io.BufferedWriter, io.FileIO)):
        return called.__name__ in _FILE_CALLS
    return getattr(owner, "__name__", "") == "posix" and called.__name__ in _SYSTEM_CALLS
