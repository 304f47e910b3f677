"""What every server of this project shares: problem answers, health, and a runner that binds loopback by default.

    app = web.Application(middlewares=[problems])
    add_health(app, ready=check_database)
    async with serving(app, port=8080) as server:
        print(server.url)

The Director and the Image repository are served by it alike.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from http import HTTPStatus

from aiohttp import web

from twinlock.io.http.bounds import DEFAULT_BOUNDS, Bounds
from twinlock.io.http.network_faults import network_reason
from twinlock.io.http.problems import STATUS_CODES, problem
from twinlock.io.http.quiet_log import QuietLog
from twinlock.io.http.server import HttpServer, allow_descriptors, bind_tcp
from twinlock.repository.errors import MissingKeysError, NotReadyError, SigningClockError
from twinlock.trust.errors.base import RefusalError, TwinlockError, UsageError
from twinlock.trust.errors.images import EndlessDataError
from twinlock.trust.errors.local import ConflictError, PassphraseError, StorageError, TransportError
from twinlock.trust.errors.metadata import MalformedError

__all__ = ["STATUS_CODES", "Handler", "RunningServer", "add_health", "problem", "problem_of", "problems", "serving"]
__all__ += ["serve_until_stopped"]

log = logging.getLogger("twinlock.http")

Ready = Callable[[], Awaitable[None]]

# The first class that fits decides, so subclasses stand before their bases.
_STATUS: tuple[tuple[type[TwinlockError], HTTPStatus], ...] = (
    (EndlessDataError, HTTPStatus.REQUEST_ENTITY_TOO_LARGE),
    (MalformedError, HTTPStatus.BAD_REQUEST),
    (RefusalError, HTTPStatus.UNPROCESSABLE_ENTITY),
    (ConflictError, HTTPStatus.CONFLICT),
    (MissingKeysError, HTTPStatus.SERVICE_UNAVAILABLE),
    (PassphraseError, HTTPStatus.SERVICE_UNAVAILABLE),
    (UsageError, HTTPStatus.BAD_REQUEST),
    (TransportError, HTTPStatus.BAD_GATEWAY),
    (StorageError, HTTPStatus.SERVICE_UNAVAILABLE),
    (SigningClockError, HTTPStatus.SERVICE_UNAVAILABLE),
    (NotReadyError, HTTPStatus.SERVICE_UNAVAILABLE),
)


def problem_of(error: TwinlockError, *, status: int | None = None, code: str | None = None) -> web.Response:
    """The problem that reports ``error``: its code, sentence and fields, and for a refusal its attack and clause.

    ``code`` is for clients that know the error by another name.
    A fault of this server's own storage is reported without the path it happened at.
    """
    chosen = status or next((value for cls, value in _STATUS if isinstance(error, cls)), 500)
    if isinstance(error, StorageError):
        return problem(chosen, code=error.code, detail="the server's storage failed", title="Storage failed")
    shown = error.as_json()
    members = {name: shown[name] for name in ("kind", "attack", "clause", "fields", "hint") if name in shown}
    return problem(chosen, code=code or error.code, detail=str(error), **members)


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@web.middleware
async def problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer every failure of a handler as a problem, and keep the server alive."""
    try:
        return await handler(request)
    except TwinlockError as error:
        if isinstance(error, StorageError):
            log.error("%s %s: %s", request.method, request.path, error)
        return problem_of(error)
    except web.HTTPException as error:
        return _http_problem(error)
    except (asyncio.CancelledError, ConnectionError):
        raise
    except Exception:
        log.exception("%s %s failed", request.method, request.path)
        return problem(500, code="internal", detail="the server failed to answer; its log states why")


def _http_problem(error: web.HTTPException) -> web.StreamResponse:
    if error.status < 400:
        raise error
    headers = {
        name: error.headers[name] for name in ("Allow", "Retry-After", "WWW-Authenticate") if name in error.headers
    }
    code = STATUS_CODES.get(error.status, f"http-{error.status}")
    return problem(error.status, code=code, detail=error.reason, headers=headers)


def add_health(app: web.Application, *, ready: Ready | None = None) -> None:
    """Add ``/livez`` (the process answers) and ``/readyz`` (``ready`` returned; what it raises is the reason)."""
    quiet = QuietLog(log, lines=1, seconds=60.0)

    async def livez(_: web.Request) -> web.Response:
        return web.json_response({"status": "ok"}, headers={"Cache-Control": "no-store"})

    async def readyz(_: web.Request) -> web.Response:
        if ready is not None:
            try:
                await ready()
            except TwinlockError as error:
                # A probe's answer may go unread; the log does not.
                quiet.line("not-ready", reason=str(error))
                return problem_of(error, status=HTTPStatus.SERVICE_UNAVAILABLE)
        return web.json_response({"status": "ok"}, headers={"Cache-Control": "no-store"})

    app.router.add_get("/livez", livez)
    app.router.add_get("/readyz", readyz)


@dataclass(frozen=True, slots=True)
class RunningServer:
    """A server that accepts connections. ``port`` is the real one, also when 0 was asked for."""

    host: str
    port: int
    tls: bool = False

    @property
    def url(self) -> str:
        """The base URL, without a slash at the end."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.tls else 'http'}://{host}:{self.port}"


@asynccontextmanager
async def serving(
    app: web.Application,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    tls: ssl.SSLContext | None = None,
    shutdown_s: float = 5.0,
    bounds: Bounds = DEFAULT_BOUNDS,
) -> AsyncIterator[RunningServer]:
    """Serve ``app`` until the block ends; then finish running requests for at most ``shutdown_s`` seconds.

    Raises: UsageError if the address cannot be bound.
    """
    try:
        sockets = bind_tcp(host, port)
    except OSError as error:
        raise UsageError(reason=f"cannot listen on {host}:{port}: {network_reason(error, f'{host}:{port}')}") from None
    server = await HttpServer.start(app, sockets, tls=tls, bounds=bounds, shutdown_s=shutdown_s)
    try:
        yield RunningServer(host, server.addresses[0][1], tls is not None)
    finally:
        await server.cleanup()


async def serve_until_stopped(
    app: web.Application,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    tls: ssl.SSLContext | None = None,
    started: Callable[[RunningServer], None] = lambda _: None,
    stop: asyncio.Event | None = None,
    bounds: Bounds = DEFAULT_BOUNDS,
) -> None:
    """Serve ``app`` until SIGINT, SIGTERM or ``stop``; ``started`` receives the real address. Raises: UsageError."""
    allow_descriptors(2 * bounds.connections + 256)
    stop = stop or asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        with suppress(NotImplementedError, RuntimeError, ValueError):  # no signal handlers off the main thread
            loop.add_signal_handler(number, stop.set)
    async with serving(app, host=host, port=port, tls=tls, bounds=bounds) as server:
        started(server)
        await stop.wait()
