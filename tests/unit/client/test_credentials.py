"""A vehicle's TLS certificate: shown to the servers that it was configured with, and to no host that metadata name; and its files."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from tests.aktualizr.authority import Authority
from twinlock.client.ecu.config import FetchSettings, TlsSettings
from twinlock.client.net.transport import Transport
from twinlock.io.http.tls import server_context
from twinlock.repository.serving.http import serving
from twinlock.trust.errors.local import StorageError
from twinlock.trust.errors.usage import TlsFileError


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


WRONG = {
    "swapped": (
        ("key", "certificate", "ca"),
        "certificate",
        "holds a private key, and {key} holds a certificate; swap",
    ),
    "the key twice": (("key", "key", "ca"), "certificate", "the file holds a private key, and a certificate is needed"),
    "the certificate twice": (
        ("certificate", "certificate", "ca"),
        "key",
        "the file holds a certificate, and the private key of",
    ),
    "another key": (("certificate", "other", "ca"), "key", "the key is not that of the certificate in {certificate}"),
    "no PEM text": (("text", "key", "ca"), "certificate", "the file holds neither a certificate nor a key in PEM form"),
    "an encrypted key": (
        ("certificate", "encrypted", "ca"),
        "key",
        "the key is encrypted; an unencrypted one is needed",
    ),
    "a key as the authority": (
        ("certificate", "key", "key"),
        "ca",
        "the file holds a private key, and the certificate of an",
    ),
    "no authority": (
        ("certificate", "key", "text"),
        "ca",
        "the file holds neither a certificate nor a key in PEM form",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_files_in_the_wrong_place_are_told_apart(tmp_path: Path, case: str) -> None:
    """The server's options and the client's configuration take the same three files, and say the same about them."""
    chosen, wrong, reason = WRONG[case]
    authority = Authority(tmp_path)
    files = authority.issue("device")
    paths = {"certificate": files.certificate, "key": files.key, "ca": authority.ca, "text": tmp_path / "text"}
    paths |= {"other": authority.issue("other").key, "encrypted": tmp_path / "encrypted.pem"}
    paths["text"].write_text("nothing")
    paths["encrypted"].write_bytes(encrypted(files.key.read_bytes()))
    given = {role: paths[name] for role, name in zip(("certificate", "key", "ca"), chosen, strict=True)}
    reason = reason.format(**given)

    with pytest.raises(TlsFileError) as refused:
        server_context(given["certificate"], given["key"], client_ca=given["ca"])
    assert (refused.value.path, reason in refused.value.reason) == (str(given[wrong]), True), refused.value

    async def ask() -> None:
        transport = Transport(FetchSettings(attempts=1), TlsSettings(**given))
        try:
            async with transport.request("GET", "https://127.0.0.1:1/"):
                pass
        finally:
            await transport.close()

    with pytest.raises(StorageError) as unusable:
        asyncio.run(ask())
    assert (unusable.value.path, reason in unusable.value.reason) == (str(given[wrong]), True), unusable.value


def encrypted(key: bytes) -> bytes:
    private = load_pem_private_key(key, password=None)
    return private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"TEST correct horse"))
