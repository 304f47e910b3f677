"""A server on sockets: connections are counted before TLS, bounded in number and time, and finished when it ends."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import resource
import socket
import ssl
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Self

from aiohttp import web

from twinlock.io.http.bounds import DEFAULT_BOUNDS, Bounds
from twinlock.io.http.connection import SERVER_NAME, Connection
from twinlock.io.http.problems import RETRY_AFTER_S, problem
from twinlock.io.http.quiet_log import QuietLog

_REFUSAL = (
    f"HTTP/1.1 503 Service Unavailable\r\nServer: {SERVER_NAME}\r\nRetry-After: {RETRY_AFTER_S}\r\n"
    "Content-Length: 0\r\nConnection: close\r\n\r\n"
).encode()
_PAUSE_S = 0.5  # after the system refused a connection, such as for want of descriptors
_SWEEPS = 4  # in the time in which a reader may take nothing

log = logging.getLogger("twinlock.http")

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class HttpServer:
    """An application that is served on sockets which are bound already. ``start`` makes one."""

    def __init__(
        self,
        runner: web.AppRunner,
        sockets: Iterable[socket.socket],
        *,
        tls: ssl.SSLContext | None,
        bounds: Bounds,
        shutdown_s: float,
    ) -> None:
        """Not for callers: use ``start``."""
        self._shutdown_s = shutdown_s
        self._runner = runner
        self._sockets = tuple(sockets)
        self._tls = tls
        self._bounds = bounds
        self._quiet = QuietLog(log)
        self._open: set[Connection] = set()
        self._busy: Counter[Connection] = Counter()
        self._by_address: Counter[str] = Counter()
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopping = False
        self._idle = asyncio.Event()
        self._idle.set()

    @classmethod
    async def start(
        cls,
        app: web.Application,
        sockets: Iterable[socket.socket],
        *,
        tls: ssl.SSLContext | None = None,
        bounds: Bounds = DEFAULT_BOUNDS,
        shutdown_s: float = 5.0,
    ) -> Self:
        """Serve ``app`` until ``cleanup``, which finishes running requests for at most ``shutdown_s`` seconds."""
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=shutdown_s, handle_signals=False)
        server = cls(runner, sockets, tls=tls, bounds=bounds, shutdown_s=shutdown_s)
        app.middlewares.insert(0, server._mannered)
        app.on_response_prepare.append(_name)
        await runner.setup()
        for listening in server._sockets:
            server._spawn(server._accept(listening))
        server._spawn(server._sweep())
        return server

    @property
    def addresses(self) -> list[Any]:
        """The addresses that it listens on, as the sockets report them."""
        return [listening.getsockname() for listening in self._sockets]

    async def cleanup(self) -> None:
        """Accept nothing more, let requests whose head has arrived finish, body included, and close everything."""
        self._stopping = True
        for task in self._tasks:
            task.cancel()
        for listening in self._sockets:
            listening.close()
        for _ in range(3):  # a request that has just arrived reaches its handler
            await asyncio.sleep(0)
        for connection in self._open - set(self._busy):
            connection.close()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._idle.wait(), self._shutdown_s)
        await self._runner.cleanup()

    # Events of a connection

    def opened(self, connection: Connection) -> None:
        """See ``Owner``."""
        self._open.add(connection)

    def lost(self, connection: Connection) -> None:
        """See ``Owner``."""
        self._open.discard(connection)
        self._release(connection.address)

    def not_http(self, connection: Connection) -> None:
        """See ``Owner``."""
        self._quiet.line("not-http", client=connection.address)

    def client_left(self, connection: Connection) -> None:
        """See ``Owner``."""
        self._quiet.line("client-left", client=connection.address)

    async def _accept(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                accepted, address = await loop.sock_accept(listening)
            except OSError as error:
                self._quiet.line("not-accepted", reason=error.strerror or str(error))
                await asyncio.sleep(_PAUSE_S)
                continue
            self._admit(accepted, address_of(address))
            await asyncio.sleep(0)  # a client that connects without pause must not keep requests waiting

    def _admit(self, accepted: socket.socket, address: str) -> None:
        full = self._by_address.total() >= self._bounds.connections
        if full or self._by_address[address] >= self._bounds.connections_per_address:
            self._quiet.line("connection-refused", client=address, reason="too many" if full else "too many of its own")
            self._turn_away(accepted)
            return
        self._by_address[address] += 1
        self._spawn(self._begin(accepted, address))

    def _turn_away(self, accepted: socket.socket) -> None:
        with accepted, contextlib.suppress(OSError):
            accepted.setblocking(False)  # noqa: FBT003 - the name of the standard library
            if self._tls is None:
                accepted.send(_REFUSAL)
                accepted.shutdown(socket.SHUT_WR)
                accepted.recv(65_536)  # unread input would make the answer vanish

    async def _begin(self, accepted: socket.socket, address: str) -> None:
        """Make a connection of an accepted socket, TLS included."""
        loop, server, bounds = asyncio.get_running_loop(), self._runner.server, self._bounds
        assert server is not None
        tls: dict[str, Any] = {}
        if self._tls is not None:
            tls = {
                "ssl": self._tls,
                "ssl_handshake_timeout": bounds.handshake_s,
                "ssl_shutdown_timeout": bounds.linger_s,
            }
        made: list[Connection] = []

        def connection() -> Connection:
            made.append(Connection(server, self, address, bounds=bounds, loop=loop))
            return made[0]

        try:
            await loop.connect_accepted_socket(connection, accepted, **tls)
        except (OSError, TimeoutError) as error:  # ssl.SSLError is an OSError
            reason = getattr(error, "reason", None) or getattr(error, "verify_message", None) or str(error)
            self._quiet.line("tls-refused", client=address, reason=str(reason) or type(error).__name__)
        finally:
            if not made or not made[0].was_opened:  # a connection releases its place when it is lost
                self._release(address)

    def _release(self, address: str) -> None:
        self._by_address[address] -= 1
        if self._by_address[address] <= 0:
            del self._by_address[address]

    async def _sweep(self) -> None:
        """End connections whose other side does not read what is queued for it."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(self._bounds.stall_s / _SWEEPS)
            for connection in [item for item in self._open if item.detect_stall(loop.time())]:
                self._quiet.line("reader-stalled", client=connection.address)
                connection.abort()

    @property
    def _mannered(self) -> Callable[..., Awaitable[web.StreamResponse]]:
        @web.middleware
        async def mannered(request: web.Request, handler: _Handler) -> web.StreamResponse:
            """Refuse compressed bodies, and close the connection of a request whose body was not read."""
            connection = request.protocol
            assert isinstance(connection, Connection)
            self._busy[connection] += 1
            self._idle.clear()
            try:
                response = _refuse_encoded(request) or await handler(request)
                if self._stopping or not request.content.is_eof():
                    response.force_close()
                return response
            finally:
                if not request.content.is_eof():
                    connection.discard_rest()
                self._finished(connection)

        return mannered

    def _finished(self, connection: Connection) -> None:
        self._busy[connection] -= 1
        if not self._busy[connection]:
            del self._busy[connection]
        if not self._busy:
            self._idle.set()

    def _spawn(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def allow_descriptors(wanted: int) -> None:
    """Raise this process's limit of descriptors to ``wanted``, as far as the system permits."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < allowed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))


def bind_tcp(host: str, port: int) -> list[socket.socket]:
    """Sockets that listen on every address of ``host``; port 0 picks a free one. Raises: OSError."""
    addresses = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    bound: list[socket.socket] = []
    try:
        for family, kind, protocol, _, address in dict.fromkeys(addresses):
            listening = socket.socket(family, kind, protocol)
            bound.append(listening)
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            chosen = bound[0].getsockname()[1] if port == 0 and len(bound) > 1 else port
            listening.bind((address[0], chosen, *address[2:]))
            _listen(listening)
    except OSError:
        for listening in bound:
            listening.close()
        raise
    return bound


def bind_unix(path: str) -> list[socket.socket]:
    """A socket in the file system, in place of one that a server left there. Raises: OSError."""
    from pathlib import Path

    place = Path(path)
    if place.is_socket():
        place.unlink()
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listening.bind(path)
        _listen(listening)
    except OSError:
        listening.close()
        raise
    return [listening]


def _listen(listening: socket.socket) -> None:
    listening.setblocking(False)  # noqa: FBT003 - the name of the standard library
    listening.listen(128)


def address_of(address: Any) -> str:
    """The owner of a connection, for counting: an IPv4 address, an IPv6 network of 64 bits, or ``unix``."""
    if not isinstance(address, tuple):
        return "unix"
    try:
        parsed = ipaddress.ip_address(str(address[0]).partition("%")[0])
    except ValueError:
        return "unknown"
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((parsed, 64), strict=False))


def _refuse_encoded(request: web.Request) -> web.Response | None:
    """No body is ever decompressed: what some bytes expand to is known only after the work is done."""
    encoding = request.headers.get("Content-Encoding", "identity")
    if encoding.strip().lower() in ("", "identity"):
        return None
    return problem(
        415, code="unsupported-media-type", detail="Content-Encoding is not accepted; send the body as it is"
    )


async def _name(_: web.Request, response: web.StreamResponse) -> None:
    response.headers["Server"] = SERVER_NAME
