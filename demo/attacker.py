"""The attacker on the line: a proxy that every byte between the vehicle and the two repositories passes through.

    proxy.alter("image", "targets/*", flip_a_bit)     # change what passes by
    proxy.answer("director", "metadata/timestamp.json", forged)
    proxy.honest()                                    # stop meddling

Belongs here: what somebody who holds the network can do, which is everything but signing. Does not belong here: stolen
keys (``forge.py``), and what an attack is for (``acts``).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

import aiohttp
from aiohttp import web

NOTHING = b""
_CHUNK = bytes(range(256)) * 256
_MANIFEST = "manifest"
_PASSED_ON = ("Content-Type", "ETag", "Content-Range", "Accept-Ranges")


@dataclass(frozen=True, slots=True)
class Passing:
    """One request on its way from the vehicle: to which repository, for what, and how to get the honest answer."""

    repository: str
    path: str
    request: web.Request
    honest: Callable[[], Awaitable[web.Response]]


Trick = Callable[[Passing], Awaitable[web.StreamResponse]]


@dataclass(slots=True)
class HostileProxy:
    """The proxy. ``upstreams`` are the base URLs of the repositories, as this vehicle uses them.

    ``seen`` holds every distinct metadata file that has passed by, oldest first, and ``manifests`` every manifest:
    an attacker on the line records before he replays.
    """

    upstreams: Mapping[str, str]
    seen: dict[tuple[str, str], list[bytes]] = field(default_factory=dict)
    manifests: list[bytes] = field(default_factory=list)
    url: str = ""
    _tricks: list[tuple[str, str, Trick]] = field(default_factory=list)
    _client: aiohttp.ClientSession | None = None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[HostileProxy]:
        """Listen on loopback; ``url`` is then where the vehicle thinks both repositories are."""
        application = web.Application(client_max_size=64_000_000)
        application.router.add_route("*", "/{repository}/{path:.*}", self._handle)
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.5)
        await runner.setup()
        try:
            async with aiohttp.ClientSession(auto_decompress=False) as self._client:
                await web.TCPSite(runner, "127.0.0.1", 0).start()
                self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
                yield self
        finally:
            await runner.cleanup()

    def base(self, repository: str) -> str:
        """The URL that the vehicle is given for ``repository``."""
        return f"{self.url}/{repository}"

    # What an attacker can do

    def honest(self) -> None:
        """Pass everything on unchanged."""
        self._tricks.clear()

    def alter(self, repository: str, pattern: str, change: Callable[[bytes], bytes]) -> None:
        """Change the body of what matches, as it passes by."""

        async def trick(passing: Passing) -> web.StreamResponse:
            response = await passing.honest()
            if response.status != 200:
                return response
            body = response.body
            return web.Response(body=change(body if isinstance(body, bytes) else NOTHING))

        self._play(repository, pattern, trick)

    def answer(self, repository: str, path: str, data: bytes) -> None:
        """Answer with ``data`` and do not even ask the repository."""

        async def trick(_: Passing) -> web.StreamResponse:
            return web.Response(body=data)

        self._play(repository, path, trick)

    def answer_all(self, repository: str, files: Mapping[str, bytes]) -> None:
        """``answer`` for each of ``files``, by path."""
        for path, data in files.items():
            self.answer(repository, path, data)

    def hide(self, repository: str, pattern: str) -> None:
        """Say of what matches that it does not exist."""

        async def trick(_: Passing) -> web.StreamResponse:
            return web.Response(status=404)

        self._play(repository, pattern, trick)

    def fail(self, repository: str, pattern: str) -> None:
        """Answer what matches as a server in trouble does, and pass nothing on."""

        async def trick(_: Passing) -> web.StreamResponse:
            return web.Response(status=503)

        self._play(repository, pattern, trick)

    def flood(self, repository: str, pattern: str) -> None:
        """Answer with data that never ends."""

        async def trick(passing: Passing) -> web.StreamResponse:
            return await _stream(passing.request, _CHUNK, pause_s=0.0)

        self._play(repository, pattern, trick)

    def trickle(self, repository: str, pattern: str, *, pause_s: float = 0.05) -> None:
        """Answer with one byte after each pause, for ever."""

        async def trick(passing: Passing) -> web.StreamResponse:
            return await _stream(passing.request, b"{", pause_s=pause_s)

        self._play(repository, pattern, trick)

    def divert(self, repository: str, pattern: str, upstream: str) -> None:
        """Fetch what matches from another base URL instead."""

        async def trick(passing: Passing) -> web.StreamResponse:
            return await self._forward(passing.request, f"{upstream}/{passing.path}")

        self._play(repository, pattern, trick)

    async def fetch(self, repository: str, path: str) -> bytes | None:
        """Ask the repository as anybody can: its files are public. None if there is no such file."""
        assert self._client is not None
        async with self._client.get(f"{self.upstreams[repository]}/{path}") as reply:
            return await reply.read() if reply.status == 200 else None

    async def send_manifest(self, data: bytes, vehicle: str) -> tuple[int, bytes]:
        """Hand a manifest to the Director at the address of ``vehicle``; the status and body of the answer."""
        assert self._client is not None
        url = f"{self.upstreams['director'].rpartition('/')[0]}/{vehicle}/{_MANIFEST}"
        async with self._client.put(url, data=data) as reply:
            return reply.status, await reply.read()

    def seen_files(self, repository: str, role: str) -> list[bytes]:
        """The files of ``role`` that have passed by, by version: the last one is what the vehicle has."""
        found: dict[int, bytes] = {}
        for (where, path), files in self.seen.items():
            number, _, rest = path.removeprefix("metadata/").partition(".")
            if where == repository and rest == f"{role}.json" and number.isdecimal():
                found[int(number)] = files[-1]
        return [found[number] for number in sorted(found)]

    def _play(self, repository: str, pattern: str, trick: Trick) -> None:
        self._tricks.insert(0, (repository, pattern, trick))

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        repository, path = request.match_info["repository"], request.match_info["path"]
        if path == _MANIFEST:
            self.manifests.append(await request.read())

        async def honest() -> web.Response:
            response = await self._forward(request, f"{self.upstreams[repository]}/{path}")
            if path.startswith("metadata/") and response.status == 200 and isinstance(response.body, bytes):
                self._record(repository, path, response.body)
            return response

        for where, pattern, trick in self._tricks:
            if where == repository and fnmatchcase(path, pattern):
                return await trick(Passing(repository, path, request, honest))
        return await honest()

    async def _forward(self, request: web.Request, url: str) -> web.Response:
        assert self._client is not None
        headers = {name: request.headers[name] for name in ("Content-Type", "Range") if name in request.headers}
        body = await request.read() if request.body_exists else None
        async with self._client.request(request.method, url, data=body, headers=headers) as reply:
            kept = {name: reply.headers[name] for name in _PASSED_ON if name in reply.headers}
            return web.Response(status=reply.status, body=await reply.read(), headers=kept)

    def _record(self, repository: str, path: str, data: bytes) -> None:
        files = self.seen.setdefault((repository, path), [])
        if data not in files:
            files.append(data)


async def _stream(request: web.Request, piece: bytes, *, pause_s: float) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    try:
        while True:
            await response.write(piece)
            await asyncio.sleep(pause_s)
    except (ConnectionError, asyncio.CancelledError):
        return response  # the vehicle hung up
