"""Private keys by role, in places: an offline directory for roles that people sign, an online one for automation.

    ring = Keyring(offline=Path("keys/offline"), online=Path("keys/online"), online_roles={"snapshot", "timestamp"})
    records = ring.generate("root", kind=KeyKind.ED25519, count=2)
    signers = ring.signers(records[0].keyid)          # securesystemslib signers, opened once and kept

A key is found by its id, never by its role: what a role's keys *are* signed metadata states. The role in a
record shows people what the key was made for, and decides the directory. The Director and suppliers use this too.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from twinlock.io.files.durable import clean_stale, create_file, flush_directory, replace_file, storage_errors
from twinlock.io.files.new_directory import make_directory
from twinlock.repository.keys.new_keys import NewKeys
from twinlock.repository.keys.passphrases import offline_secret, online_secret, secret_for_new
from twinlock.repository.keys.private_keys import (
    MAX_KEY_FILE_BYTES,
    KeyKind,
    Passphrase,
    Secret,
    SeparatePassphrases,
    generate_private_key,
    passphrase_bytes,
    read_private_key,
    write_private_key,
)
from twinlock.repository.keys.records import PEM, KeyPlan, KeyRecord, encode_record, key_stem, read_key_record
from twinlock.repository.keys.unpublished import discard_abandoned, has_abandoned
from twinlock.trust.errors.base import UsageError
from twinlock.trust.errors.local import PassphraseError, StorageError
from twinlock.trust.keys.public_keys import PublicKey
from twinlock.trust.names import KeyId, role_file

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
    from securesystemslib.signer import Key, Signer

__all__ = ["KeyKind", "KeyPlan", "KeyRecord", "Keyring", "Passphrase"]


class Keyring:
    """The keys of one party. Opened private keys stay in memory until ``forget``.

    ``passphrase`` (text, bytes, a function that asks, or one for each place) encrypts new keys and opens old ones.
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
        self.online: Path = online or offline
        self.online_roles: frozenset[str] = frozenset(online_roles)
        self._passphrase = passphrase
        self._signers: dict[KeyId, Signer] = {}
        self._unsaved: dict[KeyId, KeyRecord] = {}

    def place_of(self, role: str) -> Path:
        """The directory for keys of ``role``."""
        return self.online if role in self.online_roles else self.offline

    def generate(self, role: str, *, kind: KeyKind = KeyKind.ED25519, count: int = 1) -> tuple[KeyRecord, ...]:
        """Make ``count`` new keys for ``role`` and write them at once.

        Raises: StorageError; UsageError and PassphraseError where the passphrase is not that of the keys in the same directory;
        UnsafePathError for the name of the role.
        """
        with self.new_keys() as new:
            records = new.generate(role, kind=kind, count=count)
            new.save()
        return records

    def new_keys(self) -> NewKeys:
        """A batch of keys that are made now and written later (see ``NewKeys``). Cleans first, as all that writes keys."""
        self.clean_stale()
        return NewKeys(make=self._make, write=self._keep, drop=self._drop)

    def records(self, role: str | None = None) -> tuple[KeyRecord, ...]:
        """The keys known here, or those made for ``role``, by key id. Raises: StorageError, NewerStateError."""
        records = {keyid: record for keyid, record in self._unsaved.items() if role is None or record.role == role}
        for place in dict.fromkeys((self.offline, self.online)):
            with storage_errors("read", place):
                paths = sorted(place.glob("*.json")) if place.is_dir() else []
            for path in paths:
                record = read_key_record(path)
                if role is None or record.role == role:
                    records[record.keyid] = record
        return tuple(records[keyid] for keyid in sorted(records))

    def held(self, keyids: Iterable[str]) -> tuple[KeyRecord, ...]:
        """Those of ``keyids`` that this machine can sign with, in the order given."""
        return tuple(record for record in self.known(keyids) if self._is_usable(record))

    def known(self, keyids: Iterable[str]) -> tuple[KeyRecord, ...]:
        """Those of ``keyids`` that have a record here, wherever their private halves are, in the order given."""
        by_id = {record.keyid: record for record in self.records()}
        return tuple(by_id[KeyId(keyid)] for keyid in keyids if keyid in by_id)

    def describe(self, role: str, key: Key) -> KeyRecord:
        """What a record of the public ``key`` would hold. Writes nothing."""
        public = key.keyval["public"]
        return self._record(role, key.keyid, keytype=key.keytype, scheme=key.scheme, public=public)

    def note(self, role: str, key: Key) -> KeyRecord:
        """Put a key on record whose private half is elsewhere. Raises: StorageError, UnsafePathError for the role's name."""
        record = self.describe(role, key)
        with storage_errors("create", record.place):
            make_directory(record.place, 0o700)
        self.clean_stale()
        create_file(record.files[0], encode_record(record), mode=0o600, max_bytes=MAX_KEY_FILE_BYTES)
        return record

    def mark(self, keyid: str, *, lost: bool) -> KeyRecord:
        """Keep on record that a private key is lost, or that it is not. Raises: UsageError for an unknown key."""
        records = self.known([keyid])
        if not records:
            raise UsageError(reason=f"the key {keyid} is not in this keyring")
        self.clean_stale()
        record = replace(records[0], lost=lost)
        replace_file(record.files[0], encode_record(record), mode=0o600, max_bytes=MAX_KEY_FILE_BYTES)
        self._signers.pop(record.keyid, None)
        return record

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

    def retire(self, keyids: Iterable[str], *, destroy: bool = False) -> None:
        """Move keys that no longer sign into ``retired`` in their directory; their private halves move too, or are destroyed.

        Raises: StorageError.
        """
        self.clean_stale()
        for record in self.known(keyids):
            aside = record.place / "retired"
            with storage_errors("create", aside):
                make_directory(aside, 0o700)
            # The private half first: a record without it is a key that is elsewhere, and the next attempt goes on.
            for path in reversed(record.files):
                with storage_errors("move", path), suppress(FileNotFoundError):
                    path.unlink() if destroy and path.suffix == ".pem" else path.rename(aside / path.name)
            for directory in (aside, record.place):  # a power cut must not bring the key back, nor lose both places
                with storage_errors("write", directory):
                    flush_directory(directory)
            self._signers.pop(record.keyid, None)

    def retired(self) -> frozenset[str]:
        """The ids of the keys that ``retire`` has moved. Raises: StorageError, NewerStateError."""
        places = dict.fromkeys(place / "retired" for place in (self.offline, self.online))
        return frozenset(read_key_record(path).keyid for place in places for path in place.glob("*.json"))

    @property
    def has_abandoned(self) -> bool:
        """Whether a process that died has left keys that it made and perhaps never published. Raises: StorageError."""
        return has_abandoned((self.offline, self.online))

    def discard_abandoned(self, used: Iterable[str]) -> None:
        """Delete new keys that a process which died made and published nothing with. ``used``: see ``unpublished``."""
        discard_abandoned((self.offline, self.online), used)

    def clean_stale(self) -> None:
        """Remove what a process that died left half-written: it may be a copy of a private key, without its passphrase.

        A file that another process is writing is locked, and stays.
        """
        for place in dict.fromkeys((self.offline, self.online)):
            clean_stale(place)

    def forget(self) -> None:
        """Drop opened private keys from memory."""
        self._signers.clear()

    def adopt(self, role: str, public: PublicKey, private: PrivateKeyTypes) -> KeyRecord:
        """Hold a key that was made elsewhere, under the id that it has there. Repeating it changes nothing.

        Raises: StorageError, UnsafePathError for the name of the role.
        """
        self.clean_stale()
        record = self._record(role, public.keyid, keytype=public.keytype, scheme=public.scheme, public=public.public)
        self._keep(record, private)
        return record

    def _make(self, role: str, kind: KeyKind) -> tuple[KeyRecord, PrivateKeyTypes]:
        """A new key in memory, with which signing works already."""
        from securesystemslib.signer import CryptoSigner

        role_file(role)
        self._secret_for_new(self.place_of(role))
        private, public = generate_private_key(kind)
        record = self._record(
            role, public.keyid, keytype=public.keytype, scheme=public.scheme, public=public.keyval["public"]
        )
        self._unsaved[record.keyid] = record
        self._signers[record.keyid] = CryptoSigner(private, record.authoring_key)
        return record, private

    def _drop(self, record: KeyRecord) -> None:
        """Forget a new key that nothing names, and delete what was written of it."""
        self._unsaved.pop(record.keyid, None)
        self._signers.pop(record.keyid, None)
        for path in record.files:
            with storage_errors("delete", path):
                path.unlink(missing_ok=True)
        if record.place.is_dir():
            with storage_errors("write", record.place):
                flush_directory(record.place)

    def _is_usable(self, record: KeyRecord) -> bool:
        return record.keyid in self._unsaved or record.availability.usable

    def _record(self, role: str, keyid: str, *, keytype: str, scheme: str, public: str) -> KeyRecord:
        return KeyRecord(
            keyid=KeyId(keyid),
            role=role,
            keytype=keytype,
            scheme=scheme,
            public=public,
            signer=f"{PEM}{key_stem(role, keyid)}.pem",
            place=self.place_of(role),
        )

    def _keep(self, record: KeyRecord, private: PrivateKeyTypes) -> None:
        """Write a key, its private half first; a key that is there already stays as it is."""
        with storage_errors("create", record.place):
            make_directory(record.place, 0o700)
        written, secret = record.files
        if not secret.exists():
            write_private_key(secret, private, self._secret_for_new(record.place))
        create_file(written, encode_record(record), mode=0o600, max_bytes=MAX_KEY_FILE_BYTES)
        self._unsaved.pop(record.keyid, None)

    def _secret(self, place: Path) -> Secret:
        return online_secret(self._passphrase) if place == self.online else offline_secret(self._passphrase)

    def _secret_for_new(self, place: Path) -> Secret:
        apart = isinstance(self._passphrase, SeparatePassphrases)
        others = () if apart else (self.offline, self.online)
        return secret_for_new(self._secret(place), place, others)

    def _open(self, record: KeyRecord) -> Signer:
        from securesystemslib.signer import CryptoSigner, Signer

        key = record.authoring_key
        if record.signer.startswith(PEM):
            path = record.place / record.signer.removeprefix(PEM)
            if path.parent != record.place:
                raise StorageError(path=str(path), operation="read", reason="the record points outside its directory")
            private = read_private_key(path, self._secret(record.place))
            try:
                return CryptoSigner(private, key)
            except ValueError as error:
                reason = f"the private key does not belong to the public key {record.keyid}: {error}"
                raise StorageError(path=str(path), operation="use", reason=reason) from None
        try:
            return Signer.from_priv_key_uri(record.signer, key, functools.partial(self._ask, record.place))
        except Exception as error:
            raise StorageError(path=record.signer, operation="open the key", reason=str(error)) from error

    def _ask(self, place: Path, what: str) -> str:
        secret = passphrase_bytes(self._secret(place))
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
