"""The driver of a verification: large files are read beside the event loop, and a cancelled cycle ends cleanly."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Generator

import pytest

from twinlock.client.primary.driver import run_verification
from twinlock.trust.engine.commands import Answer, Command, Fetch
from twinlock.trust.errors.metadata import LimitError
from twinlock.trust.names import IMAGE, TARGETS

COMMAND = Fetch(IMAGE, TARGETS, 1, "1.targets.json", 10**7)
SMALL, LARGE = b"x", b"x" * 1_000_000


def _steps(answer_in: list[int], *, fail: bool = False) -> Generator[Command, Answer, str]:
    answer = yield COMMAND
    answer_in.append(threading.get_ident())
    if fail:
        raise LimitError(what="TEST", value=2, limit=1)
    assert isinstance(answer, bytes)
    return f"{len(answer)} bytes"


async def _run(data: bytes, threads: list[int], *, fail: bool = False) -> str:
    async def fetch(_: Fetch) -> bytes:
        return data

    return await run_verification(_steps(threads, fail=fail), fetch=fetch, persist=lambda _: None, notices=[])


@pytest.mark.parametrize(("data", "beside"), [(SMALL, False), (LARGE, True)])
def test_a_large_file_is_read_beside_the_event_loop(data: bytes, beside: bool) -> None:
    threads: list[int] = []
    assert asyncio.run(_run(data, threads)) == f"{len(data)} bytes"
    assert (threads != [threading.get_ident()]) is beside


@pytest.mark.parametrize("data", [SMALL, LARGE])
def test_a_refusal_is_the_same_in_either_place(data: bytes) -> None:
    with pytest.raises(LimitError):
        asyncio.run(_run(data, [], fail=True))


def test_a_cycle_that_is_cancelled_while_it_reads_ends_cleanly() -> None:
    entered, leave = threading.Event(), threading.Event()
    closed: list[bool] = []

    def steps() -> Generator[Command, Answer, str]:
        try:
            yield COMMAND
            entered.set()
            leave.wait(10)
            yield COMMAND
        finally:
            closed.append(True)
        return ""

    async def fetch(_: Fetch) -> bytes:
        return LARGE

    async def go() -> None:
        running = asyncio.ensure_future(run_verification(steps(), fetch=fetch, persist=lambda _: None, notices=[]))
        await asyncio.to_thread(entered.wait, 10)
        running.cancel()
        leave.set()
        with pytest.raises(asyncio.CancelledError):
            await running

    asyncio.run(go())
    assert closed == [True]
