"""The device API of the Director: what vehicles talk to, and nothing that an operator may do.

    PUT  /vehicles/<id>/manifest          a signed vehicle version manifest       204
    GET  /vehicles/<id>/metadata/<name>   metadata of this vehicle                200
    POST /vehicles/<id>/enrolment         a description, with a one-time token    201, or 200 if it was known
    POST /time                            {"nonce": hex}                          a signed time attestation
    GET  /livez /readyz

    async with serving(director_application(director), port=8081) as server: ...

Belongs here: routes, bounds and logging. Does not belong here: any decision. The database, signing and fetching block, so
they run on threads; the event loop only moves bytes.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
import uuid
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from typing import TypeVar

from aiohttp import web

from twinlock.director.director import Director
from twinlock.director.errors import EnrolmentTokenError, UnknownVehicleError
from twinlock.repository.http import Handler, add_health, problem, problem_of, problems
from twinlock.trust.attestation import MAX_NONCES
from twinlock.trust.errors.images import EndlessDataError
from twinlock.trust.limits import DEFAULT_LIMITS
from twinlock.trust.wire.node import Node
from twinlock.trust.wire.strict import parse_json

log = logging.getLogger("twinlock.director.requests")

T = TypeVar("T")

IMMUTABLE = "private, max-age=31536000, immutable"
BODY_S = 30.0  # a manifest is some kilobytes; a body that takes longer holds a connection on purpose
MAX_WAITING = 256  # requests for the threads; beyond that a vehicle is told to come back
_THREADS = 8
_MAX_TIME_BYTES = 65_536
_MAX_NONCE_BYTES = 64

_DIRECTOR = web.AppKey("director", Director)
_WORKERS = web.AppKey("workers", ThreadPoolExecutor)
_WAITING = web.AppKey("waiting", set)
# What the line that is logged for the request in hand will say beside the usual.
_FACTS: ContextVar[dict[str, object]] = ContextVar("facts")


def director_application(director: Director, *, prefix: str = "") -> web.Application:
    """The device API for ``director``, below the path ``prefix`` (such as ``/director``) if one is given."""
    app = web.Application(middlewares=[_logged, problems, _director_problems], client_max_size=0)
    app[_DIRECTOR] = director
    app[_WAITING] = set()
    app.router.add_put(f"{prefix}/vehicles/{{vehicle}}/manifest", _manifest)
    app.router.add_get(f"{prefix}/vehicles/{{vehicle}}/metadata/{{name}}", _metadata)
    app.router.add_post(f"{prefix}/vehicles/{{vehicle}}/enrolment", _enrolment)
    app.router.add_post(f"{prefix}/time", _time)

    async def ready() -> None:
        await asyncio.wrap_future(app[_WORKERS].submit(director.check))

    add_health(app, ready=ready)
    app.cleanup_ctx.append(_workers)
    return app


async def _workers(app: web.Application) -> AsyncIterator[None]:
    with ThreadPoolExecutor(_THREADS, thread_name_prefix="director") as pool:
        app[_WORKERS] = pool
        yield


async def _run(request: web.Request, work: Callable[[], T]) -> T:
    """Do blocking work on a thread. It goes on if the client leaves: a manifest is taken in wholly or not at all."""
    waiting: set[asyncio.Future[T]] = request.app[_WAITING]
    if len(waiting) >= MAX_WAITING:
        raise web.HTTPServiceUnavailable(headers={"Retry-After": "5"}, text="too many requests are waiting")
    future = asyncio.get_running_loop().run_in_executor(request.app[_WORKERS], work)
    waiting.add(future)
    future.add_done_callback(waiting.discard)
    return await asyncio.shield(future)


async def _manifest(request: web.Request) -> web.Response:
    director, vehicle = request.app[_DIRECTOR], request.match_info["vehicle"]
    data = await _body(request, "manifest", DEFAULT_LIMITS.report_bytes)
    accepted = await _run(request, lambda: director.receive_manifest(data, vehicle=vehicle))
    _note(manifest=accepted.manifest, events=[event.kind for event in accepted.events])
    return web.Response(status=204)


async def _metadata(request: web.Request) -> web.Response:
    director, vehicle, name = request.app[_DIRECTOR], request.match_info["vehicle"], request.match_info["name"]
    served = await _run(request, lambda: director.serve(vehicle, name))
    if served is None:
        return problem(404, code="not-found", detail="there is no such file")
    _note(correlation_id=served.correlation_id)
    caching = IMMUTABLE if name[:1].isdigit() else "no-store"
    headers = {"Cache-Control": caching, "X-Content-Type-Options": "nosniff"}
    return web.Response(body=served.data, content_type="application/json", headers=headers)


async def _enrolment(request: web.Request) -> web.Response:
    director, vehicle = request.app[_DIRECTOR], request.match_info["vehicle"]
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    data = await _body(request, "vehicle description", DEFAULT_LIMITS.report_bytes)
    if scheme.lower() != "bearer" or not token.strip():
        raise EnrolmentTokenError(vehicle=vehicle)
    new = await _run(request, lambda: director.enrol(vehicle, token.strip(), data))
    return web.json_response({"vehicle": vehicle, "registered": True}, status=201 if new else 200)


async def _time(request: web.Request) -> web.Response:
    director = request.app[_DIRECTOR]
    data = await _body(request, "time request", _MAX_TIME_BYTES)
    node = Node(parse_json(data or b"{}", "time request"), "time request", "$")
    found = [node.get("nonce")] if node.has("nonce") else []
    if node.has("nonces"):
        found += node.get("nonces").items(MAX_NONCES)
    nonces = []
    for item in found:
        if len(item.hex()) > _MAX_NONCE_BYTES:
            item.fail(f"a nonce has at most {_MAX_NONCE_BYTES} bytes")
        nonces.append(item.text())
    attestation = await _run(request, lambda: director.attest_time(nonces))
    return web.Response(body=attestation, content_type="application/json", headers={"Cache-Control": "no-store"})


async def _body(request: web.Request, what: str, limit: int) -> bytes:
    """The body of a request. Raises: EndlessDataError above ``limit`` bytes, as soon as that is known."""
    if (request.content_length or 0) > limit:
        raise EndlessDataError(what=what, limit_bytes=limit)
    chunks, received = [], 0
    try:
        async with asyncio.timeout(BODY_S):
            async for chunk in request.content.iter_any():
                received += len(chunk)
                if received > limit:
                    raise EndlessDataError(what=what, limit_bytes=limit)
                chunks.append(chunk)
    except TimeoutError:
        raise web.HTTPRequestTimeout(text=f"the {what} did not arrive within {BODY_S:.0f} s") from None
    return b"".join(chunks)


@web.middleware
async def _director_problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """The statuses that only a Director's errors have."""
    try:
        return await handler(request)
    except UnknownVehicleError as error:
        return problem_of(error, status=404)
    except EnrolmentTokenError as error:
        response = problem_of(error, status=401)
        response.headers["WWW-Authenticate"] = "Bearer"
        return response


@web.middleware
async def _logged(request: web.Request, handler: Handler) -> web.StreamResponse:
    """One structured line for each request: who, what, how it ended. No body, header or token is ever in it."""
    started = time.monotonic()
    request_id = uuid.uuid4().hex
    _FACTS.set({"request_id": request_id})
    response = await handler(request)  # the next middleware turns every failure into a response
    response.headers["X-Request-Id"] = request_id
    resource = request.match_info.route.resource
    line = {
        "event": "request",
        "method": request.method,
        "route": None if resource is None else resource.canonical,
        "name": request.match_info.get("name"),
        "vehicle": request.match_info.get("vehicle"),
        "status": response.status,
        "code": _problem_code(response),
        "ms": round((time.monotonic() - started) * 1000),
        **_FACTS.get(),
    }
    log.info("%s", json.dumps({name: value for name, value in line.items() if value is not None}))
    return response


def _problem_code(response: web.StreamResponse) -> str | None:
    if not isinstance(response, web.Response) or response.content_type != "application/problem+json":
        return None
    body = response.body
    return str(json.loads(body)["code"]) if isinstance(body, bytes) else None


def _note(**facts: object) -> None:
    _FACTS.get().update(facts)
