"""Private keys as files: the kinds we make, and PKCS#8 PEM encrypted under a passphrase."""

from __future__ import annotations

import enum
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from twinlock.io.files.durable import create_file, read_file, replace_file
from twinlock.trust.errors.base import UsageError
from twinlock.trust.errors.local import PassphraseError, StorageError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
    from securesystemslib.signer import SSlibKey

Secret = str | bytes | Callable[[], str] | None  # one passphrase; a function is asked when a key needs it


@dataclass(frozen=True, slots=True, kw_only=True)
class SeparatePassphrases:
    """One passphrase for the keys that people sign with, another for those that automation signs with."""

    offline: Secret
    online: Secret


Passphrase = Secret | SeparatePassphrases

MAX_KEY_FILE_BYTES = 65_536  # an encrypted ML-DSA-87 key takes 7 kB of PEM

# PKCS#8, and the header of the traditional form (RFC 1421 4.6.1.1), which `openssl genrsa -traditional` still writes
_ENCRYPTED = re.compile(rb"BEGIN ENCRYPTED PRIVATE KEY|^Proc-Type:\s*4,\s*ENCRYPTED", re.MULTILINE)


class KeyKind(enum.Enum):
    """The kinds of key that can be made here. The value is what people type."""

    ED25519 = "ed25519"
    ECDSA_P256 = "ecdsa-p256"
    ECDSA_P384 = "ecdsa-p384"
    RSA_PSS = "rsa-pss-3072"
    ML_DSA_44 = "ml-dsa-44"
    ML_DSA_65 = "ml-dsa-65"
    ML_DSA_87 = "ml-dsa-87"

    @property
    def keytype(self) -> str:
        """The type of these keys in metadata (TUF 1.0.34 4.2)."""
        return next(keytype for (keytype, _), kind in _SCHEMES.items() if kind is self)


_SCHEMES = {
    ("ed25519", "ed25519"): KeyKind.ED25519,
    ("ecdsa", "ecdsa-sha2-nistp256"): KeyKind.ECDSA_P256,
    ("ecdsa", "ecdsa-sha2-nistp384"): KeyKind.ECDSA_P384,
    ("rsa", "rsassa-pss-sha256"): KeyKind.RSA_PSS,
    ("ml-dsa", "ml-dsa-44/1"): KeyKind.ML_DSA_44,
    ("ml-dsa", "ml-dsa-65/1"): KeyKind.ML_DSA_65,
    ("ml-dsa", "ml-dsa-87/1"): KeyKind.ML_DSA_87,
}


def kind_of(keytype: str, scheme: str) -> KeyKind:
    """The kind that makes keys of that type and scheme; ed25519 for one that we do not make."""
    return _SCHEMES.get((keytype, scheme), KeyKind.ED25519)


def generate_private_key(kind: KeyKind) -> tuple[PrivateKeyTypes, SSlibKey]:
    """A new key pair; the key id is as securesystemslib makes it."""
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mldsa, rsa
    from securesystemslib.signer import SSlibKey

    makers: dict[KeyKind, Callable[[], PrivateKeyTypes]] = {
        KeyKind.ED25519: ed25519.Ed25519PrivateKey.generate,
        KeyKind.ECDSA_P256: lambda: ec.generate_private_key(ec.SECP256R1()),
        KeyKind.ECDSA_P384: lambda: ec.generate_private_key(ec.SECP384R1()),
        KeyKind.RSA_PSS: lambda: rsa.generate_private_key(public_exponent=65537, key_size=3072),
        KeyKind.ML_DSA_44: mldsa.MLDSA44PrivateKey.generate,
        KeyKind.ML_DSA_65: mldsa.MLDSA65PrivateKey.generate,
        KeyKind.ML_DSA_87: mldsa.MLDSA87PrivateKey.generate,
    }
    private = makers[kind]()
    return private, SSlibKey.from_crypto(private.public_key())


def write_private_key(path: Path, private: PrivateKeyTypes, passphrase: Secret) -> None:
    """Write ``private`` as PKCS#8 PEM, mode 0600, encrypted if there is a passphrase. Raises: StorageError."""
    if not create_file(path, _encode(private, passphrase), mode=0o600, max_bytes=MAX_KEY_FILE_BYTES):
        raise StorageError(path=str(path), operation="write", reason="a key file with that name already exists")


def replace_private_key(path: Path, private: PrivateKeyTypes, passphrase: Secret) -> None:
    """Write ``private`` in place of the file of the same key. Raises: StorageError; the old file then stays."""
    replace_file(path, _encode(private, passphrase), mode=0o600, max_bytes=MAX_KEY_FILE_BYTES)


def _encode(private: PrivateKeyTypes, passphrase: Secret) -> bytes:
    from cryptography.hazmat.primitives import serialization

    secret = passphrase_bytes(passphrase)
    encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if secret is not None:
        encryption = serialization.BestAvailableEncryption(secret)
    return private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)


def read_private_key(path: Path, passphrase: Secret) -> PrivateKeyTypes:
    """Open a private key. The passphrase is only asked for if the key is encrypted.

    Raises: PassphraseError for a wrong or missing passphrase, StorageError for a missing or damaged file.
    """
    pem = read_file(path, max_bytes=MAX_KEY_FILE_BYTES)
    if pem is None:
        raise StorageError(path=str(path), operation="read", reason="no such key file")
    return open_pem(pem, path, passphrase)


def open_pem(pem: bytes, path: Path, passphrase: Secret) -> PrivateKeyTypes:
    """Open the private key ``pem``, which was read from ``path``. Raises: as ``read_private_key``."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    encrypted = _ENCRYPTED.search(pem) is not None
    secret = passphrase_bytes(passphrase) if encrypted else None
    if encrypted and secret is None:
        raise PassphraseError(path=str(path))
    try:
        return load_pem_private_key(pem, secret)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        if encrypted and not isinstance(error, UnsupportedAlgorithm):
            raise PassphraseError(path=str(path)) from None
        raise StorageError(path=str(path), operation="read", reason=f"not a private key: {error}") from None


def is_encrypted(path: Path) -> bool:
    """Whether a key file needs a passphrase. Raises: StorageError."""
    return _ENCRYPTED.search(read_file(path, max_bytes=MAX_KEY_FILE_BYTES) or b"") is not None


def passphrase_bytes(passphrase: Secret) -> bytes | None:
    """The passphrase as bytes; one given as a function is asked for now. Raises: UsageError if it is empty."""
    if passphrase is None:
        return None
    value = passphrase() if callable(passphrase) else passphrase
    secret = value.encode() if isinstance(value, str) else value
    if not secret:
        raise UsageError(reason="the passphrase is empty")
    return secret
