"""Members that more than one kind of file of the ``aktualizr`` profile has: keys, signatures, digests."""

from __future__ import annotations

from twinlock.trust.keys import PublicKey, load_key
from twinlock.trust.limits import Limits
from twinlock.trust.names import KeyId
from twinlock.trust.signatures import RoleKeys, Signature
from twinlock.trust.wire.aktualizr.form import MAX_THRESHOLD, METHODS, decode_base64
from twinlock.trust.wire.node import DIGEST_DIGITS, Node, check_text
from twinlock.trust.wire.tuf_members import decode_role_keys

# By the type as it is written, in lower case: ours, and the only scheme there is for it.
_KEY_TYPES = {"ed25519": ("ed25519", "ed25519"), "rsa": ("rsa", "rsassa-pss-sha256")}
_METHODS = frozenset(name for names in METHODS.values() for name in names)


def decode_keys(node: Node, limits: Limits) -> dict[KeyId, PublicKey]:
    """Public keys by key id. Raises: WeakKeyError for one that must not be used, MalformedError."""
    return {KeyId(keyid): _decode_key(KeyId(keyid), key) for keyid, key in node.members(limits.keys)}


def _decode_key(keyid: KeyId, node: Node) -> PublicKey:
    check_text(keyid, node)
    return decode_public_key(keyid, node.get("keytype"), node.get("keyval").get("public"))


def decode_public_key(keyid: str, keytype: Node, public: Node) -> PublicKey:
    """One public key by the two members that describe it. Raises: WeakKeyError, MalformedError."""
    known = _KEY_TYPES.get(keytype.text().lower())
    if known is None:
        keytype.fail(f"{keytype.text()!r} is neither RSA nor ED25519")
    text = public.text()
    value = text.lower() if known[0] == "ed25519" else text
    return load_key(keyid, keytype=known[0], scheme=known[1], public=value)


def decode_signers(node: Node, limits: Limits) -> RoleKeys:
    """The ``keyids`` and ``threshold`` of a role. A key id that stands twice is refused, as is what the client refuses."""
    found = decode_role_keys(node, limits)
    if found.threshold > MAX_THRESHOLD:
        node.get("threshold").fail(f"at most {MAX_THRESHOLD} is allowed")
    return found


def decode_signatures(node: Node, limits: Limits) -> tuple[Signature, ...]:
    """The signatures of a file. A key id that stands twice is refused, as is a method that nobody has."""
    found = tuple(_decode_signature(item) for item in node.items(limits.signatures))
    if len({signature.keyid for signature in found}) != len(found):
        node.fail("two signatures have the same key id")
    return found


def _decode_signature(node: Node) -> Signature:
    method = node.get("method")
    if method.text().lower() not in _METHODS:
        method.fail(f"{method.text()!r} is no method of signing")
    try:
        value = decode_base64(node.get("sig").text())
    except ValueError as error:
        node.get("sig").fail(f"it is not base64: {error}")
    return Signature(KeyId(node.get("keyid").text()), value)


def decode_hashes(node: Node, limits: Limits) -> dict[str, str]:
    """Digests by algorithm, in lower case. Others than we know are passed over, but one has to be left."""
    found: dict[str, str] = {}
    for algorithm, item in node.members(limits.hashes):
        if algorithm not in DIGEST_DIGITS:
            continue
        digest = item._replace(value=item.text().lower())
        if len(digest.hex()) * 2 != DIGEST_DIGITS[algorithm]:
            item.fail(f"that is no {algorithm} digest")
        found[algorithm] = digest.value
    if not found:
        node.fail("at least one hash of a known algorithm is required")
    return found
