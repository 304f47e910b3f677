"""Serving an Image repository over HTTP: read-only, the same for everybody, made for caches.

    GET /metadata/<name>    timestamp.json is revalidated every time; N.root.json and its like never change
    GET /targets/<path>     images, under names that contain their digests; ranges for interrupted downloads
    GET /livez /readyz

    async with serving(image_application(repository.store), port=8080) as server: ...

The application reads the store and writes nothing.
"""

from __future__ import annotations

import asyncio
import io
import logging
import re
from collections.abc import Callable
from functools import partial
from typing import BinaryIO

from aiohttp import web

from twinlock.io.http.request_log import request_lines
from twinlock.repository.serving.http import add_health, problem, problems
from twinlock.repository.serving.probe import Probe
from twinlock.repository.serving.ranges import Slice, is_unchanged, wanted_slice
from twinlock.repository.serving.readiness import check_served, refuse_unready
from twinlock.repository.store.interface import ObjectInfo, ObjectSource, ObjectStore
from twinlock.repository.store.object_names import METADATA, TARGETS_FILES, TIMESTAMP_OBJECT, served_name
from twinlock.repository.workspace.validity import Clock, utc_now
from twinlock.trust.errors.metadata import UnsafePathError

IMMUTABLE = "public, max-age=31536000, immutable"
REVALIDATE = "no-cache"

_CHUNK_BYTES = 1 << 17
_SMALL_BYTES = 1 << 17
_VERSIONED = re.compile(r"metadata/[1-9][0-9]*\..+\.json\Z")
_HASH_NAMED = re.compile(r"([0-9a-f]{64}|[0-9a-f]{96}|[0-9a-f]{128})\.")

log = logging.getLogger("twinlock.repository.requests")

_STORE = web.AppKey("store", ObjectStore)


def image_application(
    store: ObjectStore, *, prefix: str = "", ready: Callable[[], None] | None = None, clock: Clock = utc_now
) -> web.Application:
    """The application that serves ``store``, below the path ``prefix`` (such as ``/image``) if one is given.

    ``ready`` is a further condition of readiness, run on a thread; it raises what is wrong. A verdict is held for a moment, since
    anyone may ask for it.
    """
    app = web.Application(middlewares=[request_lines(log), problems])
    app[_STORE] = store
    app.router.add_get(f"{prefix}/{METADATA}{{name:.+}}", _metadata)
    app.router.add_get(f"{prefix}/{TARGETS_FILES}{{name:.+}}", _target)

    def check() -> None:
        refuse_unready(lambda: check_served(store, clock()), ready or (lambda: None))

    probe = Probe(check)

    async def close(_app: web.Application) -> None:
        probe.close()

    add_health(app, ready=probe.answer)
    app.on_cleanup.append(close)
    return app


async def _metadata(request: web.Request) -> web.StreamResponse:
    # Files have the names that URLs decode to. Some clients encode a role's name twice, and a store that an earlier version
    # wrote may still have encoded names.
    raw = request.rel_url.raw_path.split(f"/{METADATA}", 1)[-1]
    once = request.match_info["name"]
    names = dict.fromkeys(METADATA + name for name in (served_name(raw), raw, once, served_name(once)))
    return await _serve(request, tuple(names), "application/json")


async def _target(request: web.Request) -> web.StreamResponse:
    name = TARGETS_FILES + request.match_info["name"]
    return await _serve(request, (name,), "application/octet-stream")


async def _serve(request: web.Request, names: tuple[str, ...], content_type: str) -> web.StreamResponse:
    opened = await asyncio.to_thread(_open_first, request.app[_STORE], names)
    if opened is None:
        return problem(404, code="not-found", detail="there is no such file")
    info, stream = opened
    try:
        return await send_object(
            request, stream, info, content_type=content_type, cache_control=_cache_control(info.name)
        )
    finally:
        stream.close()


def _open_first(store: ObjectStore, names: tuple[str, ...]) -> tuple[ObjectInfo, BinaryIO] | None:
    return next((opened for name in names if (opened := open_object(store, name))), None)


def open_object(store: ObjectSource, name: str) -> tuple[ObjectInfo, BinaryIO] | None:
    """What an object is and its bytes, taken at one moment: a small one, which may be replaced meanwhile, is read whole."""
    try:
        info = store.stat(name)
        if info is None:
            return None
        if info.size <= _SMALL_BYTES:
            stored = store.get(name, max_bytes=_SMALL_BYTES)
            return (ObjectInfo(name, len(stored.data), stored.etag), io.BytesIO(stored.data)) if stored else None
        stream = store.open(name)
    except UnsafePathError:
        return None
    return (info, stream) if stream else None


async def send_object(
    request: web.Request, stream: BinaryIO, info: ObjectInfo, *, content_type: str, cache_control: str
) -> web.StreamResponse:
    """Answer with an object, whole or the range that is asked for, or that it is unchanged."""
    etag = _etag(info)
    headers = {
        "ETag": f'"{etag}"',
        "Cache-Control": cache_control,
        "Accept-Ranges": "bytes",
        "X-Content-Type-Options": "nosniff",
    }
    if is_unchanged(request.headers, etag):
        return web.Response(status=304, headers=headers)
    part = wanted_slice(request.headers, etag, info.size)
    if part is None:
        headers = {"Content-Range": f"bytes */{info.size}"}
        return problem(416, code="range-not-satisfiable", detail=f"the file has {info.size} bytes", headers=headers)
    response = web.StreamResponse(status=206 if part.partial else 200, headers=headers)
    response.content_type = content_type
    response.content_length = part.length
    if part.partial:
        response.headers["Content-Range"] = f"bytes {part.start}-{part.stop - 1}/{info.size}"
    await response.prepare(request)
    if request.method != "HEAD":
        await _copy(response, stream, part)
    return response


async def _copy(response: web.StreamResponse, stream: BinaryIO, part: Slice) -> None:
    left = part.length
    read: Callable[[int], bytes] = partial(_read_from, stream, part.start)
    while left:
        chunk = await asyncio.to_thread(read, min(left, _CHUNK_BYTES))
        read = stream.read
        if not chunk:  # shorter than it was a moment ago; the client sees that the length is not reached
            raise ConnectionResetError("the file ended early")
        left -= len(chunk)
        await response.write(chunk)
    await response.write_eof()


def _read_from(stream: BinaryIO, start: int, size: int) -> bytes:
    stream.seek(start)
    return stream.read(size)


def _etag(info: ObjectInfo) -> str:
    """The digest in an image's name is the strongest etag there is, and equal on every replica."""
    match = _HASH_NAMED.match(info.name.rpartition("/")[2]) if info.name.startswith(TARGETS_FILES) else None
    return match.group(1) if match else info.etag


def _cache_control(name: str) -> str:
    if name != TIMESTAMP_OBJECT and (name.startswith(TARGETS_FILES) or _VERSIONED.match(name)):
        return IMMUTABLE
    return REVALIDATE
