"""The simulated repositories behind a real socket, with a place to put lies, and a note of what was asked and reported."""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

from twinlock.testing.simulator.repository import RepositorySimulator
from twinlock.testing.simulator.wires import AKTUALIZR_WIRE
from twinlock.testing.simulator.world import VIN, World
from twinlock.trust.engine.commands import Fetch
from twinlock.trust.names import RepositoryName, RoleName
from twinlock.trust.wire.aktualizr import reports as aktualizr
from twinlock.trust.wire.tuf.attestation import sign_attestation
from twinlock.trust.wire.tuf.reports import UnverifiedManifest, decode_manifest

Lie = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Servers:
    """Both repositories and the time service of one ``world`` on one port.

    ``lies`` maps a path to a handler that answers in its stead. ``manifests`` holds what was handed in, in order;
    ``refuse_manifest`` is the code of the problem to answer with. ``asked`` lists (method, path) of every request.
    ``registered`` are the bodies by which the vehicle registered its ECUs with a Director of the aktualizr profile.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self.lies: dict[str, Lie] = {}
        self.manifests: list[UnverifiedManifest] = []
        self.refuse_manifest: str | None = None
        self.asked: list[tuple[str, str]] = []
        self.registered: list[bytes] = []
        self.blobs: dict[str, bytes] = {}
        self.base = ""

    @property
    def director_url(self) -> str:
        """This vehicle's URL at the Director."""
        return f"{self.base}/vehicles/{VIN}"

    @property
    def image_url(self) -> str:
        """The Image repository."""
        return f"{self.base}/image"

    @property
    def time_url(self) -> str:
        """The time service."""
        return f"{self.base}/time"

    def image_path(self, path: str, data: bytes) -> str:
        """The path of an image's first name at the Image repository."""
        folder, _, name = path.rpartition("/")
        return f"/image/targets/{folder}/{hashlib.sha256(data).hexdigest()}.{name}"

    def attacks(self) -> list[dict[str, str]]:
        """The attack indicator of each ECU in each manifest."""
        return [{report.report.ecu: report.report.attack for report in m.reports} for m in self.manifests]

    def evidence(self) -> dict[str, list[str]]:
        """The codes of the events that each ECU reported in the newest manifest, the most severe first."""
        reports = [item.report for item in self.manifests[-1].reports]
        return {report.ecu: [event.code for event in report.evidence] for report in reports}

    def application(self) -> web.Application:
        """The whole of it."""
        application = web.Application(middlewares=[self._lie], client_max_size=10**7)
        application.add_routes(
            [
                web.get("/image/targets/{path:.+}", self._image),
                web.get(
                    f"/vehicles/{VIN}/{_folder(self.world.director)}{{name:.+}}", self._metadata(self.world.director)
                ),
                web.get(f"/image/{_folder(self.world.image)}{{name:.+}}", self._metadata(self.world.image)),
                web.put(f"/vehicles/{VIN}/manifest", self._manifest),
                web.post(f"/vehicles/{VIN}/ecus", self._register),
                web.post("/time", self._time),
            ]
        )
        return application

    @web.middleware
    async def _lie(self, request: web.Request, handler: Any) -> web.StreamResponse:
        self.asked.append((request.method, request.path))
        lie = self.lies.get(request.path)
        if lie is not None:
            return await lie(request)
        answer: web.StreamResponse = await handler(request)
        return answer

    def _metadata(self, repository: Any) -> Any:
        async def answer(request: web.Request) -> web.Response:
            name = request.match_info["name"]
            fetch = Fetch(RepositoryName(repository.name), RoleName(name), None, name, 10**9)
            data = repository.serve(fetch)
            if not isinstance(data, bytes):
                raise web.HTTPNotFound
            return web.Response(body=data)

        return answer

    async def _image(self, request: web.Request) -> web.StreamResponse:
        if not self.blobs:
            self._fill()
        data = self.blobs.get(request.match_info["path"])
        if data is None:
            self._fill()
            data = self.blobs.get(request.match_info["path"])
        if data is None:
            raise web.HTTPNotFound
        start = request.http_range.start or 0
        if start:
            headers = {"Content-Range": f"bytes {start}-{len(data) - 1}/{len(data)}"}
            return web.Response(status=206, body=data[start:], headers=headers)
        return web.Response(body=data)

    def _fill(self) -> None:
        for release in range(1, self.world.releases + 1):
            for part in self.world.parts:
                self.add_blob(part.path(release), part.image(release))

    def add_blob(self, path: str, data: bytes) -> None:
        """Offer an image under the name of each digest, and in the aktualizr profile under its own."""
        if self.world.image.wire is AKTUALIZR_WIRE:
            self.blobs[path] = data
            return
        folder, _, name = path.rpartition("/")
        for digest in (hashlib.sha256(data).hexdigest(), hashlib.sha512(data).hexdigest()):
            self.blobs[f"{folder}/{digest}.{name}"] = data

    async def _manifest(self, request: web.Request) -> web.Response:
        foreign = self.world.director.wire is AKTUALIZR_WIRE
        manifest = (aktualizr.decode_manifest if foreign else decode_manifest)(await request.read())
        if self.refuse_manifest is not None:
            problem = {"code": self.refuse_manifest, "detail": "as the test configured", "status": 422}
            return web.Response(status=422, text=json.dumps(problem), content_type="application/problem+json")
        self.manifests.append(manifest)
        return web.Response(status=204)

    async def _register(self, request: web.Request) -> web.Response:
        self.registered.append(await request.read())
        return web.Response(status=201)

    async def _time(self, request: web.Request) -> web.Response:
        nonce = (await request.json())["nonce"]
        return web.Response(body=sign_attestation(self.world.time(), (nonce,), self.world.director.time_key()))


def _folder(repository: RepositorySimulator) -> str:
    return repository.wire.profile.folder


@asynccontextmanager
async def serving(application: web.Application) -> AsyncIterator[str]:
    """Run an application on a free port of loopback; gives its base URL."""
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        port = runner.addresses[0][1]
        yield f"http://127.0.0.1:{port}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def serving_world(world: World) -> AsyncIterator[Servers]:
    """Run the repositories of ``world``."""
    servers = Servers(world)
    async with serving(servers.application()) as base:
        servers.base = base
        yield servers
