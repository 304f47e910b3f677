"""Servers that lie, each in one way, byte by byte on a raw socket so that no library corrects the lie."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

Answer = Callable[[asyncio.StreamWriter, str], Awaitable[None]]


@asynccontextmanager
async def lying(answer: Answer) -> AsyncIterator[str]:
    """A server on loopback that reads a request's head and lets ``answer`` write whatever it likes; gives its URL.

    ``answer`` gets the writer and the head of the request. The connection is closed afterwards.
    """
    tasks: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            head = await reader.readuntil(b"\r\n\r\n")
            await answer(writer, head.decode())
        writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def says(text: str, body: bytes = b"") -> Answer:
    """Answers with a fixed head (lines divided by newlines) and body."""

    async def answer(writer: asyncio.StreamWriter, _head: str) -> None:
        writer.write(text.replace("\n", "\r\n").encode() + b"\r\n\r\n" + body)
        await writer.drain()

    return answer


async def endless(writer: asyncio.StreamWriter, _head: str) -> None:
    """Never stops sending, and never says how much it will be."""
    writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
    while True:
        writer.write(b" " * 10_000)
        await writer.drain()


async def silent(writer: asyncio.StreamWriter, _head: str) -> None:
    """Takes the request and says nothing."""
    await asyncio.sleep(60)


async def stalling(writer: asyncio.StreamWriter, _head: str) -> None:
    """Sends a little and then nothing."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + b" " * 100)
    await asyncio.sleep(60)


async def trickling(writer: asyncio.StreamWriter, _head: str) -> None:
    """Sends a byte now and then, so that no single wait is long."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    while True:
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.02)
