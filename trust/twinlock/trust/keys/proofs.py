"""Stored proofs: what ties the bytes of a stored file to the authority whose signatures were counted on it.

``recall`` in ``signatures.py`` decides what follows from one. A proof holds no secret: anyone who can write the storage can
make one, as they can replace the stored Root. Where the Roots are read-only, only proofs made by the running process
are used.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping

from twinlock.trust.keys.public_keys import PublicKey
from twinlock.trust.names import KeyId

_PROOF, _AUTHORITY = b"twinlock proof 2", b"twinlock authority 1"


def authority_digest(
    keyids: Iterable[KeyId], threshold: int, keys: Mapping[KeyId, PublicKey], *, post_quantum: bool = False
) -> bytes:
    """Equal for the same threshold of the same keys under the same ids and schemes, in the same order, and for no other.

    ``post_quantum`` is whether one of the signatures has to be post-quantum; another demand is another authority.
    """
    parts = [_AUTHORITY, b"%d" % threshold, *((b"post-quantum",) if post_quantum else ())]
    for keyid in keyids:
        key = keys.get(keyid)
        parts += [keyid.encode(), *((b"", b"") if key is None else (key.scheme.encode(), key.identity))]
    return _digest(parts)


def make_proof(data: bytes, content: bytes, authority: bytes, subject: str) -> bytes:
    """The proof of a whole file as stored: a digest, and ``content``, the SHA-256 of its signed bytes.

    ``authority`` is an ``authority_digest``, ``subject`` the wire profile and role that the file was read as.
    """
    return _digest([_PROOF, subject.encode(), authority, hashlib.sha256(data).digest(), content]) + content


def read_proof(proof: bytes | None, data: bytes, authority: bytes, subject: str) -> bytes | None:
    """``content`` if ``proof`` was made of exactly the other three, else None."""
    content = b"" if proof is None else proof[-hashlib.sha256().digest_size :]
    return content if proof is not None and proof == make_proof(data, content, authority, subject) else None


def _digest(parts: list[bytes]) -> bytes:
    # Each with its length before it, so that no two lists of parts are the same bytes.
    return hashlib.sha256(b"".join(b"%d:" % len(part) + part for part in parts)).digest()
