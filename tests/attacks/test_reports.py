"""Reports and manifests: forged, altered, taken apart and put together by somebody else."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from twinlock.testing.simulator.keys import KINDS, Key, KeyPool, canonical
from twinlock.trust.errors.base import TwinlockError
from twinlock.trust.errors.metadata import LimitError, MalformedError, UnsafePathError
from twinlock.trust.errors.reports import ReportSignatureError
from twinlock.trust.limits import DEFAULT_LIMITS, Limits
from twinlock.trust.model.ecu import InstalledImage
from twinlock.trust.names import EcuId, TargetPath, VehicleId
from twinlock.trust.wire.tuf.reports import (
    EcuReport,
    decode_manifest,
    decode_report,
    sign_manifest,
    sign_report,
    verify_manifest,
    verify_report,
)

KEYS = KeyPool()
GATEWAY, BRAKE, MALLORY = KEYS("ecu-gw"), KEYS("ecu-brake"), KEYS("mallory")
VEHICLE, PRIMARY = VehicleId("TESTVIN0000000001"), EcuId("ecu-gw")
INSTALLED = InstalledImage(
    path=TargetPath("brake/brake-1.bin"), length=10, hashes={"sha256": "a" * 64}, release_counter=1
)


def _report(ecu: str = "ecu-brake", **more: Any) -> EcuReport:
    time = datetime(2030, 1, 1, tzinfo=UTC)
    report = EcuReport(ecu=EcuId(ecu), installed=INSTALLED, time=time, counter=7, nonce="ab12")
    return report._replace(**more)


def _manifest(*reports: bytes, signer: Key = GATEWAY) -> bytes:
    return sign_manifest(VEHICLE, PRIMARY, reports or (sign_report(_report(), BRAKE),), signer)


def _deform(data: bytes, *path: str | int, value: object) -> bytes:
    document = json.loads(data)
    place = document
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return canonical(document)


@pytest.mark.parametrize("kind", KINDS)
def test_a_genuine_report_by_every_kind_of_key(kind: str) -> None:
    key = KEYS("ecu", kind)
    report = _report(attack="rollback", detail="\u00e4 detail")
    assert verify_report(decode_report(sign_report(report, key)), key.public_key) == report


@pytest.mark.parametrize(
    "report", [_report(nonce=None), _report(counter=0), _report(installed=INSTALLED._replace(release_counter=None))]
)
def test_a_genuine_report_without_what_is_optional(report: EcuReport) -> None:
    assert verify_report(decode_report(sign_report(report, BRAKE)), BRAKE.public_key) == report


def test_a_genuine_manifest() -> None:
    reports = [_report("ecu-brake"), _report("ecu-gw", counter=9)]
    data = _manifest(sign_report(reports[0], BRAKE), sign_report(reports[1], GATEWAY))
    manifest = decode_manifest(data)
    verify_manifest(manifest, GATEWAY.public_key)
    assert (manifest.vehicle, manifest.primary) == (VEHICLE, PRIMARY)
    keys = (BRAKE.public_key, GATEWAY.public_key)
    assert [verify_report(signed, key) for signed, key in zip(manifest.reports, keys, strict=True)] == reports


@pytest.mark.parametrize("signer", [GATEWAY, MALLORY, MALLORY.alias(BRAKE.keyid)], ids=["primary", "stranger", "alias"])
def test_a_report_by_another_key(signer: Key) -> None:
    # The Primary must not be able to speak for a Secondary.
    signed = decode_report(sign_report(_report(), signer))
    with pytest.raises(ReportSignatureError) as caught:
        verify_report(signed, BRAKE.public_key)
    assert (caught.value.what, caught.value.ecu) == ("report", "ecu-brake")


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("counter",), 8),
        (("nonce",), "cd"),
        (("attack",), "rollback"),
        (("detail",), "x"),
        (("time",), "2031-01-01T00:00:00Z"),
        (("ecuIdentifier",), "ecu-gw"),
        (("installedImage", "filename"), "brake/brake-2.bin"),
        (("installedImage", "length"), 11),
        (("installedImage", "hashes"), {"sha256": "b" * 64}),
        (("installedImage", "releaseCounter"), 2),
        (("x-added",), 1),
    ],
    ids=lambda value: str(value)[:24],
)
def test_an_altered_report(path: tuple[str, ...], value: object) -> None:
    signed = decode_report(_deform(sign_report(_report(), BRAKE), "signed", *path, value=value))
    with pytest.raises(ReportSignatureError) as caught:
        verify_report(signed, BRAKE.public_key)
    assert "hash" in caught.value.reason


def test_an_altered_report_with_the_right_hash() -> None:
    other = json.loads(sign_report(_report(counter=8), MALLORY))["signatures"][0]["payloadHash"]
    data = _deform(sign_report(_report(), BRAKE), "signed", "counter", value=8)
    signed = decode_report(_deform(data, "signatures", 0, "payloadHash", value=other))
    with pytest.raises(ReportSignatureError) as caught:
        verify_report(signed, BRAKE.public_key)
    assert caught.value.reason == "its signature is invalid"


@pytest.mark.parametrize(
    ("member", "value"), [("method", "rsassa-pss-sha256"), ("sig", "00" * 64), ("sig", ""), ("keyid", "0" * 64)]
)
def test_an_altered_signature(member: str, value: str) -> None:
    signed = decode_report(_deform(sign_report(_report(), BRAKE), "signatures", 0, member, value=value))
    with pytest.raises(ReportSignatureError):
        verify_report(signed, BRAKE.public_key)


def test_another_hash_function_is_refused_where_it_is_read() -> None:
    with pytest.raises(MalformedError) as caught:
        decode_report(_deform(sign_report(_report(), BRAKE), "signatures", 0, "hashFunction", value="md5"))
    assert caught.value.json_path == "$.signatures[0].hashFunction"


def test_no_signature() -> None:
    signed = decode_report(_deform(sign_report(_report(), BRAKE), "signatures", value=[]))
    with pytest.raises(ReportSignatureError):
        verify_report(signed, BRAKE.public_key)
    manifest = decode_manifest(_deform(_manifest(), "signatures", value=[]))
    with pytest.raises(ReportSignatureError):
        verify_manifest(manifest, GATEWAY.public_key)


def test_one_signature_twice() -> None:
    data = sign_report(_report(), BRAKE)
    signature = json.loads(data)["signatures"][0]
    with pytest.raises(MalformedError) as caught:
        decode_report(_deform(data, "signatures", value=[signature, signature]))
    assert caught.value.json_path == "$.signatures"


def test_a_manifest_of_another_primary() -> None:
    manifest = decode_manifest(_manifest(signer=BRAKE))
    with pytest.raises(ReportSignatureError) as caught:
        verify_manifest(manifest, GATEWAY.public_key)
    assert (caught.value.what, caught.value.ecu) == ("manifest", "ecu-gw")


@pytest.mark.parametrize(
    ("member", "value"), [("vehicleIdentifier", "OTHER"), ("primaryIdentifier", "ecu-brake"), ("reports", [])]
)
def test_an_altered_manifest(member: str, value: object) -> None:
    manifest = decode_manifest(_deform(_manifest(), "signed", member, value=value))
    with pytest.raises(ReportSignatureError):
        verify_manifest(manifest, GATEWAY.public_key)


def test_a_report_exchanged_in_a_manifest() -> None:
    other = json.loads(sign_report(_report(counter=6), BRAKE))
    manifest = decode_manifest(_deform(_manifest(), "signed", "reports", 0, value=other))
    with pytest.raises(ReportSignatureError):
        verify_manifest(manifest, GATEWAY.public_key)


def test_a_primary_that_forges_a_report_inside_its_own_manifest() -> None:
    manifest = decode_manifest(_manifest(sign_report(_report(), GATEWAY)))
    verify_manifest(manifest, GATEWAY.public_key)
    with pytest.raises(ReportSignatureError) as caught:
        verify_report(manifest.reports[0], BRAKE.public_key)
    assert caught.value.ecu == "ecu-brake"


def test_a_report_is_no_manifest_and_a_manifest_no_report() -> None:
    with pytest.raises(MalformedError) as caught:
        decode_manifest(sign_report(_report(), GATEWAY))
    assert caught.value.json_path == "$.signed._type"
    with pytest.raises(MalformedError) as caught:
        decode_report(_manifest())
    assert caught.value.json_path == "$.signed._type"


@pytest.mark.parametrize("path", ["../x", "/x", "a\\b", "a//b", "con"])
def test_a_report_with_a_hostile_name(path: str) -> None:
    with pytest.raises(UnsafePathError):
        decode_report(_deform(sign_report(_report(), BRAKE), "signed", "installedImage", "filename", value=path))


@pytest.mark.parametrize("path", ["../x", "", "a/b", "x" * 129])
def test_a_manifest_of_a_hostile_vehicle_id(path: str) -> None:
    with pytest.raises(UnsafePathError):
        decode_manifest(_deform(_manifest(), "signed", "vehicleIdentifier", value=path))


def test_more_bytes_than_the_bound() -> None:
    with pytest.raises(LimitError):
        decode_manifest(_manifest() + b" " * DEFAULT_LIMITS.report_bytes)
    with pytest.raises(LimitError):
        decode_report(sign_report(_report(), BRAKE) + b" " * DEFAULT_LIMITS.report_bytes)


def test_more_reports_than_the_bound() -> None:
    reports = [sign_report(_report(f"ecu-{number}"), BRAKE) for number in range(4)]
    assert len(decode_manifest(_manifest(*reports), Limits(ecus=4)).reports) == 4
    with pytest.raises(LimitError) as caught:
        decode_manifest(_manifest(*reports), Limits(ecus=3))
    assert (caught.value.limit, caught.value.value) == (3, 4)


@pytest.mark.parametrize("member", ["ecuIdentifier", "installedImage", "time", "counter", "attack", "detail", "_type"])
@pytest.mark.parametrize(
    "value", [None, 1.5, -1, [], {}, "\ud800", True, "\x00", "x" * 70_000], ids=lambda v: repr(v)[:9]
)
def test_a_member_of_another_type(member: str, value: object) -> None:
    document = json.loads(sign_report(_report(), BRAKE))
    document["signed"][member] = value
    try:
        decode_report(json.dumps(document).encode())
    except TwinlockError as error:
        assert str(error).isprintable()
    else:
        assert (member, value) == ("attack", "\x00") or (member, value) == ("detail", "\x00")


def test_a_long_detail_is_cut_on_a_character() -> None:
    signed = decode_report(sign_report(_report(detail="\u00e4" * 2000, attack="x" * 100), BRAKE))
    assert signed.report.detail == "\u00e4" * 512
    assert len(signed.report.attack) == 64


def test_signing_an_attack_of_many_bytes_gives_a_readable_report() -> None:
    signed = decode_report(sign_report(_report(attack="\u00e4" * 64), BRAKE))
    assert verify_report(signed, BRAKE.public_key).attack == "\u00e4" * 64
