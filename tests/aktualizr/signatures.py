"""Who signed a file: the type against the role, then signatures one by one, then the threshold (wire 5, item 2).

Belongs here: counting signatures. Does not belong here: whose keys count; callers bring an authority.
"""

from __future__ import annotations

from typing import Any

from tests.aktualizr.metadata import THRESHOLDS, Authority, Log, Role, Signed, read_envelope
from tests.aktualizr.refusals import (
    BadKeyId,
    NonUniqueSignatures,
    UnmetThreshold,
    UptaneError,
    WrongType,
)
from tests.aktualizr.wire import METHODS, canonical


def verified(document: bytes, role: str, authority: Authority, log: Log) -> Signed:
    """The signed part of ``document``, if it is of the right type and enough keys of ``role`` signed it.

    A delegated role is of the type Targets. The key of a signature is looked up by id, which is never recomputed.
    """
    envelope = read_envelope(document)
    signed: Signed = envelope["signed"]
    kind = str(signed.get("_type"))
    expected = role if role in {"root", "snapshot", "timestamp"} else "targets"
    if kind.lower() != expected:
        log(f"Metadata type {kind.lower()} does not match expected role: {role}")
        raise WrongType(kind, role)
    signatures = envelope.get("signatures") or []
    if len({each.get("keyid") for each in signatures}) < len(signatures):
        raise NonUniqueSignatures(role)
    who = authority.roles.get(role, Role((), 0))
    message = canonical(signed)
    valid = sum(_counts(each, role, who, authority, message, log) for each in signatures)
    _check_threshold(who, valid, len(signatures), role)
    return signed


def _counts(signature: dict[str, Any], role: str, who: Role, authority: Authority, message: bytes, log: Log) -> bool:
    """Whether one signature counts. A method that is not known ends everything; it is not compared with the key."""
    keyid, method = signature.get("keyid", ""), str(signature.get("method", ""))
    if method.lower() not in METHODS:
        raise UptaneError(f"Unsupported sign method: {method}")
    if keyid not in authority.keys:
        log(f"Signed by unknown KeyId: {keyid}. Skipping.")
        return False
    if keyid not in who.keyids:
        log(f"KeyId {keyid} is not valid to sign for this role ({role}).")
        return False
    if not authority.keys[keyid].verifies(str(signature.get("sig", "")), message):
        log(f"Signature was present but invalid: {signature.get('sig')} with KeyId: {keyid}")
        return False
    return True


def _check_threshold(who: Role, valid: int, given: int, role: str) -> None:
    """Enough valid signatures. One signature that does not count has a message of its own."""
    if who.threshold not in THRESHOLDS:
        raise UptaneError("Invalid signature threshold")
    if valid < who.threshold:
        raise BadKeyId if given == 1 and valid == 0 else UnmetThreshold(role)
