"""The boundary to parts that a product supplies: installers, preconditions and links. What they raise becomes a ``PartyError``.

Source: Uptane 2.1.0 5.4.3.6 (every failure ends in a report).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TypeVar

from twinlock.client.model.cancellation import log_hidden_failure
from twinlock.client.model.errors import LinkError, PartyError, SoftwareFaultError
from twinlock.client.model.foreign_text import sanitize
from twinlock.trust.errors.base import TwinlockError
from twinlock.trust.names import EcuId

T = TypeVar("T")
_LOG = logging.getLogger(__name__)
_REASON_CHARACTERS = 500


@contextmanager
def party_faults(error: type[PartyError], party: str, name: str, step: str) -> Iterator[None]:
    """Turn what ``party`` raises inside the block into ``error``.

    A ``TwinlockError`` passes, and so does the cancellation of the task that runs this. A CancelledError, a SystemExit or another
    BaseException that the party raised by itself is a failure of that party: none of them may end the cycle.
    """
    try:
        yield
    except (TwinlockError, KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as raised:
        if isinstance(raised, asyncio.CancelledError) and _is_cancelled():
            log_hidden_failure(raised, f"the {party} of {name}")
            raise
        raise _failure(error, (party, name, step), raised) from raised


def link_faults(ecu: EcuId, step: str) -> AbstractContextManager[None]:
    """The boundary to the link of ``ecu`` while it does ``step``."""
    return party_faults(LinkError, "link", ecu, step)


def software_fault(raised: Exception, step: str) -> SoftwareFaultError:
    """A bug of ours as an error that a report can carry; the traceback goes to the log."""
    _LOG.error("unexpected %s in step %s", type(raised).__name__, step, exc_info=raised)
    return SoftwareFaultError(
        step=step, exception=type(raised).__name__, reason=sanitize(raised, _REASON_CHARACTERS) or "no reason given"
    )


def _failure(error: type[PartyError], where: tuple[str, str, str], raised: BaseException) -> PartyError:
    party, name, step = where
    _LOG.warning("the %s of %s raised %s", party, name, type(raised).__name__)
    _LOG.debug("where it was raised", exc_info=raised)
    return error(
        party=party,
        name=name,
        step=step,
        exception=type(raised).__name__,
        reason=sanitize(_text(raised), _REASON_CHARACTERS) or "no reason given",
    )


def _text(raised: BaseException) -> str:
    try:
        return str(raised)
    except Exception:  # noqa: BLE001 - the class is not ours either, and may fail to describe itself
        return "the exception cannot describe itself"


def _is_cancelled() -> bool:
    """Whether this task was cancelled. A worker thread cannot be."""
    try:
        task = asyncio.current_task()
    except RuntimeError:
        return False
    return task is not None and task.cancelling() > 0
