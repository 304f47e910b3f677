"""Reports and manifests to the byte, and what their refusals say."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from twinlock.testing.simulator.keys import Key, KeyPool, canonical
from twinlock.trust.errors.base import TwinlockError
from twinlock.trust.errors.metadata import LimitError, MalformedError, UnsafePathError
from twinlock.trust.errors.reports import ReportSignatureError
from twinlock.trust.limits import DEFAULT_LIMITS
from twinlock.trust.model.ecu import InstalledImage
from twinlock.trust.names import EcuId, TargetPath, VehicleId
from twinlock.trust.wire.tuf.reports import (
    MAX_ATTACK_BYTES,
    MAX_DETAIL_BYTES,
    EcuReport,
    UnverifiedManifest,
    decode_manifest,
    decode_report,
    sign_manifest,
    sign_report,
    verify_report,
)

KEYS = KeyPool()
KEY, OTHER = KEYS("ecu-brake"), KEYS("mallory")
ECU, IMAGE_PATH = EcuId("ecu-brake"), TargetPath("brake/1.bin")
INSTALLED = InstalledImage(path=IMAGE_PATH, length=0, hashes={"sha256": "a" * 64}, release_counter=0)
REPORT = EcuReport(ecu=ECU, installed=INSTALLED, time=datetime(2030, 1, 1, tzinfo=UTC), counter=7, nonce="ab12")
DATA = sign_report(REPORT, KEY)
MANIFEST = sign_manifest(VehicleId("VIN"), ECU, [DATA], KEY)


def deformed(data: bytes, *path: str, value: object) -> bytes:
    document = json.loads(data)
    place = document["signed"]
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return canonical(document)


def malformed(decode: Callable[[bytes], object], data: bytes) -> tuple[str, str]:
    with pytest.raises(MalformedError) as caught:
        decode(data)
    return caught.value.what, caught.value.json_path


def test_a_report_states_what_there_is_and_nothing_else() -> None:
    assert set(json.loads(sign_report(REPORT, KEY))["signed"]) == {
        *("_type", "ecuIdentifier", "installedImage", "time", "counter", "attack", "detail", "nonce")
    }
    bare = REPORT._replace(nonce=None, installed=INSTALLED._replace(release_counter=None))
    signed = json.loads(sign_report(bare, KEY))["signed"]
    assert "nonce" not in signed
    assert set(signed["installedImage"]) == {"filename", "length", "hashes"}


def test_what_was_decoded_is_kept_in_canonical_form() -> None:
    assert decode_report(DATA).data == DATA
    assert decode_report(json.dumps(json.loads(DATA), indent=2).encode()).data == DATA
    manifest = decode_manifest(MANIFEST)
    assert manifest.data == MANIFEST
    assert [report.data for report in manifest.reports] == [DATA]


@pytest.mark.parametrize(("decode", "data", "what"), [
    (decode_report, DATA, "report"), (decode_manifest, MANIFEST, "manifest")
])  # fmt: skip
def test_the_bound_and_the_name(decode: Callable[..., object], data: bytes, what: str) -> None:
    exact = DEFAULT_LIMITS._replace(report_bytes=len(data))
    decode(data, exact)
    with pytest.raises(LimitError) as caught:
        decode(data + b" ", exact)
    assert caught.value.fields() == {"what": f"{what} in bytes", "value": len(data) + 1, "limit": len(data)}
    assert malformed(decode, b"{") == (what, "$")
    assert malformed(decode, b"{}") == (what, "$")


def test_counts_begin_at_nothing() -> None:
    assert decode_report(DATA).report == REPORT
    for name in ("length", "releaseCounter"):
        data = deformed(DATA, "installedImage", name, value=-1)
        assert malformed(decode_report, data) == ("report", f"$.signed.installedImage.{name}")


@pytest.mark.parametrize(("name", "limit"), [("attack", MAX_ATTACK_BYTES), ("detail", MAX_DETAIL_BYTES)])
def test_attack_and_detail_are_short(name: str, limit: int) -> None:
    assert decode_report(deformed(DATA, name, value="x" * limit)).report.counter == 7
    assert malformed(decode_report, deformed(DATA, name, value="x" * (limit + 1))) == ("report", "$.signed.attack")


def test_the_detail_is_measured_and_cut_in_bytes() -> None:
    assert malformed(decode_report, deformed(DATA, "detail", value="\u00e4" * (MAX_DETAIL_BYTES // 2 + 1)))
    report = decode_report(sign_report(REPORT._replace(detail="x" + "\u00e4" * MAX_DETAIL_BYTES), KEY)).report
    assert report.detail == "x" + "\u00e4" * ((MAX_DETAIL_BYTES - 1) // 2)


def signature(key: Key, **changes: Any) -> dict[str, Any]:
    entry: dict[str, Any] = json.loads(sign_report(REPORT, key))["signatures"][0]
    return entry | changes


def refused(*signatures: dict[str, Any]) -> ReportSignatureError:
    data = canonical({"signed": json.loads(DATA)["signed"], "signatures": list(signatures)})
    with pytest.raises(ReportSignatureError) as caught:
        verify_report(decode_report(data), KEY.public_key)
    assert (caught.value.what, caught.value.ecu) == ("report", ECU)
    return caught.value


def test_why_a_signature_is_refused() -> None:
    assert refused(signature(KEY, payloadHash="00")).reason == "the hash it states is not that of its payload"
    assert refused(signature(KEY, method="rsa")).reason == "the method 'rsa' is not its key's"
    assert refused(signature(KEY, sig="00")).reason == "its signature is invalid"
    assert refused(signature(OTHER)).reason == f"there is no signature by {KEY.keyid}"
    assert refused().reason == f"there is no signature by {KEY.keyid}"


def manifest_of(*reports: object) -> UnverifiedManifest:
    return decode_manifest(deformed(MANIFEST, "reports", value=list(reports)))


GOOD = json.loads(DATA)
NAMED = {"_type": "other", "ecuIdentifier": "ecu-adas"}


@pytest.mark.parametrize(
    ("report", "ecu", "place"),
    [
        ({"signatures": [], "signed": NAMED}, "ecu-adas", "$.signed.reports[0].signed._type"),
        ({"signatures": [], "signed": GOOD["signed"] | {"counter": -1}}, ECU, "$.signed.reports[0].signed.counter"),
        ({"signatures": [], "signed": NAMED | {"ecuIdentifier": "a/b"}}, None, "$.signed.reports[0].signed._type"),
        ({"signatures": [], "signed": NAMED | {"ecuIdentifier": 7}}, None, "$.signed.reports[0].signed._type"),
        ({"signatures": [], "signed": NAMED | {"ecuIdentifier": ["x"]}}, None, "$.signed.reports[0].signed._type"),
        ({"signatures": [], "signed": {"_type": "other"}}, None, "$.signed.reports[0].signed._type"),
        ({"signatures": [], "signed": [NAMED]}, None, "$.signed.reports[0].signed"),
        ({"signatures": []}, None, "$.signed.reports[0]"),
        ([NAMED], None, "$.signed.reports[0]"),
        ("ecu-adas", None, "$.signed.reports[0]"),
        (None, None, "$.signed.reports[0]"),
    ],
    ids=ascii,
)
def test_a_report_that_cannot_be_read_is_kept_under_the_ecu_that_it_names(
    report: object, ecu: str | None, place: str
) -> None:
    manifest = manifest_of(report, GOOD)
    assert [signed.report for signed in manifest.reports] == [REPORT]
    (part,) = manifest.unreadable
    assert part.ecu == ecu
    assert isinstance(part.error, MalformedError)
    assert (part.error.what, part.error.json_path) == ("manifest", place)


def test_a_report_whose_name_is_unsafe_is_one_that_cannot_be_read() -> None:
    manifest = manifest_of(GOOD | {"signed": GOOD["signed"] | {"ecuIdentifier": "../x"}})
    assert [(part.ecu, part.error.code) for part in manifest.unreadable] == [(None, UnsafePathError.code)]
    assert manifest.reports == ()


def test_the_method_of_another_key_is_its_own_business() -> None:
    signatures = [signature(OTHER, method="rsa"), signature(KEY)]
    data = canonical({"signed": json.loads(DATA)["signed"], "signatures": signatures})
    assert verify_report(decode_report(data), KEY.public_key) == REPORT


def _is_read(depth: int) -> bool:
    data = DATA[:-1] + b',"x":' + b"[" * depth + b"]" * depth + b"}"
    try:
        assert decode_report(data).data == data
    except TwinlockError as error:
        assert isinstance(error, MalformedError)
        assert error.json_path in {"$", "$.signed"}
        return False
    return True


def test_any_depth_is_read_or_refused() -> None:
    """At some depth a value can still be parsed and no longer be encoded, depending on who called."""
    read, refused = 1, 60_000
    assert _is_read(read)
    assert not _is_read(refused)
    while refused - read > 1:
        middle = (read + refused) // 2
        read, refused = (middle, refused) if _is_read(middle) else (read, middle)
    for depth in range(read - 10, read + 20):
        _is_read(depth)
