"""Bodies of requests: bounded in size and time, and never decompressed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from aiohttp import web

from twinlock.trust.errors.images import EndlessDataError

BODY_S = 30.0  # a manifest is some kilobytes; a body that takes longer holds a connection on purpose


async def read_body(
    request: web.Request,
    what: str,
    limit: int,
    *,
    seconds: float = BODY_S,
    count: Callable[[int], None] = lambda _: None,
) -> bytes:
    """The body of a request. ``count`` gets the length of each piece that arrives and may raise.

    Raises: EndlessDataError above ``limit`` bytes, as soon as that is known; an HTTP 408 after ``seconds``, and an HTTP
    400 for a body that is not framed as HTTP requires.
    """
    if (request.content_length or 0) > limit:
        raise EndlessDataError(what=what, limit_bytes=limit)
    chunks, received = [], 0
    try:
        async with asyncio.timeout(seconds):
            async for chunk in request.content.iter_any():
                received += len(chunk)
                if received > limit:
                    raise EndlessDataError(what=what, limit_bytes=limit)
                count(len(chunk))
                chunks.append(chunk)
    except TimeoutError:
        raise web.HTTPRequestTimeout(reason=f"the {what} did not arrive within {seconds:.0f} s") from None
    except web.RequestPayloadError:
        raise web.HTTPBadRequest(reason=f"the {what} is not framed as HTTP requires") from None
    return b"".join(chunks)
