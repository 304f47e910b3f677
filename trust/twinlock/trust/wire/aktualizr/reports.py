"""Reports and manifests in the ``aktualizr`` profile, both ways: the same values as ``twinlock.trust.wire.tuf.reports`` has.

Signatures are over the canonical form of ``signed`` itself. A manifest names no vehicle; times are those of an epoch
that means no time at all; only the Primary counts. It may also report how the last order ended.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

from twinlock.trust.errors.base import RefusalError
from twinlock.trust.errors.local import ProfileError
from twinlock.trust.errors.metadata import LimitError, MalformedError
from twinlock.trust.errors.reports import MANIFEST_PROCEDURE
from twinlock.trust.keys.public_keys import PublicKey, Signer
from twinlock.trust.limits import DEFAULT_LIMITS, Limits
from twinlock.trust.model.ecu import InstalledImage
from twinlock.trust.names import EcuId, KeyId, TargetPath, identifier, target_path
from twinlock.trust.text.times import format_time
from twinlock.trust.wire.aktualizr import form
from twinlock.trust.wire.aktualizr.members import decode_hashes
from twinlock.trust.wire.json.cursor import Node
from twinlock.trust.wire.json.parser import parse_json
from twinlock.trust.wire.tuf.reports import (
    MAX_COUNTER,
    NO_TIME,
    EcuReport,
    InstallationReport,
    InstallResult,
    ReportSignature,
    UnreadablePart,
    UnverifiedManifest,
    UnverifiedReport,
    named_ecu,
    truncate,
)

ATTACK = "attacks-detected"  # our code for what an ECU reports in free text
_CONTENT_TYPE = "application/vnd.com.here.otac.installationReport.v1"
_NOTHING = ("unknown", "noimage")  # what Primaries, IP Secondaries and virtual ones write before the first image
_COUNTER = re.compile(r"0|[1-9][0-9]{0,15}")
_CODED = re.compile(r"([a-z][a-z0-9-]{0,63}): (.*)", re.DOTALL)
_SCHEMES = {method: scheme for scheme, methods in form.METHODS.items() for method in methods}


def is_nothing(installed: InstalledImage) -> bool:
    """Whether a report of this profile states that nothing is installed that the ECU knows of."""
    return installed.path in _NOTHING and installed.length == 0


def native_key_id(key: PublicKey) -> KeyId:
    """The id that this client gives a key of its own. Hexadecimal values are in capitals on its side."""
    return KeyId(form.key_id(_public(key)))


def encode_public_key(key: PublicKey) -> dict[str, Any]:
    """A key as this client registers it. Raises: ProfileError for one that the profile cannot express."""
    _check_scheme(key)
    return {"keytype": key.keytype.upper(), "keyval": {"public": _public(key)}}


def sign_report(report: EcuReport, signer: Signer) -> bytes:
    """Encode and sign one ECU's report with that ECU's key. Raises: ProfileError for a key or text without a form here.

    The release counter, the nonce, and a detail without an attack have no place in it.
    """
    signed: dict[str, Any] = {
        "attacks_detected": truncate(f"{report.attack}: {report.detail}") if report.attack else "",
        "ecu_serial": report.ecu,
        "installed_image": {
            "filepath": report.installed.path,
            "fileinfo": {"hashes": dict(report.installed.hashes), "length": report.installed.length},
        },
        "previous_timeserver_time": format_time(report.time),
        "timeserver_time": format_time(report.time),
    }
    if report.counter is not None:
        signed["report_counter"] = str(report.counter)
    return _sign(signed, signer)


def sign_manifest(
    primary: EcuId, reports: Iterable[bytes], signer: Signer, *, installation: InstallationReport | None = None
) -> bytes:
    """Bundle signed reports into a manifest and sign it with the Primary's key; at most one report of each ECU.

    Raises: ProfileError for a key or text without a form here.
    """
    found = [json.loads(report) for report in reports]
    signed: dict[str, Any] = {
        "primary_ecu_serial": primary,
        "ecu_version_manifests": {report["signed"]["ecu_serial"]: report for report in found},
    }
    if installation is not None:
        signed["installation_report"] = {"content_type": _CONTENT_TYPE, "report": _installation_as_json(installation)}
    return _sign(signed, signer)


def decode_report(data: bytes, limits: Limits = DEFAULT_LIMITS) -> UnverifiedReport:
    """Read one report. Raises: MalformedError, LimitError, UnsafePathError."""
    return _report(_parse(data, "report", limits), limits)


def decode_manifest(data: bytes, limits: Limits = DEFAULT_LIMITS) -> UnverifiedManifest:
    """Read a manifest and the reports in it; a report that cannot be read is an ``UnreadablePart``.

    So is the part that states how an order ended: it carries text from Secondaries.
    Raises: MalformedError, LimitError, UnsafePathError for what the manifest itself states.
    """
    node = _parse(data, "manifest", limits)
    signed = node.get("signed")
    reports, unreadable = _reports(signed.get("ecu_version_manifests").members(limits.ecus), limits)
    primary = EcuId(identifier(signed.get("primary_ecu_serial").text()))
    try:
        installation = _installation(signed, limits)
    except RefusalError as error:
        installation = None
        unreadable.append(UnreadablePart(None, error))
    return UnverifiedManifest(
        vehicle=None,
        primary=primary,
        reports=tuple(reports),
        message=_canonical(signed),
        signatures=_signatures(node, limits),
        data=_canonical(node),
        installation=installation,
        unreadable=tuple(unreadable),
    )


def _reports(
    members: Iterable[tuple[str, Node]], limits: Limits
) -> tuple[list[UnverifiedReport], list[UnreadablePart]]:
    """Each report that its own ECU's name leads to, and each part that is not one."""
    found, unreadable = [], []
    for name, item in members:
        try:
            signed = _report(item, limits)
            if signed.report.ecu != name:
                item.fail(f"the report is of {signed.report.ecu}")
        except RefusalError as error:
            unreadable.append(UnreadablePart(named_ecu(name), error))
        else:
            found.append(signed)
    return found, unreadable


def _parse(data: bytes, what: str, limits: Limits) -> Node:
    if len(data) > limits.report_bytes:
        raise LimitError(what=f"{what} in bytes", value=len(data), limit=limits.report_bytes, clause=MANIFEST_PROCEDURE)
    return Node(parse_json(data, what, max_values=limits.report_values), what, "$")


def _report(node: Node, limits: Limits) -> UnverifiedReport:
    signed = node.get("signed")
    attack, detail = _attack(signed.get("attacks_detected").text())
    report = EcuReport(
        ecu=EcuId(identifier(signed.get("ecu_serial").text())),
        installed=_installed(signed.get("installed_image"), limits),
        time=signed.get("timeserver_time").time() if signed.has("timeserver_time") else NO_TIME,
        counter=_counter(signed.get("report_counter")) if signed.has("report_counter") else None,
        attack=attack,
        detail=detail,
    )
    return UnverifiedReport(report, _canonical(signed), _signatures(node, limits), _canonical(node))


def _installed(image: Node, limits: Limits) -> InstalledImage:
    info = image.get("fileinfo")
    hashes = info.get("hashes")
    # Of an image that was listed with another digest alone, this client knows no digest, and reports that in this way.
    unknown = hashes.object() == {"sha256": ""}
    return InstalledImage(
        path=TargetPath(target_path(image.get("filepath").text())),
        length=info.get("length").integer(0),
        hashes={} if unknown else decode_hashes(hashes, limits),
    )


def _counter(node: Node) -> int:
    text = node.text()
    if not _COUNTER.fullmatch(text) or int(text) > MAX_COUNTER:
        node.fail("a whole number in decimal digits is required, as a string")
    return int(text)


def _attack(text: str) -> tuple[str, str]:
    """Free text; where this project writes it, a code and a sentence."""
    if coded := _CODED.fullmatch(text):
        return coded[1], truncate(coded[2])
    return (ATTACK, truncate(text)) if text else ("", "")


def _installation(signed: Node, limits: Limits) -> InstallationReport | None:
    """How the last order ended. Reports of an unknown kind are ignored, as everything unknown is in this profile."""
    if not signed.has("installation_report"):
        return None
    outer = signed.get("installation_report")
    if outer.get("content_type").text() != _CONTENT_TYPE:
        return None
    report = outer.get("report")
    found: dict[EcuId, InstallResult] = {}
    for item in report.get("items").items(limits.ecus) if report.has("items") else ():
        ecu = EcuId(identifier(item.get("ecu").text()))
        if ecu in found:
            item.fail(f"there are two results of {ecu}")
        found[ecu] = _result(item.get("result"))
    raw = truncate(report.get("raw_report").text()) if report.has("raw_report") else ""
    return InstallationReport(report.get("correlation_id").text(), _result(report.get("result")), found, raw)


def _result(node: Node) -> InstallResult:
    return InstallResult(
        success=node.get("success").boolean(),
        code=truncate(node.get("code").text()),
        description=truncate(node.get("description").text()),
    )


def _signatures(node: Node, limits: Limits) -> tuple[ReportSignature, ...]:
    found = tuple(_signature(item) for item in node.get("signatures").items(limits.signatures))
    if len({signature.keyid for signature in found}) != len(found):
        node.get("signatures").fail("two signatures have the same key id")
    return found


def _signature(node: Node) -> ReportSignature:
    method = node.get("method")
    scheme = _SCHEMES.get(method.text().lower())
    if scheme is None:
        method.fail(f"{method.text()!r} is not a signing method")
    try:
        value = form.decode_base64(node.get("sig").text())
    except ValueError as error:
        node.get("sig").fail(f"it is not base64: {error}")
    return ReportSignature(KeyId(node.get("keyid").text()), scheme, None, value)


def _canonical(node: Node) -> bytes:
    try:
        return form.encode_canonical(node.value)
    except (ValueError, TypeError, RecursionError) as error:
        raise MalformedError(what=node.what, json_path=node.path, reason=f"no canonical form: {error}") from None


def _installation_as_json(report: InstallationReport) -> dict[str, Any]:
    return {
        "correlation_id": report.correlation_id,
        "items": [{"ecu": ecu, "result": result._asdict()} for ecu, result in report.ecus.items()],
        "raw_report": report.result.description,
        "result": report.result._asdict(),
    }


def _sign(signed: dict[str, Any], signer: Signer) -> bytes:
    key = signer.public_key
    _check_scheme(key)
    try:
        message = form.encode_canonical(signed)
    except ValueError as error:
        raise ProfileError(profile=form.NAME, what="a report", reason=str(error)) from None
    entry = form.encode_signature(native_key_id(key), key.scheme, signer.sign(message))
    return form.encode_envelope(signed, [entry])


def _check_scheme(key: PublicKey) -> None:
    if key.scheme not in form.METHODS:
        raise ProfileError(profile=form.NAME, what=key.keyid, reason=f"no key of it signs by {key.scheme}")


def _public(key: PublicKey) -> str:
    return key.public.upper() if key.keytype == "ed25519" else key.public
