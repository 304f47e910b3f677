"""Signing one metadata file: the object in, the file's bytes out, with as many signatures as its role needs."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

from securesystemslib.exceptions import UnverifiedSignatureError, VerificationError
from securesystemslib.signer import Signer
from tuf.api.metadata import Key, Metadata, Root, Signed, Snapshot, Targets, Timestamp

from twinlock.repository.errors import MissingKeysError, MissingPostQuantumKeyError
from twinlock.repository.keys.demands import demanding_roles
from twinlock.repository.keys.keyring import Keyring
from twinlock.trust.errors.base import TwinlockError, UsageError
from twinlock.trust.keys.public_keys import is_post_quantum, load_key
from twinlock.trust.limits import DEFAULT_LIMITS
from twinlock.trust.names import KeyId
from twinlock.trust.text.times import format_time

SPEC_VERSION = "1.0.34"
ISSUED = "issued"

S = TypeVar("S", Root, Timestamp, Snapshot, Targets)

_MAX_BYTES = {
    Root.type: DEFAULT_LIMITS.root_bytes,
    Timestamp.type: DEFAULT_LIMITS.timestamp_bytes,
    Snapshot.type: DEFAULT_LIMITS.snapshot_bytes,
    Targets.type: DEFAULT_LIMITS.targets_bytes,
}


@dataclass(frozen=True, slots=True)
class SigningAuthority:
    """Who signs for a role: its keys by id, and how many of them have to; with ``post_quantum`` one by an ML-DSA key."""

    keys: dict[str, Key]
    threshold: int
    post_quantum: bool = False

    @property
    def keyids(self) -> tuple[str, ...]:
        """The ids of the keys, in their order."""
        return tuple(self.keys)

    def count(self, keyids: Iterable[str]) -> int:
        """How many keys ``keyids`` are: one key may have several ids, and counts once."""
        wanted = self.keys.keys() & set(keyids)
        return len({_identity(keyid, self.keys[keyid]) for keyid in wanted})

    def is_met_by(self, keyids: Iterable[str]) -> bool:
        """Whether signatures by these keys of the role are enough."""
        signing = self.keys.keys() & set(keyids)
        enough = len(signing) >= self.threshold and self.count(signing) >= self.threshold
        return enough and not self.lacks_post_quantum(signing)

    @property
    def rule(self) -> tuple[frozenset[str], int, bool]:
        """Equal where the same files pass: key ids, threshold and demand."""
        return frozenset(self.keys), self.threshold, self.post_quantum

    def lacks_post_quantum(self, keyids: Iterable[str]) -> bool:
        """Whether a post-quantum signature is demanded and none of ``keyids`` makes one."""
        signing = set(keyids)
        return self.post_quantum and not any(
            is_post_quantum(key.keytype) for keyid, key in self.keys.items() if keyid in signing
        )

    def check_held(self, role: str, held: Iterable[str]) -> None:
        """Refuse to sign for ``role`` with the keys ``held`` if that is not enough.

        Raises: MissingKeysError, MissingPostQuantumKeyError.
        """
        signing = self.keys.keys() & set(held)
        if self.is_met_by(signing):
            return
        count = self.count(signing)
        error = MissingKeysError if count < self.threshold else MissingPostQuantumKeyError
        raise error(role=role, required=self.threshold, held=count, keyids=self.keyids)


def root_authority(root: Root, role: str) -> SigningAuthority:
    """Who signs for a top-level role under ``root``."""
    role_keys = root.roles[role]
    keys = {keyid: root.keys[keyid] for keyid in role_keys.keyids if keyid in root.keys}
    return SigningAuthority(keys, role_keys.threshold, role in demanding_roles(root))


def _identity(keyid: str, key: Key) -> object:
    """What two ids of one key have in common. A key that the trust engine does not read counts by its id."""
    try:
        public = key.keyval["public"]
        return load_key(KeyId(keyid), keytype=key.keytype, scheme=key.scheme, public=public).identity
    except (TwinlockError, KeyError, TypeError):
        return keyid


def renew(
    signed: Signed, now: datetime, valid_for: timedelta, *, version: int, lasting_from: datetime | None = None
) -> None:
    """Set the fields that every new signature brings: version, expiry, and the signed time of issue.

    The life ``valid_for`` counts from ``lasting_from`` where that is given and later than ``now``
    (``ClockMarks.lasting_from``).
    """
    signed.version = version
    signed.expires = (max(now, lasting_from or now) + valid_for).replace(microsecond=0)
    signed.unrecognized_fields[ISSUED] = format_time(now)


def sign_file(
    role: str,
    signed: S,
    authorities: Iterable[SigningAuthority],
    keyring: Keyring,
    *,
    also: SigningAuthority | None = None,
) -> bytes:
    """Sign ``signed`` with every key of ``authorities`` that is held, and return the file.

    Each authority's threshold has to be reached (Root has two: the old and the new). Keys of ``also`` sign if they are
    held; nothing depends on it here.
    Raises: MissingKeysError; PassphraseError; UsageError above the size that vehicles accept.
    """
    metadata = Metadata(signed)
    for authority in authorities:
        signers = keyring.signers(authority.keyids)
        authority.check_held(role, keyids_of(signers))
        _sign(metadata, signers)
    if also is not None:
        _sign(metadata, keyring.signers(also.keyids))
    return checked_size(role, signed.type, metadata.to_bytes())


def keyids_of(signers: Iterable[Signer]) -> tuple[str, ...]:
    """The ids of the keys that sign."""
    return tuple(signer.public_key.keyid for signer in signers)


def _sign(metadata: Metadata[S], signers: Iterable[Signer]) -> None:
    for signer in signers:
        if signer.public_key.keyid not in metadata.signatures:
            metadata.sign(signer, append=True)


def checked_size(role: str, role_type: str, data: bytes) -> bytes:
    """``data`` if vehicles read a file of that size. Raises: UsageError."""
    if len(data) > _MAX_BYTES[role_type]:
        reason = f"{role} would take {len(data)} bytes; vehicles read at most {_MAX_BYTES[role_type]} (use hash bins)"
        raise UsageError(reason=reason)
    return data


def valid_signatures(metadata: Metadata[Root], authorities: Iterable[SigningAuthority]) -> frozenset[str]:
    """The keys of ``authorities`` whose signatures in the file verify: others only take the place of one."""
    message, valid = metadata.signed_bytes, set[str]()
    for keyid, key in {keyid: key for each in authorities for keyid, key in each.keys.items()}.items():
        if keyid in metadata.signatures:
            with suppress(UnverifiedSignatureError, VerificationError):
                key.verify_signature(metadata.signatures[keyid], message)
                valid.add(keyid)
    return frozenset(valid)
