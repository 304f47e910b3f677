"""What the APIs of the Director do with every request: bounds on it, threads to work on, and one line in the log.

The database, signing and fetching block, so they run on threads; the event loop only moves bytes.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import TypeVar

from aiohttp import web
from aiohttp.typedefs import Middleware

from twinlock.director.director import Director
from twinlock.director.errors.vehicles import DailyLimitError, RetiredVehicleError, UnknownVehicleError
from twinlock.io.http import bodies
from twinlock.io.http.problems import RETRY_AFTER_S
from twinlock.io.http.request_bodies import RequestBodies
from twinlock.io.http.request_log import note, request_lines
from twinlock.io.http.server import address_of
from twinlock.repository.serving.http import Handler, add_health, problem_of, problems
from twinlock.repository.serving.probe import Probe

__all__ = ["BODY_S", "DIRECTOR", "IMMUTABLE", "MAX_WAITING", "application", "body_of", "note", "run"]

log = logging.getLogger("twinlock.director.api.requests")

T = TypeVar("T")

IMMUTABLE = "private, max-age=31536000, immutable"
BODY_S = bodies.BODY_S
MAX_WAITING = 256  # requests for the threads; beyond that a vehicle has to try again later
_RETRY_AFTER_S = 3_600  # of a vehicle that sent more in a day than it has reason to
_THREADS = 8
MAX_BODIES = 1_000  # on their way or waiting at once, as many as there are connections by default
MAX_BODY_BYTES = 67_108_864  # of all bodies together: a thousand usual manifests, or eighteen of the largest
LARGE_BYTES = 32_768  # a manifest of a few ECUs is smaller; a longer body takes a turn
LARGE_AT_ONCE = 2  # reading one takes the memory of several, and all threads share one interpreter lock
PATIENCE_S = 10.0  # for which a large body waits for its turn

DIRECTOR = web.AppKey("director", Director)
_WORKERS = web.AppKey("workers", ThreadPoolExecutor)
_WAITING = web.AppKey("waiting", set)
_BODIES = web.AppKey("bodies", RequestBodies)
_LARGE = web.AppKey("large", asyncio.Semaphore)


def application(director: Director, own: Middleware) -> web.Application:
    """An application without routes but health, for ``director``; ``own`` turns errors of its own into problems."""
    app = web.Application(middlewares=[request_lines(log), problems, own, _of_one_vehicle], client_max_size=0)
    app[DIRECTOR] = director
    app[_WAITING] = set()
    app[_BODIES] = RequestBodies(MAX_BODIES, MAX_BODY_BYTES, busy=lambda _: _busy("too many bodies are waiting"))
    app[_LARGE] = asyncio.Semaphore(LARGE_AT_ONCE)

    def judge() -> None:
        director.check_ready()

    probe = Probe(judge)

    async def stop(_: web.Application) -> None:
        probe.close()

    add_health(app, ready=probe.answer)
    app.on_cleanup.append(stop)
    app.cleanup_ctx.append(_workers)
    return app


async def run(request: web.Request, work: Callable[[], T]) -> T:
    """Do blocking work on a thread. It continues if the client disconnects: a manifest is accepted as a whole or not at all."""
    waiting: set[asyncio.Future[T]] = request.app[_WAITING]
    if len(waiting) >= MAX_WAITING:
        raise _busy("too many requests are waiting")
    future = asyncio.get_running_loop().run_in_executor(request.app[_WORKERS], work)
    waiting.add(future)
    future.add_done_callback(waiting.discard)
    return await asyncio.shield(future)


@asynccontextmanager
async def body_of(request: web.Request, what: str, limit: int) -> AsyncIterator[bytes]:
    """The body of a request, for the work on it; its sender is not known yet.

    All bodies are counted until the work on them ends, and few large ones are worked on at once. Where that is too much, the slowest
    body of the address that holds the most gives way. Raises: an HTTP 503, and as ``twinlock.io.http.bodies.read_body``.
    """
    held, turn = request.app[_BODIES], request.app[_LARGE]
    async with held.place(_sender(request)) as place:
        data = await bodies.read_body(request, what, limit, seconds=BODY_S, count=lambda size: held.count(place, size))
        if len(data) <= LARGE_BYTES:
            place.complete = True
            yield data
            return
        try:
            async with asyncio.timeout(PATIENCE_S):
                await turn.acquire()
        except TimeoutError:
            raise _busy("too many large bodies are waiting") from None
        try:
            place.complete = True
            yield data
        finally:
            turn.release()


def _busy(reason: str) -> web.HTTPServiceUnavailable:
    return web.HTTPServiceUnavailable(headers={"Retry-After": str(RETRY_AFTER_S)}, text=reason)


def _sender(request: web.Request) -> str:
    return address_of(None if request.transport is None else request.transport.get_extra_info("peername"))


async def _workers(app: web.Application) -> AsyncIterator[None]:
    with ThreadPoolExecutor(_THREADS, thread_name_prefix="director") as pool:
        app[_WORKERS] = pool
        yield


@web.middleware
async def _of_one_vehicle(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except UnknownVehicleError as error:
        # 404 would state that files which the vehicle has seen do not exist, and the vehicle would report an attack.
        return problem_of(error, status=410 if isinstance(error, RetiredVehicleError) else 404)
    except DailyLimitError as error:
        response = problem_of(error, status=429)
        response.headers["Retry-After"] = str(_RETRY_AFTER_S)
        return response
