"""Devices that run aktualizr, for the Director's tests: their keys, the bodies that they send, and their TLS."""

from __future__ import annotations

import hashlib
import json
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

import aiohttp
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from twinlock.director.api.aktualizr_api import aktualizr_application
from twinlock.director.devices.credentials import Credential, write_files
from twinlock.director.devices.identity import RequestIdentity
from twinlock.director.director import Director
from twinlock.director.model.records import BY_CERTIFICATE
from twinlock.director.ways_out.key_changes import NewKey
from twinlock.io.http.tls import server_context
from twinlock.repository.serving.http import RunningServer, serving
from twinlock.repository.workspace.validity import utc_now
from twinlock.trust.names import EcuId, VehicleId

HOST = "127.0.0.1"
DEVICE_FILES = ("ca.pem", "client.pem", "pkey.pem")


@cache
def rsa_public(name: str, bits: int = 2048) -> str:
    """The public key, in PEM, of a TEST key pair that is made once for each name."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=bits).public_key()
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def ed25519_public(name: str) -> str:
    """The public key of a TEST key, in upper-case hexadecimal digits as the client writes it."""
    private = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(f"TEST {name}".encode()).digest())
    return private.public_key().public_bytes_raw().hex().upper()


def wire_key(keytype: str, public: str) -> dict[str, Any]:
    return {"keytype": keytype, "keyval": {"public": public}}


@dataclass
class Device:
    """What one device would register: hardware and key by ECU, the Primary first."""

    vehicle: str = "VIN7"
    hardware: dict[str, str] = field(default_factory=lambda: {"gw-7": "gateway", "brake-7": "brake"})
    keys: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def primary(self) -> str:
        return next(iter(self.hardware))

    def key(self, ecu: str) -> dict[str, Any]:
        return self.keys.setdefault(ecu, wire_key("ED25519", ed25519_public(f"{self.vehicle} {ecu}")))

    def body(self) -> dict[str, Any]:
        ecus = [
            {"clientKey": self.key(ecu), "ecu_serial": ecu, "hardware_identifier": hardware}
            for ecu, hardware in self.hardware.items()
        ]
        return {"ecus": ecus, "primary_ecu_serial": self.primary}

    def registration(self) -> bytes:
        return json.dumps(self.body(), sort_keys=True, separators=(",", ":")).encode()

    def identity(self, identified_by: str = BY_CERTIFICATE) -> RequestIdentity:
        return RequestIdentity(vehicle=VehicleId(self.vehicle), identified_by=identified_by)


def client_context(credential: Credential | None, ca: bytes, place: Path) -> ssl.SSLContext:
    """TLS as the device does it: it trusts its CA only, and shows its certificate to everybody."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=ca.decode())
    if credential is not None:
        folder = place / credential.fingerprint
        write_files(credential, folder, names=DEVICE_FILES)
        context.load_cert_chain(folder / "client.pem", folder / "pkey.pem")
    return context


@dataclass
class TlsSite:
    """A running device API behind TLS, and sessions of devices with it."""

    director: Director
    server: RunningServer
    place: Path

    @asynccontextmanager
    async def session(self, credential: Credential | None) -> AsyncIterator[aiohttp.ClientSession]:
        context = client_context(credential, self.director.devices.ca_pem(), self.place)
        connector = aiohttp.TCPConnector(ssl=context, force_close=True)  # one connection for each request
        async with aiohttp.ClientSession(self.server.url, connector=connector) as session:
            yield session


@asynccontextmanager
async def tls_site(director: Director, place: Path, *, required: bool = True, **options: Any) -> AsyncIterator[TlsSite]:
    """The device API on a socket with certificates of the Director's own CA, which is made if there is none."""
    if not director.devices.has_ca:
        director.devices.create_ca(now=utc_now() - timedelta(days=1))
    folder = place / "server"
    credential = director.devices.issue_server([HOST], now=utc_now())
    write_files(credential, folder, names=("ca.pem", "server.pem", "server.key.pem"))
    context = server_context(
        folder / "server.pem", folder / "server.key.pem", client_ca=folder / "ca.pem", required=required
    )
    application = aktualizr_application(director, **options)
    async with serving(application, host=HOST, tls=context) as server:
        yield TlsSite(director, server, place)


def confirm_pending(director: Director, vehicle: str, **options: Any) -> list[str]:
    """As an operator who compared every fingerprint that the vehicle came with; returns the ECUs."""
    pending = director.ways_out.pending_keys(vehicle)
    for item in pending:
        wanted = NewKey(ecu=EcuId(item["ecu"]), fingerprint=item["fingerprint"])
        director.ways_out.change_key(vehicle, wanted, **options)
    return sorted(item["ecu"] for item in pending)


def audited(director: Director, vehicle: str, action: str) -> list[Mapping[str, Any]]:
    """The details of what was audited, oldest first."""
    return [row["detail"] for row in reversed(director.audit(vehicle)) if row["action"] == action]
