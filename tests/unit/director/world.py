"""A small world for the Director's tests: an Image repository in a directory, and vehicles that sign real reports."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import (
    DelegatedRole,
    Delegations,
    Key,
    Metadata,
    MetaFile,
    Root,
    Snapshot,
    TargetFile,
    Targets,
    Timestamp,
)

from twinlock.trust.keys.public_keys import PublicKey, load_key
from twinlock.trust.model.ecu import InstalledImage
from twinlock.trust.names import EcuId, TargetPath, VehicleId
from twinlock.trust.wire.tuf.reports import EcuReport, sign_manifest, sign_report

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
FACTORY = "factory.bin"


def at(**later: float) -> datetime:
    """``NOW`` and so much later."""
    return NOW + timedelta(**later)


def test_key(name: str) -> CryptoSigner:
    """The TEST key of that name, always the same."""
    return CryptoSigner(Ed25519PrivateKey.from_private_bytes(hashlib.sha256(f"TEST {name}".encode()).digest()))


test_key.__test__ = False  # type: ignore[attr-defined]


def content(path: str) -> bytes:
    """The bytes of an image, made from its name."""
    return f"image {path}".encode()


def measured(path: str) -> dict[str, Any]:
    data = content(path)
    hashes = {"sha256": hashlib.sha256(data).hexdigest(), "sha512": hashlib.sha512(data).hexdigest()}
    return {"length": len(data), "hashes": hashes}


def entry(path: str, *, hardware: list[str], counter: int, **custom: Any) -> TargetFile:
    found = measured(path)
    agreed = {"hardwareIds": hardware, "releaseCounter": counter}
    return TargetFile(found["length"], found["hashes"], path, {"custom": {"mustAgree": agreed, **custom}})


class ImageSite:
    """An Image repository that is written anew on each ``publish``. ``suppliers`` are delegated roles by name.

    ``tiers`` are roles of which each delegates everything to the next; the last supplier delegates to the first of them.
    """

    def __init__(self, path: Path, *, now: datetime = NOW) -> None:
        self.path = path
        (path / "metadata").mkdir(parents=True)
        self.images: dict[str, TargetFile] = {}
        self.suppliers: dict[str, dict[str, TargetFile]] = {}
        self.tiers: dict[str, dict[str, TargetFile]] = {}
        self.version = 0
        self.now = now
        self.valid = timedelta(days=30)
        self.keys = {role: test_key(f"image {role}") for role in ("root", "targets", "snapshot", "timestamp")}
        root = Root(consistent_snapshot=True, expires=now + timedelta(days=365))
        for role, key in self.keys.items():
            root.add_key(key.public_key, role)
        self.root = self._write("1.root.json", root, "root")

    def add(self, path: str, *, hardware: list[str] | None = None, counter: int = 1, **custom: Any) -> None:
        self.images[path] = entry(path, hardware=hardware or ["hw-1"], counter=counter, **custom)

    def publish(self) -> None:
        self.version += 1
        expires = self.now + self.valid
        targets = Targets(version=self.version, expires=expires, targets=dict(self.images))
        metas: dict[str, MetaFile] = {}
        inner = self._publish_delegated(self.tiers, metas, chained=True)
        targets.delegations = self._publish_delegated(self.suppliers, metas, inner=inner)
        metas["targets.json"] = self._meta(self._write(f"{self.version}.targets.json", targets, "targets"))
        snapshot = Snapshot(version=self.version, expires=expires, meta=metas)
        data = self._write(f"{self.version}.snapshot.json", snapshot, "snapshot")
        timestamp = Timestamp(version=self.version, expires=expires, snapshot_meta=self._meta(data))
        self._write("timestamp.json", timestamp, "timestamp")

    def _publish_delegated(
        self,
        roles: dict[str, dict[str, TargetFile]],
        metas: dict[str, MetaFile],
        *,
        chained: bool = False,
        inner: Delegations | None = None,
    ) -> Delegations | None:
        """Write the files of ``roles``, the last first; what delegates to them all, or to the first of a chain."""
        found: dict[str, DelegatedRole] = {}
        keys: dict[str, Key] = {}
        for name, images in reversed(roles.items()):
            key = test_key(f"supplier {name}")
            signed = Targets(version=self.version, expires=self.now + self.valid, targets=dict(images))
            signed.delegations, inner = inner, None
            metas[f"{name}.json"] = self._meta(self._write(f"{self.version}.{name}.json", signed, "", key))
            patterns = ["*/*"] if chained or not images else [f"{name}/*"]
            role = DelegatedRole(name, [key.public_key.keyid], 1, False, paths=patterns)
            keys[key.public_key.keyid], found[name] = key.public_key, role
            if chained:
                inner, found, keys = Delegations(keys, found), {}, {}
        return inner if chained else (Delegations(keys, dict(reversed(found.items()))) if found else None)

    def _meta(self, data: bytes) -> MetaFile:
        return MetaFile(self.version, len(data), {"sha256": hashlib.sha256(data).hexdigest()})

    def _write(self, name: str, signed: Any, role: str, key: CryptoSigner | None = None) -> bytes:
        signed.unrecognized_fields["issued"] = self.now.strftime("%Y-%m-%dT%H:%M:%SZ")
        metadata = Metadata(signed)
        metadata.sign(key or self.keys[role])
        data = metadata.to_bytes()
        (self.path / "metadata" / name).write_bytes(data)
        return data


class EcuSigner:
    """The identity key of a TEST ECU, as the trust engine's ``Signer``."""

    def __init__(self, name: str) -> None:
        self._signer = test_key(f"ecu {name}")
        key = self._signer.public_key
        self.public_key: PublicKey = load_key(
            key.keyid, keytype=key.keytype, scheme=key.scheme, public=key.keyval["public"]
        )

    def sign(self, message: bytes) -> bytes:
        return bytes.fromhex(self._signer.sign(message).signature)


@dataclass
class TestVehicle:
    """A vehicle that reports. ``hardware`` maps ECU to hardware id; the first ECU is the Primary."""

    __test__ = False

    vin: str
    hardware: Mapping[str, str]
    partial: frozenset[str] = frozenset()
    installed: dict[str, InstalledImage] = field(default_factory=dict)
    counter: int = 0

    def __post_init__(self) -> None:
        self.signers = {ecu: EcuSigner(f"{self.vin} {ecu}") for ecu in self.hardware}
        for ecu in self.hardware:
            self.installed.setdefault(ecu, installed_image(FACTORY))

    @property
    def primary(self) -> str:
        return next(iter(self.hardware))

    def description(self) -> dict[str, Any]:
        ecus = [
            {
                "ecu": ecu,
                "hardwareId": hardware,
                "keyid": self.signers[ecu].public_key.keyid,
                "key": self.signers[ecu].public_key.as_json(),
                "verification": "partial" if ecu in self.partial else "full",
            }
            for ecu, hardware in self.hardware.items()
        ]
        return {"vehicle": self.vin, "primary": self.primary, "ecus": ecus}

    def install(self, ecu: str, path: str) -> None:
        self.installed[ecu] = installed_image(path)

    def report(self, ecu: str, *, now: datetime = NOW, signer: EcuSigner | None = None, **changes: Any) -> bytes:
        fields = {"time": now, "counter": self.counter, "installed": self.installed[ecu], **changes}
        return sign_report(EcuReport(ecu=EcuId(ecu), **fields), signer or self.signers[ecu])

    def manifest(
        self,
        *,
        now: datetime = NOW,
        reports: list[bytes] | None = None,
        vin: str | None = None,
        primary: str | None = None,
        signer: EcuSigner | None = None,
        **changes: Any,
    ) -> bytes:
        """The next manifest: the counter has risen. ``changes`` go into every report."""
        self.counter += 1
        if reports is None:
            reports = [self.report(ecu, now=now, **changes) for ecu in self.hardware]
        sender = primary or self.primary
        return sign_manifest(VehicleId(vin or self.vin), EcuId(sender), reports, signer or self.signers[self.primary])


def installed_image(path: str) -> InstalledImage:
    found = measured(path)
    return InstalledImage(path=TargetPath(path), length=found["length"], hashes=found["hashes"])


def listed(data: bytes) -> dict[str, list[str]]:
    """What Director Targets order: target path to ECUs."""
    targets = json.loads(data)["signed"]["targets"]
    return {path: sorted(item["custom"]["ecuIdentifiers"]) for path, item in targets.items()}
