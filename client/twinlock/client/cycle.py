"""The driver of the trust engine over asynchronous fetching. It decides nothing; the engine says what comes next."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from typing import TypeVar

from twinlock.trust.commands import Absent, Answer, Command, Fetch, Notice, Persist
from twinlock.trust.errors.base import RefusalError

T = TypeVar("T")


async def run_verification(
    steps: Generator[Command, Answer, T],
    *,
    fetch: Callable[[Fetch], Awaitable[bytes | Absent]],
    persist: Callable[[Persist], None],
    notices: list[RefusalError],
) -> T:
    """Run one verification of ``twinlock.trust`` to its value.

    ``persist`` has stored the files, durably, when it returns. What deserves a report but does not end the cycle is
    appended to ``notices``, also when this raises. Raises: what the engine, ``fetch`` or ``persist`` raise.
    """
    answer: Answer = None
    try:
        while True:
            command = steps.send(answer)
            answer = None
            if isinstance(command, Fetch):
                answer = await fetch(command)
            elif isinstance(command, Persist):
                persist(command)
            elif isinstance(command, Notice):
                notices.append(command.error)
    except StopIteration as finished:
        value: T = finished.value
        return value
    finally:
        steps.close()
