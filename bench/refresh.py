"""One repository brought up to date by the engine, against parsing, hashing and verifying the same files once."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from securesystemslib.formats import encode_canonical
from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import MetaFile, Root, Snapshot, TargetFile, Targets, Timestamp

from bench.measure import Result, compare
from twinlock.trust.commands import ABSENT, Absent, Command, Fetch, drive
from twinlock.trust.names import IMAGE
from twinlock.trust.refresh import refresh_repository
from twinlock.trust.restore import bootstrap_repository

if TYPE_CHECKING:
    from collections.abc import Iterator

    from twinlock.trust.state import TrustedRepository

NOW = datetime(2026, 1, 1, tzinfo=UTC)
EXPIRES = NOW + timedelta(days=365)


@dataclass
class Repository:
    """A repository in memory: files by name, the payload and signature of each, and the one key that signed them."""

    key: Ed25519PrivateKey
    files: dict[str, bytes] = field(default_factory=dict)
    signatures: dict[str, tuple[bytes, bytes]] = field(default_factory=dict)

    def sign(self, name: str, signed: Root | Timestamp | Snapshot | Targets, *, compact: bool) -> None:
        """Sign, encode and keep one file: canonically, or formatted for people as many repositories do."""
        payload = encode_canonical(signed.to_dict())
        assert payload is not None
        signature = CryptoSigner(self.key).sign(payload.encode())
        whole = {"signatures": [signature.to_dict()], "signed": signed.to_dict()}
        text = encode_canonical(whole) if compact else json.dumps(whole, indent=1)
        assert text is not None
        self.files[name] = text.encode()
        self.signatures[name] = (bytes.fromhex(signature.signature), payload.encode())

    def answer(self, command: Command) -> bytes | Absent | None:
        """The file that the engine asks for, or nothing for a command that needs no answer."""
        return self.files.get(command.name, ABSENT) if isinstance(command, Fetch) else None


def results() -> Iterator[Result]:
    """A first refresh, of a small and of a large repository, served canonically and formatted for people."""
    for images, compact in ((100, True), (10_000, True), (10_000, False)):
        repository = build(images, compact=compact)
        refresh(repository)  # what is measured has to succeed
        form = "canonical" if compact else "indented"
        ours, least = partial(refresh, repository), partial(floor, repository)
        yield compare(f"refresh, {images} images, {form}", ours, least)


def refresh(repository: Repository) -> TrustedRepository:
    """From the first Root to the newest Targets, as a vehicle does."""
    trusted = bootstrap_repository(IMAGE, repository.files["1.root.json"])
    return drive(refresh_repository(trusted, NOW), repository.answer)


def floor(repository: Repository) -> None:
    """Parse and hash each file and verify its signature once, over a payload that was canonical to begin with."""
    public = repository.key.public_key()
    for name, data in repository.files.items():
        json.loads(data)
        hashlib.sha256(data).digest()
        public.verify(*repository.signatures[name])


def build(images: int, *, compact: bool) -> Repository:
    """A repository with one key, made with python-tuf's model."""
    repository = Repository(Ed25519PrivateKey.generate())
    root = Root(expires=EXPIRES, consistent_snapshot=True)
    for role in ("root", "timestamp", "snapshot", "targets"):
        root.add_key(CryptoSigner(repository.key).public_key, role)
    repository.sign("1.root.json", root, compact=compact)
    entries = {f"ecu/{number}.bin": entry(number) for number in range(images)}
    repository.sign("1.targets.json", Targets(expires=EXPIRES, targets=entries), compact=compact)
    snapshot = Snapshot(expires=EXPIRES, meta={"targets.json": MetaFile(1)})
    repository.sign("1.snapshot.json", snapshot, compact=compact)
    digest = hashlib.sha256(repository.files["1.snapshot.json"]).hexdigest()
    listed = MetaFile(1, hashes={"sha256": digest})
    repository.sign("timestamp.json", Timestamp(expires=EXPIRES, snapshot_meta=listed), compact=compact)
    return repository


def entry(number: int) -> TargetFile:
    """An image entry with the custom fields of an Image repository."""
    digest = hashlib.sha256(str(number).encode()).hexdigest()
    custom = {"mustAgree": {"hardwareIds": [f"hw-{number}"], "releaseCounter": 1}}
    return TargetFile(4096, {"sha256": digest}, f"ecu/{number}.bin", {"custom": custom})
