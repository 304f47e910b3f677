"""A failure that a cancellation or a deadline hides from every caller is in the log."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable

import pytest
from aiohttp import web

from tests.unit.client.liars import lying, says
from twinlock.client.ecu.config import FetchSettings
from twinlock.client.model.cancellation import in_thread, log_hidden_failure
from twinlock.client.model.party_faults import link_faults
from twinlock.client.net.slow_retrieval import SpeedWatch
from twinlock.client.net.transport import Transport
from twinlock.client.secondary.server import _problems
from twinlock.trust.errors.local import SlowRetrievalError
from twinlock.trust.names import EcuId


class FlashError(Exception):
    """What a product's part raises."""


def hidden(caplog: pytest.LogCaptureFixture) -> list[BaseException | None]:
    return [record.exc_info[1] for record in caplog.records if record.exc_info]


async def fail_and_tidy() -> None:
    """A part that fails, and whose cleanup then takes long."""
    try:
        raise FlashError("sector 7")
    finally:
        await asyncio.sleep(60)


async def cancelled(work: Awaitable[object]) -> None:
    task = asyncio.ensure_future(work)
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def test_a_thread_that_fails_after_the_cancellation(caplog: pytest.LogCaptureFixture) -> None:
    opened = threading.Event()

    def flash() -> None:
        assert opened.wait(20)
        raise FlashError("sector 7")

    async def scenario() -> None:
        asyncio.get_running_loop().call_later(0.2, opened.set)
        await cancelled(in_thread(flash))

    asyncio.run(scenario())
    assert [type(failure) for failure in hidden(caplog)] == [FlashError]


def test_a_link_that_is_cancelled_in_its_cleanup(caplog: pytest.LogCaptureFixture) -> None:
    async def send() -> None:
        with link_faults(EcuId("ecu-brake"), "take metadata"):
            await fail_and_tidy()

    asyncio.run(cancelled(send()))
    assert [type(failure) for failure in hidden(caplog)] == [FlashError]


def test_a_request_of_a_secondary(caplog: pytest.LogCaptureFixture) -> None:
    async def handler(_request: web.Request) -> web.StreamResponse:
        await fail_and_tidy()
        raise AssertionError

    from aiohttp.test_utils import make_mocked_request

    asyncio.run(cancelled(_problems(make_mocked_request("GET", "/v1/identity"), handler)))
    assert [type(failure) for failure in hidden(caplog)] == [FlashError]


async def _in_a_request() -> None:
    async with lying(says("HTTP/1.1 200 OK\nContent-Length: 0")) as base:
        transport = Transport(FetchSettings())
        try:
            async with transport.request("GET", base, deadline_s=0.5):
                await fail_and_tidy()
        finally:
            await transport.close()


async def _in_a_window() -> None:
    await SpeedWatch("http://host", floor_bytes_per_s=0, window_s=0.05).wait(fail_and_tidy())


@pytest.mark.parametrize("work", [_in_a_request, _in_a_window])
def test_a_deadline(caplog: pytest.LogCaptureFixture, work: Callable[[], Awaitable[None]]) -> None:
    async def scenario() -> None:
        with pytest.raises(SlowRetrievalError):
            await work()

    asyncio.run(scenario())
    assert [type(failure) for failure in hidden(caplog)] == [FlashError]


def test_what_hides_nothing_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def wait() -> None:
        with link_faults(EcuId("ecu-brake"), "take metadata"):
            await in_thread(lambda: None)
            await asyncio.sleep(60)

    asyncio.run(cancelled(wait()))
    log_hidden_failure(TimeoutError(), "work")
    assert caplog.get_records("call") == [] or all(record.levelno < logging.WARNING for record in caplog.records)
