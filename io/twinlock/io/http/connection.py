"""One connection of a server: deadlines, a bound on discarded input, and problems for what is not HTTP.

It extends aiohttp's handler of a connection: the body of a refused request is read
only so far that the answer arrives; a reader that stalls is cut off; nothing is decompressed.
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import struct
import sys
import termios
from typing import TYPE_CHECKING, Any, Protocol, cast

from aiohttp import web

from twinlock.io.http.bounds import Bounds
from twinlock.io.http.problems import STATUS_CODES, problem

if TYPE_CHECKING:
    from socket import socket

SERVER_NAME = "twinlock"  # and no versions

log = logging.getLogger("twinlock.http")


class Owner(Protocol):
    """The listener of a connection, which receives its events."""

    def opened(self, connection: Connection) -> None:
        """It accepts requests."""

    def lost(self, connection: Connection) -> None:
        """It is gone."""

    def not_http(self, connection: Connection) -> None:
        """What arrived on it is not a request."""

    def client_left(self, connection: Connection) -> None:
        """The other side closed it in the middle of an answer."""


class Connection(web.RequestHandler):
    """A connection from ``address``."""

    __slots__ = ("_bounds", "_discarded", "_discarding", "_owner", "_waiting", "_wire", "address", "was_opened")

    def __init__(
        self, server: web.Server, owner: Owner, address: str, *, bounds: Bounds, loop: asyncio.AbstractEventLoop
    ) -> None:
        super().__init__(
            server,
            loop=loop,
            access_log=None,  # type: ignore[arg-type]  # aiohttp takes None, as AppRunner documents
            auto_decompress=False,
            keepalive_timeout=bounds.header_s,
            lingering_time=bounds.linger_s,
        )
        self.address = address
        self._owner = owner
        self._bounds = bounds
        self._wire: asyncio.Transport | None = None
        self._discarding = False
        self._discarded = 0
        self._waiting: tuple[float, int] | None = None
        self.was_opened = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See ``asyncio.Protocol``."""
        self._wire = cast("asyncio.Transport", transport)
        self.was_opened = True
        self._owner.opened(self)
        super().connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        """See ``asyncio.Protocol``."""
        super().connection_lost(exc)
        self._owner.lost(self)

    def data_received(self, data: bytes) -> None:
        """See ``asyncio.Protocol``. Above the bound on what is thrown away the connection ends."""
        if self._discarding:
            self._discarded += len(data)
            if self._discarded > self._bounds.linger_bytes:
                self.abort()
                return
        super().data_received(data)

    def discard_rest(self) -> None:
        """Treat what still arrives as the rest of an unused body."""
        self._discarding = True

    def abort(self) -> None:
        """End the connection at once, whatever waits to be sent."""
        self.force_close()
        if self._wire is not None:
            self._wire.abort()

    def pause_writing(self) -> None:
        """See ``asyncio.Protocol``: the other side takes less than is written."""
        super().pause_writing()
        self._waiting = None

    def detect_stall(self, now: float) -> bool:
        """Measure what the other side has read since the last call; returns whether that is below the floor. Call it regularly."""
        wire = self._wire
        if wire is None or not (self.writing_paused or (wire.is_closing() and wire.get_write_buffer_size())):
            self._waiting = None
            return False
        backlog = wire.get_write_buffer_size() + _unacknowledged(wire.get_extra_info("socket"))
        if self._waiting is None or backlog <= self._waiting[1] - self._bounds.stall_bytes:
            self._waiting = (now, backlog)
        return now - self._waiting[0] > self._bounds.stall_s

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what is not HTTP, and what no application could answer, as a problem; the connection ends with it."""
        if isinstance(exc, ConnectionError):
            self._owner.client_left(self)
            raise exc
        if status >= 500:
            log.error("a request from %s failed", self.address, exc_info=exc)
        else:
            self._owner.not_http(self)
        if request.writer.output_size > 0:
            raise ConnectionError("part of another answer was already sent")
        detail = "the server failed to answer; see its log" if status >= 500 else "the request cannot be read"
        response = problem(status, code=STATUS_CODES.get(status, "http"), detail=detail)
        response.headers["Server"] = SERVER_NAME
        response.force_close()
        return response


def _unacknowledged(sock: socket | None) -> int:
    """The bytes that the kernel has queued for the other side; 0 where the kernel does not report them."""
    if sock is None or sys.platform != "linux":
        return 0
    try:
        answer: Any = fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, b"\0\0\0\0")
    except OSError:
        return 0
    return int(struct.unpack("i", answer)[0])
