"""Serving the profile over a real socket: the client's names, ranges, 404 for the next Root, nothing that catches all."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiohttp
import pytest
from yarl import URL

from tests.unit.repository.conftest import FIRMWARE, START, Acme, HandClock
from tests.unit.repository.test_serve import Answer
from twinlock.repository.image_repository import ImageRepository
from twinlock.repository.serving.aktualizr_app import aktualizr_image_application
from twinlock.repository.serving.http import RunningServer, serving
from twinlock.repository.serving.renewal import serve_repository
from twinlock.repository.store.interface import ObjectStore
from twinlock.trust.engine.commands import ABSENT, Command, Fetch
from twinlock.trust.engine.commands import Answer as EngineAnswer
from twinlock.trust.engine.refresh import refresh_repository
from twinlock.trust.engine.restore import bootstrap_repository
from twinlock.trust.names import IMAGE
from twinlock.trust.wire.aktualizr.decode import AKTUALIZR

Ask = Callable[..., Awaitable[Answer]]
NAMED = "dir a/fü+1.bin"


@pytest.fixture
def both(filled: ImageRepository, acme: Acme, tmp_path: Path) -> ImageRepository:
    filled.publish_for_aktualizr()
    (tmp_path / "named").write_bytes(b"0123456789")
    filled.add_image(tmp_path / "named", NAMED, hardware_ids=["hw-7"], release_counter=1)
    acme.place.sign_for_aktualizr()
    acme.sign("acme/lidar-1.bin")
    filled.delegate("acme", keys=[acme.place.public_key_file], paths=["acme/**"])
    filled.accept(acme.outbox)
    filled.publish()
    return filled


def ask_all(store: ObjectStore, script: Callable[[Ask], Awaitable[None]], prefix: str = "/repo") -> None:
    async def main() -> None:
        app = aktualizr_image_application(store, prefix=prefix)
        async with serving(app) as server, aiohttp.ClientSession(auto_decompress=False) as session:
            await script(asking(server, session))

    asyncio.run(main())


def asking(server: RunningServer, session: aiohttp.ClientSession) -> Ask:
    async def ask(path: str, method: str = "GET", **headers: str) -> Answer:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        async with session.request(method, URL(server.url + path, encoded=True), headers=sent) as response:
            return Answer(response.status, response.headers, await response.read())

    return ask


def test_every_name_that_the_client_asks_for(both: ImageRepository) -> None:
    async def script(ask: Ask) -> None:
        versions = {
            "1.root.json": 1,
            "timestamp.json": 4,
            "snapshot.json": 3,
            "targets.json": 3,
            "delegations/acme.json": 1,
        }
        for name, version in versions.items():
            answer = await ask(f"/repo/{name}")
            assert (answer.status, json.loads(answer.body)["signed"]["version"]) == (200, version)
            assert answer.headers["Content-Type"] == "application/json"
            assert answer.headers["Cache-Control"] == "no-cache"  # 1.root.json changes when the chain is handed over
            again = await ask(f"/repo/{name}", If_None_Match=answer.headers["ETag"])
            assert (again.status, again.body) == (304, b"")
        for path, content in (
            ("brake/brake.bin", FIRMWARE),
            ("acme/lidar-1.bin", b"lidar firmware"),
            ("dir%20a/f%C3%BC%2B1.bin", b"0123456789"),
        ):
            answer = await ask(f"/repo/targets/{path}")
            assert (answer.status, answer.body) == (200, content)

    ask_all(both.store, script)


def test_everything_else_is_404_and_the_next_root_first_of_all(both: ImageRepository) -> None:
    names = """
        2.root.json 0.root.json 01.root.json root.json 1.targets.json 4.timestamp.json acme.json delegations/targets.json
        delegations/root.json delegations/timestamp.json delegations/other.json delegations/.json targets/none.bin
        targets/brake targets/../timestamp.json targets/%2e%2e/config.json targets/brake%2fbrake.bin/ targets/ names/x.json
        1.root.json/ index.html metadata/timestamp.json 99999999999999999999.root.json
    """

    async def script(ask: Ask) -> None:
        for name in names.split():
            answer = await ask(f"/repo/{name}")
            assert answer.status == 404, name
            assert answer.headers["Cache-Control"] == "no-store"
        for path in ("/", "/repo", "/repo/", "/metadata/timestamp.json", "/timestamp.json"):
            assert (await ask(path)).status == 404

    ask_all(both.store, script)


def test_no_failure_of_an_image_has_a_body(both: ImageRepository) -> None:
    # The client takes the body of any answer for the beginning of the image, and asks for the rest after it.
    async def script(ask: Ask) -> None:
        missing = await ask("/repo/targets/brake/none.bin")
        assert (missing.status, missing.body) == (404, b"")
        beyond = await ask("/repo/targets/dir%20a/f%C3%BC%2B1.bin", Range="bytes=10-")
        assert (beyond.status, beyond.body, beyond.headers["Content-Range"]) == (416, b"", "bytes */10")
        # A client that is told why it gets no metadata does not mind.
        assert (await ask("/repo/9.root.json")).body

    ask_all(both.store, script)


def test_an_interrupted_download_goes_on(both: ImageRepository) -> None:
    async def script(ask: Ask) -> None:
        path = "/repo/targets/dir%20a/f%C3%BC%2B1.bin"
        answer = await ask(path, Range="bytes=4-")
        assert (answer.status, answer.body, answer.headers["Content-Range"]) == (206, b"456789", "bytes 4-9/10")
        assert (await ask(path, Range="bytes=10-")).status == 416
        assert (await ask(path, "HEAD")).headers["Content-Length"] == "10"

    ask_all(both.store, script)


def test_a_later_publication_shows_at_once_and_whole(both: ImageRepository) -> None:
    async def script(ask: Ask) -> None:
        assert (await ask("/repo/2.root.json")).status == 404
        both.remove_image(NAMED)
        await asyncio.to_thread(both.rotate, "root", "targets")
        await asyncio.to_thread(both.publish)
        shown = [json.loads((await ask(f"/repo/{name}.json")).body) for name in ("timestamp", "snapshot", "targets")]
        assert [file["signed"]["version"] for file in shown] == [6, 5, 5]
        assert NAMED not in shown[2]["signed"]["targets"]
        assert (await ask("/repo/2.root.json")).status == 200
        assert (await ask("/repo/3.root.json")).status == 404
        # A vehicle that still follows the old Targets gets its bytes.
        assert (await ask("/repo/targets/dir%20a/f%C3%BC%2B1.bin")).body == b"0123456789"

    ask_all(both.store, script)


def test_an_image_that_is_only_staged_is_not_there(both: ImageRepository, image_file: Path) -> None:
    both.add_image(image_file, "brake/brake-2.bin", hardware_ids=["hw-7"], release_counter=4)

    async def script(ask: Ask) -> None:
        assert (await ask("/repo/targets/brake/brake-2.bin")).status == 404

    ask_all(both.store, script)


def test_below_another_prefix_or_none(both: ImageRepository) -> None:
    async def script(ask: Ask) -> None:
        assert (await ask("/timestamp.json")).status == 200
        assert (await ask("/readyz")).status == 200

    ask_all(both.store, script, prefix="")


def test_a_repository_without_the_profile_is_not_ready(filled: ImageRepository) -> None:
    async def script(ask: Ask) -> None:
        for name in ("1.root.json", "timestamp.json", "targets.json", "targets/brake/brake.bin"):
            assert (await ask(f"/repo/{name}")).status == 404
        assert (await ask("/readyz")).status == 503
        assert (await ask("/livez")).status == 200

    ask_all(filled.store, script)


def test_the_engine_reads_it_over_http(both: ImageRepository) -> None:
    async def script(ask: Ask) -> None:
        root = (await ask("/repo/1.root.json")).body
        steps = refresh_repository(bootstrap_repository(IMAGE, root, wire=AKTUALIZR), START)

        async def answer(command: Command) -> EngineAnswer:
            if not isinstance(command, Fetch):
                return None
            found = await ask(f"/repo/{command.name}")
            return ABSENT if found.status == 404 else found.body

        command = next(steps)
        try:
            while True:
                command = steps.send(await answer(command))
        except StopIteration as stop:
            assert stop.value.targets.signed.version == 3

    ask_all(both.store, script)


def test_image_serve_serves_both_and_renews_both(both: ImageRepository, clock: HandClock) -> None:
    clock.turn(hours=20)  # Timestamp is due

    async def main() -> list[Answer]:
        started: asyncio.Future[RunningServer] = asyncio.get_running_loop().create_future()
        renewed = asyncio.Event()
        task = asyncio.create_task(
            serve_repository(
                both.workspace,
                started=started.set_result,
                renewed=lambda _: renewed.set(),
            )
        )
        server = await started
        await renewed.wait()
        async with aiohttp.ClientSession() as session:
            ask = asking(server, session)
            found = [await ask(path) for path in ("/repo/timestamp.json", "/metadata/timestamp.json")]
        signal.raise_signal(signal.SIGTERM)
        await task
        return found

    answers = asyncio.run(main())
    assert [json.loads(answer.body)["signed"]["version"] for answer in answers] == [5, 5]
