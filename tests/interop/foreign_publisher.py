"""A pair of repositories in the aktualizr form by other hands: a publisher of a page, and a server of plain files.

Belongs here: what an operator who never heard of us would run, written from the description of that form and with nothing
of ours, encoder, decoder or simulator. Does not belong here: any expectation.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

JSON = dict[str, Any]
ROLES = ("root", "targets", "snapshot", "timestamp")
EXPIRES = "2036-01-01T00:00:00Z"


def canonical(value: Any) -> bytes:
    """What that client signs and hashes."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()


class PublisherKey:
    """One key, and its id as that client makes one."""

    def __init__(self, kind: str = "ED25519") -> None:
        self._rsa = rsa.generate_private_key(public_exponent=65537, key_size=2048) if kind == "RSA" else None
        self._ed25519 = None if self._rsa else Ed25519PrivateKey.generate()
        self.public = {"keytype": kind, "keyval": {"public": self._value()}}
        self.keyid = hashlib.sha256(canonical(self._value().rstrip("\n"))).hexdigest()

    def _value(self) -> str:
        if self._rsa:
            return self._rsa.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
        assert self._ed25519
        return self._ed25519.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw).hex().upper()

    def signature(self, signed: JSON) -> JSON:
        """An entry of ``signatures``."""
        if self._rsa:
            pss = padding.PSS(mgf=padding.MGF1(SHA256()), salt_length=padding.PSS.MAX_LENGTH)
            method, value = "rsassa-pss", self._rsa.sign(canonical(signed), pss, SHA256())
        else:
            assert self._ed25519
            method, value = "ed25519", self._ed25519.sign(canonical(signed))
        return {"keyid": self.keyid, "method": method, "sig": base64.b64encode(value).decode()}


@dataclass
class Repository:
    """One repository: its keys by role, its versions, and its files by URL path."""

    roles: Sequence[str] = ROLES
    keys: dict[str, list[PublisherKey]] = field(default_factory=dict)
    versions: dict[str, int] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    meta: JSON = field(default_factory=dict)
    hashed: bool = True

    def __post_init__(self) -> None:
        self.keys = {role: [PublisherKey()] for role in self.roles}
        self.publish_root()

    def sign(self, role: str, body: JSON, signers: Sequence[PublisherKey] | None = None) -> bytes:
        """The next file of a role, in canonical form."""
        self.versions[role] = self.versions.get(role, 0) + 1
        kind = role.capitalize() if role in ROLES else "Targets"
        signed = {"_type": kind, "version": self.versions[role], "expires": EXPIRES} | body
        return canonical(
            {"signatures": [key.signature(signed) for key in signers or self.keys[role]], "signed": signed}
        )

    def publish_root(self, outgoing: Sequence[PublisherKey] = ()) -> None:
        """The next Root, indented as the tool of that client writes rotated ones."""
        named = {role: {"keyids": [key.keyid for key in self.keys[role]], "threshold": 1} for role in self.roles}
        keys = {key.keyid: key.public for role in self.roles for key in self.keys[role]}
        data = self.sign("root", {"keys": keys, "roles": named}, [*self.keys["root"], *outgoing])
        if self.versions["root"] > 1:
            data = json.dumps(json.loads(data), indent=1).encode()
        self.files[f"{self.versions['root']}.root.json"] = data

    def rotate(self, role: str, kind: str = "ED25519") -> None:
        """New keys for a role."""
        outgoing = list(self.keys["root"])
        self.keys[role] = [PublisherKey(kind)]
        self.publish_root(outgoing if role == "root" else ())

    def publish(self, role: str, body: JSON, path: str | None = None) -> None:
        """A Targets file, and the index over it."""
        data = self.sign(role, body)
        self.files[path or f"{role}.json"] = data
        self.list(role, data)

    def list(self, role: str, data: bytes) -> None:
        """Snapshot and Timestamp over one changed file."""
        self.meta[f"{role}.json"] = {"version": self.versions[role]} | (self._info(data) if self.hashed else {})
        if "snapshot" in self.roles:
            snapshot = self.files["snapshot.json"] = self.sign("snapshot", {"meta": self.meta})
            listed = {"version": self.versions["snapshot"]} | self._info(snapshot)
            self.files["timestamp.json"] = self.sign("timestamp", {"meta": {"snapshot.json": listed}})

    def _info(self, data: bytes) -> JSON:
        return {"length": len(data), "hashes": {"sha256": hashlib.sha256(data).hexdigest()}}


def entry(image: bytes, **custom: Any) -> JSON:
    """An image as either repository lists it."""
    hashes = {"sha256": hashlib.sha256(image).hexdigest(), "sha512": hashlib.sha512(image).hexdigest()}
    return {"length": len(image), "hashes": hashes, "custom": {"targetFormat": "BINARY"} | custom}


@dataclass
class Gateway:
    """What that client calls a device gateway: both repositories under one base URL, and the bodies sent to it."""

    director: Repository
    image: Repository
    images: dict[str, bytes] = field(default_factory=dict)
    sent: list[tuple[str, str, JSON]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    base: str = ""

    def order(self, path: str, ecu: str, hardware: str, correlation: str) -> None:
        """The Director's next Targets: one image for one ECU."""
        wanted = entry(self.images[path], ecuIdentifiers={ecu: {"hardwareId": hardware}})
        self.director.publish("targets", {"targets": {path: wanted}, "custom": {"correlationId": correlation}})

    def manifests(self) -> list[JSON]:
        """The signed parts of the manifests."""
        return [body["signed"] for method, path, body in self.sent if (method, path) == ("PUT", "/director/manifest")]

    async def _get(self, request: web.Request) -> web.Response:
        self.asked.append(request.path)
        kind, name = request.match_info["kind"], request.match_info["name"]
        if kind == "repo" and name.startswith("targets/"):
            found = self.images.get(name.removeprefix("targets/"))
        else:
            found = (self.director if kind == "director" else self.image).files.get(name)
        return web.Response(status=404, text="{}") if found is None else web.Response(body=found)

    async def _take(self, request: web.Request) -> web.Response:
        self.sent.append((request.method, request.path, json.loads(await request.read())))
        return web.Response(status=201 if request.path == "/director/ecus" else 200, text="{}")

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        """Run it on a free port of loopback; gives its base URL."""
        application = web.Application()
        application.add_routes(
            [
                web.get("/{kind:director|repo}/{name:.+}", self._get),
                web.put("/director/manifest", self._take),
                web.post("/director/ecus", self._take),
            ]
        )
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            self.base = f"http://127.0.0.1:{runner.addresses[0][1]}"
            yield self.base
        finally:
            await runner.cleanup()
