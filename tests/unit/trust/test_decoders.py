"""The ``tuf`` profile's decoders: every member missing, of another type, out of range; and where the error says it is."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest

from twinlock.testing.simulator.keys import JSON
from twinlock.testing.simulator.world import ADAS, World
from twinlock.trust.errors.base import TwinlockError
from twinlock.trust.errors.metadata import (
    LimitError,
    MalformedError,
    UnsafePathError,
    UnsupportedSpecError,
    WeakKeyError,
)
from twinlock.trust.limits import DEFAULT_LIMITS, Limits
from twinlock.trust.model.targets import ImageEntry, Targets
from twinlock.trust.names import TargetPath
from twinlock.trust.wire.tuf.metadata import TUF

WORLD = World()
BODIES: dict[str, JSON] = {
    **{f"director/{role}": body for role, body in WORLD.director.bodies.items()},
    **{f"image/{role}": body for role, body in WORLD.image.bodies.items()},
}
DECODERS: dict[str, Callable[..., Any]] = {
    "root": TUF.decode_root,
    "timestamp": TUF.decode_timestamp,
    "snapshot": TUF.decode_snapshot,
    "targets": TUF.decode_targets,
    "acme": TUF.decode_targets,
}


def decode(name: str, body: JSON, limits: Limits = DEFAULT_LIMITS) -> Any:
    """Decode ``body`` as the role of ``name``, and every image entry in it."""
    data = json.dumps({"signatures": [], "signed": body}).encode()
    signed = DECODERS[name.split("/")[1]](data, name, limits).signed
    if isinstance(signed, Targets):
        for path in signed.images:
            assert signed.images[path].path == path
    return signed


def changed(name: str, path: tuple[str | int, ...], value: object) -> JSON:
    """A body with one member replaced (removed for ``...``)."""
    body = copy.deepcopy(BODIES[name])
    place: Any = body
    for step in path[:-1]:
        place = place[step]
    if value is ...:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return body


def places(value: object, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """The path of everything inside a JSON value."""
    found = []
    items: Any = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, inner in items:
        found += [(*path, step), *places(inner, (*path, step))]
    return found


PLACES = [(name, path) for name, body in BODIES.items() for path in places(body)]
# Members that may be left away, and members whose content the engine leaves to others.
OPTIONAL = {"issued", "spec_version", "consistent_snapshot", "custom", "delegations", "length", "hashes", "hardwareIds"}
OPEN = {"name", "version"}


@pytest.mark.parametrize("name", BODIES)
def test_honest_files(name: str) -> None:
    signed = decode(name, BODIES[name])
    assert signed.version == BODIES[name]["version"]


@pytest.mark.parametrize(
    "value", [None, True, 1.5, -1, 2**63, 10**400, "x", "", [], {}, [[]], "\x00", "e\u0301"], ids=repr
)
def test_any_value_anywhere_is_decoded_or_refused_cleanly(value: object) -> None:
    refused = 0
    for name, path in PLACES:
        try:
            decode(name, changed(name, path, value))
        except (MalformedError, WeakKeyError, UnsafePathError, UnsupportedSpecError, LimitError) as error:
            refused += 1
            assert str(error).isprintable()
            assert str(error).encode()
    assert refused > len(PLACES) // 3


@pytest.mark.parametrize(
    ("name", "path"), [entry for entry in PLACES if entry[1][-1] in {"version", "length"} and "custom" not in entry[1]]
)
@pytest.mark.parametrize("value", [None, True, "1", -1, 2**63, [1], {}], ids=repr)
def test_an_integer_of_another_type_or_size(name: str, path: tuple[str | int, ...], value: object) -> None:
    if value is None and path[-1] == "length" and "meta" in path:
        return  # an index may leave the length away
    with pytest.raises(MalformedError) as caught:
        decode(name, changed(name, path, value))
    assert caught.value.what == name
    assert caught.value.json_path.endswith(f".{path[-1]}")


REQUIRED = [
    ("director/root", ("_type",)),
    ("director/root", ("version",)),
    ("director/root", ("expires",)),
    ("director/root", ("keys",)),
    ("director/root", ("roles",)),
    *(("director/root", ("roles", role)) for role in ("root", "timestamp", "snapshot", "targets")),
    ("director/root", ("roles", "root", "keyids")),
    ("director/root", ("roles", "root", "threshold")),
    ("image/timestamp", ("_type",)),
    ("image/timestamp", ("meta",)),
    ("image/timestamp", ("meta", "snapshot.json")),
    ("image/timestamp", ("meta", "snapshot.json", "version")),
    ("image/snapshot", ("meta",)),
    ("image/snapshot", ("meta", "targets.json")),
    ("image/snapshot", ("meta", "acme.json", "version")),
    ("image/targets", ("targets",)),
    ("image/targets", ("delegations", "keys")),
    ("image/targets", ("delegations", "roles", 0, "name")),
    ("image/targets", ("delegations", "roles", 0, "keyids")),
    ("image/targets", ("delegations", "roles", 0, "threshold")),
    ("image/targets", ("delegations", "roles", 0, "terminating")),
    ("image/targets", ("delegations", "roles", 0, "paths")),
    ("image/targets", ("targets", ADAS.path(1), "length")),
    ("image/targets", ("targets", ADAS.path(1), "hashes")),
]


@pytest.mark.parametrize(("name", "path"), REQUIRED, ids=str)
@pytest.mark.parametrize("value", [..., None], ids=["missing", "null"])
def test_a_required_member(name: str, path: tuple[str | int, ...], value: object) -> None:
    with pytest.raises(MalformedError) as caught:
        decode(name, changed(name, path, value))
    assert caught.value.json_path.startswith("$.signed")


@pytest.mark.parametrize(
    "time",
    [
        "2030-01-01T00:00:00",
        "2030-01-01T00:00:00+00:00",
        "2030-01-01 00:00:00Z",
        "2030-1-1T0:0:0Z",
        "2030-02-30T00:00:00Z",
        "2030-01-01T24:00:00Z",
        "2030-01-01T00:00:60Z",
        "0000-01-01T00:00:00Z",
        "2030-01-01T00:00:00.5Z",
        "2030-01-01T00:00:00Z\n",
        " 2030-01-01T00:00:00Z",
        "\u0662\u0660\u0663\u0660-01-01T00:00:00Z",
        1893456000,
    ],
    ids=repr,
)
@pytest.mark.parametrize("name", ["director/root", "image/timestamp", "image/acme"])
def test_times(name: str, time: object) -> None:
    for member in ("expires", "issued"):
        with pytest.raises(MalformedError) as caught:
            decode(name, changed(name, (member,), time))
        assert caught.value.json_path == f"$.signed.{member}"


@pytest.mark.parametrize("spec", ["2.0.0", "0.9", "", "x", "10.0.0", "v1.0.0", " 1.0"])
def test_specification_versions(spec: str) -> None:
    with pytest.raises(UnsupportedSpecError) as caught:
        decode("image/targets", changed("image/targets", ("spec_version",), spec))
    assert caught.value.offered == spec


def test_root_roles() -> None:
    for value in ([], ["a", "a"], ["unknown"], "abc", [1]):
        path = ("roles", "targets", "keyids")
        if value in ([], ["unknown"]):
            decode("image/root", changed("image/root", path, value))  # whoever needs the role refuses
            continue
        with pytest.raises(MalformedError) as caught:
            decode("image/root", changed("image/root", path, value))
        assert caught.value.json_path.startswith("$.signed.roles.targets.keyids")
    threshold: object
    for threshold in (0, -1, True, "1", None):
        with pytest.raises(MalformedError):
            decode("image/root", changed("image/root", ("roles", "root", "threshold"), threshold))


def test_time_source_of_root() -> None:
    assert decode("director/root", BODIES["director/root"]).time_source is not None
    assert decode("image/root", BODIES["image/root"]).time_source is None
    root = decode("director/root", changed("director/root", ("custom", "timeSource", "keyids"), ["unknown"]))
    assert root.time_source == (("unknown",), 1, False)


@pytest.mark.parametrize(
    "hashes",
    [
        {},
        {"sha256": ""},
        {"sha256": "0" * 63},
        {"sha256": "0" * 62},
        {"sha256": "A" * 64},
        {"sha256": "g" * 64},
        {"sha512": "0" * 64},
        [],
        "x",
    ],
    ids=repr,
)
def test_hashes(hashes: object) -> None:
    path = ("targets", ADAS.path(1), "hashes")
    with pytest.raises(MalformedError) as caught:
        decode("image/targets", changed("image/targets", path, hashes))
    assert "hashes" in caught.value.json_path


def test_unknown_hash_algorithms_are_kept() -> None:
    path = ("targets", ADAS.path(1), "hashes")
    for value in ("00", "ABC=", "", "sha\u00e4"):
        listed = {"sha256": "0" * 64, "x-future": value}
        data = json.dumps({"signatures": [], "signed": changed("image/targets", path, listed)}).encode()
        images = TUF.decode_targets(data, "image/targets", DEFAULT_LIMITS).signed.images
        assert images[TargetPath(ADAS.path(1))].hashes == listed


@pytest.mark.parametrize("name", ["meta", "targets"])
def test_snapshot_names(name: str) -> None:
    body = changed("image/snapshot", ("meta",), {"targets.json": {"version": 1}, name: {"version": 1}})
    with pytest.raises(MalformedError):
        decode("image/snapshot", body)
    with_root = changed("image/snapshot", ("meta",), {"targets.json": {"version": 1}, "root.json": {"version": 1}})
    assert list(decode("image/snapshot", with_root).targets) == ["targets"]


def _entry(**custom: object) -> ImageEntry:
    body = changed("image/targets", ("targets", ADAS.path(1), "custom"), custom)
    data = json.dumps({"signatures": [], "signed": body}).encode()
    return TUF.decode_targets(data, "image/targets", DEFAULT_LIMITS).signed.images[TargetPath(ADAS.path(1))]


def test_custom_fields() -> None:
    entry = _entry(mustAgree={"releaseCounter": 3, "hardwareIds": ["a", "b"]}, name="x")
    assert (entry.release_counter, entry.hardware_ids) == (3, frozenset(["a", "b"]))
    entry = _entry(releaseCounter=0, hardwareIds=[], ecuIdentifiers={"e": {}}, downloadUrl="https://x")
    assert (entry.release_counter, entry.hardware_ids) == (0, frozenset())
    assert (dict(entry.ecus), entry.download_url, entry.must_agree) == ({"e": None}, "https://x", None)
    entry = _entry()
    assert (entry.release_counter, entry.hardware_ids, dict(entry.ecus)) == (None, None, {})


@pytest.mark.parametrize(
    "custom",
    [
        {"mustAgree": {"releaseCounter": 3}, "releaseCounter": 3},
        {"mustAgree": {"hardwareIds": ["a"]}, "hardwareIds": ["a"]},
        {"mustAgree": []},
        {"mustAgree": {"releaseCounter": -1}},
        {"mustAgree": {"releaseCounter": 1.0}},
        {"mustAgree": {"releaseCounter": "3"}},
        {"mustAgree": {"hardwareIds": "a"}},
        {"mustAgree": {"hardwareIds": ["../a"]}},
        {"mustAgree": {"hardwareIds": [""]}},
        {"ecuIdentifiers": ["e"]},
        {"ecuIdentifiers": {"a/b": {}}},
        {"ecuIdentifiers": {"e": {"hardwareId": "a\\b"}}},
        {"downloadUrl": 1},
        {"x": [[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]},
    ],
    ids=repr,
)
def test_custom_fields_refused(custom: dict[str, object]) -> None:
    with pytest.raises(MalformedError):
        _entry(**custom)


def _delegations(change: Callable[[JSON], object]) -> Targets:
    body = copy.deepcopy(BODIES["image/targets"])
    change(body["delegations"])
    found: Targets = decode("image/targets", body)
    return found


KEYID = BODIES["image/targets"]["delegations"]["roles"][0]["keyids"][0]
BINS = {"keyids": [KEYID], "threshold": 1, "bit_length": 4, "name_prefix": "bin"}
MULTI: JSON = {
    "paths": ["*"],
    "terminating": False,
    "min_roles_in_agreement": 1,
    "roles": [{"name": "a", "keyids": [KEYID], "threshold": 1}],
}


@pytest.mark.parametrize(
    "change",
    [
        lambda found: found["roles"][0].update(path_hash_prefixes=["00"]),
        lambda found: found["roles"][0].update(paths=None),
        lambda found: found["roles"][0].update(paths="brake/*"),
        lambda found: found["roles"][0].update(paths=[1]),
        lambda found: found["roles"][0].update(terminating=1),
        lambda found: found["roles"][0].update(name=1),
        lambda found: found["roles"][0].update(name="e\u0301"),
        lambda found: found["roles"][0].update(name="targets"),
        lambda found: found["roles"][0].update(name="Targets"),
        lambda found: found["roles"][0].update(name="ROOT"),
        lambda found: found["roles"][0].update(threshold=0),
        lambda found: found["roles"][0].update(keyids=[KEYID, KEYID]),
        lambda found: found["roles"][0].update(hardwareIds=["a/b"]),
        lambda found: found.update(roles={}),
        lambda found: found.update(succinct_roles=BINS),
        lambda found: found.update(roles=None, succinct_roles={**BINS, "bit_length": 0}),
        lambda found: found.update(roles=None, succinct_roles={**BINS, "bit_length": 33}),
        lambda found: found.update(roles=None, succinct_roles={**BINS, "name_prefix": "snapshot"}),
        lambda found: found.update(roles=None, succinct_roles={**BINS, "name_prefix": ""}),
        lambda found: found.update(prioritized_delegations=[MULTI]),
        lambda found: found.update(roles=[], prioritized_delegations=[{**MULTI, "min_roles_in_agreement": 2}]),
        lambda found: found.update(roles=[], prioritized_delegations=[{**MULTI, "min_roles_in_agreement": 0}]),
        lambda found: found.update(roles=[], prioritized_delegations=[{**MULTI, "roles": []}]),
        lambda found: found.update(roles=[], prioritized_delegations=[{**MULTI, "roles": MULTI["roles"] * 2}]),
    ],
)
def test_delegations_refused(change: Callable[[JSON], object]) -> None:
    with pytest.raises(MalformedError) as caught:
        _delegations(change)
    assert caught.value.json_path.startswith("$.signed.delegations")


@pytest.mark.parametrize(
    "change",
    [
        lambda found: found.update(roles=None, succinct_roles=BINS),
        lambda found: found.update(roles=[], prioritized_delegations=[MULTI]),
        lambda found: found["roles"][0].update(paths=[]),
        # No file can be named for these; whoever asks for the role refuses it.
        *(
            lambda found, name=name: found["roles"][0].update(name=name)
            for name in ("", ".", "..", "x" * 2000, "a\x00")
        ),
        lambda found: found["roles"][0].update(hardwareIds=[]),
        lambda found: found.update(roles=[]),
    ],
)
def test_delegations_accepted(change: Callable[[JSON], object]) -> None:
    assert _delegations(change).delegations is not None


@pytest.mark.parametrize(
    ("name", "signatures"),
    [
        ("null", None),
        ("object", {}),
        ("text", "x"),
        ("repeated", [{"keyid": "a", "sig": "00"}, {"keyid": "a", "sig": "01"}]),
    ],
)
def test_signatures_refused(name: str, signatures: object) -> None:
    data = json.dumps({"signatures": signatures, "signed": BODIES["image/timestamp"]}).encode()
    with pytest.raises(MalformedError) as caught:
        TUF.decode_timestamp(data, name, Limits(timestamp_bytes=10**6))
    assert caught.value.json_path.startswith("$.signatures")


def _signatures(*signatures: object) -> list[tuple[str, bytes]]:
    data = json.dumps({"signatures": signatures, "signed": BODIES["image/timestamp"]}).encode()
    return list(TUF.decode_timestamp(data, "x", DEFAULT_LIMITS).signatures)


@pytest.mark.parametrize(
    "odd",
    [
        *(None, 1, "x", [], {}),
        *({"keyid": "a"}, {"sig": "00"}, {"keyid": 1, "sig": "00"}, {"keyid": "a", "sig": 0}),
        *({"keyid": "a", "sig": None}, {"keyid": "a", "sig": "abc"}, {"keyid": "a", "sig": "zz"}),
        *({"keyid": "a", "sig": "AAE="}, {"keyid": "good", "sig": " 00"}, {"keyid": "a", "sig": "\u0660\u0660"}),
        {"keyid": "a", "sig": "00" * (DEFAULT_LIMITS.signature_bytes + 1)},
    ],
    ids=lambda value: str(value)[:30],
)
def test_an_odd_signature_is_ignored(odd: object) -> None:
    assert _signatures(odd, {"keyid": "good", "sig": "0aFF"}, odd) == [("good", b"\x0a\xff")]


def test_hexadecimal_digits_of_either_case_are_a_signature() -> None:
    assert _signatures({"keyid": "a", "sig": "aB"}, {"keyid": "b", "sig": "ff" * DEFAULT_LIMITS.signature_bytes}) == [
        ("a", b"\xab"),
        ("b", b"\xff" * DEFAULT_LIMITS.signature_bytes),
    ]


@pytest.mark.parametrize(
    "key",
    [
        *(None, [], "x", {}, {"keytype": "ed25519", "scheme": "ed25519"}),
        {"keytype": "sigstore-oidc", "scheme": "Fulcio", "keyval": {"identity": "a@example.com"}},
        {"keytype": "ed25519", "scheme": "ed25519", "keyval": {"public": "-----BEGIN PUBLIC KEY-----"}},
        {"keytype": "ed25519", "scheme": "ed25519", "keyval": {"public": "00" * 32}},
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_key_that_cannot_be_used_does_not_spoil_a_file(key: object) -> None:
    root = decode("image/root", changed("image/root", ("keys", "x"), key))
    assert (set(root.keys), set(root.unusable)) == (set(BODIES["image/root"]["keys"]), {"x"})
    delegations = _delegations(lambda found: found["keys"].update(x=key)).delegations
    assert delegations is not None
    assert (set(delegations.keys), set(delegations.unusable)) == ({KEYID}, {"x"})
    assert dict(delegations.unusable) == dict(root.unusable)


@pytest.mark.parametrize("name", ["director/root", "image/timestamp", "image/snapshot", "image/targets"])
def test_another_role_under_the_name(name: str) -> None:
    for other in ("root", "timestamp", "snapshot", "targets", "mirrors", "Root", ""):
        if other == name.split("/")[1]:
            continue
        with pytest.raises(MalformedError) as caught:
            decode(name, changed(name, ("_type",), other))
        assert caught.value.json_path == "$.signed._type"


def test_every_error_is_ours() -> None:
    for data in (b"", b"\x00", b"{}", b'{"signed":{},"signatures":[]}', b'{"signed":{"_type":[]},"signatures":[]}'):
        for decoder in DECODERS.values():
            with pytest.raises(TwinlockError):
                decoder(data, "x", DEFAULT_LIMITS)


@pytest.mark.parametrize(
    ("role", "version", "expected"),
    [
        ("root", 3, "3.root.json"),
        ("timestamp", None, "timestamp.json"),
        ("acme", 7, "7.acme.json"),
        ("a/b", 1, "1.a%2Fb.json"),
        ("../x", 1, "1...%2Fx.json"),
        ("\u00e4 b", 1, "1.%C3%A4%20b.json"),
        ("a%2Fb", 1, "1.a%252Fb.json"),
    ],
)
def test_file_names(role: Any, version: int | None, expected: str) -> None:
    assert TUF.file_name(role, version) == expected


@pytest.mark.parametrize(("path", "folder"), [("x.bin", ""), ("a/b/x.bin", "a/b/")])
def test_image_file_names(path: str, folder: str) -> None:
    entry = ImageEntry(TargetPath(path), 1, {"sha256": "aa", "sha512": "bb"})
    assert TUF.image_file_names(entry) == (f"{folder}aa.x.bin", f"{folder}bb.x.bin")
    assert TUF.bare.image_file_names(entry) == (path,)
