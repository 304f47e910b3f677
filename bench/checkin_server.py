"""A server as a process of its own, pinned to one core, and what it used: CPU time and memory as Linux counts them."""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Self

from bench.processes import HERE, environment

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

PROC = Path("/proc")
_START_S = 60.0
_STOP_S = 30.0
_SHOWN_CHARACTERS = 8_000  # of the log, where the load failed


def supported() -> bool:
    """Whether this system pins processes and accounts for them as this module needs it: Linux does."""
    return hasattr(os, "sched_setaffinity") and (PROC / "self" / "stat").exists()


def cores() -> tuple[int, int]:
    """The core of the servers and that of the load; one and the same where this process may use only one."""
    usable = sorted(os.sched_getaffinity(0))
    return usable[0], usable[-1]


@contextmanager
def pinned(core: int) -> Iterator[None]:
    """Keep this thread, and the processes that it starts, on ``core``."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def cpu_ticks(stat: str) -> int:
    """The clock ticks in user and system mode of a line of ``/proc/PID/stat``, in which a name may hold anything."""
    fields = stat.rpartition(")")[2].split()  # from the third field on, the state
    return int(fields[11]) + int(fields[12])


class Server:
    """``python`` with ``arguments``, which prints one JSON line with its ``url`` once it listens. Its log goes to ``log``."""

    def __init__(self, arguments: Sequence[str], *, core: int, log: Path) -> None:
        self.port: int = 0
        self._log = log
        with log.open("wb") as errors, pinned(core):
            self._process = subprocess.Popen(
                [sys.executable, *arguments], cwd=HERE, env=environment(), stdout=subprocess.PIPE, stderr=errors
            )

    def __enter__(self) -> Self:
        try:
            self.port = self._ready()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self._stop()
        log = self._log.read_text()
        if error is not None and log:
            error.add_note(f"the end of {self._log.name}:\n{log[-_SHOWN_CHARACTERS:]}")

    def cpu_s(self) -> float:
        """CPU seconds of all its threads since it started, in steps of a clock tick (usually 10 ms)."""
        stat = (PROC / str(self._process.pid) / "stat").read_text()
        return cpu_ticks(stat) / os.sysconf("SC_CLK_TCK")

    def resident_mib(self) -> float:
        """The memory that it holds now."""
        pages = (PROC / str(self._process.pid) / "statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE") / 2**20

    def _ready(self) -> int:
        out = self._process.stdout
        assert out is not None
        with selectors.DefaultSelector() as selector:
            selector.register(out, selectors.EVENT_READ)
            line = out.readline() if selector.select(_START_S) else b""
        if not line:
            raise RuntimeError(f"{self._process.args!r} does not listen: {self._log.read_text()}")
        return int(json.loads(line)["url"].rpartition(":")[2])

    def _stop(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        finally:
            if self._process.stdout is not None:
                self._process.stdout.close()
