"""Public keys that others hand over in files: read strictly, with key ids computed here and never trusted.

A key file is what ``twinlock supplier init`` writes, or a PEM public key:

    {"role": "acme", "threshold": 1, "keys": [{"keyid": "...", "key": {"keytype": ..., "scheme": ..., "keyval": ...}}]}
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tuf.api.metadata import Key

from twinlock.io.files.operator_files import read_operator_file
from twinlock.repository.keys.private_keys import MAX_KEY_FILE_BYTES
from twinlock.trust.errors.base import UsageError
from twinlock.trust.keys.public_keys import load_key
from twinlock.trust.wire.json.olpc import encode_canonical

Json = dict[str, Any]

MAX_PUBLIC_KEYS_BYTES = 16 * MAX_KEY_FILE_BYTES


def read_key_files(paths: Iterable[str | Path]) -> dict[str, Json]:
    """The keys in these files, by key id, as TUF 1.0.34 4.2 writes them. Raises: UsageError, UnusableKeyError."""
    keys: dict[str, Json] = {}
    for path in paths:
        keys |= _read_key_file(Path(path))
    if not keys:
        raise UsageError(reason="at least one public key is needed")
    return keys


def checked_key(key: Json) -> tuple[str, Json]:
    """The id and the canonical members of a key from outside. Raises: UsageError, UnusableKeyError."""
    try:
        keytype, scheme, public = str(key["keytype"]), str(key["scheme"]), str(key["keyval"]["public"])
    except (KeyError, TypeError) as error:
        raise UsageError(reason=f"a public key needs keytype, scheme and keyval.public ({error!r})") from None
    plain: Json = {"keytype": keytype, "scheme": scheme, "keyval": {"public": public}}
    keyid = hashlib.sha256(encode_canonical(plain)).hexdigest()
    load_key(keyid, keytype=keytype, scheme=scheme, public=public)
    return keyid, plain


def authoring_keys(keys: dict[str, Json]) -> dict[str, Key]:
    """Keys as ``tuf.api.metadata`` wants them."""
    return {keyid: Key.from_dict(keyid, {**key}) for keyid, key in keys.items()}


def _read_key_file(path: Path) -> dict[str, Json]:
    data = read_operator_file(path, "public keys", MAX_PUBLIC_KEYS_BYTES)
    if data.lstrip().startswith(b"-----BEGIN"):
        keyid, key = checked_key(_from_pem(path, data))
        return {keyid: key}
    try:
        body = json.loads(data)
        items = body.get("keys", [body])
        offered = {str(item["keyid"]): item["key"] for item in items}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise UsageError(reason=f"{path} is neither a key file of twinlock nor a PEM public key") from None
    checked = dict(checked_key(key) for key in offered.values())
    if set(checked) != set(offered):
        raise UsageError(reason=f"{path} states a key id that is not that of its key")
    return checked


def _from_pem(path: Path, data: bytes) -> Json:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_public_key
    from securesystemslib.signer import SSlibKey

    if b"PRIVATE KEY" in data:
        raise UsageError(reason=f"{path} is a private key; give the public key instead")
    try:
        key: Json = SSlibKey.from_crypto(load_pem_public_key(data)).to_dict()
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise UsageError(reason=f"{path} is not a public key that can be used: {error}") from None
    return key
