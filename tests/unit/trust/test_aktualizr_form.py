"""The outer form of the ``aktualizr`` profile: canonical bytes, key ids, signatures, names of files and roles, patterns."""

from __future__ import annotations

import base64
import hashlib
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from twinlock.testing.simulator.keys import KeyPool
from twinlock.trust.errors.metadata import UnsafePathError
from twinlock.trust.model.targets import ImageEntry
from twinlock.trust.names import ROOT, SNAPSHOT, TARGETS, TIMESTAMP, RoleName, TargetPath
from twinlock.trust.wire.aktualizr import form
from twinlock.trust.wire.aktualizr.decode import AKTUALIZR

PEM = "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"b": 1, "a": 2}, b'{"a":2,"b":1}'),
        ({"a": [], "B": {}, "_": None}, b'{"B":{},"_":null,"a":[]}'),
        ([True, False, None], b"[true,false,null]"),
        ([0, -1, -(2**63), 2**64 - 1], b"[0,-1,-9223372036854775808,18446744073709551615]"),
        (PEM, b'"-----BEGIN PUBLIC KEY-----\\nAAAA\\n-----END PUBLIC KEY-----\\n"'),
        ("\b\f\n\r\t", b'"\\b\\f\\n\\r\\t"'),
        ("\x00\x1f", b'"\\u0000\\u001f"'),
        ("\x7e\x80\u00ff", b'"~\\u0080\\u00ff"'),
        ('"\\/', b'"\\"\\\\/"'),
        ("\u00fc\u20ac\u2028", b'"\\u00fc\\u20ac\\u2028"'),
        ("\U0001f697", b'"\\ud83d\\ude97"'),
        ("\U0010ffff", b'"\\udbff\\udfff"'),
        ({"\u00e9": 1, "z": 2, "Z": 3, "\U0001f697": 4}, b'{"Z":3,"z":2,"\\u00e9":1,"\\ud83d\\ude97":4}'),
        ("\\u007f", b'"\\\\u007f"'),  # six characters, none of them the one that is refused
    ],
    ids=repr,
)
def test_the_canonical_form(value: object, expected: bytes) -> None:
    assert form.encode_canonical(value) == expected
    assert json.loads(expected) == value


@pytest.mark.parametrize(
    "value",
    ["\x7f", {"a\x7f": 1}, {"a": ["x\x7f\u00fc"]}, 1.5, [float("nan")], {"x": 1e9}, "\ud800", {"\udfff": 1}],
    ids=repr,
)
def test_what_has_no_canonical_form(value: object) -> None:
    with pytest.raises(ValueError):
        form.encode_canonical(value)


@pytest.mark.parametrize("value", [{1: 2}, {"a": b"x"}, {"a": {None: 1}}], ids=repr)
def test_what_is_no_json(value: object) -> None:
    with pytest.raises(TypeError):
        form.encode_canonical(value)


PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.text(st.characters(exclude_characters="\x7f", codec="utf-8")),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(PLAIN)
def test_the_canonical_form_is_ascii_and_says_the_same(value: object) -> None:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    if "\\u007f" in text:
        return
    encoded = form.encode_canonical(value)
    assert encoded == text.encode("ascii")
    assert form.encode_canonical(json.loads(encoded)) == encoded


def test_key_ids() -> None:
    for public in (PEM, PEM.rstrip("\n"), PEM + "\n\n"):
        assert form.key_id(public) == hashlib.sha256(json.dumps(PEM.rstrip("\n")).encode()).hexdigest()
    assert form.key_id("AB" * 32) == hashlib.sha256(b'"' + b"AB" * 32 + b'"').hexdigest()


def test_a_file_is_its_canonical_form_and_not_a_byte_more() -> None:
    key = KeyPool()("anybody")
    signed = {"_type": "Targets", "note": "\u00fc\n"}
    payload = form.encode_canonical(signed)
    signature = form.encode_signature(key.keyid, "ed25519", key.sign(payload))
    assert signature == {"keyid": key.keyid, "method": "ed25519", "sig": base64.b64encode(key.sign(payload)).decode()}
    data = form.encode_envelope(signed, [signature])
    assert data == form.encode_canonical(json.loads(data))
    assert data.endswith(b"}")
    assert b"\n" not in data
    assert AKTUALIZR.reencoded(data) == data
    assert AKTUALIZR.reencoded(json.dumps(json.loads(data), indent=3).encode() + b"\n") == data


@pytest.mark.parametrize(
    "data", [b"", b"{", b"\xff", b'"\x7f"', b"[1.5]", b"[" * 50_000], ids=lambda data: repr(data[:5])
)
def test_what_has_no_canonical_form_is_no_other_spelling(data: bytes) -> None:
    assert AKTUALIZR.reencoded(data) is None


def test_the_method_of_an_rsa_signature() -> None:
    assert form.encode_signature("k", "rsassa-pss-sha256", b"")["method"] == "rsassa-pss-sha256"


@pytest.mark.parametrize("text", ["", "QQ==", "QUI=", "QUJD", "+/8="])
def test_base64(text: str) -> None:
    assert form.decode_base64(text) == base64.b64decode(text)


@pytest.mark.parametrize("text", ["QQ", "QQ=", "QUJD\n", " QUJD", "QU-_", "Q\u00fcJD", "====", "QUJD!"], ids=repr)
def test_what_is_not_base64(text: str) -> None:
    with pytest.raises(ValueError):
        form.decode_base64(text)


@pytest.mark.parametrize(
    ("role", "version", "name"),
    [
        (ROOT, 1, "1.root.json"),
        (ROOT, 12, "12.root.json"),
        (ROOT, None, "root.json"),
        (TIMESTAMP, None, "timestamp.json"),
        (TIMESTAMP, 7, "timestamp.json"),
        (SNAPSHOT, 7, "snapshot.json"),
        (TARGETS, 7, "targets.json"),
        (RoleName("acme"), 7, "delegations/acme.json"),
        (RoleName("Acme.Brakes"), 7, "delegations/Acme.Brakes.json"),
        (RoleName("acme/brakes"), 7, "delegations/acme/brakes.json"),
        (RoleName("acme brakes"), 7, "delegations/acme%20brakes.json"),
    ],
)
def test_file_names(role: RoleName, version: int | None, name: str) -> None:
    assert AKTUALIZR.file_name(role, version) == name


@pytest.mark.parametrize("role", ["../up", "a/../b", "/abs", "a//b", "a/", "", "..", "a/./b", "x" * 2000, "a\\b/c"])
def test_role_names_that_could_leave_the_folder(role: str) -> None:
    with pytest.raises(UnsafePathError):
        AKTUALIZR.file_name(RoleName(role), 1)


@pytest.mark.parametrize("role", ["acme", "ACME", "a.b", "a/b", "a-b_c~d"])
def test_roles_that_the_client_can_ask_for(role: str) -> None:
    assert form.is_fetchable(role)


@pytest.mark.parametrize(
    "role",
    ["a b", "a%20b", "\u00fc", "a?b", "a#b", "../a", "a/", "root", "Targets", "SNAPSHOT", "timestamp", "", "a\\b"],
)
def test_roles_that_the_client_cannot_ask_for(role: str) -> None:
    assert form.is_fetchable(role) is False


def test_names_without_versions_are_the_only_ones() -> None:
    """What a Root states of consistent snapshots says nothing to this client."""
    assert AKTUALIZR.bare is AKTUALIZR


def test_an_image_is_where_its_name_says() -> None:
    entry = ImageEntry(TargetPath("brake/a b.bin"), 1, {"sha256": "0" * 64, "sha512": "1" * 128})
    assert AKTUALIZR.image_file_names(entry) == ("brake/a b.bin",)
    assert AKTUALIZR.folder == ""
    assert AKTUALIZR.addresses_images


@pytest.mark.parametrize("pattern", ["*", "acme/*", "?.bin", "[a-c]*", "[!a]", "a]b", "[", ""])
def test_patterns_that_mean_one_thing(pattern: str) -> None:
    assert form.is_plain_pattern(pattern)


@pytest.mark.parametrize("pattern", ["a\\*", "[^a]", "x[[:alpha:]]", "[[.a.]]", "[[=a=]]", "\\"])
def test_patterns_that_mean_more_than_one(pattern: str) -> None:
    assert not form.is_plain_pattern(pattern)
