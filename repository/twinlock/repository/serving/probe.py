"""Answers to readiness probes: the last verdict, while a thread of the probe's own judges again.

Anyone who reaches the port may ask, so no probe uses a thread that vehicles need, and however many come at once, one
judgement is under way. What waits for the network in it delays no answer by more than ``WAIT_S``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from time import monotonic

from twinlock.repository.errors import NotReadyError

HELD_S = 2.0
"""How long a verdict counts as new: a judgement costs a write to the disk."""
WAIT_S = 1.0
"""How long a probe waits for a judgement that is under way."""
STALE_S = 30.0
"""How long the last verdict is given while the next one takes its time."""


class Probe:
    """Answers for one ``judge``, which raises what is wrong. To be used on one event loop."""

    def __init__(self, judge: Callable[[], None]) -> None:
        self._judge = judge
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="readiness")
        self._running: asyncio.Future[Exception | None] | None = None
        self._last: tuple[float, Exception | None] | None = None
        self._since = 0.0

    async def answer(self) -> None:
        """Raises: the last verdict if that is a bad one, or NotReadyError where a judgement takes too long."""
        if self._last is None or monotonic() - self._last[0] > HELD_S:
            await self._ask()
        if self._last is None or monotonic() - self._last[0] > STALE_S:
            waited = monotonic() - self._since
            raise NotReadyError(reasons=(f"its own checks have been under way for {waited:.0f} s",))
        if self._last[1] is not None:
            raise self._last[1]

    def close(self) -> None:
        """Start no more judgements; one that waits for the network ends by itself."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def _ask(self) -> None:
        if self._running is None:
            self._since = monotonic()
            self._running = asyncio.get_running_loop().run_in_executor(self._thread, self._verdict)
            self._running.add_done_callback(self._keep)
        await asyncio.wait({self._running}, timeout=WAIT_S)

    def _verdict(self) -> Exception | None:
        try:
            self._judge()
        except Exception as error:  # noqa: BLE001 - it is raised again for each probe
            return error
        return None

    def _keep(self, done: asyncio.Future[Exception | None]) -> None:
        self._running = None
        if not done.cancelled():
            self._last = (monotonic(), done.result())
