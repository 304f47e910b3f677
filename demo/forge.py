"""What an attacker does with stolen keys: takes the public metadata of a repository, changes it, and signs it again.

    forger = await Forger.take(proxy, "director", steal(director_keys, "targets", "snapshot", "timestamp"))
    forger.edit_targets(lambda targets: targets.targets.clear())
    proxy.answer_all("director", forger.files())

The keys are the real ones, read from the repository's own key directories. For a role whose keys were not stolen the
attacker signs with a key of his own; that is what a threshold is for.

Belongs here: new signatures on changed metadata. Does not belong here: getting it to the vehicle (``attacker.py``).
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from securesystemslib.signer import CryptoSigner, Signer
from tuf.api.metadata import Metadata, MetaFile, Root, Snapshot, TargetFile, Targets, Timestamp
from tuf.api.serialization.json import JSONSerializer

from demo.attacker import HostileProxy
from twinlock.repository.keys.keyring import Keyring

S = TypeVar("S", Root, Timestamp, Snapshot, Targets)
_COMPACT = JSONSerializer(compact=True)


@dataclass(frozen=True, slots=True)
class Loot:
    """Keys that an attacker holds: those in a keyring, for these roles only."""

    keyring: Keyring
    roles: frozenset[str]

    def signers(self, role: str, keyids: list[str]) -> tuple[Signer, ...]:
        """The stolen signers for ``role``."""
        return self.keyring.signers(keyids) if role in self.roles else ()


def steal(keys: Path, *roles: str) -> Loot:
    """Copy the keys out of a directory that holds ``offline`` and ``online``, and use those of ``roles``.

    A thief keeps his copy when the owner replaces the keys.
    """
    copy = Path(tempfile.mkdtemp(prefix="stolen-", dir=keys.parents[1]))
    shutil.copytree(keys, copy, dirs_exist_ok=True)
    return Loot(Keyring(offline=copy / "offline", online=copy / "online"), frozenset(roles))


def no_keys() -> Loot:
    """What somebody has who has only the network."""
    return Loot(Keyring(offline=Path("/nonexistent")), frozenset())


@dataclass(slots=True)
class Forger:
    """The metadata of one repository in an attacker's hands. Each edit raises the versions of all that follows."""

    loot: Loot
    roots: dict[int, bytes]
    data: dict[str, bytes]
    root: Metadata[Root]
    timestamp: Metadata[Timestamp]
    snapshot: Metadata[Snapshot]
    targets: Metadata[Targets]
    own_key: CryptoSigner = field(default_factory=lambda: CryptoSigner(Ed25519PrivateKey.generate()))
    _changed: set[str] = field(default_factory=set)

    @classmethod
    async def take(cls, proxy: HostileProxy, repository: str, loot: Loot) -> Forger:
        """Fetch what the repository publishes now."""
        files = await published(proxy, repository)
        return cls(
            loot,
            roots=files.roots,
            data=dict(files.data),
            root=Metadata[Root].from_bytes(files.roots[max(files.roots)]),
            timestamp=Metadata[Timestamp].from_bytes(files.data["timestamp"]),
            snapshot=Metadata[Snapshot].from_bytes(files.data["snapshot"]),
            targets=Metadata[Targets].from_bytes(files.data["targets"]),
        )

    def edit_root(self, change: Callable[[Root], None]) -> None:
        """Make the next Root."""
        change(self.root.signed)
        self.root.signed.version += 1
        self.roots[self.root.signed.version] = self._sign("root", self.root)

    def edit_targets(self, change: Callable[[Targets], None]) -> None:
        """Change Targets, and list them in a new Snapshot and Timestamp."""
        change(self.targets.signed)
        self.targets.signed.version += 1
        meta = listed(self._sign("targets", self.targets))
        self.edit_snapshot(lambda snapshot: snapshot.meta.update({"targets.json": meta}))

    def edit_snapshot(self, change: Callable[[Snapshot], None]) -> None:
        """Change Snapshot, and list it in a new Timestamp."""
        change(self.snapshot.signed)
        self.snapshot.signed.version += 1
        meta = listed(self._sign("snapshot", self.snapshot))
        self.edit_timestamp(lambda timestamp: setattr(timestamp, "snapshot_meta", meta))

    def edit_timestamp(self, change: Callable[[Timestamp], None]) -> None:
        """Change Timestamp."""
        self.timestamp.signed.version += 1
        change(self.timestamp.signed)
        self._sign("timestamp", self.timestamp)

    def edit_delegated(self, role: str, change: Callable[[Targets], None], signers: tuple[Signer, ...]) -> None:
        """Change a delegated role's file, sign it with ``signers``, and list it in a new Snapshot and Timestamp."""
        metadata = Metadata[Targets].from_bytes(self.data[role])
        change(metadata.signed)
        metadata.signed.version += 1
        meta = listed(self._seal(role, metadata, signers))
        self.edit_snapshot(lambda snapshot: snapshot.meta.update({f"{role}.json": meta}))

    def files(self) -> dict[str, bytes]:
        """The changed files by path, as the proxy answers with them."""
        return {f"metadata/{self._name(role)}": self._bytes(role) for role in self._changed}

    def bundle(self) -> dict[str, str]:
        """Every file by name, as a Primary hands them to a Secondary, the Root chain first."""
        roots = {f"{version}.root.json": data.decode() for version, data in self.roots.items()}
        return roots | {self._name(role): data.decode() for role, data in self.data.items()}

    def _bytes(self, role: str) -> bytes:
        return self.roots[max(self.roots)] if role == "root" else self.data[role]

    def _name(self, role: str) -> str:
        if role == "timestamp":
            return "timestamp.json"
        return f"{version_of(self._bytes(role))}.{role}.json"

    def _sign(self, role: str, metadata: Metadata[S]) -> bytes:
        return self._seal(role, metadata, self.loot.signers(role, self.root.signed.roles[role].keyids))

    def _seal(self, role: str, metadata: Metadata[S], signers: tuple[Signer, ...]) -> bytes:
        metadata.signatures.clear()
        for signer in signers or (self.own_key,):
            metadata.sign(signer, append=True)
        data = metadata.to_bytes(_COMPACT)
        if role != "root":
            self.data[role] = data
        self._changed.add(role)
        return data


@dataclass(frozen=True, slots=True)
class Published:
    """What a repository publishes: its Root chain by version, and the file in force of every other role."""

    roots: dict[int, bytes]
    data: dict[str, bytes]

    def name(self, role: str) -> str:
        """The name of the file in force of ``role``."""
        return "timestamp.json" if role == "timestamp" else f"{version_of(self.data[role])}.{role}.json"


def version_of(data: bytes) -> int:
    """The version that a metadata file states."""
    return int(json.loads(data)["signed"]["version"])


async def published(proxy: HostileProxy, repository: str) -> Published:
    """Fetch all of it, as anybody can."""

    async def get(name: str) -> bytes:
        data = await proxy.fetch(repository, f"metadata/{name}")
        if data is None:
            raise RuntimeError(f"the {repository} repository has no {name}")
        return data

    roots = {1: await get("1.root.json")}
    while newer := await proxy.fetch(repository, f"metadata/{len(roots) + 1}.root.json"):
        roots[len(roots) + 1] = newer
    data = {"timestamp": await get("timestamp.json")}
    data["snapshot"] = await get(f"{_listed(data['timestamp'])['snapshot.json']}.snapshot.json")
    for name, version in _listed(data["snapshot"]).items():
        data[name.removesuffix(".json")] = await get(f"{version}.{name}")
    return Published(roots, data)


def _listed(data: bytes) -> dict[str, int]:
    return {name: int(meta["version"]) for name, meta in json.loads(data)["signed"]["meta"].items()}


def malware(entry: TargetFile, data: bytes, path: str | None = None) -> TargetFile:
    """An entry like ``entry``, for other bytes."""
    hashes = {"sha256": hashlib.sha256(data).hexdigest(), "sha512": hashlib.sha512(data).hexdigest()}
    return TargetFile(len(data), hashes, path or entry.path, dict(entry.unrecognized_fields))


def image_files(entry: TargetFile, data: bytes) -> dict[str, bytes]:
    """Where a client looks for the bytes of an entry: once for each digest."""
    folder, _, name = entry.path.rpartition("/")
    prefix = f"targets/{folder}/" if folder else "targets/"
    return {f"{prefix}{digest}.{name}": data for digest in entry.hashes.values()}


def listed(data: bytes) -> MetaFile:
    """How an index lists a file."""
    return MetaFile(version_of(data), len(data), {"sha256": hashlib.sha256(data).hexdigest()})
