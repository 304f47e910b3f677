"""A node without any key sends large bundles: their memory is free as soon as they are refused.

Legitimate: the Primary's bundle is accepted. Attack: the largest bundles, several at once. Each is refused, no memory stays, and the Primary's next bundle is accepted, while the node's are still on their way, too.
"""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
import tracemalloc
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import aiohttp
import pytest

from tests.unit.client.test_secondary_server import offered, serve
from twinlock.client.link.http import HttpLink
from twinlock.client.secondary.secondary import Secondary
from twinlock.client.storage.bundle import Bundle
from twinlock.testing.simulator.world import World
from twinlock.trust.errors.base import TwinlockError

LARGEST = 3_000_000
HEAD = b'{"director":{"timestamp.json":"'
ENDS = {"refused by its file": b'"}}', "refused by its form": b'"}}x', "cut off": b""}


def filled(size: int, end: bytes, filler: bytes = b"\\\\") -> bytes:
    room = size - len(HEAD) - len(end)
    return HEAD + filler * (room // len(filler)) + end


@pytest.fixture
def no_collector() -> Iterator[None]:
    """What is freed here is freed when the last reference goes."""
    gc.collect()
    gc.disable()
    tracemalloc.start()
    yield
    tracemalloc.stop()
    gc.enable()


async def put(address: str, body: bytes) -> int:
    connector = aiohttp.TCPConnector(local_addr=("127.0.1.1", 0))
    async with (
        aiohttp.ClientSession(connector=connector) as session,
        session.put(f"{address}/v1/metadata", data=BytesIO(body)) as answer,
    ):
        return answer.status


NODE = """
import http.client, sys
address, source, path = sys.argv[1:]
link = http.client.HTTPConnection(address.removeprefix("http://"), timeout=60, source_address=(source, 0))
try:
    link.request("PUT", "/v1/metadata", open(path, "rb"))
    print(link.getresponse().status)
except OSError:
    print("cut off")
"""


async def node(address: str, number: int, body: Path) -> str:
    """Another process, whose memory is its own. Returns the status, or that the connection was cut."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", NODE, address, f"127.0.1.{number}", str(body), stdout=asyncio.subprocess.PIPE
    )
    answer, _ = await process.communicate()
    return answer.decode().strip()


@pytest.mark.usefixtures("no_collector")
@pytest.mark.parametrize("filler", [b"\\\\", b"x", b"\\u00e9"], ids=["escaped", "plain", "numbered"])
@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
def test_large_bundles_take_bounded_memory_and_leave_none_behind(tmp_path: Path, end: bytes, filler: bytes) -> None:
    (tmp_path / "body").write_bytes(filled(LARGEST, end, filler))

    async def scenario(world: World, link: HttpLink, address: str) -> None:
        assert await link.send_metadata(offered(world))
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        for _ in range(2):
            answers = await asyncio.gather(*(node(address, number, tmp_path / "body") for number in range(1, 4)))
            assert {"413", "422"} & set(answers)
            assert set(answers) <= {"413", "422", "503", "cut off"}
        after, peak = tracemalloc.get_traced_memory()
        assert peak - before < 4 * LARGEST  # as docs/threat-model.md states
        assert after - before < LARGEST / 4
        world.release()
        assert await link.send_metadata(offered(world))

    serve(tmp_path, scenario, limits={"fullBundleBytes": LARGEST})


def test_bundles_that_wait_for_their_turn_give_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One of the node's bundles is read, another has arrived and fills the rest of the memory for bodies."""
    reading, released, size = threading.Event(), threading.Event(), 200_000
    read = Secondary._read_bundle

    def slow(self: Secondary, bundle: bytes) -> Bundle | TwinlockError:
        reading.set()
        released.wait(20)
        return read(self, bundle)

    monkeypatch.setattr(Secondary, "_read_bundle", slow)

    async def scenario(world: World, link: HttpLink, address: str) -> None:
        body = filled(size, b'"}}', b"x")
        sent = [asyncio.create_task(put(address, body))]
        assert await asyncio.to_thread(reading.wait, 20)
        sent.append(asyncio.create_task(put(address, body)))
        await asyncio.sleep(0.3)
        primary = asyncio.create_task(link.send_metadata(offered(world)))
        assert await sent[1] == 503
        released.set()
        assert await primary
        assert await sent[0] == 422

    serve(tmp_path, scenario, limits={"fullBundleBytes": size})
