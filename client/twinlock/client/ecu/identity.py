"""The ECU's own key: made once, kept in a file that only its owner reads, used to sign reports.

Source: Uptane 2.1.0 5.4.1 (ECU keys are provisioned, and unique to each ECU).
"""

from __future__ import annotations

import hashlib
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from twinlock.io.files.durable import PRIVATE, clean_stale, create_once, storage_errors
from twinlock.io.files.operator_files import check_path, read_operator_file
from twinlock.trust.errors.base import TwinlockError, UsageError
from twinlock.trust.errors.local import StorageError
from twinlock.trust.keys.public_keys import PublicKey, load_key
from twinlock.trust.wire.json.olpc import encode_canonical

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

KEY_TYPES = ("ed25519", "ecdsa", "rsa")
_KEY_BYTES = 65_536
_RSA_BITS = 3_072  # a size that every reader of RSA keys accepts


@dataclass(frozen=True, slots=True)
class Identity:
    """An ECU's key pair; a ``twinlock.trust.keys.public_keys.Signer``. The private half never leaves this object."""

    public_key: PublicKey
    _sign: Callable[[bytes], bytes] = field(repr=False, compare=False)

    def sign(self, message: bytes) -> bytes:
        """The raw signature over ``message`` in the scheme of ``public_key``."""
        return self._sign(message)


def create_identity(path: Path, keytype: str = "ed25519") -> Identity:
    """Make a new key of ``keytype`` and store it at ``path``, readable by the owner only.

    Raises: UsageError for an unknown key type, StorageError if ``path`` exists or cannot be written.
    """
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    if keytype not in KEY_TYPES:
        raise UsageError(reason=f"the type of an ECU key is {' or '.join(KEY_TYPES)}, not {keytype!r}")
    clean_stale(path.parent)
    private = _generate(keytype)
    data = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    create_once(path, data, mode=PRIVATE)
    return _from_private(private)


def load_identity(path: Path) -> Identity:
    """Load the key at ``path``.

    Raises: StorageError if it is missing, unreadable, not a key of a known type, or open to other users.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    check_path(path, "read the ECU key from")
    with storage_errors("read the ECU key", path):
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise _unusable(
                path, "the file is readable by other users; chmod 600 it, or replace the key if they read it"
            )
    data = read_operator_file(path, "the ECU key", _KEY_BYTES)
    try:
        return _from_private(load_pem_private_key(data, password=None))
    except (ValueError, TypeError, UnsupportedAlgorithm, TwinlockError):
        raise _unusable(path, "not a private key of a known type; an unencrypted PEM file is required") from None


def _generate(keytype: str) -> Any:
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    if keytype == "rsa":
        return rsa.generate_private_key(public_exponent=65_537, key_size=_RSA_BITS)
    return ed25519.Ed25519PrivateKey.generate() if keytype == "ed25519" else ec.generate_private_key(ec.SECP256R1())


def _unusable(path: Path, reason: str) -> StorageError:
    return StorageError(path=str(path), operation="read the ECU key", reason=reason)


def _from_private(private: Any) -> Identity:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    if isinstance(private, ed25519.Ed25519PrivateKey):
        raw = private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        return Identity(_public("ed25519", "ed25519", raw.hex()), private.sign)
    if isinstance(private, ec.EllipticCurvePrivateKey) and isinstance(private.curve, ec.SECP256R1):
        pem = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
        algorithm = ec.ECDSA(hashes.SHA256())
        return Identity(_public("ecdsa", "ecdsa-sha2-nistp256", pem), lambda message: private.sign(message, algorithm))
    if isinstance(private, rsa.RSAPrivateKey):
        pem = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
        scheme = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=padding.PSS.DIGEST_LENGTH)
        public = _public("rsa", "rsassa-pss-sha256", pem)
        return Identity(public, lambda message: private.sign(message, scheme, hashes.SHA256()))
    raise ValueError("the key is neither ed25519 nor ECDSA P-256 nor RSA")


def _public(keytype: str, scheme: str, public: str) -> PublicKey:
    # The key id is the SHA-256 of the canonical key, as securesystemslib makes it (a test holds the two equal).
    described = {"keytype": keytype, "scheme": scheme, "keyval": {"public": public}}
    keyid = hashlib.sha256(encode_canonical(described)).hexdigest()
    return load_key(keyid, keytype=keytype, scheme=scheme, public=public)
