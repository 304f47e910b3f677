"""Serving the ``aktualizr`` profile: the names that client asks for, below a prefix, and 404 for every other one.

    GET /repo/N.root.json                  never changes, except 1 once; the next one answers 404 until there is one
    GET /repo/timestamp.json snapshot.json targets.json delegations/NAME.json     revalidated every time
    GET /repo/targets/FILENAME             images, with ranges; also those that are listed no more

    async with serving(aktualizr_image_application(repository.store), port=8080) as server: ...

The application reads the store and writes nothing.
"""

from __future__ import annotations

import asyncio

from aiohttp import web

from twinlock.repository.aktualizr.published import is_published
from twinlock.repository.aktualizr.resolving import Resolver
from twinlock.repository.serving.app import IMMUTABLE, REVALIDATE, open_object, send_object
from twinlock.repository.serving.http import add_health, problem, problems
from twinlock.repository.store.interface import ObjectStore
from twinlock.repository.store.publication_log import timestamp_version
from twinlock.trust.errors.base import UsageError
from twinlock.trust.names import ROOT
from twinlock.trust.wire.aktualizr import form

PREFIX = "/repo"
_FIRST_ROOT = f"1.{ROOT}{form.SUFFIX}"  # another one after the chain was handed over


def aktualizr_image_application(store: ObjectStore, *, prefix: str = PREFIX) -> web.Application:
    """The application that serves the profile of ``store`` below the path ``prefix``, and nothing else."""
    app = web.Application(middlewares=[problems])
    add_aktualizr_routes(app, store, prefix=prefix)

    async def ready() -> None:
        version = await asyncio.to_thread(timestamp_version, store)
        if not version or not await asyncio.to_thread(is_published, store, version):
            raise UsageError(reason="nothing is published for aktualizr yet")

    add_health(app, ready=ready)
    return app


def add_aktualizr_routes(app: web.Application, store: ObjectStore, *, prefix: str = PREFIX) -> None:
    """Serve the profile of ``store`` in ``app`` too, below the path ``prefix``."""
    resolver = Resolver(store)

    async def image(request: web.Request) -> web.StreamResponse:
        answer = await problems(request, bytes_of_image)
        return answer if answer.status < 400 else _without_body(answer)

    async def bytes_of_image(request: web.Request) -> web.StreamResponse:
        # A name stands for the same bytes forever, so caches may keep an image.
        stored_name = await asyncio.to_thread(resolver.image, request.match_info["name"])
        return await _serve(
            request, store, stored_name, content_type="application/octet-stream", cache_control=IMMUTABLE
        )

    async def metadata(request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]
        stored_name = await asyncio.to_thread(resolver.metadata, name)
        fixed = name.endswith(f".{ROOT}{form.SUFFIX}") and name != _FIRST_ROOT
        cache = IMMUTABLE if fixed else REVALIDATE
        return await _serve(request, store, stored_name, content_type="application/json", cache_control=cache)

    app.router.add_get(f"{prefix}/targets/{{name:.+}}", image)
    app.router.add_get(f"{prefix}/{{name:.+}}", metadata)


def _without_body(answer: web.StreamResponse) -> web.Response:
    """A failure without a word: the client takes the body of any answer for the beginning of the image."""
    kept = {name: answer.headers[name] for name in ("Content-Range", "Cache-Control") if name in answer.headers}
    return web.Response(status=answer.status, headers=kept)


async def _serve(
    request: web.Request, store: ObjectStore, name: str | None, *, content_type: str, cache_control: str
) -> web.StreamResponse:
    opened = None if name is None else await asyncio.to_thread(open_object, store, name)
    if opened is None:
        return problem(404, code="not-found", detail="there is no such file")
    info, stream = opened
    try:
        return await send_object(request, stream, info, content_type=content_type, cache_control=cache_control)
    finally:
        stream.close()
