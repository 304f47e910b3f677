"""One structured line for each request: from where, what, and how it ended."""

from __future__ import annotations

import json
import logging
import time
import uuid
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any

from aiohttp import web

from twinlock.io.http.problems import problem_code

# What the line of the current request has in addition to the usual fields.
_FACTS: ContextVar[dict[str, object]] = ContextVar("facts")

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def note(**facts: object) -> None:
    """Add ``facts`` to the line of the current request. Does nothing outside a request."""
    line = _FACTS.get(None)
    if line is not None:
        line.update(facts)


def request_lines(logger: logging.Logger) -> Any:
    """A middleware that writes a line for each request to ``logger``. No body, header or token is ever in it.

    ``client`` is the address of the other end of the connection: behind a reverse proxy, the proxy's.
    """

    @web.middleware
    async def logged(request: web.Request, handler: _Handler) -> web.StreamResponse:
        started = time.monotonic()
        request_id = uuid.uuid4().hex
        _FACTS.set({"request_id": request_id})
        response = await handler(request)  # the next middleware turns every failure into a response
        if not response.prepared:
            response.headers["X-Request-Id"] = request_id
        resource = request.match_info.route.resource
        line = {
            "event": "request",
            "client": request.remote or "unix",
            "method": request.method,
            "route": None if resource is None else resource.canonical,
            "name": request.match_info.get("name"),
            "vehicle": request.match_info.get("vehicle"),
            "status": response.status,
            "code": problem_code(response),
            "ms": round((time.monotonic() - started) * 1000),
            **_FACTS.get(),
        }
        logger.info("%s", json.dumps({name: value for name, value in line.items() if value is not None}))
        return response

    return logged
