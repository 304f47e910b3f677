"""Serving the OSTree repository below ``/treehub``: read-only, regular files alone, 404 for every other name.

GET /treehub/config                    what a pull has to know; not the repository's own file
GET /treehub/objects/XX/YYYY.filez     named by its digest; never changes
GET /treehub/summary  refs/heads/...   revalidated every time
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from aiohttp import web

from twinlock.repository.serving.app import IMMUTABLE, REVALIDATE, open_object, send_object
from twinlock.repository.serving.http import problem
from twinlock.repository.store.directory import DirectoryReader
from twinlock.repository.store.interface import ObjectInfo
from twinlock.repository.store.treehub import CONFIG, is_fixed, is_offered
from twinlock.trust.errors.local import StorageError

PREFIX = "/treehub"


def add_treehub_routes(app: web.Application, find: Callable[[], Path | None]) -> None:
    """Serve the OSTree repository that ``find`` names, asked each time: it may be named while this runs."""

    async def treehub(request: web.Request) -> web.StreamResponse:
        repository = await asyncio.to_thread(find)
        if repository is None or not repository.is_dir():
            return problem(404, code="not-found", detail="there is no OSTree repository here")
        name = request.match_info["name"]
        if name == "config":
            return web.Response(body=CONFIG, content_type="text/plain", headers={"Cache-Control": REVALIDATE})
        return await _serve(request, repository, name)

    app.router.add_get(f"{PREFIX}/{{name:.+}}", treehub)


async def _serve(request: web.Request, repository: Path, name: str) -> web.StreamResponse:
    opened = await asyncio.to_thread(_open, repository, name) if is_offered(name) else None
    if opened is None:
        return problem(404, code="not-found", detail="there is no such file")
    info, stream = opened
    try:
        cache = IMMUTABLE if is_fixed(name) else REVALIDATE
        return await send_object(request, stream, info, content_type="application/octet-stream", cache_control=cache)
    finally:
        stream.close()


def _open(repository: Path, name: str) -> tuple[ObjectInfo, BinaryIO] | None:
    try:
        return open_object(DirectoryReader(repository), name)
    except StorageError:
        if (repository / name).is_symlink():  # whatever it leads to is not an object
            return None
        raise
