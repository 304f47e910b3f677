"""The ``aktualizr`` profile's decoders: every member missing, of another type, out of range; and what that form lets pass."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest

from twinlock.testing.simulator.keys import JSON, KeyPool
from twinlock.testing.simulator.world import ADAS, World
from twinlock.trust.engine.restore import bootstrap_repository
from twinlock.trust.errors.metadata import LimitError, MalformedError, ThresholdError, UnsafePathError, WeakKeyError
from twinlock.trust.limits import DEFAULT_LIMITS, Limits
from twinlock.trust.model.targets import ImageEntry, Targets
from twinlock.trust.names import RepositoryName, TargetPath
from twinlock.trust.wire.aktualizr.decode import AKTUALIZR

WORLD = World(director="aktualizr", image="aktualizr")
BODIES: dict[str, JSON] = {
    f"{name}/{role}": repository.wire.dress(body, orders=repository.orders)
    for name, repository in WORLD.repositories.items()
    for role, body in repository.bodies.items()
}
DECODERS: dict[str, Callable[..., Any]] = {
    "root": AKTUALIZR.decode_root,
    "timestamp": AKTUALIZR.decode_timestamp,
    "snapshot": AKTUALIZR.decode_snapshot,
    "targets": AKTUALIZR.decode_targets,
    "acme": AKTUALIZR.decode_targets,
}
KEYS = KeyPool()
Path = tuple[str | int, ...]


def decode(name: str, body: JSON, limits: Limits = DEFAULT_LIMITS) -> Any:
    """Decode ``body`` as the role of ``name``, and every image entry in it."""
    data = json.dumps({"signatures": [], "signed": body}).encode()
    signed = DECODERS[name.split("/")[1]](data, name, limits).signed
    if isinstance(signed, Targets):
        for path in signed.images:
            assert signed.images[path].path == path
    return signed


def changed(name: str, path: Path, value: object) -> JSON:
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


def places(value: object, path: Path = ()) -> list[Path]:
    """The path of everything inside a JSON value."""
    found = []
    items: Any = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, inner in items:
        found += [(*path, step), *places(inner, (*path, step))]
    return found


PLACES = [(name, path) for name, body in BODIES.items() for path in places(body)]


@pytest.mark.parametrize("name", BODIES)
def test_honest_files(name: str) -> None:
    signed = decode(name, BODIES[name])
    assert signed.version == BODIES[name]["version"]


@pytest.mark.parametrize(
    "value", [None, True, 1.5, -1, 2**63, 10**400, "x", "", [], {}, [[]], "\x00", "\x7f", "e\u0301"], ids=repr
)
def test_any_value_anywhere_is_decoded_or_refused_cleanly(value: object) -> None:
    refused = 0
    for name, path in PLACES:
        try:
            decode(name, changed(name, path, value))
        except (MalformedError, WeakKeyError, UnsafePathError, LimitError) as error:
            refused += 1
            assert str(error).isprintable()
            assert str(error).encode()
    assert refused > len(PLACES) // 3


ENTRY: Path = ("targets", ADAS.path(1))
DELEGATION: Path = ("delegations", "roles", 0)
REQUIRED: list[tuple[str, Path]] = [
    *(("image/root", (member,)) for member in ("_type", "version", "expires", "keys", "roles")),
    ("image/root", ("roles", "root")),
    ("image/root", ("roles", "targets")),
    ("image/root", ("roles", "root", "keyids")),
    ("image/root", ("roles", "root", "threshold")),
    ("image/timestamp", ("meta",)),
    ("image/timestamp", ("meta", "snapshot.json")),
    ("image/timestamp", ("meta", "snapshot.json", "version")),
    ("image/timestamp", ("meta", "snapshot.json", "length")),
    ("image/timestamp", ("meta", "snapshot.json", "hashes")),
    ("image/snapshot", ("meta",)),
    ("image/snapshot", ("meta", "targets.json")),
    ("image/snapshot", ("meta", "acme.json", "version")),
    ("image/targets", ("targets",)),
    ("image/targets", ("delegations", "keys")),
    ("image/targets", ("delegations", "roles")),
    ("image/targets", (*DELEGATION, "name")),
    ("image/targets", (*DELEGATION, "keyids")),
    ("image/targets", (*DELEGATION, "threshold")),
    ("image/targets", (*ENTRY, "length")),
    ("image/targets", (*ENTRY, "hashes")),
    ("director/targets", ("_type",)),
    ("director/targets", ("expires",)),
]


@pytest.mark.parametrize(("name", "path"), REQUIRED, ids=str)
@pytest.mark.parametrize("value", [..., None], ids=["missing", "null"])
def test_a_required_member(name: str, path: Path, value: object) -> None:
    with pytest.raises(MalformedError) as caught:
        decode(name, changed(name, path, value))
    assert caught.value.json_path.startswith("$.signed")


TOLERATED: list[tuple[str, Path, object]] = [
    *((name, ("x-future",), {"deep": [[1]]}) for name in BODIES),
    *((name, ("spec_version",), "2.0") for name in BODIES),
    *((name, ("issued",), ...) for name in BODIES),
    ("image/root", ("consistent_snapshot",), "whatever"),
    ("image/root", ("_type",), "root"),
    ("image/root", ("roles", "mirrors"), {"keyids": [], "threshold": 0}),
    ("director/root", ("roles", "timestamp"), ...),
    ("director/root", ("roles", "snapshot"), ...),
    ("image/snapshot", ("meta", "root.json"), {"version": 1}),
    ("image/snapshot", ("meta", "targets.json", "length"), "not a number, and ignored where there are no digests"),
    ("image/targets", ("delegations",), ...),
    ("image/targets", ("delegations",), {}),
    ("image/targets", (*DELEGATION, "terminating"), ...),
    ("image/targets", (*DELEGATION, "hardwareIds"), ...),
    ("image/targets", (*ENTRY, "custom"), ...),
    ("director/targets", ("custom",), ...),
]


@pytest.mark.parametrize(("name", "path", "value"), TOLERATED, ids=str)
def test_what_this_form_lets_pass(name: str, path: Path, value: object) -> None:
    decode(name, changed(name, path, value))


def test_a_root_without_an_index_says_so() -> None:
    for role in ("timestamp", "snapshot"):
        assert not decode("director/root", changed("director/root", ("roles", role), ...)).has_index
    assert decode("director/root", BODIES["director/root"]).has_index


@pytest.mark.parametrize("name", [name for name in BODIES if not name.endswith("root")])
@pytest.mark.parametrize("kind", ["lower", "upper", "swapcase"])
def test_types_are_written_in_one_way(name: str, kind: str) -> None:
    found = BODIES[name]["_type"]
    with pytest.raises(MalformedError) as caught:
        decode(name, changed(name, ("_type",), getattr(found, kind)()))
    assert caught.value.json_path == "$.signed._type"


@pytest.mark.parametrize("kind", ["ROOT", "rOOT", "Targets", "", "Roots"])
def test_root_is_written_in_two(kind: str) -> None:
    with pytest.raises(MalformedError) as caught:
        decode("image/root", changed("image/root", ("_type",), kind))
    assert caught.value.json_path == "$.signed._type"


TIMES = [
    *("2030-01-01T00:00:00", "2030-01-01T00:00:00+00:00", "2030-01-01T00:00:00.5Z", "2030-01-01T00:00:00Z\n"),
    *("2030-02-30T00:00:00Z", "2030-1-1T0:0:0Z", "", 1893456000),
]


@pytest.mark.parametrize("time", TIMES, ids=repr)
@pytest.mark.parametrize("name", BODIES)
def test_times(name: str, time: object) -> None:
    with pytest.raises(MalformedError) as caught:
        decode(name, changed(name, ("expires",), time))
    assert caught.value.json_path == "$.signed.expires"


# keys


def _root_with(keyid: str, key: JSON) -> Any:
    body = copy.deepcopy(BODIES["image/root"])
    body["keys"][keyid] = key
    return decode("image/root", body)


@pytest.mark.parametrize("keytype", ["ED25519", "ed25519", "Ed25519"])
@pytest.mark.parametrize("case", ["lower", "upper"])
def test_ed25519_keys_in_either_case_are_one_key(keytype: str, case: str) -> None:
    public = KEYS("any").public["keyval"]["public"]
    found = _root_with("k", {"keytype": keytype, "keyval": {"public": getattr(public, case)()}}).keys["k"]
    assert found.identity == KEYS("any").public_key.identity
    assert (found.keytype, found.scheme, found.public) == ("ed25519", "ed25519", public)


@pytest.mark.parametrize("keytype", ["RSA", "rsa", "Rsa"])
def test_rsa_keys(keytype: str) -> None:
    key = KEYS("rsa", "rsa")
    for public in (key.public["keyval"]["public"], key.public["keyval"]["public"] + "\n"):
        found = _root_with("k", {"keytype": keytype, "keyval": {"public": public}}).keys["k"]
        assert (found.keytype, found.scheme) == ("rsa", "rsassa-pss-sha256")
        assert found.verifies(key.sign(b"x"), b"x")
        assert found.identity == key.public_key.identity


@pytest.mark.parametrize("keyid", ["short", "UPPER", "with spaces: and \u00fc", "x" * 600, "f" * 64])
def test_key_ids_are_whatever_the_publisher_likes(keyid: str) -> None:
    public = {"public": KEYS("any").public["keyval"]["public"]}
    assert _root_with(keyid, {"keytype": "ED25519", "keyval": public}).keys[keyid].keyid == keyid


def _small_rsa() -> str:
    from cryptography.hazmat.primitives.asymmetric import rsa
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    key = rsa.generate_private_key(public_exponent=65537, key_size=1024).public_key()
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


@pytest.mark.parametrize(
    "key",
    [
        {"keytype": "ecdsa", "keyval": {"public": KEYS("p", "ecdsa-p256").public["keyval"]["public"]}},
        {"keytype": "", "keyval": {"public": "00" * 32}},
        {"keytype": 1, "keyval": {"public": "00" * 32}},
        {"keyval": {"public": "00" * 32}},
        {"keytype": "ED25519"},
        {"keytype": "ED25519", "keyval": {}},
        {"keytype": "ED25519", "keyval": {"public": "zz" * 32}},
        {"keytype": "ED25519", "keyval": {"public": "00" * 31}},
        {"keytype": "ED25519", "keyval": {"public": "01" + "00" * 31}},
        {"keytype": "RSA", "keyval": {"public": "no PEM"}},
        {"keytype": "RSA", "keyval": {"public": KEYS("p", "ecdsa-p256").public["keyval"]["public"]}},
        {"keytype": "RSA", "keyval": {"public": _small_rsa()}},
    ],
    ids=[
        *("ecdsa", "no type", "type is a number", "type missing", "no value", "empty value", "no digits", "too short"),
        *("low order", "no PEM", "another PEM", "1024 bits"),
    ],
)
def test_keys_that_cannot_be_used_do_not_spoil_a_root(key: JSON) -> None:
    root = _root_with("k", key)
    assert "k" not in root.keys
    assert root.unusable["k"]


def test_the_same_in_delegations() -> None:
    body = copy.deepcopy(BODIES["image/targets"])
    body["delegations"]["keys"]["k"] = {"keytype": "ecdsa", "keyval": {"public": "x"}}
    assert decode("image/targets", body).delegations.unusable == {"k": "key type 'ecdsa' is neither RSA nor ED25519"}


def test_keys_and_thresholds_of_roles() -> None:
    value: object
    for value in ([], ["a", "a"], ["unknown"], "abc", [1]):
        path = ("roles", "targets", "keyids")
        if value in ([], ["unknown"]):  # whoever needs the role refuses
            decode("image/root", changed("image/root", path, value))
            continue
        with pytest.raises(MalformedError) as caught:
            decode("image/root", changed("image/root", path, value))
        assert caught.value.json_path.startswith("$.signed.roles.targets.keyids")
    decode("image/root", changed("image/root", ("roles", "root", "threshold"), 1_000))
    for value in (0, -1, 1_001, True, "1"):
        for role in ("root", "targets", "timestamp", "snapshot"):
            with pytest.raises(MalformedError) as caught:
                decode("image/root", changed("image/root", ("roles", role, "threshold"), value))
            assert caught.value.json_path == f"$.signed.roles.{role}.threshold"


# signatures


def _signatures(*signatures: JSON) -> Any:
    data = json.dumps({"signatures": signatures, "signed": BODIES["image/timestamp"]}).encode()
    return AKTUALIZR.decode_timestamp(data, "x", DEFAULT_LIMITS).signatures


@pytest.mark.parametrize("method", ["ed25519", "ED25519", "rsassa-pss", "RSASSA-PSS-SHA256", "rsassa-pss-sha256"])
def test_methods(method: str) -> None:
    (found,) = _signatures({"keyid": "k", "method": method, "sig": "QUI="})
    assert (found.keyid, found.value) == ("k", b"AB")


@pytest.mark.parametrize(
    "signature",
    [
        None,
        "QUI=",
        {"keyid": "k", "sig": "QUI="},
        {"keyid": "k", "method": None, "sig": "QUI="},
        {"keyid": "k", "method": "", "sig": "QUI="},
        {"keyid": "k", "method": "ecdsa", "sig": "QUI="},
        {"keyid": "k", "method": "rsassa-pss-sha512", "sig": "QUI="},
        {"keyid": "k", "method": "ed25519"},
        {"keyid": "k", "method": "ed25519", "sig": "QUI"},
        {"keyid": "k", "method": "ed25519", "sig": "QU I="},
        {"keyid": "k", "method": "ed25519", "sig": 1},
        {"keyid": "k", "method": "ed25519", "sig": "QUJD" * 2_400},
        {"method": "ed25519", "sig": "QUI="},
        {"keyid": 1, "method": "ed25519", "sig": "QUI="},
    ],
    ids=lambda value: "",
)
def test_an_odd_signature_is_ignored(signature: Any) -> None:
    good = {"keyid": "good", "method": "ed25519", "sig": "QUI="}
    assert [found.keyid for found in _signatures(signature, good)] == ["good"]


def test_a_key_id_signs_once() -> None:
    one = {"keyid": "k", "method": "ed25519", "sig": "QUI="}
    assert len(_signatures(one, one | {"keyid": "K"})) == 2
    with pytest.raises(MalformedError) as caught:
        _signatures(one, one | {"sig": "QUJD"})
    assert caught.value.json_path == "$.signatures"


@pytest.mark.parametrize("indent", [None, 1, 3])
@pytest.mark.parametrize("kind", ["ed25519", "rsa"])
def test_signatures_are_over_the_canonical_form_whatever_the_spelling(kind: str, indent: int | None) -> None:
    key = KEYS("signer", kind)
    body = copy.deepcopy(WORLD.image.bodies["root"])
    body["keys"] = {key.keyid: key.public}  # with an RSA key, newlines within what is signed
    body["roles"] = {role: {"keyids": [key.keyid], "threshold": 1} for role in body["roles"]}
    body["x-note"] = "\u00fc \U0001f697 \t"
    data = WORLD.image.seal(body, [key], indent=indent)
    assert bootstrap_repository(RepositoryName("image"), data, wire=AKTUALIZR).root.tally.signed == (key.keyid,)
    spoiled = data.replace(rb"\u00fc", rb"\u00fd")
    assert spoiled != data
    with pytest.raises(ThresholdError):
        bootstrap_repository(RepositoryName("image"), spoiled, wire=AKTUALIZR)


def test_what_has_two_canonical_forms_is_refused_once_it_is_asked_for() -> None:
    body = copy.deepcopy(WORLD.image.bodies["root"]) | {"x-note": "\x7f"}
    data = WORLD.image.seal(body, WORLD.image.signers["root"], indent=1)
    with pytest.raises(MalformedError) as caught:
        bootstrap_repository(RepositoryName("image"), data, wire=AKTUALIZR)
    assert "canonical" in caught.value.reason


@pytest.mark.parametrize("ascii_only", [True, False])
def test_the_file_that_has_two_canonical_forms_is_named(ascii_only: bool) -> None:
    """What is not ASCII is put into its canonical form as it is read; all else when a signature asks for it."""
    body = BODIES["image/root"] | {"x-note": "\u00fc\x7f"}
    data = json.dumps({"signatures": [], "signed": body}, ensure_ascii=ascii_only).encode()
    with pytest.raises(MalformedError) as caught:
        AKTUALIZR.decode_root(data, "image/root", DEFAULT_LIMITS).canonical()  # type: ignore[misc]  # it has one
    assert (caught.value.what, caught.value.json_path) == ("image/root", "$")
    assert caught.value.reason.startswith("no canonical form: ")


# digests


@pytest.mark.parametrize("case", ["lower", "upper"])
def test_digests_are_in_either_case(case: str) -> None:
    digest = "ab" * 32
    found = _entry_with(("hashes",), {"sha256": getattr(digest, case)()})
    assert found.hashes == {"sha256": digest}


def test_unknown_digests_are_passed_over_and_one_has_to_be_left() -> None:
    assert _entry_with(("hashes",), {"sha256": "0" * 64, "md5": 1}).hashes == {"sha256": "0" * 64}
    hashes: object
    for hashes in (
        {},
        {"md5": "00"},
        {"sha256": ""},
        {"sha256": "0" * 63},
        {"sha256": "g" * 64},
        {"sha512": "0" * 64},
        [],
    ):
        with pytest.raises(MalformedError) as caught:
            _entry_with(("hashes",), hashes)
        assert "hashes" in caught.value.json_path


def test_what_an_index_lists() -> None:
    info = {"version": 3, "length": 7, "hashes": {"sha256": "AB" * 32, "sha512": "cd" * 64, "x": "y"}}
    listed = decode("image/timestamp", changed("image/timestamp", ("meta", "snapshot.json"), info)).snapshot
    assert listed == (3, 7, {"sha256": "ab" * 32, "sha512": "cd" * 64})
    meta = {
        "targets.json": {"version": 3},
        "a/b.json": info,
        "root.json": {"version": 9},
        "c.json": {"version": 1, "length": 9},
    }
    targets = decode("image/snapshot", changed("image/snapshot", ("meta",), meta)).targets
    assert targets == {"targets": (3, None, {}), "a/b": (3, 7, listed.hashes), "c": (1, None, {})}


@pytest.mark.parametrize("name", ["meta", "targets", "targets.JSON"])
def test_names_in_a_snapshot(name: str) -> None:
    with pytest.raises(MalformedError):
        decode("image/snapshot", changed("image/snapshot", ("meta", name), {"version": 1}))


# entries


def _entry_with(path: Path, value: object, name: str = "image/targets") -> ImageEntry:
    data = json.dumps({"signatures": [], "signed": changed(name, (*ENTRY, *path), value)}).encode()
    return AKTUALIZR.decode_targets(data, name, DEFAULT_LIMITS).signed.images[TargetPath(ADAS.path(1))]


def test_custom_members_of_an_image_repository() -> None:
    custom = {"hardwareIds": ["a", "b"], "targetFormat": "BINARY", "version": 1, "name": "x", "uri": "https://x/y"}
    entry = _entry_with(("custom",), custom)
    assert (entry.hardware_ids, entry.release_counter, entry.must_agree) == (frozenset("ab"), None, None)
    assert (entry.download_url, dict(entry.ecus), entry.custom) == ("https://x/y", {}, custom)
    entry = _entry_with(
        ("custom",), {"hardwareIds": ["b", "a"], "mustAgree": {"hardwareIds": ["a", "b"], "releaseCounter": 3}}
    )
    assert (entry.hardware_ids, entry.release_counter) == (frozenset("ab"), 3)
    assert entry.must_agree == {"hardwareIds": ["a", "b"], "releaseCounter": 3}
    assert _entry_with(("custom",), {"releaseCounter": 4}).release_counter == 4


def test_custom_members_of_a_director() -> None:
    custom = {"ecuIdentifiers": {"e1": {"hardwareId": "a"}, "e2": {}}, "mustAgree": {"hardwareIds": ["a"]}, "uri": ""}
    entry = _entry_with(("custom",), custom, "director/targets")
    assert dict(entry.ecus) == {"e1": "a", "e2": None}
    assert (entry.hardware_ids, entry.download_url) == (frozenset("a"), None)


def test_the_address_that_means_none() -> None:
    assert _entry_with(("custom",), {"uri": "https://example.com/"}).download_url is None
    assert _entry_with(("custom",), {"uri": "https://example.com/x"}).download_url == "https://example.com/x"


def test_hardware_that_differs_from_the_section_is_refused_where_it_is_stated() -> None:
    with pytest.raises(MalformedError) as caught:
        _entry_with(("custom",), {"mustAgree": {"hardwareIds": ["a"]}, "hardwareIds": ["b"]})
    place, reason = caught.value.json_path, caught.value.reason
    assert (place.rpartition("custom")[2], reason) == (".hardwareIds", "mustAgree states other hardware")


@pytest.mark.parametrize(
    "custom",
    [
        {"mustAgree": {"hardwareIds": ["a"]}, "hardwareIds": ["b"]},
        {"mustAgree": []},
        {"mustAgree": {"releaseCounter": -1}},
        {"mustAgree": {"releaseCounter": "3"}},
        {"hardwareIds": "a"},
        {"hardwareIds": ["../a"]},
        {"ecuIdentifiers": ["e"]},
        {"ecuIdentifiers": {"a/b": {}}},
        {"ecuIdentifiers": {"e": {"hardwareId": 1}}},
        {"uri": 1},
        {"x": [[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]},
    ],
    ids=repr,
)
def test_custom_members_refused(custom: JSON) -> None:
    with pytest.raises(MalformedError):
        _entry_with(("custom",), custom)


def test_whose_orders_they_are() -> None:
    custom = {"correlationId": "urn:x", "vehicleIdentifier": "VIN1"}
    found = decode("director/targets", changed("director/targets", ("custom",), custom))
    assert (found.correlation_id, found.vehicle) == ("urn:x", "VIN1")
    found = decode("director/targets", changed("director/targets", ("custom",), {"correlationId": "urn:x"}))
    assert (found.correlation_id, found.vehicle) == ("urn:x", None)


# delegations


def test_a_delegation() -> None:
    (found,) = decode("image/targets", BODIES["image/targets"]).delegations.entries
    assert (found.roles[0].name, found.paths, found.terminating, found.crossing) == ("acme", ("brake/*",), False, True)
    assert found.covers(TargetPath("brake/a/b.bin"), None)
    assert not found.covers(TargetPath("Brake/a.bin"), None)
    bare = changed("image/targets", (*DELEGATION, "paths"), ...)
    assert decode("image/targets", bare).delegations.entries[0].paths == ()


@pytest.mark.parametrize(
    "members",
    [
        {"name": "Targets"},
        {"name": "root"},
        {"threshold": 0},
        {"threshold": 1_001},
        {"keyids": ["a", "a"]},
        {"paths": "brake/*"},
        {"paths": [1]},
        {"paths": ["a\\b"]},
        {"paths": ["[^a]"]},
        {"terminating": 1},
        {"hardwareIds": ["a/b"]},
    ],
    ids=repr,
)
def test_delegations_refused(members: JSON) -> None:
    body = copy.deepcopy(BODIES["image/targets"])
    body["delegations"]["roles"][0] |= members
    with pytest.raises(MalformedError) as caught:
        decode("image/targets", body)
    assert caught.value.json_path.startswith("$.signed.delegations.roles[0]")


@pytest.mark.parametrize("name", ["", ".", "..", "x" * 2000, "a\\b/c"], ids=lambda name: repr(name[:9]))
def test_a_role_that_cannot_be_asked_for_spoils_no_file(name: str) -> None:
    (found,) = decode("image/targets", changed("image/targets", (*DELEGATION, "name"), name)).delegations.entries
    assert found.roles[0].name == name
    with pytest.raises(UnsafePathError):
        AKTUALIZR.file_name(found.roles[0].name, 1)


@pytest.mark.parametrize(
    ("name", "limit"),
    [
        ("root", "root_bytes"),
        ("timestamp", "timestamp_bytes"),
        ("snapshot", "snapshot_bytes"),
        ("targets", "targets_bytes"),
    ],
)
def test_sizes(name: str, limit: str) -> None:
    with pytest.raises(LimitError) as caught:
        decode(f"image/{name}", BODIES[f"image/{name}"], DEFAULT_LIMITS._replace(**{limit: 100}))
    assert caught.value.limit == 100


@pytest.mark.parametrize(
    ("name", "limit"),
    [("root", "keys"), ("targets", "delegations_per_role"), ("targets", "name_patterns"), ("targets", "hashes")],
)
def test_counts(name: str, limit: str) -> None:
    with pytest.raises(LimitError):
        decode(f"image/{name}", BODIES[f"image/{name}"], DEFAULT_LIMITS._replace(**{limit: 0}))
