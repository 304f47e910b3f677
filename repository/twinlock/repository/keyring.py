"""Private keys by role, in places: an offline directory for roles that people sign, an online one for automation.

    ring = Keyring(offline=Path("keys/offline"), online=Path("keys/online"), online_roles={"snapshot", "timestamp"})
    records = ring.generate("root", kind=KeyKind.ED25519, count=2)
    signers = ring.signers(records[0].keyid)          # securesystemslib signers, opened once and kept

A key is found by its id, never by its role: what a role's keys *are* is for signed metadata to say. The role in a
record tells people what the key was made for, and decides the directory. The Director and suppliers use this too.

Belongs here: which keys exist, and opening them. Does not belong here: thresholds, and what is signed.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from twinlock.repository.atomic import create_file, make_directory, read_file, storage
from twinlock.repository.private_keys import (
    MAX_KEY_FILE_BYTES,
    KeyKind,
    Passphrase,
    generate_private_key,
    is_encrypted,
    passphrase_bytes,
    read_private_key,
    write_private_key,
)
from twinlock.trust.errors.base import UsageError
from twinlock.trust.errors.local import NewerStateError, PassphraseError, StorageError
from twinlock.trust.keys import PublicKey, load_key
from twinlock.trust.names import KeyId, role_file

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
    from securesystemslib.signer import Signer, SSlibKey

__all__ = ["KeyKind", "KeyPlan", "KeyRecord", "Keyring", "Passphrase"]

_FORMAT = 1
_DIGEST = re.compile("[0-9a-f]{64}")
_PEM = "pem:"  # our own signer URI: a PEM file beside the record; other schemes are securesystemslib's


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyPlan:
    """The keys that a role shall have: how many, how many of them must sign, and of what kind."""

    count: int = 1
    threshold: int = 1
    kind: KeyKind = KeyKind.ED25519

    def __post_init__(self) -> None:
        if not 1 <= self.threshold <= self.count:
            raise UsageError(reason=f"a threshold of {self.threshold} of {self.count} keys cannot be met")


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRecord:
    """One key that this keyring holds. ``signer`` is a URI that says where its private half is."""

    keyid: KeyId
    role: str
    keytype: str
    scheme: str
    public: str
    signer: str
    place: Path

    @property
    def public_key(self) -> PublicKey:
        """The public half as the trust engine sees it. Raises: WeakKeyError."""
        return load_key(self.keyid, keytype=self.keytype, scheme=self.scheme, public=self.public)

    @property
    def authoring_key(self) -> SSlibKey:
        """The public half as ``tuf.api.metadata`` wants it."""
        from securesystemslib.signer import SSlibKey

        return SSlibKey(self.keyid, self.keytype, self.scheme, {"public": self.public})

    @property
    def files(self) -> tuple[Path, ...]:
        """The files that make up this key here: its record, and its private half if that is a file of ours."""
        record = self.place / f"{_stem(self.role, self.keyid)}.json"
        return (record, self.place / self.signer.removeprefix(_PEM)) if self.signer.startswith(_PEM) else (record,)

    def public_json(self) -> dict[str, Any]:
        """What is given to others: the key and its id."""
        key = {"keytype": self.keytype, "scheme": self.scheme, "keyval": {"public": self.public}}
        return {"keyid": self.keyid, "key": key}


class Keyring:
    """The keys of one party. Opened private keys stay in memory until ``forget``.

    ``passphrase`` (text, bytes or a function that asks) encrypts new keys and opens old ones.
    """

    def __init__(
        self,
        *,
        offline: Path,
        online: Path | None = None,
        online_roles: Iterable[str] = (),
        passphrase: Passphrase = None,
    ) -> None:
        self.offline = offline
        self.online = online or offline
        self.online_roles = frozenset(online_roles)
        self._passphrase = passphrase
        self._signers: dict[KeyId, Signer] = {}

    def place_of(self, role: str) -> Path:
        """The directory for keys of ``role``."""
        return self.online if role in self.online_roles else self.offline

    def generate(self, role: str, *, kind: KeyKind = KeyKind.ED25519, count: int = 1) -> tuple[KeyRecord, ...]:
        """Make ``count`` new keys for ``role``. Raises: StorageError, UnsafePathError for the name of the role."""
        return tuple(self._generate(role, kind) for _ in range(count))

    def records(self, role: str | None = None) -> tuple[KeyRecord, ...]:
        """The keys held here, or those made for ``role``, by key id. Raises: StorageError, NewerStateError."""
        found: dict[KeyId, KeyRecord] = {}
        for place in dict.fromkeys((self.offline, self.online)):
            with storage("read", place):
                paths = sorted(place.glob("*.json")) if place.is_dir() else []
            for path in paths:
                record = _read_record(path)
                if role is None or record.role == role:
                    found[record.keyid] = record
        return tuple(found[keyid] for keyid in sorted(found))

    def held(self, keyids: Iterable[str]) -> tuple[KeyRecord, ...]:
        """Those of ``keyids`` that are held here, in the order given."""
        by_id = {record.keyid: record for record in self.records()}
        return tuple(by_id[KeyId(keyid)] for keyid in keyids if keyid in by_id)

    def signers(self, keyids: Iterable[str]) -> tuple[Signer, ...]:
        """Open those of ``keyids`` that are held here. Raises: PassphraseError, StorageError."""
        wanted = tuple(keyids)
        if not all(keyid in self._signers for keyid in wanted):
            for record in self.held(wanted):
                if record.keyid not in self._signers:
                    self._signers[record.keyid] = self._open(record)
        return tuple(self._signers[KeyId(keyid)] for keyid in wanted if keyid in self._signers)

    def raw_signer(self, keyid: str) -> RawSigner:
        """One key as the trust engine's ``Signer``: raw signatures, such as time attestations need.

        Raises: UsageError if the key is not held, PassphraseError, StorageError.
        """
        records = self.held([keyid])
        if not records:
            raise UsageError(reason=f"the key {keyid} is not in this keyring")
        return RawSigner(records[0].public_key, self.signers([keyid])[0])

    def retire(self, keyids: Iterable[str]) -> None:
        """Put keys aside that sign nothing any more: into ``retired`` beside them. Raises: StorageError."""
        for record in self.held(keyids):
            aside = record.place / "retired"
            with storage("create", aside):
                make_directory(aside, 0o700)
            for path in record.files:
                with storage("move", path):
                    path.rename(aside / path.name)
            self._signers.pop(record.keyid, None)

    def forget(self) -> None:
        """Drop opened private keys from memory."""
        self._signers.clear()

    def adopt(self, role: str, public: PublicKey, private: PrivateKeyTypes) -> KeyRecord:
        """Hold a key that was made elsewhere, under the id that it has there. Repeating it changes nothing.

        Raises: StorageError, UnsafePathError for the name of the role.
        """
        record = self._record(role, public.keyid, keytype=public.keytype, scheme=public.scheme, public=public.public)
        self._keep(record, private)
        return record

    def _generate(self, role: str, kind: KeyKind) -> KeyRecord:
        role_file(role)
        private, public = generate_private_key(kind)
        record = self._record(
            role, public.keyid, keytype=public.keytype, scheme=public.scheme, public=public.keyval["public"]
        )
        self._keep(record, private)
        return record

    def _record(self, role: str, keyid: str, *, keytype: str, scheme: str, public: str) -> KeyRecord:
        return KeyRecord(
            keyid=KeyId(keyid),
            role=role,
            keytype=keytype,
            scheme=scheme,
            public=public,
            signer=f"{_PEM}{_stem(role, keyid)}.pem",
            place=self.place_of(role),
        )

    def _keep(self, record: KeyRecord, private: PrivateKeyTypes) -> None:
        """Write a key, its private half first; a key that is there already stays as it is."""
        with storage("create", record.place):
            make_directory(record.place, 0o700)
        written, secret = record.files
        if not secret.exists():
            write_private_key(secret, private, self._passphrase_for_new())
        body = {"format": _FORMAT, "role": record.role, "signer": record.signer, **record.public_json()}
        create_file(written, json.dumps(body, indent=2).encode() + b"\n", mode=0o600)

    def _passphrase_for_new(self) -> Passphrase:
        """A passphrase that is given encrypts new keys; one that is asked for does so if the others are encrypted."""
        if not callable(self._passphrase) or any(is_encrypted(path) for path in self._key_files()):
            return self._passphrase
        return None

    def _key_files(self) -> Iterator[Path]:
        for place in dict.fromkeys((self.offline, self.online)):
            yield from place.glob("*.pem")

    def _open(self, record: KeyRecord) -> Signer:
        from securesystemslib.signer import CryptoSigner, Signer

        key = record.authoring_key
        if record.signer.startswith(_PEM):
            path = record.place / record.signer.removeprefix(_PEM)
            if path.parent != record.place:
                raise StorageError(path=str(path), operation="read", reason="the record points outside its directory")
            private = read_private_key(path, self._passphrase)
            try:
                return CryptoSigner(private, key)
            except ValueError as error:
                reason = f"it does not belong to the public key {record.keyid}: {error}"
                raise StorageError(path=str(path), operation="use", reason=reason) from None
        try:
            return Signer.from_priv_key_uri(record.signer, key, self._ask)
        except Exception as error:
            raise StorageError(path=record.signer, operation="open the key", reason=str(error)) from error

    def _ask(self, what: str) -> str:
        secret = passphrase_bytes(self._passphrase)
        if secret is None:
            raise PassphraseError(path=what)
        return secret.decode()


@dataclass(frozen=True, slots=True)
class RawSigner:
    """A securesystemslib signer behind the trust engine's ``Signer`` protocol."""

    public_key: PublicKey
    _signer: Signer

    def sign(self, message: bytes) -> bytes:
        """The raw signature over ``message``."""
        return bytes.fromhex(self._signer.sign(message).signature)


def _stem(role: str, keyid: str) -> str:
    """The name of a key's files. Most key ids are digests; others, which may be any text, are put through one."""
    short = keyid[:16] if _DIGEST.fullmatch(keyid) else hashlib.sha256(keyid.encode()).hexdigest()[:16]
    return f"{role_file(role)}.{short}"


def _read_record(path: Path) -> KeyRecord:
    data = read_file(path, max_bytes=MAX_KEY_FILE_BYTES) or b""
    try:
        body = json.loads(data)
        found = int(body["format"])
        if found > _FORMAT:
            reason = "it was written by a newer version"
            raise NewerStateError(path=str(path), operation="read", reason=reason, found=found, supported=_FORMAT)
        key: Mapping[str, Any] = body["key"]
        return KeyRecord(
            keyid=KeyId(str(body["keyid"])),
            role=str(body["role"]),
            keytype=str(key["keytype"]),
            scheme=str(key["scheme"]),
            public=str(key["keyval"]["public"]),
            signer=str(body["signer"]),
            place=path.parent,
        )
    except (ValueError, KeyError, TypeError) as error:
        raise StorageError(path=str(path), operation="read", reason=f"it is no key record ({error!r})") from None
