"""What the APIs of the Director do with every request: bounds on it, threads to work on, and one line in the log.

Belongs here: manners that do not depend on the route. Does not belong here: routes (``serve.py``, ``aktualizr.py``). The
database, signing and fetching block, so they run on threads; the event loop only moves bytes.
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
from aiohttp.typedefs import Middleware

from twinlock.director.director import Director
from twinlock.director.errors import UnknownVehicleError
from twinlock.repository.http import Handler, add_health, problem_of, problems
from twinlock.trust.errors.images import EndlessDataError

log = logging.getLogger("twinlock.director.requests")

T = TypeVar("T")

IMMUTABLE = "private, max-age=31536000, immutable"
BODY_S = 30.0  # a manifest is some kilobytes; a body that takes longer holds a connection on purpose
MAX_WAITING = 256  # requests for the threads; beyond that a vehicle is told to come back
_THREADS = 8

DIRECTOR = web.AppKey("director", Director)
_WORKERS = web.AppKey("workers", ThreadPoolExecutor)
_WAITING = web.AppKey("waiting", set)
# What the line that is logged for the request in hand will say beside the usual.
_FACTS: ContextVar[dict[str, object]] = ContextVar("facts")


def application(director: Director, own: Middleware) -> web.Application:
    """An application without routes but health, for ``director``; ``own`` turns errors of its own into problems."""
    app = web.Application(middlewares=[_logged, problems, own, _unknown_vehicles], client_max_size=0)
    app[DIRECTOR] = director
    app[_WAITING] = set()

    async def ready() -> None:
        await asyncio.wrap_future(app[_WORKERS].submit(director.check))

    add_health(app, ready=ready)
    app.cleanup_ctx.append(_workers)
    return app


async def run(request: web.Request, work: Callable[[], T]) -> T:
    """Do blocking work on a thread. It goes on if the client leaves: a manifest is taken in wholly or not at all."""
    waiting: set[asyncio.Future[T]] = request.app[_WAITING]
    if len(waiting) >= MAX_WAITING:
        raise web.HTTPServiceUnavailable(headers={"Retry-After": "5"}, text="too many requests are waiting")
    future = asyncio.get_running_loop().run_in_executor(request.app[_WORKERS], work)
    waiting.add(future)
    future.add_done_callback(waiting.discard)
    return await asyncio.shield(future)


async def read_body(request: web.Request, what: str, limit: int) -> bytes:
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


def note(**facts: object) -> None:
    """Have the log line of the request in hand say so, too."""
    _FACTS.get().update(facts)


async def _workers(app: web.Application) -> AsyncIterator[None]:
    with ThreadPoolExecutor(_THREADS, thread_name_prefix="director") as pool:
        app[_WORKERS] = pool
        yield


@web.middleware
async def _unknown_vehicles(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except UnknownVehicleError as error:
        return problem_of(error, status=404)


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
