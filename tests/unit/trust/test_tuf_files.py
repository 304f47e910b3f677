"""Each kind of file of the ``tuf`` profile with every member that it may have: the whole value that it is read as."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.counted_calls import counted
from twinlock.testing.simulator.keys import KeyPool
from twinlock.trust.errors.metadata import LimitError, MalformedError, UnsupportedSpecError
from twinlock.trust.keys.signatures import RoleKeys, Signature
from twinlock.trust.limits import DEFAULT_LIMITS, Limits
from twinlock.trust.model.base import FileInfo
from twinlock.trust.model.root import Root
from twinlock.trust.model.snapshot import Snapshot
from twinlock.trust.model.timestamp import Timestamp
from twinlock.trust.names import ROOT, TARGETS, KeyId, RoleName
from twinlock.trust.wire.json.cursor import MAX_INTEGER
from twinlock.trust.wire.tuf.metadata import TUF, TufProfile, _bare_version, _file_info

KEY = KeyPool()("any")
K = KeyId("k")
ISSUED, EXPIRES = datetime(2030, 1, 1, tzinfo=UTC), datetime(2030, 1, 2, tzinfo=UTC)
COMMON = {
    "spec_version": "1.0.31",
    "version": 1,
    "issued": "2030-01-01T00:00:00Z",
    "expires": "2030-01-02T00:00:00Z",
}
SIGNATURES = [{"keyid": "k", "sig": "00fF"}, {"keyid": "l", "sig": ""}]
DIGEST = "ab" * 32
SIGNERS = {"keyids": ["k"], "threshold": 1}
LIMITS = DEFAULT_LIMITS._replace(failed_verifications=7)
ROLES = ("root", "timestamp", "snapshot", "targets")
DECODERS: dict[str, Callable[..., Any]] = {
    "root": TUF.decode_root,
    "timestamp": TUF.decode_timestamp,
    "snapshot": TUF.decode_snapshot,
    "targets": TUF.decode_targets,
}
BODIES: dict[str, dict[str, Any]] = {
    "root": {"keys": {}, "roles": dict.fromkeys(ROLES, SIGNERS)},
    "timestamp": {"meta": {"snapshot.json": {"version": 1}}},
    "snapshot": {"meta": {"targets.json": {"version": 1}}},
    "targets": {"targets": {}},
}


def read(kind: str, limits: Limits = LIMITS, **members: Any) -> Any:
    """What the file of that kind is read as; ``...`` leaves a member out."""
    body = {"_type": kind, **COMMON, **BODIES[kind], **members}
    signed = {name: value for name, value in body.items() if value is not ...}
    data = json.dumps({"signatures": SIGNATURES, "signed": signed}).encode()
    return DECODERS[kind](data, "here", limits).signed


def refused(kind: str, **members: Any) -> tuple[str, str, str]:
    with pytest.raises(MalformedError) as caught:
        read(kind, **members)
    fields = caught.value.fields()
    return fields["what"], fields["json_path"], fields["reason"]


def _signers(role: str, threshold: int, *, post_quantum: bool = False) -> RoleKeys:
    return RoleKeys((KeyId(role), K), threshold, post_quantum)


def test_a_root() -> None:
    keys = {"k": KEY.public, "bad": {"keytype": "new", "scheme": "new", "keyval": {"public": ""}}}
    roles = {role: {"keyids": [role, "k"], "threshold": number} for number, role in enumerate(ROLES, 1)}
    custom = {"timeSource": {"keyids": ["t"], "threshold": 2}, "postQuantum": ["root", "targets"]}
    found = read("root", keys=keys, roles=roles, custom=custom, consistent_snapshot=False)
    assert found == Root(
        version=1,
        expires=EXPIRES,
        issued=ISSUED,
        keys={K: KEY.alias("k").public_key},
        roles={
            RoleName("root"): _signers("root", 1, post_quantum=True),
            RoleName("timestamp"): _signers("timestamp", 2),
            RoleName("snapshot"): _signers("snapshot", 3),
            RoleName("targets"): _signers("targets", 4, post_quantum=True),
        },
        time_source=RoleKeys((KeyId("t"),), 2),
        consistent_snapshot=False,
        written_type="root",
        unusable=found.unusable,
    )
    assert list(found.unusable) == ["bad"]


@pytest.mark.parametrize("custom", [..., None, {}, {"other": 1}, {"timeSource": None}])
@pytest.mark.parametrize("consistent", [..., None, True])
def test_a_root_without_the_members_that_it_may_lack(custom: Any, consistent: Any) -> None:
    found = read("root", issued=..., custom=custom, consistent_snapshot=consistent)
    roles = dict.fromkeys(map(RoleName, ROLES), RoleKeys((K,), 1))
    assert found == Root(1, EXPIRES, None, keys={}, roles=roles, time_source=None, consistent_snapshot=True)
    assert found.unusable == {}


VEHICLE = {"vehicleIdentifier": "VIN-1"}
INFO = {"version": 2, "length": 0, "hashes": {"sha256": DIGEST}}


@pytest.mark.parametrize(
    ("info", "expected"),
    [
        ({"version": 1}, FileInfo(1, None, {})),
        (INFO, FileInfo(2, 0, {"sha256": DIGEST})),
        ({"version": 2, "length": None, "hashes": None}, FileInfo(2, None, {})),
        ({"version": 2, "length": 5}, FileInfo(2, 5, {})),
        ({"version": 2, "hashes": {"sha256": DIGEST}}, FileInfo(2, None, {"sha256": DIGEST})),
    ],
)
def test_what_an_index_lists(info: Any, expected: FileInfo) -> None:
    found = read("timestamp", meta={"snapshot.json": info}, custom=VEHICLE)
    assert found == Timestamp(1, EXPIRES, ISSUED, snapshot=expected, vehicle=found.vehicle)
    assert found.vehicle == "VIN-1"
    found = read("snapshot", meta={"targets.json": {"version": 3}, "root.json": {"version": 1}, "a.json": info})
    assert found == Snapshot(1, EXPIRES, ISSUED, targets={TARGETS: FileInfo(3, None, {}), RoleName("a"): expected})


def test_a_snapshot_of_one_vehicle() -> None:
    assert read("snapshot", custom=VEHICLE).vehicle == "VIN-1"
    assert read("snapshot").vehicle is None
    assert read("timestamp").vehicle is None


@pytest.mark.parametrize(("member", "least"), [("version", 1), ("length", 0)])
def test_the_least_that_an_index_may_state(member: str, least: int) -> None:
    for kind, name in (("timestamp", "snapshot.json"), ("snapshot", "targets.json")):
        assert read(kind, meta={name: INFO | {member: least}})
        place = f"$.signed.meta.{name}.{member}"
        expected = ("here", place, f"an integer from {least} to {MAX_INTEGER} is required")
        assert refused(kind, meta={name: INFO | {member: least - 1}}) == expected


TARGETS_META = {"targets.json": {"version": 1}}


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("e\u0301.json", "the string is not in Unicode normal form C"),
        ("e\u0301", "the string is not in Unicode normal form C"),
        ("a", "a name ending in .json is required"),
        (".json.a", "a name ending in .json is required"),
    ],
)
def test_a_name_that_no_file_may_have_in_a_snapshot(name: str, reason: str) -> None:
    found = refused("snapshot", meta={**TARGETS_META, name: {"version": 1}})
    assert found == ("here", f"$.signed.meta.{name}", reason)


def test_a_snapshot_without_targets() -> None:
    expected = ("here", "$.signed.meta", "targets.json is missing")
    assert refused("snapshot", meta={"root.json": {"version": 1}}) == expected


@pytest.mark.parametrize(
    ("name", "value", "version"),
    [
        ("a.json", {"version": 1}, 1),
        (".json", {"version": MAX_INTEGER}, MAX_INTEGER),
        ("a.json", {"version": 0}, None),
        ("a.json", {"version": MAX_INTEGER + 1}, None),
        ("a.json", {"version": True}, None),
        ("a.json", {"version": "1"}, None),
        ("a.json", {"": 1}, None),
        ("a.json", {}, None),
        ("a.json", {"version": 1, "length": 1}, None),
        ("a.json", [1], None),
        ("a.json", "v", None),
        ("\u00e9.json", {"version": 1}, None),
        ("a", {"version": 1}, None),
        (".json.a", {"version": 1}, None),
    ],
)
def test_an_entry_of_a_version_alone_is_read_at_one_look(name: str, value: Any, version: int | None) -> None:
    assert _bare_version(name, value) == (None if version is None else FileInfo(version, None, {}))


def test_a_snapshot_of_many_bins_is_read_at_one_look() -> None:
    meta = {f"bin-{number}.json": {"version": number} for number in range(1, 9)}
    with counted(quick=_bare_version, careful=_file_info) as calls:
        found = read("snapshot", meta={**TARGETS_META, **meta, "\u00e9.json": {"version": 9}})
    assert [info.version for info in found.targets.values()] == [1, *range(1, 9), 9]
    assert calls == {"quick": 10, "careful": 1}


# the file around it


@pytest.mark.parametrize("kind", DECODERS)
def test_an_envelope(kind: str) -> None:
    signed = json.dumps({"_type": kind, **COMMON, **BODIES[kind], "x": "\u00e9"}, indent=1, ensure_ascii=False)
    data = f'{{"signatures": {json.dumps([*SIGNATURES, 1])}, "signed": {signed}, "more": 1}}'.encode()
    found = DECODERS[kind](data, "here", LIMITS)
    assert found.signatures == (Signature(K, b"\x00\xff"), Signature(KeyId("l"), b""))
    assert (found.payload, found.data, found.failures) == (signed.encode(), data, 7)
    compact = json.dumps(json.loads(signed), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert found.canonical() == compact.encode()
    signatures = b'{"signatures":[{"keyid":"k","sig":"00fF"},{"keyid":"l","sig":""}],"signed":'
    assert found.bare() == signatures + signed.encode() + b"}"


def test_a_file_has_the_type_of_its_role() -> None:
    for kind in DECODERS:
        assert read(kind).version == 1
        for other in (*DECODERS.keys() - {kind}, "mirrors", "Root", ""):
            reason = f"it is {other!r}, but {kind!r} is required"
            assert refused(kind, _type=other) == ("here", "$.signed._type", reason)


@pytest.mark.parametrize("kind", DECODERS)
def test_a_file_that_follows_another_specification(kind: str) -> None:
    assert read(kind, spec_version=...) == read(kind) == read(kind, spec_version=None) == read(kind, spec_version="1")
    for offered in ("2.0", "0.1", "11.0", ""):
        with pytest.raises(UnsupportedSpecError) as caught:
            read(kind, spec_version=offered)
        assert caught.value.fields() == {"what": "here", "offered": offered, "supported": "1.x"}


@pytest.mark.parametrize("kind", DECODERS)
def test_the_bounds_of_a_file(kind: str) -> None:
    data = json.dumps({"signatures": SIGNATURES, "signed": {"_type": kind, **COMMON, **BODIES[kind]}}).encode()
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
        body = {"_type": kind, **COMMON, **BODIES[kind]}
        assert read(kind).version == 1
        with pytest.raises(MalformedError) as caught:
            decode(json.dumps({"signatures": SIGNATURES[:1] * 2, "signed": body}).encode(), "here", LIMITS)
        reason = "two signatures have the same key id"
        assert caught.value.fields() == {"what": "here", "json_path": "$.signatures", "reason": reason}


@pytest.mark.parametrize(
    ("profile", "root", "targets"),
    [
        (TufProfile(), "3.root.json", "3.targets.json"),
        (TufProfile(versioned=True), "3.root.json", "3.targets.json"),
        (TufProfile(versioned=False), "3.root.json", "targets.json"),
        (TUF.bare, "3.root.json", "targets.json"),
    ],
)
def test_names_of_files(profile: TufProfile, root: str, targets: str) -> None:
    assert (profile.file_name(ROOT, 3), profile.file_name(TARGETS, 3)) == (root, targets)
    assert (profile.file_name(ROOT, None), profile.file_name(TARGETS, None)) == ("root.json", "targets.json")
    assert profile.file_name(RoleName("a/b"), None) == "a%2Fb.json"


@pytest.mark.parametrize("versioned", [True, False])
def test_a_profile_keeps_how_it_names_files(versioned: bool) -> None:
    assert TufProfile(versioned=versioned).file_name(TARGETS, 1) == ("1.targets.json" if versioned else "targets.json")
