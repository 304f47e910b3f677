"""Failures that a cancellation or a deadline hides, because it arrives while they are handled: they go to the log."""

from __future__ import annotations

import asyncio
import logging

_LOG = logging.getLogger(__name__)


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
