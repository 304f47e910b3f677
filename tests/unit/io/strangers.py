"""Strangers on the line: sockets that send and read what no honest client would, in small numbers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Self

from aiohttp import web

from twinlock.io.http.bounds import Bounds
from twinlock.io.http.server import HttpServer, bind_tcp
from twinlock.repository.serving.http import problems

HOST = "127.0.0.1"


_CONNECTED: list[Stranger] = []


async def all_gone() -> None:
    """Close what strangers left open."""
    while _CONNECTED:
        _CONNECTED.pop().close()
    await asyncio.sleep(0.05)


@dataclass
class Stranger:
    """One connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    @classmethod
    async def connect(cls, port: int, *, source: str = HOST, limit: int = 65_536, **options: Any) -> Self:
        """Connect from the loopback address ``source``."""
        reader, writer = await asyncio.open_connection(HOST, port, local_addr=(source, 0), limit=limit, **options)
        stranger = cls(reader, writer)
        _CONNECTED.append(stranger)
        return stranger

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def answer(self, seconds: float = 5.0) -> bytes:
        """Everything until the server closes the connection."""
        return await asyncio.wait_for(self._rest(), seconds)

    async def _rest(self) -> bytes:
        found = b""
        try:
            while chunk := await self.reader.read(65_536):
                found += chunk
        except ConnectionError:
            pass
        return found

    def close(self) -> None:
        self.writer.transport.abort()


@asynccontextmanager
async def served(app: web.Application, **bounds: Any) -> AsyncIterator[int]:
    """Serve ``app`` with these bounds; gives the port."""
    options = {name: bounds.pop(name) for name in ("tls", "shutdown_s") if name in bounds}
    server = await HttpServer.start(app, bind_tcp(HOST, 0), bounds=Bounds(**bounds), **options)
    try:
        yield server.addresses[0][1]
    finally:
        await server.cleanup()


def plain_app() -> web.Application:
    """Answers ``GET /`` and takes any body at ``PUT /``."""

    async def get(_: web.Request) -> web.Response:
        return web.Response(text="here")

    async def put(request: web.Request) -> web.Response:
        return web.json_response({"bytes": len(await request.read())})

    async def ignore(_: web.Request) -> web.Response:
        return web.Response(status=404, text="nobody asked for that")

    app = web.Application(middlewares=[problems], client_max_size=1 << 30)
    app.add_routes([web.get("/", get), web.put("/", put), web.put("/ignored", ignore)])
    return app


async def get(port: int, *, source: str = HOST) -> bytes:
    """An honest request."""
    client = await Stranger.connect(port, source=source)
    await client.send(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    return await client.answer()


def parsed(answer: bytes) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of one answer."""
    head, _, body = answer.partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    return int(status.split()[1]), headers, body


def problem_in(answer: bytes) -> dict[str, Any]:
    """The problem that an answer is."""
    status, headers, body = parsed(answer)
    assert headers["content-type"] == "application/problem+json", answer
    found: dict[str, Any] = json.loads(body)
    assert found["status"] == status
    return found
