"""Evidence, acknowledgements and counter resets on the wire of the ``tuf`` profile; and the kinds of errors."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from twinlock.testing.simulator.keys import canonical, make_key
from twinlock.trust.errors.base import Attack, Kind, RefusalError, TwinlockError, UsageError
from twinlock.trust.errors.local import SlowRetrievalError, StorageError
from twinlock.trust.errors.metadata import LimitError, MalformedError, RollbackError
from twinlock.trust.limits import DEFAULT_LIMITS
from twinlock.trust.model.ecu import InstalledImage
from twinlock.trust.model.evidence import MAX_EVENT_DETAIL_BYTES, MAX_EVENTS, Evidence
from twinlock.trust.names import EcuId, TargetPath, VehicleId
from twinlock.trust.wire.tuf.metadata import TUF
from twinlock.trust.wire.tuf.reports import (
    EcuReport,
    decode_manifest,
    decode_report,
    sign_manifest,
    sign_report,
    verify_report,
)

KEY = make_key("ecu-brake")
ECU = EcuId("ecu-brake")
TIME = datetime(2030, 1, 1, tzinfo=UTC)
EVENT = Evidence(
    id="e1",
    kind=Kind.ATTACK,
    code="rollback",
    attack="rollback",
    clause="Uptane 2.1.0 5.4.4.4",
    detail="director/timestamp: offered version 1 is older than trusted version 2",
    step="metadata",
    first=TIME,
    last=TIME + timedelta(hours=1),
    occurrences=3,
)
REPORT = EcuReport(ECU, InstalledImage(TargetPath("brake/1.bin"), 0, {"sha256": "a" * 64}), TIME, 7, evidence=(EVENT,))


def test_evidence_arrives_as_it_was_sent() -> None:
    signed = decode_report(sign_report(REPORT, KEY))
    assert verify_report(signed, KEY.public_key).evidence == (EVENT,)


def test_the_latest_sentence_travels_where_it_differs_from_the_first() -> None:
    again = EVENT._replace(latest="director/timestamp: offered version 1 is older than trusted version 9")
    signed = decode_report(sign_report(REPORT._replace(evidence=(again,)), KEY))
    assert signed.report.evidence == (again,)
    same = json.loads(sign_report(REPORT._replace(evidence=(EVENT._replace(latest=EVENT.detail),)), KEY))
    assert "latest" not in same["signed"]["evidence"][0]


def test_a_report_without_evidence_has_no_such_member() -> None:
    assert "evidence" not in json.loads(sign_report(REPORT._replace(evidence=()), KEY))["signed"]


def test_evidence_is_covered_by_the_signature() -> None:
    document = json.loads(sign_report(REPORT, KEY))
    document["signed"]["evidence"] = []
    with pytest.raises(RefusalError) as caught:
        verify_report(decode_report(canonical(document)), KEY.public_key)
    assert caught.value.code == "report-signature"


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("kind", "rumour"),
        ("code", "c" * 65),
        ("id", 1),
        ("count", 0),
        ("last", "2029-12-31T23:59:59Z"),
        ("detail", "d" * (MAX_EVENT_DETAIL_BYTES + 1)),
    ],
)
def test_an_event_out_of_bounds_is_malformed_at_its_place(member: str, value: object) -> None:
    document = json.loads(sign_report(REPORT, KEY))
    document["signed"]["evidence"][0][member] = value
    with pytest.raises(MalformedError) as caught:
        decode_report(canonical(document))
    assert caught.value.json_path == f"$.signed.evidence[0].{member}"


def test_events_are_bounded_and_each_has_an_id_of_its_own() -> None:
    many = tuple(EVENT._replace(id=f"e{number}") for number in range(MAX_EVENTS + 1))
    with pytest.raises(LimitError) as caught:
        decode_report(sign_report(REPORT._replace(evidence=many), KEY))
    assert (caught.value.value, caught.value.limit) == (MAX_EVENTS + 1, MAX_EVENTS)
    with pytest.raises(MalformedError):
        decode_report(sign_report(REPORT._replace(evidence=(EVENT, EVENT)), KEY))


@pytest.mark.parametrize("text", ["one\ntwo", "tab\there", "\x00", 'quote " and \\'])
def test_a_detail_with_control_characters_reaches_the_director(text: str) -> None:
    report = sign_report(REPORT._replace(detail=text, evidence=(EVENT._replace(detail=text),)), KEY)
    manifest = decode_manifest(sign_manifest(VehicleId("VIN"), ECU, [report], KEY))
    said = verify_report(manifest.reports[0], KEY.public_key)
    assert (said.detail, said.evidence[0].detail) == (text, text)


def targets(**custom: Any) -> bytes:
    signed = {"_type": "targets", "version": 1, "expires": "2031-01-01T00:00:00Z", "targets": {}, "custom": custom}
    return json.dumps({"signatures": [], "signed": signed}).encode()


def test_acknowledgements_and_resets_are_read_from_signed_targets() -> None:
    read = TUF.decode_targets(targets(acknowledged={ECU: 7}, resets={ECU: "ab" * 16}), "targets", DEFAULT_LIMITS).signed
    assert (read.acknowledged, read.resets) == ({ECU: 7}, {ECU: "ab" * 16})
    digest = "ab" * 32
    named = TUF.decode_targets(targets(acknowledgedReports={ECU: digest}), "targets", DEFAULT_LIMITS).signed
    assert (named.acknowledged_reports, read.acknowledged_reports) == ({ECU: digest}, {})
    bare = TUF.decode_targets(targets(), "targets", DEFAULT_LIMITS).signed
    assert (bare.acknowledged, bare.resets) == ({}, {})


@pytest.mark.parametrize(
    ("custom", "place"),
    [
        ({"acknowledgedReports": {ECU: "ab"}}, "$.signed.custom.acknowledgedReports.ecu-brake"),
        ({"acknowledgedReports": {"a/b": "ab" * 32}}, "$.signed.custom.acknowledgedReports.a/b"),
        ({"acknowledged": {ECU: -1}}, "$.signed.custom.acknowledged.ecu-brake"),
        ({"acknowledged": [ECU]}, "$.signed.custom.acknowledged"),
        ({"acknowledged": {"a/b": 1}}, "$.signed.custom.acknowledged.a/b"),
        ({"resets": {ECU: "ab" * 15}}, "$.signed.custom.resets.ecu-brake"),
        ({"resets": {ECU: "xy" * 16}}, "$.signed.custom.resets.ecu-brake"),
    ],
)
def test_a_malformed_acknowledgement_or_reset_is_refused_at_its_place(custom: dict[str, Any], place: str) -> None:
    with pytest.raises(MalformedError) as caught:
        TUF.decode_targets(targets(**custom), "targets", DEFAULT_LIMITS)
    assert caught.value.json_path == place


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (RollbackError(repository="director", role="timestamp", offered=1, trusted=2), Kind.ATTACK),
        (SlowRetrievalError(url="u", reason="r", bytes_per_s=1, floor_bytes_per_s=2), Kind.ATTACK),
        (MalformedError(what="w", json_path="$", reason="r"), Kind.REFUSAL),
        (UsageError(reason="r"), Kind.REFUSAL),
        (StorageError(path="p", operation="read", reason="r"), Kind.FAILURE),
        (TwinlockError(), Kind.FAILURE),
    ],
)
def test_the_kind_of_an_error(error: TwinlockError, kind: Kind) -> None:
    assert error.kind is kind
    assert error.as_json()["kind"] == kind.value


def test_an_attack_is_a_class_that_names_one_and_nothing_else() -> None:
    assert RefusalError.attack is Attack.NONE
    assert RefusalError.usual_kind() is Kind.REFUSAL
