"""Downloading images: resuming, falling back, and refusing whatever is not the image."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.unit.client.liars import Answer, endless, lying, says, stalling
from tests.unit.client.test_fetch import SETTINGS, application_of
from tests.unit.client.test_staging import DATA, entry_of
from twinlock.client.net.images import download_image, image_urls
from twinlock.client.net.transport import Transport
from twinlock.client.storage.staging import Staging
from twinlock.testing.servers import serving
from twinlock.trust.errors.base import RefusalError, TwinlockError
from twinlock.trust.errors.images import DigestError, EndlessDataError, LengthError
from twinlock.trust.errors.local import FetchError, SlowRetrievalError, TransportError
from twinlock.trust.model.targets import ImageEntry
from twinlock.trust.names import DIRECTOR, IMAGE, EcuId, HardwareId
from twinlock.trust.state.trusted import ApprovedImage
from twinlock.trust.wire.aktualizr.decode import AKTUALIZR

ENTRY = entry_of(DATA, "brake/brake 1.bin")
WHOLE = f"HTTP/1.1 200 OK\nContent-Length: {len(DATA)}"


def approved(entry: ImageEntry = ENTRY) -> ApprovedImage:
    return ApprovedImage(
        ecu=EcuId("e"),
        hardware_id=HardwareId("h"),
        entry=entry,
        repositories=(DIRECTOR, IMAGE),
        valid_until=datetime(2031, 1, 1, tzinfo=UTC),
    )


async def download(directory: Path, *urls: str, entry: ImageEntry = ENTRY, progress: Any = None) -> Path:
    transport = Transport(SETTINGS)
    try:
        return await download_image(
            approved(entry), urls, transport=transport, staging=Staging(directory), progress=progress
        )
    finally:
        await transport.close()


def download_from(directory: Path, answer: Answer) -> Path:
    async def scenario() -> Path:
        async with lying(answer) as base:
            return await download(directory, base)

    return asyncio.run(scenario())


def refused(error: type[TwinlockError], directory: Path, answer: Answer) -> None:
    with pytest.raises(TwinlockError) as caught:
        download_from(directory, answer)
    assert type(caught.value) is error


def test_an_image_arrives_and_is_not_fetched_twice(tmp_path: Path) -> None:
    asked, seen = [], []

    async def answer(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.Response(body=DATA)

    async def scenario() -> None:
        async with serving(application_of(answer)) as base:
            first = await download(tmp_path, base, progress=lambda *step: seen.append(step))
            assert first.read_bytes() == DATA
            assert await download(tmp_path, base) == first

    asyncio.run(scenario())
    assert len(asked) == 1
    assert seen[-1] == (ENTRY.path, len(DATA), len(DATA))


def test_names_follow_the_digests_and_the_directors_url_comes_first() -> None:
    urls = {DIRECTOR: ("http://d",), IMAGE: ("http://i/", "http://j")}
    sha256, sha512 = ENTRY.hashes["sha256"], ENTRY.hashes["sha512"]
    assert image_urls(approved(), urls) == (
        f"http://i/targets/brake/{sha256}.brake%201.bin",
        f"http://i/targets/brake/{sha512}.brake%201.bin",
        f"http://j/targets/brake/{sha256}.brake%201.bin",
        f"http://j/targets/brake/{sha512}.brake%201.bin",
    )
    elsewhere = ImageEntry(ENTRY.path, ENTRY.length, ENTRY.hashes, download_url="http://cdn/x")
    assert image_urls(approved(elsewhere), urls)[0] == "http://cdn/x"


def test_names_are_those_of_the_profile_that_the_repository_is_in() -> None:
    urls = {DIRECTOR: ("http://d",), IMAGE: ("http://i/", "http://j/repo")}
    expected = ("http://i/targets/brake/brake%201.bin", "http://j/repo/targets/brake/brake%201.bin")
    assert image_urls(approved(), urls, {IMAGE: AKTUALIZR}) == expected
    assert image_urls(approved(), urls, {DIRECTOR: AKTUALIZR}) == image_urls(approved(), urls)


@pytest.mark.parametrize("address", ["file:///etc/passwd", "ftp://cdn/x", "x", "", "//cdn/x", "httpx://cdn/x"])
def test_an_address_that_is_not_of_the_web_is_passed_over(address: str) -> None:
    urls = {DIRECTOR: ("http://d",), IMAGE: ("http://i",)}
    elsewhere = ENTRY._replace(download_url=address)
    assert image_urls(approved(elsewhere), urls) == image_urls(approved(), urls)


def test_an_interrupted_download_goes_on_where_it_stopped(tmp_path: Path) -> None:
    ranges = []

    async def breaking(writer: asyncio.StreamWriter, head: str) -> None:
        line = next((line for line in head.split("\r\n") if line.lower().startswith("range:")), "")
        ranges.append(line.partition("=")[2])
        start = int(ranges[-1].rstrip("-") or 0)
        status = "206 Partial Content" if start else "200 OK"
        more = f"Content-Range: bytes {start}-{len(DATA) - 1}/{len(DATA)}\r\n" if start else ""
        writer.write(f"HTTP/1.1 {status}\r\n{more}Content-Length: {len(DATA) - start}\r\n\r\n".encode())
        writer.write(DATA[start:] if start else DATA[:100_000])
        await writer.drain()

    assert download_from(tmp_path, breaking).read_bytes() == DATA
    assert ranges == ["", "100000-"]


def test_a_server_without_ranges_is_taken_from_the_start(tmp_path: Path) -> None:
    asked = 0

    async def forgetful(writer: asyncio.StreamWriter, _head: str) -> None:
        nonlocal asked
        asked += 1
        writer.write(f"{WHOLE}\n\n".replace("\n", "\r\n").encode() + (DATA if asked > 1 else DATA[:1000]))
        await writer.drain()

    assert download_from(tmp_path, forgetful).read_bytes() == DATA
    assert asked == 2


def test_a_poisoned_part_does_not_condemn_an_honest_place(tmp_path: Path) -> None:
    """A first place sent rubbish and broke off; the second is judged by its own bytes."""

    async def honest(request: web.Request) -> web.Response:
        start = request.http_range.start or 0
        headers = {"Content-Range": f"bytes {start}-{len(DATA) - 1}/{len(DATA)}"} if start else {}
        return web.Response(status=206 if start else 200, body=DATA[start:], headers=headers)

    async def scenario() -> None:
        async with lying(says(WHOLE, b"rubbish" * 1000)) as poisoner, serving(application_of(honest)) as good:
            assert (await download(tmp_path, poisoner, good)).read_bytes() == DATA

    asyncio.run(scenario())


def test_wrong_bytes_are_refused_and_nothing_stays(tmp_path: Path) -> None:
    refused(DigestError, tmp_path, says(WHOLE, DATA[:-1] + b"x"))
    assert list(tmp_path.iterdir()) == []


def test_a_complete_answer_that_is_too_short_is_refused(tmp_path: Path) -> None:
    refused(LengthError, tmp_path, says("HTTP/1.1 200 OK\nContent-Length: 5", DATA[:5]))
    assert list(tmp_path.iterdir()) == []


def test_a_page_in_place_of_an_image_is_refused(tmp_path: Path) -> None:
    refused(LengthError, tmp_path, says("HTTP/1.1 200 OK\nContent-Length: 22", b"<h1>Please log in</h1>"))


def test_endless_images_are_cut_at_the_listed_length(tmp_path: Path) -> None:
    refused(EndlessDataError, tmp_path, endless)
    refused(EndlessDataError, tmp_path, says(f"HTTP/1.1 200 OK\nContent-Length: {len(DATA) + 1}"))
    assert list(tmp_path.iterdir()) == []


def test_slow_images_are_noticed_and_what_came_is_kept(tmp_path: Path) -> None:
    refused(SlowRetrievalError, tmp_path, stalling)
    assert [path.suffix for path in tmp_path.iterdir()] == [".part"]


def test_an_interruption_that_stays_is_given_up_and_what_came_is_kept(tmp_path: Path) -> None:
    refused(TransportError, tmp_path, says(WHOLE, DATA[:7]))
    (part,) = tmp_path.iterdir()
    assert part.read_bytes()[:7] == DATA[:7]


@pytest.mark.parametrize("status", [404, 416, 500])
def test_a_place_without_the_image_is_passed_over(tmp_path: Path, status: int) -> None:
    async def missing(_request: web.Request) -> web.Response:
        return web.Response(status=status)

    async def there(_request: web.Request) -> web.Response:
        return web.Response(body=DATA)

    async def scenario() -> None:
        async with serving(application_of(missing)) as empty, serving(application_of(there)) as good:
            with pytest.raises(FetchError) as caught:
                await download(tmp_path, empty)
            assert caught.value.status == status
            assert (await download(tmp_path, empty, good)).read_bytes() == DATA

    asyncio.run(scenario())


LENGTH = len(DATA)
UNABLE: dict[str, Callable[[], web.Response]] = {
    "416": lambda: web.Response(status=416),
    "403": lambda: web.Response(status=403),
    "400": lambda: web.Response(status=400),
    "501": lambda: web.Response(status=501),
    "206 from byte 0": lambda: web.Response(
        status=206, body=DATA, headers={"Content-Range": f"bytes 0-{LENGTH - 1}/{LENGTH}"}
    ),
    "206 from elsewhere": lambda: web.Response(
        status=206, body=DATA[9:], headers={"Content-Range": f"bytes 9-{LENGTH - 1}/{LENGTH}"}
    ),
    "206 without a range": lambda: web.Response(status=206, body=DATA[1000:]),
    "multipart": lambda: web.Response(
        status=206, body=b"--x\r\n", headers={"Content-Type": "multipart/byteranges; boundary=x"}
    ),
    "304": lambda: web.Response(status=304),
}


@pytest.mark.parametrize("name", UNABLE)
def test_a_server_that_cannot_resume_is_asked_once_for_the_whole(tmp_path: Path, name: str) -> None:
    asked: list[str | None] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        asked.append(request.headers.get("Range"))
        return UNABLE[name]() if "Range" in request.headers else web.Response(body=DATA)

    async def scenario() -> None:
        async with lying(says(WHOLE, DATA[:1000])) as broken, serving(application_of(answer)) as able:
            with pytest.raises(TransportError):
                await download(tmp_path, broken)
            assert (await download(tmp_path, able)).read_bytes() == DATA

    asyncio.run(scenario())
    assert asked == ["bytes=1000-", None]


def test_a_part_outlives_a_server_that_gives_neither_the_rest_nor_the_whole(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with lying(says(WHOLE, DATA[:1000])) as broken:
            with pytest.raises(TransportError):
                await download(tmp_path, broken)
        async with lying(says("HTTP/1.1 403 Forbidden\nContent-Length: 0")) as closed:
            with pytest.raises(FetchError) as caught:
                await download(tmp_path, closed)
            assert caught.value.status == 403

    asyncio.run(scenario())
    (part,) = tmp_path.iterdir()
    assert part.read_bytes() == DATA[:1000]


def test_a_place_that_serves_something_else_is_a_reason_to_ask_the_next(tmp_path: Path) -> None:
    async def honest(_request: web.Request) -> web.Response:
        return web.Response(body=DATA)

    async def scenario() -> None:
        wrong, page = says(WHOLE, b"x" * LENGTH), says("HTTP/1.1 200 OK\nContent-Length: 6", b"<html>")
        async with lying(wrong) as one, lying(page) as two, serving(application_of(honest)) as good:
            told: list[RefusalError] = []
            transport, staging = Transport(SETTINGS), Staging(tmp_path)
            arguments: dict[str, Any] = {"transport": transport, "staging": staging, "refused": told}
            assert (await download_image(approved(), (one, two, good), **arguments)).read_bytes() == DATA
            assert [refusal.code for refusal in told] == ["wrong-digest", "wrong-length"]
            staging.tidy()
            told.clear()
            with pytest.raises(DigestError):
                await download_image(approved(), (one, two), **arguments)
            assert [refusal.code for refusal in told] == ["wrong-length"]
            await transport.close()

    asyncio.run(scenario())
    assert list(tmp_path.iterdir()) == []


def test_an_image_that_never_ends_in_time_is_given_up_for_this_cycle(tmp_path: Path) -> None:
    async def just_fast_enough(writer: asyncio.StreamWriter, head: str) -> None:
        start = int(head.partition("bytes=")[2].partition("-")[0] or 0)
        status = "206 Partial Content" if start else "200 OK"
        more = f"Content-Range: bytes {start}-{LENGTH - 1}/{LENGTH}\r\n" if start else ""
        writer.write(f"HTTP/1.1 {status}\r\n{more}Content-Length: {LENGTH - start}\r\n\r\n".encode())
        for index in range(start, LENGTH, 1000):
            writer.write(DATA[index : index + 1000])
            await writer.drain()
            await asyncio.sleep(0.02)

    async def scenario() -> None:
        async with lying(just_fast_enough) as slow:
            transport = Transport(replace(SETTINGS, image_deadline_s=0.5))
            with pytest.raises(SlowRetrievalError) as caught:
                await download_image(approved(), (slow,), transport=transport, staging=Staging(tmp_path))
            assert "within 0.5 s" in caught.value.reason
            await transport.close()

    asyncio.run(scenario())
    (part,) = tmp_path.iterdir()
    assert 0 < part.stat().st_size < LENGTH


def test_an_image_of_no_bytes_is_an_image(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with lying(says("HTTP/1.1 200 OK\nContent-Length: 0")) as base:
            assert (await download(tmp_path, base, entry=entry_of(b""))).read_bytes() == b""

    asyncio.run(scenario())


def test_without_any_place_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(TransportError) as caught:
        asyncio.run(download(tmp_path))
    assert caught.value.url == ENTRY.path
