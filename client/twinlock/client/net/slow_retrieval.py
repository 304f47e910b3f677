"""The guard against slow retrieval: bytes counted against time spent waiting for the other end (Uptane 2.1.0 5.4).

Time that this ECU spends on its own disk is not counted, so a slow disk never looks like an attack.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Sequence
from typing import TypeVar

from twinlock.client.model.cancellation import log_hidden_failure
from twinlock.trust.errors.local import SlowRetrievalError, TransportError

T = TypeVar("T")


def worst_fault(faults: Sequence[TransportError]) -> TransportError | None:
    """The fault to raise where no place served a file: the first slow retrieval, which may be an attack, else the first of all."""
    slow = (fault for fault in faults if isinstance(fault, SlowRetrievalError))
    return next(slow, next(iter(faults), None))


class SpeedWatch:
    """Raises as soon as one window of waiting brought fewer bytes than the floor requires.

    ``floor_bytes_per_s`` 0 switches the floor off; a wait of a whole window for nothing at all still ends.
    """

    def __init__(self, url: str, *, floor_bytes_per_s: int, window_s: float) -> None:
        self._url = url
        self._floor = floor_bytes_per_s
        self._window_s = window_s
        self._waited_s = 0.0
        self._bytes = 0
        self._before = (0.0, 0)  # seconds waited and bytes received in windows that are over

    async def wait(self, coming: Awaitable[T]) -> T:
        """Wait for the next piece, at most for a window. Raises: SlowRetrievalError."""
        started = time.monotonic()
        try:
            async with asyncio.timeout(self._window_s):
                return await coming
        except TimeoutError as late:
            log_hidden_failure(late, "the wait for the next bytes")
            raise self._slow(f"nothing arrived for {self._window_s:g} s", 0) from None
        finally:
            self._waited_s += time.monotonic() - started

    def count(self, received: int) -> None:
        """Count a piece of ``received`` bytes. Raises: SlowRetrievalError."""
        self._bytes += received
        if self._waited_s < self._window_s:
            return
        if self._bytes < self._floor * self._waited_s:
            rate = int(self._bytes / self._waited_s)
            raise self._slow(f"below the floor over {self._waited_s:.1f} s", rate)
        self._before = (self._before[0] + self._waited_s, self._before[1] + self._bytes)
        self._waited_s, self._bytes = 0.0, 0

    def too_late(self, deadline_s: float | None) -> SlowRetrievalError:
        """The error for a transfer that was fast enough and still not finished within ``deadline_s``."""
        waited, received = self._before[0] + self._waited_s, self._before[1] + self._bytes
        return self._slow(f"not finished within {deadline_s or 0:.4g} s", int(received / waited) if waited else 0)

    def _slow(self, reason: str, rate: int) -> SlowRetrievalError:
        return SlowRetrievalError(url=self._url, reason=reason, bytes_per_s=rate, floor_bytes_per_s=self._floor)
