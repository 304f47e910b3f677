"""Reports of the ``aktualizr`` profile: those that the client sends, those that we write, and what is refused."""

from __future__ import annotations

import base64
import hashlib
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from tests.unit.director.aktualizr_vehicle import NOTHING, AktualizrVehicle, WireKey, canonical, image, outcome
from twinlock.testing.simulator.keys import KeyPool
from twinlock.trust.errors.base import TwinlockError
from twinlock.trust.errors.local import ProfileError
from twinlock.trust.errors.metadata import LimitError, MalformedError, UnsafePathError
from twinlock.trust.errors.reports import MANIFEST_PROCEDURE, ReportSignatureError
from twinlock.trust.keys.public_keys import PublicKey, load_key
from twinlock.trust.limits import DEFAULT_LIMITS, Limits
from twinlock.trust.model.ecu import InstalledImage
from twinlock.trust.names import EcuId, TargetPath, VehicleId
from twinlock.trust.wire.aktualizr.reports import (
    decode_manifest,
    decode_report,
    encode_public_key,
    is_nothing,
    native_key_id,
    sign_manifest,
    sign_report,
)
from twinlock.trust.wire.tuf import reports
from twinlock.trust.wire.tuf.reports import (
    NO_TIME,
    EcuReport,
    InstallationReport,
    InstallResult,
    verify_manifest,
    verify_report,
)

KEYS = KeyPool()
GATEWAY = KEYS("ecu-gw")
FAILED = InstallResult(success=False, code="INSTALL_FAILED", description="no room")
INSTALLED = InstalledImage(path=TargetPath("brake/1.bin"), length=10, hashes={"sha256": "a" * 64})
REPORT = EcuReport(ecu=EcuId("gw-7"), installed=INSTALLED, time=datetime(2030, 1, 1, tzinfo=UTC), counter=7)


@pytest.fixture
def car() -> AktualizrVehicle:
    return AktualizrVehicle()


def registered(key: PublicKey) -> PublicKey:
    """The key as a Director has it that was sent it in this profile: under its native id."""
    return load_key(native_key_id(key), keytype=key.keytype, scheme=key.scheme, public=key.public)


def altered(data: bytes, *path: str | int, value: object) -> bytes:
    body = json.loads(data)
    place = body
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return canonical(body)


@pytest.mark.parametrize("kind", ["ED25519", "RSA"])
def test_a_manifest_as_the_client_sends_it(car: AktualizrVehicle, kind: str) -> None:
    car.keys = {ecu: WireKey(ecu, kind) for ecu in car.hardware}
    car.install("brake-7", "brake/1.0.bin")
    manifest = decode_manifest(car.manifest())
    keys = {item.ecu: item.key for item in car.records()}
    verify_manifest(manifest, keys[EcuId("gw-7")])
    assert (manifest.vehicle, manifest.primary, manifest.installation) == (None, "gw-7", None)
    said = {signed.report.ecu: verify_report(signed, keys[signed.report.ecu]) for signed in manifest.reports}
    primary, brake = said[EcuId("gw-7")], said[EcuId("brake-7")]
    assert (primary.counter, primary.time, primary.attack, primary.detail) == (1, NO_TIME, "", "")
    assert is_nothing(primary.installed)
    assert (brake.counter, brake.installed.path, brake.nonce) == (None, "brake/1.0.bin", None)
    assert not is_nothing(brake.installed)


def test_a_virtual_secondary_without_an_image_has_another_word_for_it(car: AktualizrVehicle) -> None:
    car.installed["brake-7"] = {**NOTHING, "filepath": "noimage"}
    assert all(is_nothing(signed.report.installed) for signed in decode_manifest(car.manifest()).reports)


def test_an_image_of_that_name_that_has_bytes_is_one(car: AktualizrVehicle) -> None:
    report = car.report("gw-7", installed_image={**image("x"), "filepath": "unknown"})
    assert not is_nothing(decode_report(canonical(report)).report.installed)


def test_an_image_of_which_the_client_knows_no_digest_is_known_by_none(car: AktualizrVehicle) -> None:
    info = {"hashes": {"sha256": ""}, "length": 5}
    report = decode_report(canonical(car.report("gw-7", installed_image={"filepath": "a", "fileinfo": info})))
    assert (report.report.installed.path, dict(report.report.installed.hashes)) == ("a", {})


def test_how_an_order_ended_is_told_as_a_whole_and_by_ecu(car: AktualizrVehicle) -> None:
    ended = outcome("urn:x:1", "hw-7:INSTALL_FAILED", gw_7="OK", brake_7="INSTALL_FAILED")
    found = decode_manifest(car.manifest(outcome=ended)).installation
    assert found is not None
    assert (found.correlation_id, found.result.success, found.result.code) == ("urn:x:1", False, "hw-7:INSTALL_FAILED")
    assert {ecu: (one.success, one.code) for ecu, one in found.ecus.items()} == {
        "gw-7": (True, "OK"),
        "brake-7": (False, "INSTALL_FAILED"),
    }


def test_what_an_ecu_tells_in_free_words_has_our_code(car: AktualizrVehicle) -> None:
    said = {"brake-7": car.report("brake-7", attacks_detected="Hash mismatch: " + "x" * 2_000)}
    (report,) = (one.report for one in decode_manifest(car.manifest(reports=said)).reports if one.report.attack)
    assert report.attack == "attacks-detected"
    assert len(report.detail) == 1_024


def test_unknown_members_and_reports_of_another_kind_are_passed_over(car: AktualizrVehicle) -> None:
    ended = {**outcome("urn:x:1"), "content_type": "application/other"}
    manifest = decode_manifest(car.manifest(outcome=ended, custom={"a": [1]}))
    assert manifest.installation is None
    verify_manifest(manifest, car.records()[0].key)


def test_another_form_of_the_same_manifest_is_the_same(car: AktualizrVehicle) -> None:
    manifest = decode_manifest(json.dumps(json.loads(car.manifest()), indent=3).encode() + b"\n")
    verify_manifest(manifest, car.records()[0].key)


@pytest.mark.parametrize("kind", ["ed25519", "rsa"])
@pytest.mark.parametrize(
    "report",
    [REPORT, REPORT._replace(counter=None, time=NO_TIME), REPORT._replace(attack="wrong-digest", detail="it: is ü")],
)
def test_what_we_sign_reads_as_it_was_said(kind: str, report: EcuReport) -> None:
    key = KEYS("ecu", kind)
    ended = InstallationReport("urn:x:1", FAILED, {EcuId("gw-7"): FAILED})
    data = sign_manifest(EcuId("gw-7"), [sign_report(report, key)], key, installation=ended)
    assert canonical(json.loads(data)) == data
    manifest = decode_manifest(data)
    verify_manifest(manifest, registered(key.public_key))
    assert verify_report(manifest.reports[0], registered(key.public_key)) == report
    assert manifest.installation == ended._replace(raw="no room")  # this form says it in raw_report too


def test_what_we_sign_has_the_form_and_the_key_id_of_the_client() -> None:
    body = json.loads(sign_report(REPORT, GATEWAY))
    assert body["signed"] == {
        "attacks_detected": "",
        "ecu_serial": "gw-7",
        "installed_image": {
            "filepath": "brake/1.bin",
            "fileinfo": {"hashes": {"sha256": "a" * 64}, "length": 10},
        },
        "previous_timeserver_time": "2030-01-01T00:00:00Z",
        "timeserver_time": "2030-01-01T00:00:00Z",
        "report_counter": "7",
    }
    (signature,) = body["signatures"]
    public = encode_public_key(GATEWAY.public_key)["keyval"]["public"]
    assert public == GATEWAY.public_key.public.upper()
    assert signature["keyid"] == hashlib.sha256(canonical(public)).hexdigest()
    key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(public))
    key.verify(base64.b64decode(signature["sig"]), canonical(body["signed"]))


@pytest.mark.parametrize(("kind", "written"), [("ed25519", "ED25519"), ("rsa", "RSA")])
def test_a_key_as_the_client_registers_it(kind: str, written: str) -> None:
    key = KEYS("ecu", kind).public_key
    public = key.public.upper() if kind == "ed25519" else key.public
    assert encode_public_key(key) == {"keytype": written, "keyval": {"public": public}}


def test_a_key_or_a_text_that_the_profile_cannot_say_is_refused() -> None:
    other = KEYS("ecu", "ecdsa-p256")
    for act in (sign_report, lambda report, key: encode_public_key(key.public_key)):
        with pytest.raises(ProfileError) as caught:
            act(REPORT, other)
        assert (caught.value.profile, caught.value.what) == ("aktualizr", other.keyid)
    with pytest.raises(ProfileError) as caught:
        sign_report(REPORT._replace(attack="x", detail="\x7f"), GATEWAY)
    assert (caught.value.profile, caught.value.what) == ("aktualizr", "a report")


@pytest.mark.parametrize("who", ["another key", "another key under this id"])
def test_a_report_that_another_key_signed_is_refused(car: AktualizrVehicle, who: str) -> None:
    data = canonical(car.report("brake-7", key=car.keys["gw-7"]))
    if who != "another key":
        data = altered(data, "signatures", 0, "keyid", value=car.keys["brake-7"].keyid)
    with pytest.raises(ReportSignatureError) as caught:
        verify_report(decode_report(data), car.records()[1].key)
    assert (caught.value.what, caught.value.ecu) == ("report", "brake-7")


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("ecu_serial",), "gw-8"),
        (("installed_image", "filepath"), "other.bin"),
        (("installed_image", "fileinfo", "length"), 1),
        (("report_counter",), "99"),
        (("attacks_detected",), "an attack"),
        (("new",), 1),
    ],
)
def test_nothing_in_a_report_can_be_altered(car: AktualizrVehicle, path: tuple[str, ...], value: object) -> None:
    data = altered(canonical(car.report("gw-7")), "signed", *path, value=value)
    with pytest.raises(ReportSignatureError):
        verify_report(decode_report(data), car.records()[0].key)


def test_a_method_that_is_not_the_keys_is_refused(car: AktualizrVehicle) -> None:
    data = altered(canonical(car.report("gw-7")), "signatures", 0, "method", value="rsassa-pss")
    with pytest.raises(ReportSignatureError):
        verify_report(decode_report(data), car.records()[0].key)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("signatures", 0, "method"), "md5"),
        (("signatures", 0, "sig"), "not base64"),
        (("signatures",), [{"keyid": "a", "method": "ed25519", "sig": ""}] * 2),
        (("signatures",), {}),
        (("signed", "report_counter"), 1),
        (("signed", "report_counter"), "01"),
        (("signed", "report_counter"), "-1"),
        (("signed", "report_counter"), "1.0"),
        (("signed", "report_counter"), str(2**53)),
        (("signed", "installed_image", "fileinfo", "length"), -1),
        (("signed", "installed_image", "fileinfo", "hashes"), {}),
        (("signed", "installed_image", "fileinfo", "hashes"), {"sha256": "ab"}),
        (("signed", "timeserver_time"), "1970-01-01"),
        (("signed", "attacks_detected"), None),
        (("signed", "custom"), "\x7f"),
    ],
)
def test_a_report_of_another_form_is_refused(car: AktualizrVehicle, path: tuple[str | int, ...], value: object) -> None:
    with pytest.raises(MalformedError):
        decode_report(altered(canonical(car.report("gw-7")), *path, value=value))


@pytest.mark.parametrize(
    ("path", "value", "place"),
    [
        (("signatures", 0, "sig"), "not base64", "$.signatures[0].sig"),
        (("signatures", 0, "method"), "md5", "$.signatures[0].method"),
        (("signatures",), [{"keyid": "a", "method": "ed25519", "sig": ""}] * 2, "$.signatures"),
        (("signed", "custom"), "\x7f", "$.signed"),
        (("custom",), "\x7f", "$"),
    ],
)
def test_a_refusal_points_at_the_member(
    car: AktualizrVehicle, path: tuple[str | int, ...], value: object, place: str
) -> None:
    with pytest.raises(MalformedError) as caught:
        decode_report(altered(canonical(car.report("gw-7")), *path, value=value))
    assert (caught.value.what, caught.value.json_path) == ("report", place)


@pytest.mark.parametrize("path", [("ecu_serial",), ("installed_image", "filepath")])
def test_a_name_that_leads_elsewhere_is_refused(car: AktualizrVehicle, path: tuple[str, ...]) -> None:
    with pytest.raises(UnsafePathError):
        decode_report(altered(canonical(car.report("gw-7")), "signed", *path, value="../x"))


@pytest.mark.parametrize(
    "ended",
    [
        {"content_type": 1},
        {**outcome("urn:x:1"), "report": {}},
        outcome("urn:x:1") | {"report": {**outcome("urn:x:1")["report"], "items": [{"ecu": "gw-7"}]}},
        outcome("urn:x:1") | {"report": {**outcome("urn:x:1")["report"], "result": {"success": 1}}},
        outcome("u") | {"report": {**outcome("u")["report"], "items": outcome("u", gw_7="OK")["report"]["items"] * 2}},
    ],
)
def test_an_installation_report_of_another_form_is_an_unreadable_part(car: AktualizrVehicle, ended: Any) -> None:
    manifest = decode_manifest(car.manifest(outcome=ended))
    (part,) = manifest.unreadable
    assert (part.ecu, part.error.code, manifest.installation) == (None, "malformed", None)
    assert len(manifest.reports) == 2


@pytest.mark.parametrize("name", ["brake-7", "../brake-7"])
def test_a_report_under_the_name_of_another_ecu_is_an_unreadable_part(car: AktualizrVehicle, name: str) -> None:
    manifest = decode_manifest(car.manifest(reports={name: car.report("gw-7")}))
    (part,) = manifest.unreadable
    assert (part.ecu, part.error.code) == (name if name == "brake-7" else None, "malformed")
    assert "gw-7" in {signed.report.ecu for signed in manifest.reports}


def test_a_member_that_stands_twice_and_a_float_are_refused(car: AktualizrVehicle) -> None:
    data = car.manifest()
    for bad in (data.replace(b'"brake-7":', b'"gw-7":', 1), data.replace(b'"length":0', b'"length":0.5', 1)):
        assert bad != data
        with pytest.raises(MalformedError):
            decode_manifest(bad)


def test_sizes_and_counts_have_bounds(car: AktualizrVehicle) -> None:
    data = car.manifest(outcome=outcome("urn:x:1", gw_7="OK", brake_7="OK"))
    decode_manifest(data, Limits(ecus=2))
    for raw, limits in (
        (data, Limits(ecus=1)),
        (data, Limits(signatures=0)),
        (data + b" " * DEFAULT_LIMITS.report_bytes, DEFAULT_LIMITS),
    ):
        with pytest.raises(LimitError):
            decode_manifest(raw, limits)


@pytest.mark.parametrize("what", ["report", "manifest"])
def test_a_size_over_the_bound_is_stated_with_it(car: AktualizrVehicle, what: str) -> None:
    data = car.manifest() if what == "manifest" else canonical(car.report("gw-7"))
    decode = {"manifest": decode_manifest, "report": decode_report}[what]
    decode(data, Limits(report_bytes=len(data)))
    with pytest.raises(LimitError) as caught:
        decode(data, Limits(report_bytes=len(data) - 1))
    assert caught.value.fields() == {"what": f"{what} in bytes", "value": len(data), "limit": len(data) - 1}
    assert caught.value.clause == MANIFEST_PROCEDURE


def test_what_is_signed_in_our_own_profile_is_no_manifest_here(car: AktualizrVehicle) -> None:
    with pytest.raises(TwinlockError):
        decode_manifest(reports.sign_manifest(VehicleId("V"), EcuId("gw-7"), [], GATEWAY))
    with pytest.raises(TwinlockError):
        reports.decode_manifest(car.manifest())
