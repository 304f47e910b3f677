"""The link over HTTP: the Secondary's side. Every answer is small, every request is bounded in size and time.

Few requests run at once, and none ends the server. A body takes its turn when it has arrived (``io/http/request_bodies.py``), so
that a sender that trickles keeps no other one waiting. One bundle is read at a time, and what it took is free before the next.

=======  ===================  ========================================  =====================================
method   path                 body                                      answer
=======  ===================  ========================================  =====================================
GET      /v1/identity         none                                      who this is
POST     /v1/time             signed time attestation                   ``{"time": ...}``
PUT      /v1/metadata         ``{"director": {NAME: TEXT}, ...}``       ``{"wants": null | {path, length, hashes}}``
PUT      /v1/image/PATH       the image                                 ``{"installed": {...}}``
POST     /v1/report           none                                      signed ECU version report
=======  ===================  ========================================  =====================================

A refusal is a problem (RFC 9457) with the fields of the error: 422 refused, 409 out of turn, 503 too many at once, 507 storage,
400 otherwise.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from io import BytesIO
from urllib.parse import urlsplit

from aiohttp import web

from twinlock.client.model.cancellation import log_hidden_failure
from twinlock.client.model.errors import ListenError, NeverServedError, SecondaryBusyError
from twinlock.client.model.results import image_as_json
from twinlock.client.net.slow_retrieval import SpeedWatch
from twinlock.client.net.transport import CHUNK_BYTES
from twinlock.client.secondary.secondary import Secondary
from twinlock.client.storage.bundle import bounded_bundle
from twinlock.io.http.bounds import Bounds
from twinlock.io.http.network_faults import network_reason, place_of
from twinlock.io.http.request_bodies import RequestBodies
from twinlock.io.http.server import HttpServer, address_of, bind_tcp, bind_unix
from twinlock.trust.errors.base import RefusalError, TwinlockError, UsageError
from twinlock.trust.errors.images import EndlessDataError
from twinlock.trust.errors.local import SlowRetrievalError, StorageError
from twinlock.trust.text.printable import printable
from twinlock.trust.text.times import format_time

_LOG = logging.getLogger(__name__)
_SECONDARY = web.AppKey("secondary", Secondary)
_TURNS = web.AppKey("turns", dict[str, asyncio.Semaphore])
_BODIES_OF = web.AppKey("bodies", dict[str, RequestBodies])
_BOUNDS = Bounds(connections=64, connections_per_address=32)  # one Primary asks; each connection costs buffers
_FLOOR_BYTES_PER_S = 1_000
_WINDOW_S = 30.0
_BODY_S = 300.0  # for a bundle or an attestation, all of it
_IMAGE_S = 14_400.0  # for an image, all of it
_PATIENCE_S = 10.0  # for which a request waits for its turn
_AT_ONCE = {"metadata": 1, "other": 4}
"""Requests that are worked on at once. The images of an ECU wait for each other where they are installed."""
_BODIES = 8
"""Bundles and attestations on their way at once. Together their bytes are at most those of two of the longest bundles; the
files of the one that is read take as much again as one."""
_IMAGES = 3
"""Images on their way at once, each into a file of its own."""
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def secondary_application(secondary: Secondary) -> web.Application:
    """The link of ``secondary`` as an application. It does not close ``secondary`` when it ends."""
    application = web.Application(middlewares=[_problems])
    application[_SECONDARY] = secondary
    application[_TURNS] = {name: asyncio.Semaphore(count) for name, count in _AT_ONCE.items()}
    application.on_startup.append(_make_places)
    application.add_routes(
        [
            web.get("/v1/identity", _identity),
            web.post("/v1/time", _time),
            web.put("/v1/metadata", _metadata),
            web.put("/v1/image/{path:.+}", _image),
            web.post("/v1/report", _report),
        ]
    )
    return application


async def _make_places(application: web.Application) -> None:
    secondary = application[_SECONDARY]

    def busy(ended: BaseException | None) -> SecondaryBusyError:
        if ended is not None:
            log_hidden_failure(ended, "a request that yielded its place")
        return SecondaryBusyError(ecu=secondary.config.ecu.ecu)

    application[_BODIES_OF] = {
        "body": RequestBodies(_BODIES, 2 * secondary.bundle_bytes, busy=busy),
        "image": RequestBodies(_IMAGES, busy=busy),
    }


async def start_secondary(secondary: Secondary) -> tuple[HttpServer, str]:
    """Listen at the configured address; returns the server (``cleanup`` it) and the address that was bound.

    Raises: ListenError if the address cannot be bound.
    """
    listen = secondary.config.listen
    try:
        if listen.startswith("unix:"):
            sockets = bind_unix(listen.removeprefix("unix:"))
        else:
            parts = urlsplit(listen)
            sockets = bind_tcp(parts.hostname or "", parts.port or 0)
    except (OSError, ValueError) as error:
        place = listen.removeprefix("unix:") if listen.startswith("unix:") else place_of(listen)
        raise ListenError(address=listen, reason=network_reason(error, place)) from error
    server = await HttpServer.start(secondary_application(secondary), sockets, bounds=_BOUNDS)
    if listen.startswith("unix:"):
        return server, listen
    host, port = server.addresses[0][:2]
    return server, f"http://{host}:{port}"


async def _identity(request: web.Request) -> web.Response:
    async with _turn(request, "other") as secondary:
        return web.json_response(await secondary.in_turn(secondary.identity))


async def _time(request: web.Request) -> web.Response:
    max_bytes = request.app[_SECONDARY].config.limits.attestation_bytes
    async with _body(request, "time attestation", max_bytes, turn="other") as (attestation, secondary):
        accepted = await secondary.in_turn(secondary.accept_time, attestation)
        return web.json_response({"time": format_time(accepted)})


async def _metadata(request: web.Request) -> web.Response:
    receiver = request.app[_SECONDARY]
    what = bounded_bundle(receiver.config.verification)
    async with _body(request, what, receiver.bundle_bytes, turn="metadata") as (bundle, secondary):
        try:
            entry = await secondary.receive_metadata(bundle)
        finally:
            del bundle  # before the turn of the next one begins
    wants = None if entry is None else {"path": entry.path, "length": entry.length, "hashes": dict(entry.hashes)}
    return web.json_response({"wants": wants})


async def _image(request: web.Request) -> web.Response:
    bodies = request.app[_BODIES_OF]["image"]
    async with bodies.place(_sender(request)) as incoming:

        async def counted() -> AsyncIterator[bytes]:
            async for chunk in _chunks(request, _IMAGE_S):
                bodies.count(incoming, len(chunk))
                yield chunk
            incoming.complete = True

        installed = await request.app[_SECONDARY].accept_image(request.match_info["path"], counted())
    return web.json_response({"installed": image_as_json(installed)})


async def _report(request: web.Request) -> web.Response:
    async with _turn(request, "other") as secondary:
        return web.Response(body=await secondary.in_turn(secondary.report), content_type="application/json")


def _sender(request: web.Request) -> str:
    assert request.transport is not None
    return address_of(request.transport.get_extra_info("peername"))


@asynccontextmanager
async def _body(
    request: web.Request, what: str, max_bytes: int, *, turn: str
) -> AsyncIterator[tuple[bytes, Secondary]]:
    """The whole body and the Secondary, for work of the sort ``turn``.

    It counts against the memory that bodies may use until the work on it is done. Until its turn it may be ended for another body.
    """
    if request.content_length is not None and request.content_length > max_bytes:
        raise EndlessDataError(what=what, limit_bytes=max_bytes)
    bodies = request.app[_BODIES_OF]["body"]
    # Closed at the end: whatever refers to this frame still, such as the error that ended a body, would keep its bytes.
    with BytesIO() as body:
        async with bodies.place(_sender(request)) as incoming:
            async for chunk in _chunks(request, _BODY_S):
                body.write(chunk)
                if body.tell() > max_bytes:
                    raise EndlessDataError(what=what, limit_bytes=max_bytes)
                bodies.count(incoming, len(chunk))
            async with _turn(request, turn) as secondary:
                incoming.complete = True
                yield body.getvalue(), secondary


async def _chunks(request: web.Request, deadline_s: float) -> AsyncIterator[bytes]:
    """The body of a request, watched like any download, as Uptane 2.1.0 5.4 requires of every ECU."""
    watch = SpeedWatch(printable(request.path), floor_bytes_per_s=_FLOOR_BYTES_PER_S, window_s=_WINDOW_S)
    ends = asyncio.get_running_loop().time() + deadline_s
    while chunk := await watch.wait(request.content.read(CHUNK_BYTES)):
        watch.count(len(chunk))
        yield chunk
        if asyncio.get_running_loop().time() > ends:
            raise watch.too_late(deadline_s)


@asynccontextmanager
async def _turn(request: web.Request, sort: str) -> AsyncIterator[Secondary]:
    """The Secondary, for work of this ``sort``: few requests at once. Raises: SecondaryBusyError."""
    turn, secondary = request.app[_TURNS][sort], request.app[_SECONDARY]
    try:
        async with asyncio.timeout(_PATIENCE_S):
            await turn.acquire()
    except TimeoutError:
        raise SecondaryBusyError(ecu=secondary.config.ecu.ecu) from None
    try:
        yield secondary
    finally:
        turn.release()


@web.middleware
async def _problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except web.HTTPException as error:
        return _problem(error.status, {"code": "http", "detail": error.reason or "", "title": error.reason})
    except TwinlockError as error:
        # As text: a handler may keep the record, and the error itself refers to the body.
        _LOG.warning("%s %s: error[%s]: %s", printable(request.method), printable(request.path), error.code, str(error))
        described = error.as_json()
        detail = described.pop("message")
        return _problem(_status(error), {"title": error.code, "detail": detail, **described})
    except (asyncio.CancelledError, ConnectionError) as ended:
        log_hidden_failure(ended, f"{printable(request.method)} {printable(request.path)}")
        raise
    except Exception:  # noqa: BLE001 - one bad request must not end the server
        _LOG.exception("%s %s failed", printable(request.method), printable(request.path))
        return _problem(
            500, {"code": "internal", "title": "internal", "detail": "internal error; see the log of the Secondary"}
        )


def _status(error: TwinlockError) -> int:
    if isinstance(error, EndlessDataError):
        return 413
    statuses: tuple[tuple[type[TwinlockError], int], ...] = (
        (RefusalError, 422),
        (NeverServedError, 422),
        (UsageError, 409),
        (StorageError, 507),
        (SlowRetrievalError, 408),
        (SecondaryBusyError, 503),
    )
    return next((status for kind, status in statuses if isinstance(error, kind)), 400)


def _problem(status: int, members: dict[str, object]) -> web.Response:
    body = json.dumps({"type": f"urn:twinlock:problem:{members['code']}", "status": status, **members}, default=str)
    # The rest of an unread body would be parsed as the next request.
    return web.Response(
        status=status, text=body, content_type="application/problem+json", headers={"Connection": "close"}
    )
