"""Members that more than one kind of file of the ``aktualizr`` profile has: keys, signatures, digests."""

from __future__ import annotations

from typing import Any

from twinlock.trust.keys.public_keys import PublicKey, load_key
from twinlock.trust.keys.signatures import RoleKeys, Signature
from twinlock.trust.limits import Limits
from twinlock.trust.names import KeyId
from twinlock.trust.wire.aktualizr.form import MAX_THRESHOLD, METHODS, decode_base64
from twinlock.trust.wire.json.cursor import DIGEST_DIGITS, Node, check_text
from twinlock.trust.wire.tuf import members as tuf_members
from twinlock.trust.wire.tuf.members import KeyTable, collect_signatures, decode_role_keys

# By the type as it is written, in lower case: ours, and the only scheme there is for it.
_KEY_TYPES = {"ed25519": ("ed25519", "ed25519"), "rsa": ("rsa", "rsassa-pss-sha256")}
_METHODS = frozenset(name for names in METHODS.values() for name in names)


def decode_keys(node: Node, limits: Limits) -> KeyTable:
    """The keys of a file. One that cannot be used counts for nothing, and the file holds. Raises: LimitError."""
    return tuf_members.decode_keys(node, limits, _decode_key)


def _decode_key(keyid: KeyId, node: Node) -> PublicKey:
    check_text(keyid, node)
    return decode_public_key(keyid, node.get("keytype"), node.get("keyval").get("public"))


def decode_public_key(keyid: str, keytype: Node, public: Node) -> PublicKey:
    """One public key by the two members that describe it. Raises: UnusableKeyError, MalformedError."""
    known = _KEY_TYPES.get(keytype.text().lower())
    if known is None:
        keytype.fail(f"key type {keytype.text()!r} is neither RSA nor ED25519")
    text = public.text()
    value = text.lower() if known[0] == "ed25519" else text
    return load_key(keyid, keytype=known[0], scheme=known[1], public=value)


def decode_signers(node: Node, limits: Limits) -> RoleKeys:
    """The ``keyids`` and ``threshold`` of a role. Raises: MalformedError, also for a threshold that the client refuses."""
    found = decode_role_keys(node, limits)
    if found.threshold > MAX_THRESHOLD:
        node.get("threshold").fail(f"at most {MAX_THRESHOLD} is allowed")
    return found


def decode_signatures(node: Node, limits: Limits) -> tuple[Signature, ...]:
    """The signatures of a file: those with a key id, a known method and base64. Others are ignored.

    Raises: LimitError for more items than permitted, MalformedError for a repeated key id.
    """
    return collect_signatures(node, limits, read_signature)


def read_signature(item: Any, limits: Limits) -> Signature | None:
    """One entry as a signature; None for what is ignored."""
    if not isinstance(item, dict):
        return None
    keyid, method, value = item.get("keyid"), item.get("method"), item.get("sig")
    if not isinstance(keyid, str) or not isinstance(value, str) or not isinstance(method, str):
        return None
    if method.lower() not in _METHODS or len(value) > 2 * limits.signature_bytes:
        return None
    try:
        return Signature(KeyId(keyid), decode_base64(value))
    except ValueError:
        return None


def decode_hashes(node: Node, limits: Limits) -> dict[str, str]:
    """Digests by algorithm, in lower case. Unknown algorithms are ignored, but at least one known algorithm is required."""
    found: dict[str, str] = {}
    for algorithm, item in node.members(limits.hashes):
        if algorithm not in DIGEST_DIGITS:
            continue
        digest = item._replace(value=item.text().lower())
        if len(digest.hex()) * 2 != DIGEST_DIGITS[algorithm]:
            item.fail(f"not a digest of {algorithm}")
        found[algorithm] = digest.value
    if not found:
        node.fail("at least one hash of a known algorithm is required")
    return found
