"""Signed time: what a time source attests, and whether it proves the time to this ECU.

The source's keys are named by the Director's Root (``Root.time_source``), so they rotate like any others.
Source: Uptane 2.1.0 5.4.2.2 and 5.4.3.1.
"""

from __future__ import annotations

import hashlib
import json
from datetime import datetime
from typing import NamedTuple

from twinlock.trust.errors.metadata import ThresholdError
from twinlock.trust.errors.reports import AttestationError, AttestationKeyError
from twinlock.trust.keys.public_keys import PublicKey, Signer
from twinlock.trust.keys.signatures import Envelope, verify_signatures
from twinlock.trust.limits import DEFAULT_LIMITS, Limits
from twinlock.trust.model.root import Root
from twinlock.trust.text.times import format_time
from twinlock.trust.wire.json.cursor import Node
from twinlock.trust.wire.json.olpc import encode_canonical
from twinlock.trust.wire.json.parser import parse_envelope
from twinlock.trust.wire.tuf.members import decode_signatures

_TYPE = "time-attestation"
_WHAT = "time attestation"
MAX_NONCES = 256


class Attestation(NamedTuple):
    """A time that the time source proved, and the key material that signed it, each key as a SHA-256 in hexadecimal."""

    time: datetime
    signers: frozenset[str]

    def stands(self, root: Root) -> bool:
        """Whether this time still bounds later ones under ``root``.

        It ends when key material that signed it left the role, or is fewer keys than the role's threshold now. Key ids,
        their order and added keys do not count.
        """
        role = root.time_source
        if role is None:
            return False
        named = {key_material(root.keys[keyid]) for keyid in role.keyids if keyid in root.keys}
        return self.signers <= named and len(self.signers) >= role.threshold


def sign_attestation(time: datetime, nonces: tuple[str, ...], signer: Signer) -> bytes:
    """State ``time`` (UTC) in answer to ``nonces`` (hexadecimal), signed."""
    signed = {"_type": _TYPE, "time": format_time(time), "nonces": sorted(nonces)}
    signature = signer.sign(encode_canonical(signed)).hex()
    return json.dumps(
        {"signatures": [{"keyid": signer.public_key.keyid, "sig": signature}], "signed": signed},
        separators=(",", ":"),
        sort_keys=True,
    ).encode()


def check_attestation(
    data: bytes,
    root: Root,
    *,
    nonce: str | None,
    limits: Limits = DEFAULT_LIMITS,
) -> Attestation:
    """What ``data`` proves under the Director's ``root``.

    ``nonce`` is what this ECU asked with; None accepts a broadcast, which then proves only that it is not earlier.
    Raises: MalformedError, LimitError, AttestationError; AttestationKeyError if only keys that ``root`` does not name
    signed it, which a newer Root may change.
    """
    raw = parse_envelope(data, _WHAT, limits.attestation_bytes, signatures_bytes=limits.signatures_bytes)
    signed = Node(raw.signed, _WHAT, "$.signed")
    if signed.text_at("_type") != _TYPE:
        signed.get("_type").fail(f"{_TYPE!r} is required")
    time = signed.get("time").time()
    nonces = [item.text() for item in signed.get("nonces").items(MAX_NONCES)]
    if root.time_source is None:
        raise AttestationError(reason="the Director's Root names no time source")
    signatures = decode_signatures(Node(raw.signatures, _WHAT, "$.signatures"), limits)
    envelope = Envelope(time, raw.payload, signatures, data, raw.canonical, limits.failed_verifications)
    try:
        found = verify_signatures(envelope, root.keys, root.time_source, repository="director", role_name="timeSource")
    except ThresholdError as error:
        if error.unknown and not error.invalid and not error.signed:
            raise AttestationKeyError(reason=str(error)) from error
        raise AttestationError(reason=str(error)) from error
    if nonce is not None and nonce not in nonces:
        raise AttestationError(reason="the attestation does not answer the nonce that was sent")
    return Attestation(time, frozenset(key_material(root.keys[keyid]) for keyid in found.tally.signed))


def stated_nonces(data: bytes, limits: Limits) -> list[str]:
    """The nonces that ``data`` claims to answer; nothing of it is verified. Raises: MalformedError, LimitError."""
    raw = parse_envelope(data, _WHAT, limits.attestation_bytes, signatures_bytes=limits.signatures_bytes)
    return [item.text() for item in Node(raw.signed, _WHAT, "$.signed").get("nonces").items(MAX_NONCES)]


def check_attested_floor(offered: Attestation, last: Attestation | None, root: Root) -> None:
    """The time that ``offered`` proves must not lie before ``last``, unless that fell under ``root``.

    Raises: AttestationError. Source: Uptane 2.1.0 5.4.3.1.
    """
    if last is not None and offered.time < last.time and last.stands(root):
        reason = f"its time {offered.time:%Y-%m-%dT%H:%M:%SZ} is before {last.time:%Y-%m-%dT%H:%M:%SZ}"
        raise AttestationError(reason=reason)


def key_material(key: PublicKey) -> str:
    """The SHA-256 of the key's material, in hexadecimal: the same whatever id the key goes by."""
    return hashlib.sha256(key.identity).hexdigest()
