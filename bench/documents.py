"""Signed TUF documents with fixed keys, as plain JSON: the same bytes on every machine.

Neither our model nor python-tuf's has a part in it; only securesystemslib's canonical encoding and keys do.
"""

from __future__ import annotations

import hashlib
import json
from functools import cache
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from securesystemslib.formats import encode_canonical
from securesystemslib.signer import CryptoSigner

EXPIRES = "2099-01-01T00:00:00Z"  # python-tuf judges by the real clock
ISSUED = "2025-01-01T00:00:00Z"

Json = dict[str, Any]


@cache
def signer(name: str) -> CryptoSigner:
    """The TEST key called ``name``; its seed is the hash of the name."""
    seed = hashlib.sha256(f"TEST key of the benchmarks: {name}".encode()).digest()
    return CryptoSigner(Ed25519PrivateKey.from_private_bytes(seed))


def public_keys(*names: str) -> Json:
    """A ``keys`` member holding these keys."""
    return {signer(name).public_key.keyid: signer(name).public_key.to_dict() for name in names}


def role(name: str) -> Json:
    """A role that one key signs for."""
    return {"keyids": [signer(name).public_key.keyid], "threshold": 1}


def common(role_type: str, version: int = 1) -> Json:
    """The members that every ``signed`` part has."""
    return {
        "_type": role_type,
        "spec_version": "1.0.31",
        "version": version,
        "expires": EXPIRES,
        "issued": ISSUED,
    }


def sign(signed: Json, *names: str, indented: bool = False) -> bytes:
    """The whole file, signed with these keys; canonical, or laid out for people as some publishers do."""
    payload = canonical(signed)
    signatures = [signer(name).sign(payload).to_dict() for name in names]
    if indented:
        return json.dumps({"signatures": signatures, "signed": signed}, indent=1).encode()
    return b'{"signatures":' + canonical(signatures) + b',"signed":' + payload + b"}"


def canonical(value: Json | list[Json]) -> bytes:
    """OLPC canonical JSON."""
    text = encode_canonical(value)
    assert text is not None
    return text.encode()


def file_info(data: bytes) -> Json:
    """What an index says of a file."""
    return {"version": 1, "length": len(data), "hashes": {"sha256": hashlib.sha256(data).hexdigest()}}
