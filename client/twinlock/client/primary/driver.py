"""The driver of the trust engine over asynchronous fetching. It decides nothing; the engine determines each step."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from typing import TypeVar

from twinlock.client.model.cancellation import in_thread
from twinlock.trust.engine.commands import Absent, Answer, Command, Fetch, FetchElsewhere, Notice, Persist
from twinlock.trust.errors.base import RefusalError

T = TypeVar("T")
_LARGE = 250_000  # bytes; parsing more than this would delay other tasks


async def run_verification(
    steps: Generator[Command, Answer, T],
    *,
    fetch: Callable[[Fetch], Awaitable[bytes | Absent]],
    elsewhere: Callable[[FetchElsewhere], Awaitable[bytes | None]] | None = None,
    persist: Callable[[Persist], None],
    notices: list[RefusalError],
) -> T:
    """Run one verification of ``twinlock.trust`` to its value.

    ``persist`` has stored the files, durably, when it returns. ``elsewhere`` answers from another place where the copy of one
    was refused; None where there is one place only. What belongs in the report but does not end the cycle is appended to
    ``notices``, also when this raises: for one, every refusal of a copy but the one that is raised.
    Raises: what the engine, ``fetch`` or ``persist`` raise.
    """
    answer: Answer = None
    try:
        while True:
            command = await _next_command(steps, answer)
            answer = None
            if isinstance(command, Fetch):
                answer = await fetch(command)
            elif isinstance(command, FetchElsewhere):
                if command.error is not None and command.error not in notices:
                    notices.append(command.error)
                answer = await elsewhere(command) if elsewhere is not None else None
            elif isinstance(command, Persist):
                persist(command)
            elif isinstance(command, Notice):
                notices.append(command.error)
    except _Finished as finished:
        value: T = finished.args[0]
        return value
    except RefusalError as raised:
        notices[:] = [notice for notice in notices if notice is not raised]
        raise
    finally:
        steps.close()


class _Finished(Exception):
    """Carries the value of a verification, since a ``StopIteration`` cannot leave a thread or a coroutine."""


async def _next_command(steps: Generator[Command, Answer, T], answer: Answer) -> Command:
    """The next command. A large file is read and verified in a thread, so that the event loop is not blocked."""
    if not isinstance(answer, bytes) or len(answer) < _LARGE:
        return _send(steps, answer)
    return await in_thread(_send, steps, answer)  # the generator cannot be closed while the thread runs it


def _send(steps: Generator[Command, Answer, T], answer: Answer) -> Command:
    try:
        return steps.send(answer)
    except StopIteration as finished:
        raise _Finished(finished.value) from None
