"""Signed time: what a time source says, and whether it proves the time to this ECU.

The source's keys are named by the Director's Root (``Root.time_source``), so they rotate like any others.
Source: Uptane 2.1.0 5.4.2.2 and 5.4.3.1.
"""

from __future__ import annotations

import json
from datetime import datetime

from twinlock.trust.canonical import encode_canonical
from twinlock.trust.errors.metadata import ThresholdError
from twinlock.trust.errors.reports import AttestationError
from twinlock.trust.keys import Signer
from twinlock.trust.limits import DEFAULT_LIMITS, Limits
from twinlock.trust.model.root import Root
from twinlock.trust.signatures import Envelope, verify_signatures
from twinlock.trust.wire.node import Node
from twinlock.trust.wire.strict import parse_envelope
from twinlock.trust.wire.tuf_members import decode_signatures

_TYPE = "time-attestation"
_WHAT = "time attestation"
MAX_NONCES = 256


def sign_attestation(time: datetime, nonces: tuple[str, ...], signer: Signer) -> bytes:
    """State ``time`` (UTC) in answer to ``nonces`` (hexadecimal), signed."""
    signed = {"_type": _TYPE, "time": time.strftime("%Y-%m-%dT%H:%M:%SZ"), "nonces": sorted(nonces)}
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
    trusted: datetime | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> datetime:
    """The time that ``data`` proves under the Director's ``root``.

    ``nonce`` is what this ECU asked with; None accepts a broadcast, which then proves only that it is not earlier.
    ``trusted`` is the last attested time; the new one must not lie before it.
    Raises: MalformedError, LimitError, AttestationError.
    """
    raw = parse_envelope(data, _WHAT, limits.attestation_bytes)
    signed = Node(raw.signed, _WHAT, "$.signed")
    if signed.text_at("_type") != _TYPE:
        signed.get("_type").fail(f"{_TYPE!r} is required")
    time = signed.get("time").time()
    nonces = [item.text() for item in signed.get("nonces").items(MAX_NONCES)]
    if root.time_source is None:
        raise AttestationError(reason="the Director's Root names no time source")
    signatures = decode_signatures(Node(raw.signatures, _WHAT, "$.signatures"), limits)
    envelope = Envelope(time, raw.payload, signatures, data, raw.canonical)
    try:
        verify_signatures(envelope, root.keys, root.time_source, repository="director", role_name="timeSource")
    except ThresholdError as error:
        raise AttestationError(reason=str(error)) from error
    if nonce is not None and nonce not in nonces:
        raise AttestationError(reason="it does not answer the nonce that was sent")
    if trusted is not None and time < trusted:
        raise AttestationError(reason=f"its time {time:%Y-%m-%dT%H:%M:%SZ} is before {trusted:%Y-%m-%dT%H:%M:%SZ}")
    return time
