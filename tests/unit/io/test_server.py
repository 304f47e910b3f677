"""Servers under hostile load: each attack in small numbers, and honest requests that are answered meanwhile."""

from __future__ import annotations

import asyncio
import gzip
import logging
import time
from collections.abc import Awaitable
from pathlib import Path

import pytest
from aiohttp import web

from tests.unit.io.strangers import HOST, Stranger, all_gone, get, parsed, plain_app, problem_in, served
from twinlock.io.http.quiet_log import QuietLog
from twinlock.io.http.server import address_of, bind_unix

OTHER = "127.0.0.2"


def run(scenario: Awaitable[None]) -> None:
    async def main() -> None:
        try:
            await scenario
        finally:
            await all_gone()

    asyncio.run(main())


def test_silent_connections_of_one_address_leave_room_for_others(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        async with served(plain_app(), connections=20, connections_per_address=5, header_s=1.0) as port:
            assert b"here" in await get(port)
            silent = [await Stranger.connect(port, source=OTHER) for _ in range(60)]
            refused = [await stranger.answer() for stranger in silent[5:]]
            assert {parsed(answer)[0] for answer in refused} == {503}
            assert all(int(parsed(answer)[1]["retry-after"]) > 0 for answer in refused)
            assert b"here" in await get(port)
            assert await asyncio.gather(*(stranger.answer() for stranger in silent[:5])) == [b""] * 5
            assert b"here" in await get(port, source=OTHER)  # their places are free again
            for stranger in silent:
                stranger.close()

    with caplog.at_level(logging.INFO):
        run(scenario())
    lines = [record.message for record in caplog.records if "connection-refused" in record.message]
    assert 1 <= len(lines) <= 20
    assert f'"client": "{OTHER}"' in lines[0]


def test_there_are_never_more_connections_than_the_bound(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        async with served(plain_app(), connections=8, connections_per_address=4, header_s=1.0) as port:
            silent = [await Stranger.connect(port, source=f"127.0.0.{2 + number // 4}") for number in range(8)]
            assert parsed(await get(port))[0] == 503
            await asyncio.gather(*(stranger.answer() for stranger in silent))
            assert b"here" in await get(port)

    with caplog.at_level(logging.WARNING):
        run(scenario())
    assert '"reason": "too many"' in caplog.text


def test_a_head_that_trickles_in_is_given_up_on() -> None:
    async def scenario() -> None:
        async with served(plain_app(), header_s=0.5) as port:
            stranger = await Stranger.connect(port)
            started = time.monotonic()

            async def trickle() -> None:
                await stranger.send(b"GET / HTTP/1.1\r\n")
                for number in range(1000):
                    await stranger.send(f"X-{number}: x\r\n".encode())
                    await asyncio.sleep(0.05)

            trickling = asyncio.create_task(trickle())
            await stranger.answer()
            trickling.cancel()
            assert time.monotonic() - started < 3
            assert b"here" in await get(port)

    run(scenario())


def _stream(total: int) -> web.Application:
    async def big(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        response.content_length = total
        await response.prepare(request)
        for _ in range(total // 65_536):
            await response.write(bytes(65_536))
        await response.write_eof()
        return response

    app = plain_app()
    app.router.add_get("/big", big)
    return app


def test_readers_that_take_nothing_are_cut_off_and_slow_ones_are_served(caplog: pytest.LogCaptureFixture) -> None:
    total = 512 * 65_536

    async def scenario() -> None:
        async with served(_stream(total), stall_s=1.0, stall_bytes=15_000) as port:
            ask = b"GET /big HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
            stalled = [await Stranger.connect(port, source=OTHER, limit=1024) for _ in range(20)]
            for stranger in stalled:
                await stranger.send(ask)
            slow = await Stranger.connect(port)
            await slow.send(ask)
            received = 0
            while chunk := await slow.reader.read(400_000):
                received += len(chunk)
                if received < 6_000_000:
                    await asyncio.sleep(0.1)
            assert received > total
            assert b"here" in await get(port)
            for stranger in stalled:
                rest = await stranger.answer()
                assert len(rest) < total

    with caplog.at_level(logging.WARNING):
        run(scenario())
    assert "reader-stalled" in caplog.text


def test_clients_that_leave_in_the_middle_of_an_answer_leave_one_line(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        async with served(_stream(512 * 65_536)) as port:
            for _ in range(30):
                stranger = await Stranger.connect(port, source=OTHER)
                await stranger.send(b"GET /big HTTP/1.1\r\nHost: x\r\n\r\n")
                await stranger.reader.read(1000)
                stranger.close()
            assert b"here" in await get(port)

    with caplog.at_level(logging.INFO):
        run(scenario())
    assert "Traceback" not in caplog.text
    assert not [record for record in caplog.records if record.exc_info]
    assert len(caplog.records) <= 21


def test_no_body_is_decompressed_and_its_connection_is_closed() -> None:
    bomb = gzip.compress(bytes(50_000_000), 1)

    async def scenario() -> None:
        async def refused(port: int) -> None:
            stranger = await Stranger.connect(port)
            head = f"PUT / HTTP/1.1\r\nHost: x\r\nContent-Encoding: gzip\r\nContent-Length: {len(bomb)}\r\n\r\n"
            await stranger.send(head.encode() + bomb[:1000])
            answer = await stranger.answer(10)
            assert problem_in(answer)["code"] == "unsupported-media-type"
            assert parsed(answer)[1]["connection"] == "close"
            stranger.close()

        async with served(plain_app()) as port:
            used = time.process_time()
            await asyncio.gather(*(refused(port) for _ in range(20)))
            assert time.process_time() - used < 2
            assert b"here" in await get(port)

    run(scenario())


@pytest.mark.parametrize("path", ["/ignored", "/nowhere"])
def test_an_endless_body_of_a_refused_request_is_not_drained(path: str) -> None:
    async def scenario() -> None:
        async with served(plain_app(), linger_s=1.0, linger_bytes=1 << 18) as port:
            stranger = await Stranger.connect(port)
            await stranger.send(f"PUT {path} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
            chunk, sent = b"10000\r\n" + bytes(65_536) + b"\r\n", 0
            started = time.monotonic()
            try:
                while time.monotonic() - started < 5:
                    await stranger.send(chunk)
                    sent += len(chunk)
                    await asyncio.sleep(0.01)
            except ConnectionError:
                pass
            assert time.monotonic() - started < 3
            assert sent < 30_000_000
            assert b"here" in await get(port)

    run(scenario())


def test_a_refused_body_that_ends_soon_still_gets_its_answer() -> None:
    async def scenario() -> None:
        async with served(plain_app()) as port:
            stranger = await Stranger.connect(port)
            await stranger.send(b"PUT /ignored HTTP/1.1\r\nHost: x\r\nContent-Length: 300000\r\n\r\n" + bytes(300_000))
            status, headers, _ = parsed(await stranger.answer())
            assert (status, headers["connection"]) == (404, "close")

    run(scenario())


def test_what_is_not_http_is_a_problem_without_a_traceback(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        async with served(plain_app()) as port:
            for garbage in (
                b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n",
                b"GET / HTTP/9.9.9\r\n\r\n",
                b"GET / HTTP/1.1\r\n\x00: x\r\n\r\n",
            ):
                stranger = await Stranger.connect(port, source=OTHER)
                await stranger.send(garbage)
                answer = await stranger.answer()
                assert problem_in(answer)["code"] == "bad-request"
                assert parsed(answer)[1]["server"] == "twinlock"
            assert parsed(await get(port))[1]["server"] == "twinlock"

    with caplog.at_level(logging.INFO):
        run(scenario())
    assert "Traceback" not in caplog.text
    assert '"event": "not-http"' in caplog.text
    assert OTHER in caplog.text


def test_a_body_that_is_arriving_when_the_server_ends_is_taken() -> None:
    async def scenario() -> None:
        async with served(plain_app(), shutdown_s=5.0) as port:
            stranger = await Stranger.connect(port)
            await stranger.send(b"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 200000\r\n\r\n" + bytes(100_000))
            idle = await Stranger.connect(port)
            await asyncio.sleep(0.1)
            finishing = asyncio.create_task(_finish(stranger))
        # The server has ended by now.
        answer = await finishing
        assert parsed(answer)[0] == 200
        assert b'"bytes": 200000' in answer
        assert await idle.answer() == b""

    async def _finish(stranger: Stranger) -> bytes:
        await asyncio.sleep(0.3)
        await stranger.send(bytes(100_000))
        return await stranger.answer()

    run(scenario())


def test_connections_over_a_socket_in_the_file_system_share_one_address(tmp_path: Path) -> None:
    first = bind_unix(str(tmp_path / "link"))
    first[0].close()
    again = bind_unix(str(tmp_path / "link"))  # one that a server left there is replaced
    again[0].close()
    assert address_of("") == "unix"


@pytest.mark.parametrize(
    ("address", "owner"),
    [
        ((HOST, 1), HOST),
        (("::1", 1, 0, 0), "::/64"),
        (("2001:db8:1:2:3::4", 1, 0, 0), "2001:db8:1:2::/64"),
        (("fe80::1%eth0", 1, 0, 2), "fe80::/64"),
        (("::ffff:10.1.2.3", 1, 0, 0), "10.1.2.3"),
    ],
)
def test_whose_a_connection_is(address: tuple[object, ...], owner: str) -> None:
    assert address_of(address) == owner


def test_a_log_that_strangers_write_says_how_much_it_left_out(caplog: pytest.LogCaptureFixture) -> None:
    quiet = QuietLog(logging.getLogger("test"), lines=2, seconds=0.0)
    quiet._seconds = 1000.0
    for number in range(5):
        quiet.line("not-http", client=str(number))
    quiet._since = -1e9
    quiet.line("not-http", client="last")
    assert len(caplog.records) == 3
    assert '"left_out": 3' in caplog.records[-1].message
