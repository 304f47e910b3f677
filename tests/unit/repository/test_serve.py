"""Serving: what caches and interrupted downloads rely on, byte for byte, over a real socket."""

from __future__ import annotations

import asyncio
import hashlib
import os
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import NamedTuple

import aiohttp
import pytest
from multidict import CIMultiDictProxy
from yarl import URL

from tests.unit.repository.conftest import FIRMWARE
from twinlock.repository.image_repository import ImageRepository
from twinlock.repository.serving.app import IMMUTABLE, image_application
from twinlock.repository.serving.http import serving
from twinlock.repository.store.directory import DirectoryStore

IMAGE = f"/targets/brake/{hashlib.sha256(FIRMWARE).hexdigest()}.brake.bin"


class Answer(NamedTuple):
    status: int
    headers: CIMultiDictProxy[str]
    body: bytes


Ask = Callable[..., Awaitable[Answer]]


def ask_all(store: DirectoryStore, script: Callable[[Ask], Awaitable[None]]) -> None:
    """Serve ``store`` on a free port and run ``script`` with a function that asks it."""

    async def main() -> None:
        async with serving(image_application(store)) as server, aiohttp.ClientSession(auto_decompress=False) as session:

            async def ask(path: str, method: str = "GET", **headers: str) -> Answer:
                sent = {name.replace("_", "-"): value for name, value in headers.items()}
                url = URL(server.url + path, encoded=True)
                async with session.request(method, url, headers=sent) as response:
                    return Answer(response.status, response.headers, await response.read())

            await script(ask)

    asyncio.run(main())


@pytest.fixture
def store(filled: ImageRepository) -> DirectoryStore:
    return DirectoryStore(filled.path / "public")


def test_images_and_versioned_metadata_never_change_and_timestamp_is_asked_for_again(store: DirectoryStore) -> None:
    async def script(ask: Ask) -> None:
        for path in ("/metadata/1.root.json", "/metadata/2.targets.json", IMAGE):
            assert (await ask(path)).headers["Cache-Control"] == IMMUTABLE
        timestamp = await ask("/metadata/timestamp.json")
        assert timestamp.headers["Cache-Control"] == "no-cache"
        assert timestamp.headers["Content-Type"] == "application/json"

    ask_all(store, script)


def test_the_whole_image_arrives_with_length_type_and_its_digest_as_etag(store: DirectoryStore) -> None:
    async def script(ask: Ask) -> None:
        answer = await ask(IMAGE)
        assert answer.status == 200
        assert answer.body == FIRMWARE
        assert answer.headers["Content-Length"] == str(len(FIRMWARE))
        assert answer.headers["Content-Type"] == "application/octet-stream"
        assert answer.headers["ETag"] == f'"{hashlib.sha256(FIRMWARE).hexdigest()}"'
        assert answer.headers["Accept-Ranges"] == "bytes"
        head = await ask(IMAGE, "HEAD")
        assert head.body == b""
        for name in ("ETag", "Content-Length", "Content-Type", "Cache-Control", "Accept-Ranges"):
            assert head.headers[name] == answer.headers[name]

    ask_all(store, script)


def test_a_client_that_has_the_file_gets_no_body(store: DirectoryStore) -> None:
    async def script(ask: Ask) -> None:
        for path in (IMAGE, "/metadata/timestamp.json"):
            etag = (await ask(path)).headers["ETag"]
            for condition in (etag, f"W/{etag}", f'"other", {etag}', "*"):
                answer = await ask(path, If_None_Match=condition)
                assert (answer.status, answer.body) == (304, b""), condition
                assert answer.headers["ETag"] == etag
            assert (await ask(path, If_None_Match='"other"')).status == 200

    ask_all(store, script)


def test_the_etag_of_timestamp_changes_when_it_does(filled: ImageRepository, store: DirectoryStore) -> None:
    async def script(ask: Ask) -> None:
        before = await ask("/metadata/timestamp.json")
        await asyncio.to_thread(filled.rotate, "timestamp")
        after = await ask("/metadata/timestamp.json", If_None_Match=before.headers["ETag"])
        assert after.status == 200
        assert after.headers["ETag"] != before.headers["ETag"]

    ask_all(store, script)


@pytest.mark.parametrize(
    ("wanted", "start", "stop"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=10-19", 10, 20),
        ("bytes=18990-", 18990, 19000),
        ("bytes=-5", 18995, 19000),
        ("bytes=-99999", 0, 19000),
        ("bytes=100-99999", 100, 19000),
    ],
)
def test_a_part_can_be_asked_for(store: DirectoryStore, wanted: str, start: int, stop: int) -> None:
    async def script(ask: Ask) -> None:
        answer = await ask(IMAGE, Range=wanted)
        assert answer.status == 206
        assert answer.body == FIRMWARE[start:stop]
        assert answer.headers["Content-Range"] == f"bytes {start}-{stop - 1}/19000"
        assert answer.headers["Content-Length"] == str(stop - start)

    ask_all(store, script)


@pytest.mark.parametrize("wanted", ["bytes=19000-", "bytes=99999-100000", "bytes=-0"])
def test_a_part_that_does_not_exist(store: DirectoryStore, wanted: str) -> None:
    async def script(ask: Ask) -> None:
        answer = await ask(IMAGE, Range=wanted)
        assert answer.status == 416
        assert answer.headers["Content-Range"] == "bytes */19000"
        assert answer.headers["Content-Type"] == "application/problem+json"

    ask_all(store, script)


@pytest.mark.parametrize(
    "wanted",
    [
        "bytes=",
        "bytes=-",
        "bytes=5-2",
        "bytes=0-1,3-4",
        "items=0-1",
        "bytes=a-b",
        "bytes=0-" + "9" * 30,
        "bytes=\u0661-",
    ],
)
def test_a_range_that_makes_no_sense_is_ignored(store: DirectoryStore, wanted: str) -> None:
    async def script(ask: Ask) -> None:
        answer = await ask(IMAGE, Range=wanted)
        assert (answer.status, len(answer.body)) == (200, 19000)

    ask_all(store, script)


def test_if_range_gives_a_part_only_of_the_same_file(store: DirectoryStore) -> None:
    async def script(ask: Ask) -> None:
        etag = (await ask(IMAGE)).headers["ETag"]
        assert (await ask(IMAGE, Range="bytes=5-", If_Range=etag)).status == 206
        for other in ('"other"', f"W/{etag}", "Wed, 21 Oct 2015 07:28:00 GMT"):
            answer = await ask(IMAGE, Range="bytes=5-", If_Range=other)
            assert (answer.status, answer.body) == (200, FIRMWARE)

    ask_all(store, script)


def test_a_compressed_neighbour_is_another_object(store: DirectoryStore) -> None:
    assert store.put_new(IMAGE.removeprefix("/") + ".gz", b"not the same")

    async def script(ask: Ask) -> None:
        answer = await ask(IMAGE, Accept_Encoding="gzip")
        assert (answer.status, answer.body, answer.headers.get("Content-Encoding")) == (200, FIRMWARE, None)

    ask_all(store, script)


def test_a_large_image_arrives_whole_and_in_parts(store: DirectoryStore) -> None:
    body = os.urandom((1 << 20) * 3 + 17)
    name = f"targets/{hashlib.sha256(body).hexdigest()}.large.bin"
    store.put_new(name, body)

    async def script(ask: Ask) -> None:
        assert (await ask(f"/{name}")).body == body
        assert (await ask(f"/{name}", Range="bytes=1048570-2097160")).body == body[1048570:2097161]

    ask_all(store, script)


@pytest.mark.parametrize(
    "path",
    [
        "/metadata/9.root.json",
        "/metadata/../config.json",
        "/metadata/%2e%2e/%2e%2e/config.json",
        "/metadata/..%2f..%2fconfig.json",
        "/metadata/..%5c..%5cconfig.json",
        "/metadata//etc/passwd",
        "/metadata/%2fetc%2fpasswd",
        "/metadata/1.root.json%00",
        "/metadata/%ff%fe",
        "/metadata/",
        "/targets/brake",
        "/targets/../publications/1.json",
        "/publications/1.json",
        "/.lock",
        "/metadata/.tmp",
        "/" + "x" * 3000,
        "/metadata/" + "x/" * 1500 + "x",
    ],
)
def test_nothing_else_can_be_reached(store: DirectoryStore, path: str) -> None:
    async def script(ask: Ask) -> None:
        answer = await ask(path)
        assert answer.status == 404
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert b"format" not in answer.body
        assert (await ask("/livez")).status == 200

    ask_all(store, script)


@pytest.mark.parametrize("name", ["1.a%2Fb.json", "1.a/b.json"], ids=["encoded", "decoded"])
def test_a_role_with_an_odd_name_is_served_however_it_is_stored(store: DirectoryStore, name: str) -> None:
    store.put_new(f"metadata/{name}", b"{}")

    async def script(ask: Ask) -> None:
        for path in ("/metadata/1.a%2Fb.json", "/metadata/1.a%252Fb.json"):
            answer = await ask(path)
            assert answer.body == b"{}"
            assert "immutable" in answer.headers["Cache-Control"]

    ask_all(store, script)


def test_only_reading_is_allowed(store: DirectoryStore) -> None:
    async def script(ask: Ask) -> None:
        for method in ("POST", "PUT", "DELETE", "PATCH"):
            answer = await ask("/metadata/timestamp.json", method)
            assert answer.status == 405
            assert answer.headers["Allow"] == "GET,HEAD"

    ask_all(store, script)


def test_a_link_out_of_the_store_is_not_served(store: DirectoryStore, tmp_path: Path) -> None:
    (tmp_path / "secret.json").write_text("secret")
    (store.root / "metadata/1.secret.json").symlink_to(tmp_path / "secret.json")
    (store.root / "targets/out").symlink_to(tmp_path)

    async def script(ask: Ask) -> None:
        for path in ("/metadata/1.secret.json", "/targets/out/secret.json"):
            answer = await ask(path)
            assert answer.status in (404, 503)
            assert b"secret" not in answer.body.replace(b"1.secret.json", b"")

    ask_all(store, script)


def test_ready_means_that_something_is_published(store: DirectoryStore, tmp_path: Path) -> None:
    async def ready(ask: Ask) -> None:
        assert (await ask("/readyz")).status == 200

    async def not_ready(ask: Ask) -> None:
        assert (await ask("/livez")).status == 200
        assert (await ask("/readyz")).status == 503

    ask_all(store, ready)
    ask_all(DirectoryStore(tmp_path / "empty"), not_ready)


def test_probes_ask_for_one_judgement_however_many_come(store: DirectoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Anybody may ask, and a judgement reads every role's file."""
    judged: list[object] = []
    monkeypatch.setattr("twinlock.repository.serving.app.check_served", lambda *given: judged.append(given))

    async def script(ask: Ask) -> None:
        for _ in range(20):
            assert (await ask("/readyz")).status == 200

    ask_all(store, script)
    assert len(judged) == 1


def test_the_server_survives_garbage_and_clients_that_leave(store: DirectoryStore) -> None:
    body = os.urandom(1 << 22)
    store.put_new("targets/large.bin", body)

    async def main() -> None:
        async with serving(image_application(store)) as server:
            for data in (
                b"\x00" * 100,
                b"GET /\r\n\r\n",
                b"GET /metadata/timestamp.json HTTP/1.1\r\n" + b"A: b\r\n" * 5000,
            ):
                with socket.create_connection((server.host, server.port)) as connection:
                    connection.sendall(data)
            for _ in range(5):
                with socket.create_connection((server.host, server.port)) as connection:
                    connection.sendall(b"GET /targets/large.bin HTTP/1.1\r\nHost: x\r\n\r\n")
                    await asyncio.to_thread(connection.recv, 1000)
            async with aiohttp.ClientSession() as session, session.get(f"{server.url}/targets/large.bin") as response:
                assert await response.read() == body

    asyncio.run(main())
