"""A vehicle's TLS certificate: shown to the servers that it was configured with, and to no host that metadata name."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.aktualizr.authority import Authority
from twinlock.client.ecu.config import FetchSettings, TlsSettings
from twinlock.client.net.transport import Transport
from twinlock.io.http.tls import server_context
from twinlock.repository.serving.http import serving


@pytest.mark.parametrize("own", ["this host", "another port", "another name", "no URL at all", "all hosts"])
def test_who_is_shown_the_certificate(tmp_path: Path, own: str) -> None:
    authority = Authority(tmp_path)
    files, device = authority.issue("host"), authority.issue("device")
    shown: list[Any] = []

    async def answer(request: web.Request) -> web.Response:
        assert request.transport is not None
        shown.append(request.transport.get_extra_info("peercert"))
        return web.Response(body=b"image")

    async def scenario() -> None:
        app = web.Application()
        app.router.add_get("/{name:.*}", answer)
        tls = server_context(files.certificate, files.key, client_ca=authority.ca, required=False)
        async with serving(app, tls=tls) as server:
            known = {
                "this host": [f"{server.url}/director"],
                "another port": [f"https://127.0.0.1:{server.port + 1}/director"],
                "another name": [f"https://localhost:{server.port}/director"],
                "no URL at all": ["https://[::1", "x"],
                "all hosts": None,
            }[own]
            settings = TlsSettings(ca=device.ca, certificate=device.certificate, key=device.key)
            transport = Transport(FetchSettings(attempts=1), settings, own=known)
            try:
                for _ in range(2):
                    async with transport.request("GET", f"{server.url}/maps.bin") as reply:
                        assert await reply.read("an image", 100) == b"image"
            finally:
                await transport.close()

    asyncio.run(scenario())
    assert [bool(certificate) for certificate in shown] == [own in {"this host", "all hosts"}] * 2
