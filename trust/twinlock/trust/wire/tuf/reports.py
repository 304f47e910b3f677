"""ECU version reports and vehicle version manifests: Uptane 2.1.0 5.4.2.1.1 and 5.4.2.1.2.

Each signature entry carries the key id, the method, the hash function, the hash of the payload, and the signature
over that hash.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from twinlock.trust.errors.base import RefusalError
from twinlock.trust.errors.metadata import LimitError, MalformedError
from twinlock.trust.errors.reports import MANIFEST_PROCEDURE, ReportSignatureError
from twinlock.trust.keys.public_keys import PublicKey, Signer
from twinlock.trust.keys.signatures import RoleKeys, Signature, count_signers
from twinlock.trust.limits import DEFAULT_LIMITS, Limits
from twinlock.trust.model.ecu import InstalledImage
from twinlock.trust.model.evidence import Evidence
from twinlock.trust.names import EcuId, KeyId, TargetPath, VehicleId, identifier, target_path
from twinlock.trust.text.network_form import network_form, start_of
from twinlock.trust.text.times import format_time
from twinlock.trust.wire.json.cursor import Node
from twinlock.trust.wire.json.olpc import encode_canonical
from twinlock.trust.wire.json.parser import parse_json
from twinlock.trust.wire.tuf.evidence import decode_evidence, encode_evidence

_REPORT = "ecu-version-report"
_MANIFEST = "vehicle-version-manifest"
_HASH = "sha256"
MAX_ATTACK_BYTES = 64
MAX_DETAIL_BYTES = 1024
MAX_COUNTER = 2**53 - 1  # one a second for 285 million years; sums of some stay within what databases hold
NO_TIME = datetime(1970, 1, 1, tzinfo=UTC)  # what an ECU of a profile without attested time reports


class EcuReport(NamedTuple):
    """One ECU's report of itself. ``evidence`` is what it met and its Director has not acknowledged yet.

    ``attack`` is the code of the most severe evidence if that is an attack, otherwise empty; ``detail`` is the sentence of
    the most severe. ``time`` is the newest verified time known when the report was made. ``counter`` rises with every
    report; None where the profile gives this ECU none. ``nonce`` answers a reset that the Director armed.
    """

    ecu: EcuId
    installed: InstalledImage
    time: datetime
    counter: int | None
    nonce: str | None = None
    attack: str = ""
    detail: str = ""
    evidence: tuple[Evidence, ...] = ()


class InstallResult(NamedTuple):
    """How an installation ended; ``code`` is the client's own code for it."""

    success: bool
    code: str
    description: str


class InstallationReport(NamedTuple):
    """A Primary's report of the last order that it tried: the result as a whole, and that of each ECU that got so far.

    ``raw`` is what its installer printed, as far as there is room for it.
    """

    correlation_id: str
    result: InstallResult
    ecus: Mapping[EcuId, InstallResult]
    raw: str = ""


class ReportSignature(NamedTuple):
    """One signature as a report or manifest carries it: ``method`` is a scheme of ``keys/public_keys.py``.

    ``payload_hash`` is the hash that it states of what is signed; None in profiles in which it states none.
    """

    keyid: KeyId
    method: str
    payload_hash: bytes | None
    value: bytes


class UnverifiedReport(NamedTuple):
    """A decoded report whose signature was not checked yet.

    ``message`` is what a signature has to be over; ``data`` is the canonical form of the whole.
    """

    report: EcuReport
    message: bytes
    signatures: tuple[ReportSignature, ...]
    data: bytes


class UnreadablePart(NamedTuple):
    """A part of a manifest that cannot be decoded, and why. The Primary's signature covers it all the same.

    ``ecu`` is the ECU that it names or that it was filed under; None if neither is an identifier.
    """

    ecu: EcuId | None
    error: RefusalError


class UnverifiedManifest(NamedTuple):
    """A decoded manifest whose signatures were not checked yet: neither its own nor those of its reports.

    ``vehicle`` is None in profiles that do not name it: then only the sender can. ``unreadable`` are the parts that count
    for nothing, so that the junk of one ECU costs no other ECU its report.
    """

    vehicle: VehicleId | None
    primary: EcuId
    reports: tuple[UnverifiedReport, ...]
    message: bytes
    signatures: tuple[ReportSignature, ...]
    data: bytes
    installation: InstallationReport | None = None
    unreadable: tuple[UnreadablePart, ...] = ()


def report_digest(message: bytes) -> str:
    """The identity of a report: SHA-256 of what its signature is over, in hexadecimal."""
    return hashlib.sha256(message).hexdigest()


def sign_report(report: EcuReport, signer: Signer) -> bytes:
    """Encode and sign one ECU's report with that ECU's key."""
    signed: dict[str, Any] = {
        "_type": _REPORT,
        "ecuIdentifier": report.ecu,
        "installedImage": _installed_as_json(report.installed),
        "time": format_time(report.time),
        "counter": report.counter,
        "attack": network_form(report.attack)[:MAX_ATTACK_BYTES],
        "detail": truncate(report.detail),
    }
    if report.nonce is not None:
        signed["nonce"] = report.nonce
    if report.evidence:
        signed["evidence"] = [encode_evidence(event) for event in report.evidence]
    return _sign(signed, signer)


def sign_manifest(vehicle: VehicleId, primary: EcuId, reports: Iterable[bytes], signer: Signer) -> bytes:
    """Bundle signed reports into the manifest of a vehicle and sign it with its Primary's key."""
    signed = {
        "_type": _MANIFEST,
        "vehicleIdentifier": vehicle,
        "primaryIdentifier": primary,
        "reports": [json.loads(report) for report in reports],
    }
    return _sign(signed, signer)


def decode_report(data: bytes, limits: Limits = DEFAULT_LIMITS) -> UnverifiedReport:
    """Read one report. Raises: MalformedError, LimitError, UnsafePathError."""
    if len(data) > limits.report_bytes:
        raise LimitError(what="report in bytes", value=len(data), limit=limits.report_bytes, clause=MANIFEST_PROCEDURE)
    return _report(Node(parse_json(data, "report", max_values=limits.report_values), "report", "$"), limits)


def decode_manifest(data: bytes, limits: Limits = DEFAULT_LIMITS) -> UnverifiedManifest:
    """Read a manifest and the reports in it; a report that cannot be read is an ``UnreadablePart``.

    Raises: MalformedError, LimitError, UnsafePathError for what the manifest itself states.
    """
    if len(data) > limits.report_bytes:
        raise LimitError(
            what="manifest in bytes", value=len(data), limit=limits.report_bytes, clause=MANIFEST_PROCEDURE
        )
    node = Node(parse_json(data, "manifest", max_values=limits.report_values), "manifest", "$")
    signed = _typed(node, _MANIFEST)
    reports, unreadable = _reports(signed.get("reports").items(limits.ecus), limits)
    return UnverifiedManifest(
        vehicle=VehicleId(identifier(signed.get("vehicleIdentifier").text())),
        primary=EcuId(identifier(signed.get("primaryIdentifier").text())),
        reports=reports,
        message=_payload_hash(signed),
        signatures=_signatures(node, limits),
        data=_canonical(node),
        unreadable=unreadable,
    )


def verify_report(signed: UnverifiedReport, key: PublicKey) -> EcuReport:
    """The report, if ``key`` signed it. Raises: ReportSignatureError."""
    _verify("report", signed.report.ecu, signed.signatures, signed.message, key)
    return signed.report


def verify_manifest(signed: UnverifiedManifest, key: PublicKey) -> None:
    """Return if ``key`` signed the manifest itself; its reports are each their own ECU's. Raises: ReportSignatureError."""
    _verify("manifest", signed.primary, signed.signatures, signed.message, key)


def named_ecu(value: object) -> EcuId | None:
    """The ECU that ``value``, from a part that cannot be read, names; None if it is not an identifier."""
    try:
        return EcuId(identifier(value)) if isinstance(value, str) else None
    except RefusalError:
        return None


def truncate(text: str) -> str:
    """The start of ``text``, as many bytes of UTF-8 as a report has room for, in the form that its reader takes."""
    return start_of(text, MAX_DETAIL_BYTES)


def _verify(what: str, ecu: EcuId, signatures: tuple[ReportSignature, ...], message: bytes, key: PublicKey) -> None:
    for signature in signatures:
        if signature.payload_hash not in (None, message):
            raise ReportSignatureError(what=what, ecu=ecu, reason="the hash it states is not that of its payload")
        if signature.keyid == key.keyid and signature.method != key.scheme:
            raise ReportSignatureError(what=what, ecu=ecu, reason=f"the method {signature.method!r} is not its key's")
    tally = count_signers(
        message,
        [Signature(signature.keyid, signature.value) for signature in signatures],
        {key.keyid: key},
        RoleKeys((key.keyid,), 1),
    )
    if not tally.met:
        known = "its signature is invalid" if tally.invalid else f"there is no signature by {key.keyid}"
        raise ReportSignatureError(what=what, ecu=ecu, reason=known)


def _sign(signed: dict[str, Any], signer: Signer) -> bytes:
    digest = hashlib.sha256(encode_canonical(signed)).digest()
    entry = {
        "keyid": signer.public_key.keyid,
        "method": signer.public_key.scheme,
        "hashFunction": _HASH,
        "payloadHash": digest.hex(),
        "sig": signer.sign(digest).hex(),
    }
    # JSON and not the canonical form, which writes a line feed raw: what is sent has to be readable as JSON.
    document = {"signatures": [entry], "signed": signed}
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()


def _installed_as_json(installed: InstalledImage) -> dict[str, Any]:
    found: dict[str, Any] = {
        "filename": installed.path,
        "length": installed.length,
        "hashes": dict(installed.hashes),
    }
    if installed.release_counter is not None:
        found["releaseCounter"] = installed.release_counter
    return found


def _reports(items: Iterable[Node], limits: Limits) -> tuple[tuple[UnverifiedReport, ...], tuple[UnreadablePart, ...]]:
    found, unreadable = [], []
    for item in items:
        try:
            found.append(_report(item, limits))
        except RefusalError as error:
            signed = item.value.get("signed") if isinstance(item.value, dict) else None
            named = signed.get("ecuIdentifier") if isinstance(signed, dict) else None
            unreadable.append(UnreadablePart(named_ecu(named), error))
    return tuple(found), tuple(unreadable)


def _report(node: Node, limits: Limits) -> UnverifiedReport:
    signed = _typed(node, _REPORT)
    image = signed.get("installedImage")
    attack, detail = signed.get("attack").text(), signed.get("detail").text()
    if len(attack) > MAX_ATTACK_BYTES or len(detail.encode()) > MAX_DETAIL_BYTES:
        signed.get("attack").fail("the attack or its detail is too long")
    nonce = signed.get("nonce").hex().hex() if signed.has("nonce") else None
    report = EcuReport(
        ecu=EcuId(identifier(signed.get("ecuIdentifier").text())),
        installed=InstalledImage(
            path=TargetPath(target_path(image.get("filename").text())),
            length=image.get("length").integer(0),
            hashes=image.get("hashes").hashes(limits.hashes),
            release_counter=image.get("releaseCounter").integer(0) if image.has("releaseCounter") else None,
        ),
        time=signed.get("time").time(),
        counter=signed.get("counter").integer(0, MAX_COUNTER),
        nonce=nonce,
        attack=attack,
        detail=detail,
        evidence=decode_evidence(signed.get("evidence")) if signed.has("evidence") else (),
    )
    return UnverifiedReport(report, _payload_hash(signed), _signatures(node, limits), _canonical(node))


def _typed(node: Node, expected: str) -> Node:
    signed = node.get("signed")
    if signed.get("_type").text() != expected:
        signed.get("_type").fail(f"{expected!r} is required")
    return signed


def _signatures(node: Node, limits: Limits) -> tuple[ReportSignature, ...]:
    found = []
    for item in node.get("signatures").items(limits.signatures):
        if item.get("hashFunction").text() != _HASH:
            item.get("hashFunction").fail(f"{_HASH!r} is required")
        found.append(
            ReportSignature(
                KeyId(item.get("keyid").text()),
                item.get("method").text(),
                item.get("payloadHash").hex(),
                item.get("sig").hex(),
            ),
        )
    if len({signature.keyid for signature in found}) != len(found):
        node.get("signatures").fail("two signatures have the same key id")
    return tuple(found)


def _payload_hash(signed: Node) -> bytes:
    return hashlib.sha256(_canonical(signed)).digest()


def _canonical(node: Node) -> bytes:
    try:
        return encode_canonical(node.value)
    except (ValueError, TypeError, RecursionError) as error:
        raise MalformedError(what=node.what, json_path=node.path, reason=f"no canonical form: {error}") from None
