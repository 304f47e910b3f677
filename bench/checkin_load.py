"""Check-ins over kept-alive connections: the requests of the reference client, on plain sockets.

With nothing new a client makes three requests: its manifest, the next Root, which does not exist, and the Timestamp. With a
new order it follows the Timestamp to the Snapshot and to the Targets. Any other status than the expected one ends the
benchmark: an answer that the client would refuse is not a check-in.
"""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.checkin_server import Server

NEXT_ROOT = "2.root.json"
_HEADERS = "Accept: */*\r\nAccept-Encoding: identity\r\nUser-Agent: twinlock\r\n"  # those of the reference client
_DEADLINE_S = 600.0  # of a whole run


class UnexpectedAnswerError(Exception):
    """The server did not answer a check-in as it has to."""


@dataclass(frozen=True, slots=True)
class CheckIn:
    """What one vehicle sends: its signed manifest."""

    vehicle: str
    manifest: bytes


@dataclass(frozen=True, slots=True)
class Answered:
    """One finished check-in: its wall time from the first byte sent to the last one received, and its Timestamp."""

    vehicle: str
    seconds: float
    timestamp: bytes


@dataclass(frozen=True, slots=True)
class Run:
    """Check-ins of one run, and the CPU seconds of the server for them."""

    cpu_s: float
    answered: tuple[Answered, ...]


def run(server: Server, check_ins: Sequence[CheckIn], *, connections: int, follow: bool) -> Run:
    """Make the check-ins, those of one vehicle in their order. With ``follow``, each follows its Timestamp.

    Opening the connections is not counted. Raises: UnexpectedAnswerError, TimeoutError.
    """
    shares = share(check_ins, connections)
    return asyncio.run(asyncio.wait_for(_run(server, shares, follow=follow), _DEADLINE_S))


def share(check_ins: Sequence[CheckIn], connections: int) -> list[list[CheckIn]]:
    """The check-ins of each connection. All of one vehicle are on one, so that they arrive in their order."""
    place = {vehicle: index for index, vehicle in enumerate(dict.fromkeys(each.vehicle for each in check_ins))}
    shares: list[list[CheckIn]] = [[] for _ in range(min(connections, len(place)))]
    for each in check_ins:
        shares[place[each.vehicle] % connections].append(each)
    return shares


async def _run(server: Server, shares: Sequence[Sequence[CheckIn]], *, follow: bool) -> Run:
    opened = await asyncio.gather(*(_Connection.open(server.port) for _ in shares))
    try:
        for connection, own in zip(opened, shares, strict=True):
            # Its first answer shows that the server has accepted the connection.
            await connection.ask("GET", f"/vehicles/{own[0].vehicle}/metadata/{NEXT_ROOT}", expected=404)
        before = server.cpu_s()
        pairs = zip(opened, shares, strict=True)
        done = await asyncio.gather(*(_all(connection, own, follow=follow) for connection, own in pairs))
        return Run(server.cpu_s() - before, tuple(answered for each in done for answered in each))
    finally:
        for connection in opened:
            await connection.close()


async def _all(connection: _Connection, check_ins: Sequence[CheckIn], *, follow: bool) -> list[Answered]:
    return [await _check_in(connection, each, follow=follow) for each in check_ins]


async def _check_in(connection: _Connection, check_in: CheckIn, *, follow: bool) -> Answered:
    base = f"/vehicles/{check_in.vehicle}"
    started = time.perf_counter()
    await connection.ask("PUT", f"{base}/manifest", expected=204, body=check_in.manifest)
    await connection.ask("GET", f"{base}/metadata/{NEXT_ROOT}", expected=404)
    timestamp = await connection.ask("GET", f"{base}/metadata/timestamp.json", expected=200)
    listed = timestamp
    for name in ("snapshot.json", "targets.json") if follow else ():
        version = json.loads(listed)["signed"]["meta"][name]["version"]
        listed = await connection.ask("GET", f"{base}/metadata/{version}.{name}", expected=200)
    return Answered(check_in.vehicle, time.perf_counter() - started, timestamp)


class _Connection:
    """One kept-alive connection of HTTP/1.1."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str) -> None:
        self._reader = reader
        self._writer = writer
        self._host = host

    @classmethod
    async def open(cls, port: int) -> Self:
        """Connect to the server on this machine."""
        return cls(*await asyncio.open_connection("127.0.0.1", port), f"127.0.0.1:{port}")

    async def ask(self, method: str, path: str, *, expected: int, body: bytes = b"") -> bytes:
        """The body of the answer. Raises: UnexpectedAnswerError if its status is not the expected one."""
        head = f"{method} {path} HTTP/1.1\r\nHost: {self._host}\r\n{_HEADERS}"
        if body:
            head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        self._writer.write(head.encode() + b"\r\n" + body)
        try:
            status, length = read_head(await self._reader.readuntil(b"\r\n\r\n"))
            answer = await self._reader.readexactly(length)
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            raise UnexpectedAnswerError(f"{method} {path}: the connection broke off: {error}") from None
        if status != expected:
            raise UnexpectedAnswerError(f"{method} {path}: status {status}, not {expected}: {answer[:500]!r}")
        return answer

    async def close(self) -> None:
        """End it."""
        self._writer.close()
        with suppress(ConnectionError):
            await self._writer.wait_closed()


def read_head(head: bytes) -> tuple[int, int]:
    """The status of an answer, and the length of its body, which has to be given unless there is none.

    Raises: UnexpectedAnswerError.
    """
    first, *lines = head.decode("latin-1").split("\r\n")
    status = int(first.split()[1])
    headers: dict[str, Any] = {
        name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)
    }
    if "content-length" not in headers and status != 204:
        raise UnexpectedAnswerError(f"an answer without Content-Length: {head!r}")
    return status, int(headers.get("content-length", 0))
