"""What a stored proof is: one digest that ties the bytes of a file to the authority whose signatures were counted on it.

Belongs here: the digest. Does not belong here: what follows from it (``recall`` in ``signatures.py`` decides that) and
storing it. It holds no secret: whoever can write the state can make one, as they can replace the Root beside it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping

from twinlock.trust.keys import PublicKey
from twinlock.trust.names import KeyId

_PROOF, _AUTHORITY = b"twinlock proof 1", b"twinlock authority 1"


def authority_digest(keyids: Iterable[KeyId], threshold: int, keys: Mapping[KeyId, PublicKey]) -> bytes:
    """Equal for the same threshold of the same keys under the same ids and schemes, in the same order, and for no other."""
    parts = [_AUTHORITY, b"%d" % threshold]
    for keyid in keyids:
        key = keys.get(keyid)
        parts += [keyid.encode(), *((b"", b"") if key is None else (key.scheme.encode(), key.identity))]
    return _digest(parts)


def proof_digest(data: bytes, authority: bytes, subject: str) -> bytes:
    """Of a whole file as received, an ``authority_digest``, and ``subject``: the wire profile and role it was read as."""
    return _digest([_PROOF, subject.encode(), authority, hashlib.sha256(data).digest()])


def _digest(parts: list[bytes]) -> bytes:
    # Each with its length before it, so that no two lists of parts are the same bytes.
    return hashlib.sha256(b"".join(b"%d:" % len(part) + part for part in parts)).digest()
