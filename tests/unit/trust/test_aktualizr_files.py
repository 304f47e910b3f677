"""Each kind of file of the ``aktualizr`` profile with every member that it may have: the whole value that it is read as."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from twinlock.testing.simulator.keys import KeyPool
from twinlock.trust.errors.metadata import LimitError, MalformedError
from twinlock.trust.keys.signatures import RoleKeys, Signature
from twinlock.trust.limits import DEFAULT_LIMITS
from twinlock.trust.model.base import FileInfo
from twinlock.trust.model.root import Root
from twinlock.trust.model.snapshot import Snapshot
from twinlock.trust.model.timestamp import Timestamp
from twinlock.trust.names import ROOT, SNAPSHOT, TARGETS, TIMESTAMP, KeyId, RoleName
from twinlock.trust.wire.aktualizr import form
from twinlock.trust.wire.aktualizr.decode import AKTUALIZR
from twinlock.trust.wire.json.cursor import MAX_INTEGER

KEY = KeyPool()("any")
K = KeyId("k")
WRITTEN = {"keytype": "ED25519", "keyval": {"public": KEY.public["keyval"]["public"]}}
ISSUED, EXPIRES = datetime(2030, 1, 1, tzinfo=UTC), datetime(2030, 1, 2, tzinfo=UTC)
COMMON = {"version": 1, "issued": "2030-01-01T00:00:00Z", "expires": "2030-01-02T00:00:00Z"}
SIGNATURES = [
    {"keyid": "k", "method": "ed25519", "sig": "QUI="},
    {"keyid": "l", "method": "RSASSA-PSS", "sig": ""},
]
DIGEST = "ab" * 32
SIGNERS = {"keyids": ["k"], "threshold": 1}
ROLES = ("root", "timestamp", "snapshot", "targets")
DECODERS: dict[str, Callable[..., Any]] = {
    "root": AKTUALIZR.decode_root,
    "timestamp": AKTUALIZR.decode_timestamp,
    "snapshot": AKTUALIZR.decode_snapshot,
    "targets": AKTUALIZR.decode_targets,
}
INFO = {"version": 2, "length": 0, "hashes": {"sha256": DIGEST, "md5": 1}}
BODIES: dict[str, dict[str, Any]] = {
    "root": {"keys": {}, "roles": dict.fromkeys(ROLES, SIGNERS)},
    "timestamp": {"meta": {"snapshot.json": INFO}},
    "snapshot": {"meta": {"targets.json": {"version": 1}}},
    "targets": {"targets": {}},
}


def body(kind: str, **members: Any) -> dict[str, Any]:
    """The signed member of a file of that kind; ``...`` leaves a member out."""
    found = {"_type": kind.capitalize(), **COMMON, **BODIES[kind], **members}
    return {name: value for name, value in found.items() if value is not ...}


def read(kind: str, **members: Any) -> Any:
    data = json.dumps({"signatures": SIGNATURES, "signed": body(kind, **members)}).encode()
    return DECODERS[kind](data, "here", DEFAULT_LIMITS).signed


def refused(kind: str, **members: Any) -> tuple[str, str, str]:
    with pytest.raises(MalformedError) as caught:
        read(kind, **members)
    fields = caught.value.fields()
    return fields["what"], fields["json_path"], fields["reason"]


def _signers(role: str, threshold: int, *, post_quantum: bool = False) -> RoleKeys:
    return RoleKeys((KeyId(role), K), threshold, post_quantum)


@pytest.mark.parametrize("written", ["Root", "root"])
def test_a_root(written: str) -> None:
    roles = {role: {"keyids": [role, "k"], "threshold": number} for number, role in enumerate(ROLES, 1)}
    custom = {"timeSource": {"keyids": ["t"], "threshold": 2}, "postQuantum": ["root", "snapshot"]}
    keys = {"k": WRITTEN, "bad": {**WRITTEN, "keytype": "new"}}
    assert read("root", _type=written, keys=keys, roles=roles, custom=custom) == Root(
        version=1,
        expires=EXPIRES,
        issued=ISSUED,
        keys={K: KEY.alias("k").public_key},
        roles={
            ROOT: _signers("root", 1, post_quantum=True),
            TIMESTAMP: _signers("timestamp", 2),
            SNAPSHOT: _signers("snapshot", 3, post_quantum=True),
            TARGETS: _signers("targets", 4),
        },
        time_source=RoleKeys((KeyId("t"),), 2),
        written_type=written,
        unusable={KeyId("bad"): "key type 'new' is neither RSA nor ED25519"},
    )


@pytest.mark.parametrize("custom", [..., None, {}, {"other": 1}, {"timeSource": None}])
def test_a_root_without_the_members_that_it_may_lack(custom: Any) -> None:
    roles = dict.fromkeys(("root", "targets"), SIGNERS)
    expected = {ROOT: RoleKeys((K,), 1), TARGETS: RoleKeys((K,), 1)}
    found = read("root", issued=..., custom=custom, roles=roles)
    assert found == Root(1, EXPIRES, None, keys={}, roles=expected, written_type="Root")


def test_a_root_demands_a_post_quantum_signature_only_of_roles_that_it_names() -> None:
    found = refused("root", roles=dict.fromkeys(("root", "targets"), SIGNERS), custom={"postQuantum": ["snapshot"]})
    assert found == ("here", "$.signed.custom.postQuantum", "the file names no role 'snapshot'")


VEHICLE = {"vehicleIdentifier": "VIN-1"}


def test_a_timestamp() -> None:
    found = read("timestamp", custom=VEHICLE)
    assert found == Timestamp(1, EXPIRES, ISSUED, FileInfo(2, 0, {"sha256": DIGEST}), vehicle=found.vehicle)
    assert found.vehicle == "VIN-1"
    assert read("timestamp").vehicle is None
    assert read("timestamp", meta={"snapshot.json": INFO | {"version": 1}}).snapshot.version == 1


@pytest.mark.parametrize(
    ("info", "expected"),
    [
        ({"version": 1}, FileInfo(1, None, {})),
        ({"version": 1, "length": 5}, FileInfo(1, None, {})),
        (INFO, FileInfo(2, 0, {"sha256": DIGEST})),
        (INFO | {"length": 5}, FileInfo(2, 5, {"sha256": DIGEST})),
        (INFO | {"length": None}, FileInfo(2, None, {"sha256": DIGEST})),
        ({"version": 2, "hashes": {"sha256": DIGEST}}, FileInfo(2, None, {"sha256": DIGEST})),
    ],
)
def test_a_snapshot(info: Any, expected: FileInfo) -> None:
    meta = {"targets.json": {"version": 3}, "root.json": {"version": 1}, "a/b.json": info}
    found = read("snapshot", meta=meta, custom=VEHICLE)
    targets = {TARGETS: FileInfo(3, None, {}), RoleName("a/b"): expected}
    assert found == Snapshot(1, EXPIRES, ISSUED, targets, vehicle=found.vehicle)
    assert found.vehicle == "VIN-1"


def test_the_least_that_an_index_may_state() -> None:
    assert read("root").version == 1
    for kind, name in (("timestamp", "snapshot.json"), ("snapshot", "targets.json")):
        for member, least in (("version", 1), ("length", 0)):
            assert read(kind, meta={name: INFO | {member: least}}).version == 1
            place, reason = f"$.signed.meta.{name}.{member}", f"an integer from {least} to {MAX_INTEGER} is required"
            assert refused(kind, meta={name: INFO | {member: least - 1}}) == ("here", place, reason)


def test_every_file_of_a_director_but_its_root_may_name_a_vehicle() -> None:
    assert read("root", custom=VEHICLE).version == 1
    for kind in ("timestamp", "snapshot", "targets"):
        assert read(kind, custom=VEHICLE).vehicle == "VIN-1"
        assert read(kind).vehicle is None


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("e\u0301.json", "the string is not in Unicode normal form C"),
        ("a", "a name ending in .json is required"),
    ],
)
def test_a_name_that_no_file_may_have_in_a_snapshot(name: str, reason: str) -> None:
    found = refused("snapshot", meta={"targets.json": {"version": 1}, name: {"version": 1}})
    assert found == ("here", f"$.signed.meta.{name}", reason)


# the file around it


@pytest.mark.parametrize("kind", DECODERS)
@pytest.mark.parametrize("note", ["e", "\u00e9"])
def test_an_envelope(kind: str, note: str) -> None:
    """What is signed is the canonical form, which is ASCII; text that is ASCII is kept as it was received."""
    signed = json.dumps(body(kind, x=note), indent=1, ensure_ascii=False)
    data = f'{{"signatures": {json.dumps([*SIGNATURES, 1])}, "signed": {signed}, "more": 1}}'.encode()
    found = DECODERS[kind](data, "here", DEFAULT_LIMITS._replace(failed_verifications=7))
    assert found.signatures == (Signature(K, b"AB"), Signature(KeyId("l"), b""))
    assert (found.data, found.failures) == (data, 7)
    canonical = json.dumps(body(kind, x=note), sort_keys=True, separators=(",", ":")).encode()
    assert found.payload == (signed.encode() if note.isascii() else canonical)
    assert found.canonical() == canonical
    signatures = json.dumps(SIGNATURES, separators=(",", ":")).encode()
    assert found.bare() == b'{"signatures":' + signatures + b',"signed":' + signed.encode() + b"}"


def test_what_was_counted_when_it_was_read_is_not_counted_again() -> None:
    numbers = [1] * (DEFAULT_LIMITS.report_values + 1)
    data = json.dumps({"signatures": [], "signed": body("timestamp", x=numbers)}).encode()
    found = AKTUALIZR.decode_timestamp(data, "here", DEFAULT_LIMITS)
    assert found.canonical is not None
    assert json.loads(found.canonical()) == body("timestamp", x=numbers)


def test_a_file_has_the_type_of_its_role() -> None:
    """Root alone may be written in lower case too."""
    for kind in DECODERS:
        assert read(kind).version == 1
        for other in {"timestamp", "snapshot", "targets", "Mirrors", "ROOT", ""} | ({"root"} - {kind}):
            reason = f"it is {other!r}, but {kind.capitalize()!r} is required"
            assert refused(kind, _type=other) == ("here", "$.signed._type", reason)


@pytest.mark.parametrize("kind", DECODERS)
def test_what_has_two_canonical_forms(kind: str) -> None:
    data = json.dumps({"signatures": [], "signed": body(kind, x="\u00e9\x7f")}, ensure_ascii=False).encode()
    with pytest.raises(MalformedError) as caught:
        DECODERS[kind](data, "here", DEFAULT_LIMITS)
    reason = "no canonical form: the character U+007F has two canonical forms"
    assert caught.value.fields() == {"what": "here", "json_path": "$", "reason": reason}


@pytest.mark.parametrize("kind", DECODERS)
def test_the_bounds_of_a_file(kind: str) -> None:
    data = json.dumps({"signatures": SIGNATURES, "signed": body(kind)}).encode()
    bounds = {
        f"{kind}_bytes": ("here in bytes", len(data)),
        "signatures_bytes": ("here: characters of $.signatures", len(json.dumps(SIGNATURES))),
    }
    for name, (what, least) in bounds.items():
        assert DECODERS[kind](data, "here", DEFAULT_LIMITS._replace(**{name: least}))
        with pytest.raises(LimitError) as caught:
            DECODERS[kind](data, "here", DEFAULT_LIMITS._replace(**{name: least - 1}))
        assert caught.value.fields() == {"what": what, "value": least, "limit": least - 1}
    with pytest.raises(LimitError) as caught:
        DECODERS[kind](data, "here", DEFAULT_LIMITS._replace(metadata_values=3, value_bytes=len(data)))
    assert caught.value.fields() == {"what": "here: JSON values", "value": 4, "limit": 3}


def test_a_key_id_signs_once() -> None:
    for kind, decode in DECODERS.items():
        assert read(kind).version == 1
        data = json.dumps({"signatures": SIGNATURES[:1] * 2, "signed": body(kind)}).encode()
        with pytest.raises(MalformedError) as caught:
            decode(data, "here", DEFAULT_LIMITS)
        reason = "two signatures have the same key id"
        assert caught.value.fields() == {"what": "here", "json_path": "$.signatures", "reason": reason}


def test_a_signature_of_the_greatest_length() -> None:
    limits = DEFAULT_LIMITS._replace(signature_bytes=4)
    signatures = [{"keyid": sig, "method": "ed25519", "sig": sig} for sig in ("QUJDQUJD", "QUJDQUJDQUJD")]
    data = json.dumps({"signatures": signatures, "signed": body("timestamp")}).encode()
    assert AKTUALIZR.decode_timestamp(data, "here", limits).signatures == (Signature(KeyId("QUJDQUJD"), b"ABC" * 2),)


@pytest.mark.parametrize(
    ("role", "image", "director"),
    [
        ("root", 65_536, 65_536),
        ("timestamp", 65_536, 65_536),
        ("snapshot", 8_388_608, 8_388_608),
        ("targets", 8_388_608, 65_536),
        ("acme", 8_388_608, 65_536),
    ],
)
def test_what_the_client_reads_at_most(role: str, image: int, director: int) -> None:
    assert AKTUALIZR.max_bytes(RoleName(role), director=False) == image
    assert AKTUALIZR.max_bytes(RoleName(role), director=True) == director


# the form


@pytest.mark.parametrize("role", ["con", "a:b", "x.", "nul.json"])
def test_the_name_of_a_role_is_no_path_where_it_holds_no_slash(role: str) -> None:
    assert form.file_name(RoleName(role), None) == f"delegations/{role.replace(':', '%3A')}.json"


@pytest.mark.parametrize("text", ["QQ", "Q\u00fcJD"])
def test_what_is_not_base64_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError) as caught:  # the class itself is the assertion
        form.decode_base64(text)
    assert type(caught.value) is ValueError


def test_only_line_breaks_at_its_end_are_no_part_of_a_key() -> None:
    assert form.key_id("ab\n\n") == form.key_id("ab")
    assert len({form.key_id(public) for public in ("ab", "ab ", "ab\t", "ab \n", "\nab")}) == 4
