"""What the APIs of the Director do with every request: bounds on it, threads to work on, and one line in the log.

The database, signing and fetching block, so they run on threads; the event loop only moves bytes.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from aiohttp import web
from aiohttp.typedefs import Middleware

from twinlock.director.director import Director
from twinlock.director.errors.vehicles import DailyLimitError, RetiredVehicleError, UnknownVehicleError
from twinlock.io.http import bodies
from twinlock.io.http.request_log import note, request_lines
from twinlock.repository.serving.http import Handler, add_health, problem_of, problems
from twinlock.repository.serving.probe import Probe

__all__ = ["BODY_S", "DIRECTOR", "IMMUTABLE", "MAX_WAITING", "application", "note", "read_body", "run"]

log = logging.getLogger("twinlock.director.api.requests")

T = TypeVar("T")

IMMUTABLE = "private, max-age=31536000, immutable"
BODY_S = bodies.BODY_S
MAX_WAITING = 256  # requests for the threads; beyond that a vehicle has to try again later
_RETRY_AFTER_S = 3_600  # of a vehicle that sent more in a day than it has reason to
_THREADS = 8

DIRECTOR = web.AppKey("director", Director)
_WORKERS = web.AppKey("workers", ThreadPoolExecutor)
_WAITING = web.AppKey("waiting", set)


def application(director: Director, own: Middleware) -> web.Application:
    """An application without routes but health, for ``director``; ``own`` turns errors of its own into problems."""
    app = web.Application(middlewares=[request_lines(log), problems, own, _of_one_vehicle], client_max_size=0)
    app[DIRECTOR] = director
    app[_WAITING] = set()

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
        raise web.HTTPServiceUnavailable(headers={"Retry-After": "5"}, text="too many requests are waiting")
    future = asyncio.get_running_loop().run_in_executor(request.app[_WORKERS], work)
    waiting.add(future)
    future.add_done_callback(waiting.discard)
    return await asyncio.shield(future)


async def read_body(request: web.Request, what: str, limit: int) -> bytes:
    """The body of a request. Raises: see ``twinlock.io.http.bodies.read_body``."""
    return await bodies.read_body(request, what, limit, seconds=BODY_S)


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
