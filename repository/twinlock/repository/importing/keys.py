"""Private keys as other tools keep them: ROLE/private.key (hexadecimal or PEM), PEM files, or JSON files.

    {"keytype": "RSA" or "ED25519", "keyval": {"private": PEM or hexadecimal, "public": ...}}      (.sec of signing tools)

Which key is for what is not taken from a file's name: a key is found by its public half, which signed metadata names.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from twinlock.io.files.operator_files import read_operator_file
from twinlock.repository.errors import OldPassphraseError
from twinlock.repository.keys.private_keys import MAX_KEY_FILE_BYTES, Secret, open_pem
from twinlock.trust.errors.base import UsageError
from twinlock.trust.errors.local import OperatorFileError, PassphraseError, StorageError
from twinlock.trust.errors.metadata import UnusableKeyError
from twinlock.trust.keys.public_keys import load_key

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

_HEX = re.compile(rb"[0-9a-fA-F]{64}(?:[0-9a-fA-F]{64})?")


def read_foreign_keys(directory: Path, passphrase: Secret = None) -> dict[bytes, PrivateKeyTypes]:
    """The private keys in ``directory`` and its folders, by the identity of their public half (``PublicKey.identity``).

    ``passphrase`` opens those that are encrypted; a function is asked when the first of them turns up.
    Raises: UsageError if there is none, OperatorFileError for a damaged one, OldPassphraseError for an encrypted one that
    ``passphrase`` does not open.
    """
    if not directory.is_dir():
        raise UsageError(reason=f"the directory of private keys, {directory}, does not exist")
    keys: dict[bytes, PrivateKeyTypes] = {}
    for path in sorted(path for pattern in ("*", "*/*") for path in directory.glob(pattern) if path.is_file()):
        for key in _read(path, passphrase):
            keys |= _identified(key)
    if not keys:
        raise UsageError(
            reason=f"{directory} holds no private key: neither ROLE/private.key nor a PEM or JSON file of a private key"
        )
    return keys


def _read(path: Path, passphrase: Secret) -> Iterator[PrivateKeyTypes]:
    if path.stat().st_size > MAX_KEY_FILE_BYTES:
        return
    data = read_operator_file(path, "private keys", MAX_KEY_FILE_BYTES).strip()
    if data.startswith(b"{"):
        yield from _from_json(path, data, passphrase)
    elif b"PRIVATE KEY-----" in data:
        yield _from_pem(path, data, passphrase)
    elif path.name == "private.key":
        yield _from_hex(path, data)


def _from_json(path: Path, data: bytes, passphrase: Secret) -> Iterator[PrivateKeyTypes]:
    """The private key of a JSON file; nothing if it holds none, such as a file of a public key."""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return
    keyval = value.get("keyval")
    private = keyval.get("private") if isinstance(keyval, dict) else None
    if not isinstance(private, str):
        return
    text = private.strip().encode(errors="replace")  # a surrogate is in no key
    yield _from_pem(path, text, passphrase) if text.startswith(b"-----") else _from_hex(path, text)


def _from_pem(path: Path, data: bytes, passphrase: Secret) -> PrivateKeyTypes:
    try:
        return open_pem(data, path, passphrase)
    except PassphraseError:
        raise OldPassphraseError(path=str(path)) from None
    except StorageError as error:
        raise _damaged(path, error.reason) from None


def _from_hex(path: Path, data: bytes) -> PrivateKeyTypes:
    """An ed25519 key in hexadecimal: the seed, or the seed and the public key after it."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    if not _HEX.fullmatch(data):
        raise _damaged(path, "the file is neither PEM nor the 64 or 128 hexadecimal digits of an ed25519 key")
    raw = bytes.fromhex(data.decode())
    key = Ed25519PrivateKey.from_private_bytes(raw[:32])
    if raw[32:] and key.public_key().public_bytes_raw() != raw[32:]:
        raise _damaged(path, "its seed and its public key do not match")
    return key


def _damaged(path: Path, reason: str) -> OperatorFileError:
    return OperatorFileError(path=str(path), operation="read the private key from", reason=reason)


def _identified(private: PrivateKeyTypes) -> dict[bytes, PrivateKeyTypes]:
    """The key by its identity; nothing for one of a kind that signs no metadata."""
    from securesystemslib.signer import SSlibKey

    try:
        key = SSlibKey.from_crypto(private.public_key())
        loaded = load_key(key.keyid, keytype=key.keytype, scheme=key.scheme, public=key.keyval["public"])
    except (ValueError, TypeError, UnusableKeyError):
        return {}
    return {loaded.identity: private}
