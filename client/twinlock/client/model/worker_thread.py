"""Work that a cancellation does not cut short: a thread cannot be stopped, so its task waits for it and keeps its locks.

``asyncio.to_thread`` leaves the thread behind. That is harmless only for one that changes nothing.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Awaitable, Callable
from typing import ParamSpec, TypeVar

from twinlock.client.model.hidden_failures import log_failure

T = TypeVar("T")
P = ParamSpec("P")


async def in_thread(function: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
    """Call ``function`` in a worker thread. A cancellation is raised when the thread has ended, and not before.

    Raises: what ``function`` raises.
    """

    def call() -> T:
        return context.run(function, *arguments, **named)

    context = contextvars.copy_context()
    # A future and not a task: what cancels all tasks of a loop that ends does not reach it.
    return await to_its_end(asyncio.get_running_loop().run_in_executor(None, call))


async def to_its_end(work: Awaitable[T]) -> T:
    """Wait for all of ``work``. A cancellation is raised when it has ended, and not before.

    A failure of work that was cancelled is logged. Raises: what ``work`` raises.
    """
    running = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not running.done():
        try:
            await asyncio.wait([running])
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is None:
        return running.result()
    if not running.cancelled() and (failure := running.exception()) is not None:
        log_failure(failure, "work that could not be cut short")  # the cancellation comes first
    raise cancelled
