"""Uptane 2.1.0 5.4.2.1.1 and 5.4.2.1.2: the five fields of every signature, and what reports and manifests state."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from twinlock.testing.simulator.keys import Key, KeyPool, canonical
from twinlock.testing.simulator.world import BRAKE, START, VIN
from twinlock.trust.errors.base import RefusalError
from twinlock.trust.errors.metadata import MalformedError
from twinlock.trust.errors.reports import ReportSignatureError
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

JSON = dict[str, Any]
IMAGE = InstalledImage(
    path=TargetPath("a.bin"), length=3, hashes={"sha256": "00" * 32, "sha512": "11" * 64}, release_counter=4
)
REPORT = EcuReport(ecu=EcuId(BRAKE.ecu), installed=IMAGE, time=START, counter=7)
KEYS = KeyPool()
KINDS = ["report", "manifest"]
kinds = pytest.mark.parametrize("kind", KINDS)


def primary_key() -> Key:
    return KEYS("ecu-primary")


def ecu_key() -> Key:
    return KEYS("ecu-brake")


def signed(kind: str) -> JSON:
    """A rightly signed report, or a manifest that holds it."""
    report = sign_report(REPORT, ecu_key())
    data = report if kind == "report" else sign_manifest(VehicleId(VIN), EcuId("ecu-gw"), [report], primary_key())
    found: JSON = json.loads(data)
    return found


def accept(kind: str, envelope: JSON) -> None:
    """Decode and verify it under the key of its maker."""
    data = json.dumps(envelope).encode()
    if kind == "report":
        verify_report(decode_report(data), ecu_key().public_key)
    else:
        verify_manifest(decode_manifest(data), primary_key().public_key)


def sign_again(kind: str, envelope: JSON) -> JSON:
    """Sign a changed payload rightly, so that only what it says is wrong."""
    key = ecu_key() if kind == "report" else primary_key()
    digest = hashlib.sha256(canonical(envelope["signed"])).digest()
    envelope["signatures"][0].update(payloadHash=digest.hex(), sig=key.sign(digest).hex())
    return envelope


@kinds
def test_an_honest_one_is_accepted(kind: str) -> None:
    accept(kind, signed(kind))
    accept(kind, sign_again(kind, signed(kind)))


@kinds
def test_a_signature_has_five_fields(kind: str) -> None:
    (entry,) = signed(kind)["signatures"]
    assert set(entry) == {"keyid", "method", "hashFunction", "payloadHash", "sig"}


@kinds
@pytest.mark.parametrize("field", ["keyid", "method", "hashFunction", "payloadHash", "sig"])
def test_each_field_of_a_signature_is_required(kind: str, field: str) -> None:
    envelope = signed(kind)
    del envelope["signatures"][0][field]
    with pytest.raises(MalformedError):
        accept(kind, envelope)


@kinds
@pytest.mark.parametrize("part", ["signatures", "signed"])
def test_both_parts_are_required(kind: str, part: str) -> None:
    envelope = signed(kind)
    del envelope[part]
    with pytest.raises(MalformedError):
        accept(kind, envelope)


@kinds
def test_without_a_signature_it_is_nobody_s(kind: str) -> None:
    with pytest.raises(ReportSignatureError):
        accept(kind, signed(kind) | {"signatures": []})


def _wrong_hash(entry: JSON, kind: str) -> None:
    # The signature is right over the hash that is stated; the hash is another payload's.
    key = ecu_key() if kind == "report" else primary_key()
    digest = hashlib.sha256(b"another payload").digest()
    entry.update(payloadHash=digest.hex(), sig=key.sign(digest).hex())


WRONG: list[tuple[str, Callable[[JSON, str], object], type[RefusalError]]] = [
    ("unknown key id", lambda entry, kind: entry.update(keyid="00" * 32), ReportSignatureError),
    ("method of another key type", lambda entry, kind: entry.update(method="rsassa-pss-sha256"), ReportSignatureError),
    ("hash of another payload", _wrong_hash, ReportSignatureError),
    (
        "hash of another payload beside the right signature",
        lambda entry, kind: entry.update(payloadHash=hashlib.sha256(b"another payload").hexdigest()),
        ReportSignatureError,
    ),
    ("weak hash function", lambda entry, kind: entry.update(hashFunction="md5"), MalformedError),
    ("unknown hash function", lambda entry, kind: entry.update(hashFunction="sha257"), MalformedError),
    ("flipped bit", lambda entry, kind: entry.update(sig=f"{int(entry['sig'], 16) ^ 1:0128x}"), ReportSignatureError),
    (
        "hash of the payload in the place of the signature",
        lambda e, kind: e.update(sig=e["payloadHash"]),
        ReportSignatureError,
    ),
]


@kinds
@pytest.mark.parametrize(("change", "error"), [case[1:] for case in WRONG], ids=[case[0] for case in WRONG])
def test_each_field_of_a_signature_is_checked(
    kind: str, change: Callable[[JSON, str], object], error: type[RefusalError]
) -> None:
    envelope = signed(kind)
    change(envelope["signatures"][0], kind)
    with pytest.raises(error):
        accept(kind, envelope)


@kinds
def test_another_ecu_s_key_does_not_speak_for_this_one(kind: str) -> None:
    data = json.dumps(signed(kind)).encode()
    with pytest.raises(ReportSignatureError):
        if kind == "report":
            verify_report(decode_report(data), primary_key().public_key)
        else:
            verify_manifest(decode_manifest(data), ecu_key().public_key)


@kinds
def test_what_is_signed_cannot_be_changed(kind: str) -> None:
    envelope = signed(kind)
    envelope["signed"]["ecuIdentifier" if kind == "report" else "vehicleIdentifier"] = "another"
    with pytest.raises(ReportSignatureError):
        accept(kind, envelope)


REPORT_MEMBERS = ["ecuIdentifier", "installedImage", "attack", "time", "counter", "_type"]
MANIFEST_MEMBERS = ["vehicleIdentifier", "primaryIdentifier", "reports", "_type"]


@pytest.mark.parametrize(
    ("kind", "member"),
    [*(("report", member) for member in REPORT_MEMBERS), *(("manifest", member) for member in MANIFEST_MEMBERS)],
)
def test_each_member_of_the_payload_is_required(kind: str, member: str) -> None:
    envelope = signed(kind)
    del envelope["signed"][member]
    with pytest.raises(MalformedError):
        accept(kind, sign_again(kind, envelope))


@pytest.mark.parametrize("member", ["filename", "length", "hashes"])
def test_the_installed_image_is_described_whole(member: str) -> None:
    envelope = signed("report")
    del envelope["signed"]["installedImage"][member]
    with pytest.raises(MalformedError):
        accept("report", sign_again("report", envelope))


def test_a_report_says_what_it_was_given() -> None:
    said = EcuReport(
        ecu=EcuId(BRAKE.ecu),
        installed=IMAGE,
        time=START + timedelta(hours=3),
        counter=8,
        nonce="00ff",
        attack="rollback",
        detail="image/timestamp: offered version 2 is older than trusted version 3",
    )
    assert verify_report(decode_report(sign_report(said, ecu_key())), ecu_key().public_key) == said
    clean = json.loads(sign_report(REPORT, ecu_key()))
    assert clean["signed"]["attack"] == ""


def test_a_manifest_holds_the_reports_as_they_were_signed() -> None:
    report = sign_report(REPORT, ecu_key())
    manifest = decode_manifest(sign_manifest(VehicleId(VIN), EcuId("ecu-gw"), [report], primary_key()))
    assert (manifest.vehicle, manifest.primary) == (VIN, "ecu-gw")
    assert [verify_report(item, ecu_key().public_key) for item in manifest.reports] == [REPORT]


def test_a_report_is_no_manifest_and_a_manifest_no_report() -> None:
    with pytest.raises(MalformedError):
        decode_manifest(json.dumps(signed("report")).encode())
    with pytest.raises(MalformedError):
        decode_report(json.dumps(signed("manifest")).encode())
