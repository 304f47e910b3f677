"""A repository for aktualizr as other tools make it, built here by hand: nothing of ours signs or encodes it."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

EXPIRES = "2032-01-01T00:00:00Z"
Json = dict[str, Any]


def canonical(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()


class ForeignKey:
    """One key, named as that tool names keys unless it is given a name."""

    def __init__(self, kind: str = "ED25519", name: str | None = None) -> None:
        self.kind = kind
        if kind == "ED25519":
            self.private: Any = Ed25519PrivateKey.generate()
            self.public = self.private.public_key().public_bytes_raw().hex().upper()
        else:
            self.private = rsa.generate_private_key(65537, 2048)
            self.public = self._pem(self.private.public_key())
        self.keyid = name or hashlib.sha256(canonical(self.public.rstrip("\n"))).hexdigest()

    @property
    def json(self) -> Json:
        return {"keytype": self.kind, "keyval": {"public": self.public}}

    def sign(self, signed: Json) -> Json:
        message = canonical(signed)
        if self.kind == "ED25519":
            method, value = "ed25519", self.private.sign(message)
        else:
            pss = padding.PSS(padding.MGF1(hashes.SHA256()), 32)
            method, value = "rsassa-pss", self.private.sign(message, pss, hashes.SHA256())
        return {"keyid": self.keyid, "method": method, "sig": base64.b64encode(value).decode()}

    def write(self, directory: Path, *, seed_only: bool = False) -> None:
        directory.mkdir(parents=True)
        if self.kind == "ED25519":
            text = self.private.private_bytes_raw().hex().upper() + ("" if seed_only else self.public)
        else:
            text = self.private_pem
        (directory / "private.key").write_text(text)
        (directory / "public.key").write_text(self.public)
        (directory / "key_type").write_text(json.dumps(self.kind))

    @property
    def private_pem(self) -> str:
        encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL
        if self.kind == "ED25519":
            form = serialization.PrivateFormat.PKCS8
        pem: bytes = self.private.private_bytes(encoding, form, serialization.NoEncryption())
        return pem.decode()

    def _pem(self, public: rsa.RSAPublicKey) -> str:
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        return public.public_bytes(serialization.Encoding.PEM, form).decode()


@dataclass
class Foreign:
    """Such a repository below ``base``: ``repo`` and ``keys``. Two Roots, one of them pretty-printed; one supplier."""

    base: Path
    kind: str = "ED25519"
    expires: dict[str, str] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        roles = ("root", "targets", "snapshot", "timestamp", "acme")
        self.signers = {role: ForeignKey(self.kind, self.names.get(role)) for role in roles}
        self.old_root = ForeignKey("ED25519", self.names.get("old-root"))
        self.images: dict[str, Json] = {"targets": {}, "acme": {}}
        self.versions = {"targets": 3, "acme": 2, "snapshot": 4, "timestamp": 7}

    @property
    def repo(self) -> Path:
        return self.base / "repo"

    @property
    def keys(self) -> Path:
        return self.base / "keys"

    def add(self, path: str, content: bytes, *, role: str = "targets", **custom: Any) -> None:
        place = self.repo / "targets" / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
        digests = {name: hashlib.new(name, content).hexdigest() for name in ("sha256", "sha512")}
        own = {"hardwareIds": ["hw-7"], "targetFormat": "BINARY", **custom}
        self.images[role][path] = {"custom": own, "hashes": digests, "length": len(content)}

    def list_elsewhere(self, path: str, length: int, hashes: dict[str, str], **custom: Any) -> None:
        """List an image whose bytes are not in the repository."""
        own = {"hardwareIds": ["hw-7"], **custom}
        self.images["targets"][path] = {"custom": own, "hashes": hashes, "length": length}

    def write(self, *, keys: bool = True) -> Foreign:
        signers = self.signers
        (self.repo / "delegations").mkdir(parents=True, exist_ok=True)
        first = self._root(1, self.old_root)
        second = self._root(2, signers["root"])
        self._put("1.root.json", first, [self.old_root])
        pretty = {"signatures": [key.sign(second) for key in (signers["root"], self.old_root)], "signed": second}
        (self.repo / "2.root.json").write_text(json.dumps(pretty, indent="\t", separators=(",", " : ")))
        acme = self._put("delegations/acme.json", self._targets("acme"), [signers["acme"]])
        delegation = {"keyids": [signers["acme"].keyid], "name": "acme", "paths": ["acme/*"], "terminating": False}
        block = {"keys": {signers["acme"].keyid: signers["acme"].json}, "roles": [{**delegation, "threshold": 1}]}
        targets = self._put("targets.json", self._targets("targets") | {"delegations": block}, [signers["targets"]])
        meta = {"targets.json": self._listed(targets, "targets"), "acme.json": self._listed(acme, "acme")}
        snapshot = self._put(
            "snapshot.json",
            self._common("snapshot", "Snapshot") | {"meta": {**meta, "root.json": {"version": 2}}},
            [signers["snapshot"]],
        )
        listed = self._listed(snapshot, "snapshot")
        timestamp = self._common("timestamp", "Timestamp") | {"meta": {"snapshot.json": listed}}
        self._put("timestamp.json", timestamp, [signers["timestamp"]])
        for role, key in signers.items() if keys else ():
            key.write(self.keys / role)
        return self

    def keep_roots(self) -> Foreign:
        """Leave only the Roots, as in the directory of a Director, whose other files are each for one vehicle."""
        for path in self.repo.rglob("*.json"):
            if not path.name.endswith(".root.json"):
                path.unlink()
        return self

    def _common(self, role: str, kind: str) -> Json:
        return {"_type": kind, "version": self.versions[role], "expires": self.expires.get(role, EXPIRES)}

    def _root(self, version: int, root: ForeignKey) -> Json:
        by_role = {role: self.signers[role] for role in ("targets", "snapshot", "timestamp")} | {"root": root}
        return {
            "_type": "Root",
            "version": version,
            "expires": self.expires.get("root", EXPIRES),
            "keys": {key.keyid: key.json for key in by_role.values()},
            "roles": {role: {"keyids": [key.keyid], "threshold": 1} for role, key in by_role.items()},
        }

    def _targets(self, role: str) -> Json:
        return self._common(role, "Targets") | {"targets": self.images[role]}

    def _listed(self, data: bytes, role: str) -> Json:
        digest = {"sha256": hashlib.sha256(data).hexdigest()}
        return {"version": self.versions[role], "length": len(data), "hashes": digest}

    def _put(self, name: str, signed: Json, keys: list[ForeignKey]) -> bytes:
        data = canonical({"signatures": [key.sign(signed) for key in keys], "signed": signed})
        (self.repo / name).write_bytes(data)
        return data
