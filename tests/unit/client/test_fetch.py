"""Fetching metadata from servers that are honest, broken, or lying."""

from __future__ import annotations

import asyncio
import gzip
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest
from aiohttp import web

from tests.unit.client.liars import Answer, endless, lying, says, silent, stalling, trickling
from twinlock.client.ecu.config import FetchSettings, TlsSettings
from twinlock.client.net.metadata import MetadataFetcher
from twinlock.client.net.transport import Transport
from twinlock.testing.servers import serving
from twinlock.trust.engine.commands import ABSENT, Absent, Fetch
from twinlock.trust.errors.base import TwinlockError
from twinlock.trust.errors.images import EndlessDataError
from twinlock.trust.errors.local import FetchError, SlowRetrievalError, StorageError, TransportError
from twinlock.trust.names import DIRECTOR, ROOT

T = TypeVar("T")
SETTINGS = FetchSettings(
    floor_bytes_per_s=1000, window_s=1.0, deadline_s=10.0, connect_s=3.0, attempts=2, backoff_s=0.01
)
COMMAND = Fetch(DIRECTOR, ROOT, 2, "2.root.json", 1000)


async def fetch(*bases: str, settings: FetchSettings = SETTINGS, command: Fetch = COMMAND) -> bytes | Absent:
    transport = Transport(settings)
    try:
        return await MetadataFetcher(transport, {DIRECTOR: bases}).fetch(command)
    finally:
        await transport.close()


def fetch_from(answer: Answer, **more: Any) -> bytes | Absent:
    async def scenario() -> bytes | Absent:
        async with lying(answer) as base:
            return await fetch(base, **more)

    return asyncio.run(scenario())


def refused(error: type[T], answer: Answer, **more: Any) -> T:
    with pytest.raises(TwinlockError) as caught:
        fetch_from(answer, **more)
    assert type(caught.value) is error
    return caught.value


def test_a_file_is_fetched_byte_for_byte_from_its_place() -> None:
    asked = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(request.raw_path)
        return web.Response(body=b'{"a": "\xc3\xa9"}\n')

    async def scenario() -> bytes | Absent:
        application = web.Application()
        application.router.add_get("/{path:.*}", answer)
        async with serving(application) as base:
            command = Fetch(DIRECTOR, ROOT, 1, "1.sup%2Fplier.json", 1000)
            return await fetch(f"{base}/vehicles/V/", command=command)

    assert asyncio.run(scenario()) == b'{"a": "\xc3\xa9"}\n'
    assert asked == ["/vehicles/V/metadata/1.sup%2Fplier.json"]


@pytest.mark.parametrize("status", ["404 Not Found", "403 Forbidden"])
def test_a_plain_no_is_an_absence(status: str) -> None:
    assert fetch_from(says(f"HTTP/1.1 {status}\nContent-Length: 0")) is ABSENT


@pytest.mark.parametrize("status", [500, 503, 400, 401, 410, 204, 206, 418])
def test_any_other_status_is_a_fault_and_never_an_absence(status: int) -> None:
    error = refused(FetchError, says(f"HTTP/1.1 {status} Something\nContent-Length: 0"))
    assert error.status == status


def test_a_file_at_the_bound_is_fine() -> None:
    assert fetch_from(says("HTTP/1.1 200 OK\nContent-Length: 1000", b"x" * 1000)) == b"x" * 1000


def test_endless_data_is_cut_at_the_bound() -> None:
    error = refused(EndlessDataError, endless)
    assert error.limit_bytes == 1000


def test_an_announced_excess_is_refused_without_reading() -> None:
    error = refused(EndlessDataError, says("HTTP/1.1 200 OK\nContent-Length: 1001"))
    assert error.limit_bytes == 1000


def test_more_than_was_announced_is_not_taken() -> None:
    lie = says("HTTP/1.1 200 OK\nContent-Length: 3", b"abcdefgh" * 100)
    try:
        assert fetch_from(lie) == b"abc"
    except TransportError as error:  # when the excess arrives together with the rest
        assert len(error.reason) <= 200


def test_what_a_server_sends_does_not_flood_an_error() -> None:
    error = refused(TransportError, says("x\x1b[31m" * 5000))
    assert len(error.reason) <= 200
    assert error.reason.isprintable()


def test_less_than_was_announced_is_a_broken_transport() -> None:
    refused(TransportError, says("HTTP/1.1 200 OK\nContent-Length: 10", b"abc"))


def test_compressed_data_is_neither_unpacked_nor_read_as_metadata() -> None:
    bomb = gzip.compress(b"0" * 500_000)
    assert len(bomb) < 1000
    head = f"HTTP/1.1 200 OK\nContent-Encoding: gzip\nContent-Length: {len(bomb)}"
    error = refused(FetchError, says(head, bomb))
    assert "Content-Encoding gzip" in error.reason


@pytest.mark.parametrize("answer", [silent, stalling, trickling], ids=lambda answer: answer.__name__)
def test_slow_retrieval_is_noticed_and_not_tried_again(answer: Answer) -> None:
    connections = 0

    async def counting(writer: asyncio.StreamWriter, head: str) -> None:
        nonlocal connections
        connections += 1
        await answer(writer, head)

    started = time.monotonic()
    error = refused(SlowRetrievalError, counting, command=Fetch(DIRECTOR, ROOT, 2, "2.root.json", 10**6))
    assert error.floor_bytes_per_s == 1000
    assert error.bytes_per_s < 1000
    assert connections == 1
    assert time.monotonic() - started < 8


def test_a_deadline_ends_what_is_fast_enough_but_never_done() -> None:
    async def just_fast_enough(writer: asyncio.StreamWriter, _head: str) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10000000\r\n\r\n")
        while True:
            writer.write(b" " * 500)
            await writer.drain()
            await asyncio.sleep(0.02)

    settings = FetchSettings(floor_bytes_per_s=1000, window_s=1.0, deadline_s=1.5, attempts=1)
    error = refused(
        SlowRetrievalError, just_fast_enough, settings=settings, command=Fetch(DIRECTOR, ROOT, 2, "x", 10**8)
    )
    assert "1.5 s" in error.reason


def test_garbage_is_a_broken_transport() -> None:
    refused(TransportError, says("SSH-2.0-OpenSSH_9.2"))


@pytest.mark.parametrize("base", ["http://127.0.0.1:1", "ftp://127.0.0.1/x", "http://[broken", "nonsense"])
def test_what_cannot_be_reached_is_a_transport_error(base: str) -> None:
    with pytest.raises(TransportError) as caught:
        asyncio.run(fetch(base))
    assert type(caught.value) is TransportError


# Retries, mirrors, redirects


def application_of(handler: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> web.Application:
    application = web.Application()
    application.router.add_get("/{path:.*}", handler)
    return application


def test_a_passing_fault_is_tried_again() -> None:
    answers = iter([web.Response(status=503), web.Response(body=b"ok")])

    async def answer(_request: web.Request) -> web.Response:
        return next(answers)

    async def scenario() -> bytes | Absent:
        async with serving(application_of(answer)) as base:
            return await fetch(base)

    assert asyncio.run(scenario()) == b"ok"


def test_retries_are_bounded_and_an_understood_answer_is_not_tried_again() -> None:
    counts = {503: 0, 400: 0}

    async def scenario() -> None:
        for status in counts:

            async def answer(_request: web.Request, status: int = status) -> web.Response:
                counts[status] += 1
                return web.Response(status=status)

            async with serving(application_of(answer)) as base:
                with pytest.raises(FetchError):
                    await fetch(base)

    asyncio.run(scenario())
    assert counts == {503: SETTINGS.attempts, 400: 1}


def test_a_mirror_stands_in_for_what_is_broken_or_lacks_the_file() -> None:
    async def good(_request: web.Request) -> web.Response:
        return web.Response(body=b"good")

    async def missing(_request: web.Request) -> web.Response:
        return web.Response(status=404)

    async def scenario() -> None:
        dead = "http://127.0.0.1:1"
        async with serving(application_of(good)) as there, serving(application_of(missing)) as empty:
            assert await fetch(dead, there) == b"good"
            assert await fetch(empty, there) == b"good"
            assert await fetch(empty, empty) is ABSENT
            for places in ((dead, dead), (dead, empty), (empty, dead)):  # absent only if every place says so
                with pytest.raises(TransportError):
                    await fetch(*places)

    asyncio.run(scenario())


def test_one_deadline_covers_all_places_and_a_slow_one_leaves_time_for_the_next() -> None:
    async def good(_request: web.Request) -> web.Response:
        return web.Response(body=b"good")

    async def just_fast_enough(writer: asyncio.StreamWriter, _head: str) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n")
        while True:
            writer.write(b" ")
            await writer.drain()
            await asyncio.sleep(0.05)

    async def scenario() -> None:
        settings = FetchSettings(floor_bytes_per_s=1, window_s=5.0, deadline_s=2.0, attempts=3)
        async with serving(application_of(good)) as there, lying(just_fast_enough) as slow:
            started = time.monotonic()
            assert await fetch(slow, there, settings=settings) == b"good"
            with pytest.raises(SlowRetrievalError) as caught:
                await fetch(slow, slow, settings=settings)
            assert "not finished within 1 s" in caught.value.reason
            assert caught.value.bytes_per_s > 1
            assert "below the floor" not in str(caught.value)
            assert time.monotonic() - started < 5

    asyncio.run(scenario())


def test_slowness_is_reported_before_other_faults() -> None:
    async def scenario() -> None:
        async with lying(silent) as slow:
            for bases in (("http://127.0.0.1:1", slow), (slow, "http://127.0.0.1:1")):
                with pytest.raises(SlowRetrievalError):
                    await fetch(*bases)

    asyncio.run(scenario())


def test_redirects_stay_on_the_host() -> None:
    async def moved(request: web.Request) -> web.Response:
        if request.path == "/moved":
            return web.Response(body=b"here")
        return web.Response(status=302, headers={"Location": request.headers.get("X-To", "/moved")})

    async def scenario() -> None:
        async with serving(application_of(moved)) as base:
            assert await fetch(base) == b"here"
            away = says(f"HTTP/1.1 302 Found\nLocation: {base}/moved\nContent-Length: 0")
            async with lying(away) as stranger:
                with pytest.raises(FetchError) as caught:
                    await fetch(stranger)
                assert caught.value.status == 302
                assert "another origin" in caught.value.reason

    asyncio.run(scenario())


def test_a_redirect_asks_for_the_path_as_it_was_sent() -> None:
    asked: list[str] = []

    async def moved(request: web.Request) -> web.Response:
        asked.append(request.raw_path)
        if len(asked) > 1:
            return web.Response(body=b"here")
        return web.Response(status=302, headers={"Location": "/y/%2e%2F%7e%25%41 \xe9?q=%20+%2B#part"})

    async def scenario() -> None:
        async with serving(application_of(moved)) as base:
            assert await fetch(base) == b"here"

    asyncio.run(scenario())
    assert asked[1:] == ["/y/%2e%2F%7e%25%41%20%C3%A9?q=%20+%2B"]


def test_a_redirect_that_never_ends_is_given_up() -> None:
    error = refused(FetchError, says("HTTP/1.1 302 Found\nLocation: /again\nContent-Length: 0"))
    assert "redirects" in error.reason


def test_tls_files_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    async def scenario() -> None:
        (tmp_path / "ca.pem").write_text("no certificate")
        transport = Transport(SETTINGS, TlsSettings(ca=tmp_path / "ca.pem"))
        with pytest.raises(StorageError) as caught:
            await MetadataFetcher(transport, {DIRECTOR: ("https://127.0.0.1:1",)}).fetch(COMMAND)
        assert caught.value.path == str(tmp_path / "ca.pem")

    asyncio.run(scenario())
