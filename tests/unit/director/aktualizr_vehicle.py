"""A vehicle that runs aktualizr, as far as its Director sees it: manifests put together by hand from the wire document.

Nothing here uses our own encoder: canonical bytes, key ids and signatures are made anew.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.unit.director.world import measured
from twinlock.director.devices.identity import Speaker
from twinlock.director.director import Director
from twinlock.director.model.records import BY_CERTIFICATE, EcuRecord
from twinlock.trust.keys.public_keys import load_key
from twinlock.trust.names import EcuId, HardwareId, VehicleId

EPOCH = "1970-01-01T00:00:00Z"
NOTHING = {"filepath": "unknown", "fileinfo": {"hashes": {"sha256": hashlib.sha256(b"").hexdigest()}, "length": 0}}
CONTENT_TYPE = "application/vnd.com.here.otac.installationReport.v1"


def canonical(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()


class WireKey:
    """A TEST key as the client has it: an ed25519 one, or an RSA one, always the same for a name."""

    def __init__(self, name: str, kind: str = "ED25519", *, alias: str = "") -> None:
        self.kind, self._alias = kind, alias
        self._private: Ed25519PrivateKey | rsa.RSAPrivateKey
        self.public, self._private = _ed25519(name) if kind == "ED25519" else _rsa(name)

    @property
    def keyid(self) -> str:
        return self._alias or hashlib.sha256(canonical(self.public.rstrip("\n"))).hexdigest()

    def record(self, ecu: str, hardware: str, *, primary: bool, counter_base: int = 0) -> EcuRecord:
        if self.kind == "ED25519":
            key = load_key(self.keyid, keytype="ed25519", scheme="ed25519", public=self.public.lower())
        else:
            key = load_key(self.keyid, keytype="rsa", scheme="rsassa-pss-sha256", public=self.public)
        return EcuRecord(
            ecu=EcuId(ecu), hardware_id=HardwareId(hardware), key=key, primary=primary, counter_base=counter_base
        )

    def signature(self, message: bytes) -> dict[str, str]:
        if isinstance(self._private, Ed25519PrivateKey):
            method, value = "ed25519", self._private.sign(message)
        else:
            pss = padding.PSS(padding.MGF1(SHA256()), SHA256.digest_size)
            method, value = "rsassa-pss", self._private.sign(message, pss, SHA256())
        return {"keyid": self.keyid, "method": method, "sig": base64.b64encode(value).decode()}

    def envelope(self, signed: Any) -> dict[str, Any]:
        return {"signatures": [self.signature(canonical(signed))], "signed": signed}


@cache
def _ed25519(name: str) -> tuple[str, Ed25519PrivateKey]:
    private = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(f"TEST {name}".encode()).digest())
    return private.public_key().public_bytes_raw().hex().upper(), private


@cache
def _rsa(_name: str) -> tuple[str, rsa.RSAPrivateKey]:
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    public = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return public.decode(), private


def image(path: str) -> dict[str, Any]:
    """An installed image as the client reports it: with one digest."""
    found = measured(path)
    info = {"hashes": {"sha256": found["hashes"]["sha256"]}, "length": found["length"]}
    return {"filepath": path, "fileinfo": info}


def result(code: str = "OK", description: str = "done") -> dict[str, Any]:
    return {"success": code == "OK", "code": code, "description": description}


def outcome(correlation: str, code: str = "OK", **ecus: str) -> dict[str, Any]:
    """An installation report: how the order ended, and how each ECU did (``gw_1`` for the ECU ``gw-1``)."""
    items = [{"ecu": ecu.replace("_", "-"), "result": result(end)} for ecu, end in ecus.items()]
    report = {"correlation_id": correlation, "raw_report": "words", "result": result(code), "items": items}
    return {"content_type": CONTENT_TYPE, "report": report}


@dataclass
class AktualizrVehicle:
    """Hardware by ECU, the Primary first. ``installed`` is what each reports; ``counter`` is the Primary's."""

    vin: str = "VIN7"
    hardware: Mapping[str, str] = field(default_factory=lambda: {"gw-7": "gw-1", "brake-7": "hw-7"})
    installed: dict[str, dict[str, Any]] = field(default_factory=dict)
    counter: int = 0

    def __post_init__(self) -> None:
        self.keys = {ecu: WireKey(f"{self.vin} {ecu}") for ecu in self.hardware}
        for ecu in self.hardware:
            self.installed.setdefault(ecu, NOTHING)

    @property
    def primary(self) -> str:
        return next(iter(self.hardware))

    def records(self, **bases: int) -> list[EcuRecord]:
        return [
            self.keys[ecu].record(ecu, hardware, primary=ecu == self.primary, counter_base=bases.get(ecu, 0))
            for ecu, hardware in self.hardware.items()
        ]

    def registration(self) -> bytes:
        ecus = [
            {
                "clientKey": {"keytype": self.keys[ecu].kind, "keyval": {"public": self.keys[ecu].public}},
                "ecu_serial": ecu,
                "hardware_identifier": hardware,
            }
            for ecu, hardware in self.hardware.items()
        ]
        return canonical({"ecus": ecus, "primary_ecu_serial": self.primary})

    def register(self, director: Director) -> None:
        director.devices.register(
            Speaker(vehicle=VehicleId(self.vin), identified_by=BY_CERTIFICATE), self.registration()
        )

    def install(self, ecu: str, path: str) -> None:
        self.installed[ecu] = image(path)

    def report(self, ecu: str, *, key: WireKey | None = None, **changes: Any) -> dict[str, Any]:
        signed = {
            "attacks_detected": "",
            "ecu_serial": ecu,
            "installed_image": self.installed[ecu],
            "previous_timeserver_time": EPOCH,
            "timeserver_time": EPOCH,
        }
        if ecu == self.primary:
            signed["report_counter"] = str(self.counter)
        return (key or self.keys[ecu]).envelope({**signed, **changes})

    def manifest(
        self,
        *,
        key: WireKey | None = None,
        reports: Mapping[str, Any] | None = None,
        outcome: Mapping[str, Any] | None = None,
        **changes: Any,
    ) -> bytes:
        """The next manifest: the counter has risen. ``reports`` stand in for those of their ECUs."""
        self.counter += 1
        found = {ecu: self.report(ecu) for ecu in self.hardware} | dict(reports or {})
        signed: dict[str, Any] = {"primary_ecu_serial": self.primary, "ecu_version_manifests": found}
        if outcome is not None:
            signed["installation_report"] = outcome
        return canonical((key or self.keys[self.primary]).envelope({**signed, **changes}))
