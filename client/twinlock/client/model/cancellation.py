"""Cancellation: work that it does not cut short, and failures that it hides from every caller and that go to the log.

A thread cannot be stopped, so its task waits for it and keeps its locks. ``asyncio.to_thread`` leaves the thread behind, which is
harmless only for one that changes nothing.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import ParamSpec, TypeVar

T = TypeVar("T")
P = ParamSpec("P")
_LOG = logging.getLogger(__name__)


async def in_thread(function: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
    """Call ``function`` in a worker thread. A cancellation is raised when the thread has ended, and not before.

    Raises: what ``function`` raises.
    """
    call = partial(contextvars.copy_context().run, function, *arguments, **named)
    try:
        # A future and not a task: what cancels all tasks of a loop that ends does not reach it.
        return await to_its_end(asyncio.get_running_loop().run_in_executor(None, call))
    finally:
        del call, arguments, named  # an error refers to this frame, and may be one of them


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
    try:
        if cancelled is None:
            return running.result()
        if not running.cancelled() and (failure := running.exception()) is not None:
            log_failure(failure, "work that could not be cut short")  # the cancellation comes first
        raise cancelled
    finally:
        # An error refers to this frame. In a circle with it, what it refers to would stay until the garbage collector runs.
        del running, work, cancelled


def log_hidden_failure(ended_by: BaseException, work: str) -> None:
    """Log the failure that ``work`` was handling when ``ended_by`` arrived, if there was one; no caller gets it.

    ``ended_by`` is a cancellation, or the TimeoutError that a deadline makes of one.
    """
    failure = ended_by.__context__
    while isinstance(failure, (asyncio.CancelledError, TimeoutError)):
        failure = failure.__context__
    if failure is not None:
        log_failure(failure, work)


def log_failure(failure: BaseException, work: str) -> None:
    """Log a ``failure`` of ``work`` whose caller was cancelled and so does not get it."""
    _LOG.warning("%s ended early and hides this %s", work, type(failure).__name__, exc_info=failure)
