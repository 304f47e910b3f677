"""Reports and manifests of both profiles: what each member is read as, its bounds, and the bytes that are written."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from twinlock.testing.simulator.keys import KeyPool
from twinlock.trust.errors.metadata import LimitError, MalformedError
from twinlock.trust.errors.reports import MANIFEST_PROCEDURE, ReportSignatureError
from twinlock.trust.limits import DEFAULT_LIMITS
from twinlock.trust.model.ecu import InstalledImage
from twinlock.trust.names import EcuId, TargetPath, VehicleId
from twinlock.trust.wire.aktualizr import reports as aktualizr
from twinlock.trust.wire.json.cursor import Node
from twinlock.trust.wire.tuf import reports as tuf
from twinlock.trust.wire.tuf.reports import (
    MAX_COUNTER,
    NO_TIME,
    EcuReport,
    InstallationReport,
    InstallResult,
    report_digest,
    verify_report,
)

KEY = KeyPool()("ecu")
ECU = EcuId("ecu")
IMAGE = InstalledImage(path=TargetPath("a.bin"), length=5, hashes={"sha256": "ab" * 32})
REPORT = EcuReport(ECU, IMAGE, datetime(2030, 1, 1, tzinfo=UTC), counter=1, attack="x", detail="\u00e9\n")
TUF_DATA = {
    "report": tuf.sign_report(REPORT, KEY),
    "manifest": tuf.sign_manifest(VehicleId("V"), ECU, [tuf.sign_report(REPORT, KEY)], KEY),
}
AKTUALIZR_DATA = {
    "report": aktualizr.sign_report(REPORT, KEY),
    "manifest": aktualizr.sign_manifest(ECU, [aktualizr.sign_report(REPORT, KEY)], KEY),
}
TEXTS = [
    ("report", tuf.decode_report, TUF_DATA["report"]),
    ("manifest", tuf.decode_manifest, TUF_DATA["manifest"]),
    ("report", aktualizr.decode_report, AKTUALIZR_DATA["report"]),
    ("manifest", aktualizr.decode_manifest, AKTUALIZR_DATA["manifest"]),
]
IDS = ["tuf report", "tuf manifest", "aktualizr report", "aktualizr manifest"]


@pytest.mark.parametrize(("what", "decode", "data"), TEXTS, ids=IDS)
def test_the_bounds(what: str, decode: Callable[..., Any], data: bytes) -> None:
    for name, subject, least in (("report_bytes", "in bytes", len(data)), ("report_values", None, _values(data))):
        assert decode(data, DEFAULT_LIMITS._replace(**{name: least}))
        with pytest.raises(LimitError) as caught:
            decode(data, DEFAULT_LIMITS._replace(**{name: least - 1}))
        stated = f"{what}: JSON values" if subject is None else f"{what} {subject}"
        assert caught.value.fields() == {"what": stated, "value": least, "limit": least - 1}
        assert (caught.value.clause == MANIFEST_PROCEDURE) is (name == "report_bytes")


def _values(data: bytes) -> int:
    """As ``check_values`` counts them; no text in these reports holds a sign."""
    return 1 + sum(map(data.count, (b",", b"[", b"{")))


@pytest.mark.parametrize(("what", "decode", "data"), TEXTS, ids=IDS)
def test_what_is_not_json_is_named(what: str, decode: Callable[..., Any], data: bytes) -> None:
    with pytest.raises(MalformedError) as caught:
        decode(data + b"]")
    reason = f"something follows the value at character {len(data.decode())}"
    assert caught.value.fields() == {"what": what, "json_path": "$", "reason": reason}


def test_what_is_written_is_compact_sorted_utf8() -> None:
    report = tuf.sign_report(REPORT, KEY)
    for data in (report, tuf.sign_manifest(VehicleId("V"), ECU, [report], KEY)):
        assert data.startswith(b'{"signatures":[{"hashFunction":"sha256","keyid":"')
        assert '"detail":"\u00e9\\n","ecuIdentifier":"ecu"'.encode() in data
        assert json.dumps(json.loads(data), ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode() == data


def test_a_report_is_known_by_the_digest_of_what_is_signed() -> None:
    message = tuf.decode_report(TUF_DATA["report"]).message
    assert report_digest(message) == hashlib.sha256(message).hexdigest()


@pytest.mark.parametrize("stated", ["none", "right"])
def test_a_signature_states_the_hash_of_its_payload_or_none(stated: str) -> None:
    signed = tuf.decode_report(TUF_DATA["report"])
    (one,) = signed.signatures
    assert one.payload_hash == signed.message
    one = one._replace(payload_hash=None if stated == "none" else signed.message)
    assert verify_report(signed._replace(signatures=(one,)), KEY.public_key) == REPORT
    with pytest.raises(ReportSignatureError) as caught:
        verify_report(signed._replace(signatures=(one._replace(payload_hash=b""),)), KEY.public_key)
    reason = "the hash it states is not that of its payload"
    assert caught.value.fields() == {"what": "report", "ecu": "ecu", "reason": reason}


# the aktualizr profile


def _altered(data: bytes, **members: Any) -> bytes:
    body = json.loads(data)
    signed = {**body["signed"], **members}
    return json.dumps({**body, "signed": {name: value for name, value in signed.items() if value is not ...}}).encode()


def test_a_report_of_the_other_profile_states_no_hash() -> None:
    signed = aktualizr.decode_report(AKTUALIZR_DATA["report"])
    assert [one.payload_hash for one in signed.signatures] == [None]
    key = KEY.alias(aktualizr.native_key_id(KEY.public_key)).public_key
    assert verify_report(signed, key) == REPORT


@pytest.mark.parametrize(("time", "expected"), [(..., NO_TIME), (None, NO_TIME), ("2030-01-01T00:00:00Z", REPORT.time)])
def test_a_time_may_be_missing(time: Any, expected: datetime) -> None:
    found = aktualizr.decode_report(_altered(AKTUALIZR_DATA["report"], timeserver_time=time)).report
    assert found == REPORT._replace(time=expected)


@pytest.mark.parametrize("counter", [0, MAX_COUNTER])
def test_counters_up_to_the_bound(counter: int) -> None:
    found = aktualizr.decode_report(_altered(AKTUALIZR_DATA["report"], report_counter=str(counter))).report
    assert found.counter == counter
    with pytest.raises(MalformedError) as caught:
        aktualizr.decode_report(_altered(AKTUALIZR_DATA["report"], report_counter=str(MAX_COUNTER + 1)))
    reason = "a whole number in decimal digits is required, as a string"
    expected = {"what": "report", "json_path": "$.signed.report_counter", "reason": reason}
    assert caught.value.fields() == expected


DONE = InstallResult(success=True, code="OK", description="done")
RESULT = {"success": True, "code": "OK", "description": "done"}
TYPE = "application/vnd.com.here.otac.installationReport.v1"


@pytest.mark.parametrize(
    ("members", "ecus", "raw"),
    [
        ({}, {}, ""),
        ({"items": None, "raw_report": None}, {}, ""),
        ({"items": [], "raw_report": ""}, {}, ""),
        ({"items": [{"ecu": "ecu", "result": RESULT}], "raw_report": "printed"}, {ECU: DONE}, "printed"),
    ],
)
def test_how_an_order_ended(members: dict[str, Any], ecus: dict[EcuId, InstallResult], raw: str) -> None:
    report = {"content_type": TYPE, "report": {"correlation_id": "urn:x", "result": RESULT, **members}}
    found = aktualizr.decode_manifest(_altered(AKTUALIZR_DATA["manifest"], installation_report=report))
    assert found.installation == InstallationReport("urn:x", DONE, ecus, raw)
    assert found.unreadable == ()


def test_what_has_no_canonical_form_is_refused_with_its_place() -> None:
    deep: list[Any] = []
    for _ in range(50_000):
        deep = [deep]
    for value in (deep, {1: 2}, "\x7f", 1.5):
        with pytest.raises(MalformedError) as caught:
            aktualizr._canonical(Node(value, "report", "$.signed"))
        fields = caught.value.fields()
        assert (fields["what"], fields["json_path"]) == ("report", "$.signed")
        assert fields["reason"].startswith("no canonical form: ")


@pytest.mark.parametrize(
    ("path", "length", "nothing"),
    [("unknown", 0, True), ("noimage", 0, True), ("unknown", 1, False), ("noimage", 1, False), ("a.bin", 0, False)],
)
def test_which_image_means_that_nothing_is_installed(path: str, length: int, nothing: bool) -> None:
    assert aktualizr.is_nothing(InstalledImage(TargetPath(path), length, {})) is nothing
