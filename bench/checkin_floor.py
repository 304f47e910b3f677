"""The floor of a check-in: a server that does what no Director can leave out, and nothing else.

``python -m bench.checkin_floor JSON`` with {"folder", "signs"}. ``folder`` has ``keys.json``, {vehicle: {key id: hex}}, and
the files of one vehicle, which all vehicles get. It is a bare ``aiohttp`` server, on uvloop where that is installed. Of a
manifest it parses the JSON, verifies each signature over the hash that the signature states, and stores 1 kB for the vehicle;
metadata comes from memory. With ``signs``, it signs three files for each Timestamp and stores them first.
"""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import json
import signal
import sqlite3
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

KEYS = "keys.json"
_ROW_BYTES = 1_000
_NOT_FOUND = (
    b'{"type":"about:blank","title":"Not found","status":404,"code":"not-found","detail":"the file was not found"}'
)

Keys = dict[str, dict[str, Ed25519PublicKey]]


class GroupCommit:
    """One writer of a SQLite database: everything that waits for it goes into one durable transaction."""

    def __init__(self, path: Path, vehicles: Sequence[str]) -> None:
        self._thread = ThreadPoolExecutor(1)
        self._waiting: list[tuple[str, bytes, asyncio.Future[None]]] = []
        self._drain: asyncio.Task[None] | None = None
        self._database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._database.execute("PRAGMA journal_mode=WAL")
        self._database.execute("PRAGMA synchronous=FULL")
        self._database.execute("CREATE TABLE vehicles (vehicle TEXT PRIMARY KEY, state BLOB NOT NULL)")
        rows = ((vehicle, bytes(_ROW_BYTES)) for vehicle in vehicles)
        self._database.execute("BEGIN")
        self._database.executemany("INSERT INTO vehicles VALUES (?, ?)", rows)
        self._database.execute("COMMIT")

    async def store(self, vehicle: str, state: bytes) -> None:
        """Return once it is durable."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        self._waiting.append((vehicle, state, future))
        if self._drain is None:
            self._drain = loop.create_task(self._write())
        await future

    async def _write(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting:
            batch, self._waiting = self._waiting, []
            try:
                await loop.run_in_executor(self._thread, self._commit, [(each[0], each[1]) for each in batch])
            except sqlite3.Error as error:
                for _, _, future in batch:
                    future.set_exception(error)
            else:
                for _, _, future in batch:
                    future.set_result(None)
        self._drain = None

    def _commit(self, rows: Sequence[tuple[str, bytes]]) -> None:
        run = self._database.execute
        run("BEGIN IMMEDIATE")
        for vehicle, state in rows:
            run("SELECT state FROM vehicles WHERE vehicle = ?", (vehicle,)).fetchone()
            run("UPDATE vehicles SET state = ? WHERE vehicle = ?", (state, vehicle))
        run("COMMIT")


class Floor:
    """Answers the requests of a check-in."""

    def __init__(self, keys: Keys, files: dict[str, bytes], writer: GroupCommit, *, signs: bool) -> None:
        self._keys = keys
        self._files = files
        self._writer = writer
        self._signers = [Ed25519PrivateKey.generate() for _ in files] if signs else []

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """One request."""
        _, _, vehicle, *rest = request.path.split("/")
        if rest == ["manifest"]:
            data = await request.read()
            verify(json.loads(data), self._keys[vehicle])
            await self._writer.store(vehicle, data[:_ROW_BYTES])
            return web.Response(status=204)
        name = rest[-1]
        if name == "timestamp.json" and self._signers:
            signatures = (key.sign(data) for key, data in zip(self._signers, self._files.values(), strict=True))
            await self._writer.store(vehicle, b"".join((*self._files.values(), *signatures)))
        data = self._files.get(name) or self._files.get(name.partition(".")[2], b"")
        return web.Response(status=200 if data else 404, body=data or _NOT_FOUND, content_type="application/json")


def verify(manifest: dict[str, Any], keys: dict[str, Ed25519PublicKey]) -> None:
    """Check the signatures of the manifest and of its reports. Raises: InvalidSignature."""
    for part in (manifest, *manifest["signed"]["reports"]):
        for entry in part["signatures"]:
            keys[entry["keyid"]].verify(bytes.fromhex(entry["sig"]), bytes.fromhex(entry["payloadHash"]))


def event_loop() -> tuple[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The fastest event loop that is installed, and its name."""
    if importlib.util.find_spec("uvloop") is None:
        return "asyncio", asyncio.new_event_loop
    return "uvloop", importlib.import_module("uvloop").new_event_loop


def prepare(folder: Path, keys: dict[str, dict[str, str]], files: dict[str, bytes]) -> None:
    """Write what a floor reads when it starts."""
    folder.mkdir()
    (folder / KEYS).write_text(json.dumps(keys))
    for name, data in files.items():
        (folder / name).write_bytes(data)


def main() -> None:
    """Serve until SIGTERM."""
    order = json.loads(sys.argv[1])
    floor = load(Path(order["folder"]), signs=order["signs"])
    with asyncio.Runner(loop_factory=event_loop()[1]) as runner:
        runner.run(_serve(floor))


def load(folder: Path, *, signs: bool) -> Floor:
    """The floor of a folder that ``prepare`` made."""
    keys = {
        vehicle: {keyid: Ed25519PublicKey.from_public_bytes(bytes.fromhex(raw)) for keyid, raw in own.items()}
        for vehicle, own in json.loads((folder / KEYS).read_text()).items()
    }
    files = {path.name: path.read_bytes() for path in sorted(folder.glob("*.json")) if path.name != KEYS}
    writer = GroupCommit(folder / f"{'signs' if signs else 'quiet'}.sqlite", list(keys))
    return Floor(keys, files, writer, signs=signs)


async def _serve(floor: Floor) -> None:
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    server = await loop.create_server(web.Server(floor.answer, access_log=None), "127.0.0.1", 0)
    print(json.dumps({"url": f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"}), flush=True)
    await stop.wait()
    server.close()


if __name__ == "__main__":
    main()
