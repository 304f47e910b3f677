"""When a floor falls, when it stays, and what a stored one looks like."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import Any

import pytest

from twinlock.testing.simulator.keys import KeyPool
from twinlock.testing.simulator.repository import RepositorySimulator
from twinlock.testing.simulator.world import START
from twinlock.trust.engine.restore import bootstrap_repository, restore_repository
from twinlock.trust.errors.metadata import MalformedError
from twinlock.trust.keys.signatures import Envelope, RoleKeys, Signature, Verified, verify_signatures
from twinlock.trust.names import IMAGE, ROOT, SNAPSHOT, TARGETS, TIMESTAMP, KeyId, RoleName
from twinlock.trust.state.floors import (
    Floor,
    Floors,
    Signers,
    establish,
    is_established,
    lower_floors,
    role_signers,
    root_signers,
)
from twinlock.trust.state.stored_floor import decode_floor, encode_floor

KEYS = KeyPool()
ACME = RoleName("acme")
ONLINE = (TIMESTAMP, SNAPSHOT)
CONTENT = hashlib.sha256(b"content").digest()


def material(*names: str) -> frozenset[bytes]:
    return frozenset(hashlib.sha256(KEYS(name).public_key.identity).digest() for name in names)


def floor(**signed: str) -> Floor:
    """A floor that keys established; each argument is a role, its value one letter for each key."""
    return Floor(5, CONTENT, 1, {RoleName(role): material(*names) for role, names in signed.items()})


def signers(names: str, threshold: int = 1) -> Signers:
    return Signers(material(*names), threshold)


@pytest.mark.parametrize(
    ("established", "now", "threshold", "stands"),
    [
        ("a", "a", 1, True),
        ("a", "ab", 1, True),  # a key was added
        ("ab", "abc", 2, True),
        ("ab", "ba", 1, True),
        ("a", "b", 1, False),  # the key left
        ("a", "", 1, False),
        ("ab", "a", 1, False),  # one of them left
        ("a", "a", 2, False),  # too few for the new threshold
        ("a", "ab", 2, False),
        ("ab", "ab", 2, True),
        ("ab", "abc", 3, False),
    ],
)
def test_a_floor_stands_while_all_of_its_keys_do(established: str, now: str, threshold: int, stands: bool) -> None:
    floors = {TARGETS: floor(targets=established)}
    left = lower_floors(floors, {TARGETS: signers(now, threshold)})
    assert left == (floors if stands else {})


def test_a_floor_is_judged_by_the_roles_that_are_asked_about() -> None:
    floors = {ACME: floor(timestamp="a", snapshot="b", acme="c")}
    assert lower_floors(floors, {}) is floors
    assert lower_floors(floors, {ACME: signers("c")}) == floors
    assert lower_floors(floors, {TIMESTAMP: signers("a"), SNAPSHOT: signers("b")}) == floors
    assert lower_floors(floors, {ACME: signers("d")}) == {}
    assert lower_floors(floors, {TIMESTAMP: signers("d"), SNAPSHOT: signers("b")}) == {}
    assert lower_floors(floors, {TIMESTAMP: signers("a"), SNAPSHOT: signers("d")}) == {}


@pytest.mark.parametrize("rotated", ONLINE)
def test_timestamp_and_snapshot_fall_together(rotated: RoleName) -> None:
    floors: Floors = {
        TIMESTAMP: floor(timestamp="a"),
        SNAPSHOT: floor(snapshot="b"),
        TARGETS: floor(targets="c"),
        ROOT: floor(),
    }
    now = {TIMESTAMP: signers("a"), SNAPSHOT: signers("b"), TARGETS: signers("c")} | {rotated: signers("d")}
    assert set(lower_floors(floors, now)) == {TARGETS, ROOT}
    assert set(lower_floors({ROOT: floors[ROOT], rotated: floors[rotated]}, now)) == {ROOT}


def test_no_root_lowers_the_floor_of_root() -> None:
    floors = {ROOT: floor()}
    assert lower_floors(floors, {role: signers("", 9) for role in (ROOT, *ONLINE, TARGETS)}) == floors


def test_who_signs_is_key_material_and_a_threshold() -> None:
    keys = {KeyId(name): KEYS(name).public_key for name in "ab"} | {KeyId("alias"): KEYS("a").alias("alias").public_key}
    assert role_signers(RoleKeys((KeyId("alias"), KeyId("b"), KeyId("gone")), 2), keys) == signers("ab", 2)


@pytest.fixture
def image() -> RepositorySimulator:
    made = RepositorySimulator("image", KEYS, lambda: START)
    made.delegate("targets", "acme", ["x/*"])
    made.publish("acme", "targets")
    return made


def test_root_names_who_signs_below_it(image: RepositorySimulator) -> None:
    root = bootstrap_repository(IMAGE, image.files["1.root.json"]).root.signed
    named = root_signers(root)
    assert set(named) == {*ONLINE, TARGETS}
    assert all(entry.threshold == 1 and len(entry.material) == 1 for entry in named.values())
    without = root._replace(roles={role: keys for role, keys in root.roles.items() if role != SNAPSHOT})
    assert root_signers(without)[SNAPSHOT] == Signers(frozenset(), 1)


def verified(signed: Any, *names: str, payload: bytes = b"content") -> Verified[Any]:
    """A file that the keys ``names`` signed, one of the role garbled and a stranger too."""
    good = [Signature(KeyId(name), KEYS(name).sign(payload)) for name in names]
    others = [Signature(KeyId("x"), KEYS("x").sign(b"else")), Signature(KeyId("y"), KEYS("y").sign(payload))]
    role = RoleKeys(tuple(KeyId(name) for name in (*names, "x")), len(names))
    keys = {keyid: KEYS(keyid).public_key for keyid in role.keyids}
    envelope = Envelope(signed, payload, (*good, *others), b"data")
    return verify_signatures(envelope, keys, role, repository=IMAGE, role_name=TARGETS)


def test_a_floor_is_established_by_the_keys_that_counted_and_those_that_led_to_it(image: RepositorySimulator) -> None:
    trusted = restore_repository(IMAGE, {RoleName(r): image.files[image.current(r)] for r in (ROOT, *ONLINE, TARGETS)})
    keys = {KeyId(name): KEYS(name).public_key for name in "abcxy"}
    assert trusted.targets is not None
    assert trusted.snapshot is not None
    assert trusted.timestamp is not None
    floors: dict[RoleName, Floor] = {}
    for role, file, names in (
        (TIMESTAMP, trusted.timestamp, "a"),
        (SNAPSHOT, trusted.snapshot, "b"),
        (TARGETS, trusted.targets, "bc"),
        (ACME, trusted.targets, "c"),
    ):
        floors[role] = establish(floors, role, verified(file.signed, *names), keys=keys, root=7)
    assert [entry.root for entry in floors.values()] == [7] * 4
    assert [entry.version for entry in floors.values()] == [2, 2, 2, 2]
    assert [dict(entry.lists) for entry in floors.values()] == [{SNAPSHOT: 2}, {TARGETS: 2, ACME: 1}, {}, {}]
    assert [entry.issued for entry in floors.values()] == [START, START, START, None]
    online = {TIMESTAMP: material("a"), SNAPSHOT: material("b")}
    assert dict(floors[TIMESTAMP].material) == {TIMESTAMP: material("a")}
    assert dict(floors[SNAPSHOT].material) == online
    assert dict(floors[TARGETS].material) == {**online, TARGETS: material("b", "c")}
    assert dict(floors[ACME].material) == {**online, ACME: material("c")}
    root = establish({}, ROOT, verified(trusted.root.signed, "a"), keys=keys, root=1)
    assert (root.version, dict(root.material), dict(root.lists)) == (1, {}, {})


def test_the_same_content_again_keeps_who_established_it(image: RepositorySimulator) -> None:
    signed = bootstrap_repository(IMAGE, image.files["1.root.json"]).root.signed
    keys = {KeyId(name): KEYS(name).public_key for name in "ab"}
    first = establish({}, TARGETS, verified(signed, "a"), keys=keys, root=3)
    assert establish({TARGETS: first}, TARGETS, verified(signed, "b"), keys=keys, root=4) == first._replace(root=4)
    assert establish({TARGETS: first}, TARGETS, verified(signed, "b"), keys=keys, root=2) == first
    other = verified(signed, "b", payload=b"other")
    assert establish({TARGETS: first}, TARGETS, other, keys=keys, root=4).material == {TARGETS: material("b")}
    newer = verified(signed._replace(version=2), "b")
    assert establish({TARGETS: first}, TARGETS, newer, keys=keys, root=4).version == 2
    assert is_established(verified(signed, "a"), first)
    assert not any(is_established(file, first) for file in (other, newer))
    assert not is_established(verified(signed, "a"), None)


FULL = Floor(
    9,
    CONTENT,
    3,
    {TIMESTAMP: material("a"), TARGETS: material("b", "c")},
    {TARGETS: 4, ACME: 1},
    datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC),
)


@pytest.mark.parametrize("value", [FULL, FULL._replace(issued=None), Floor(1, CONTENT, 1, {})])
def test_a_stored_floor_is_read_as_it_was(value: Floor) -> None:
    data = encode_floor(value)
    assert decode_floor(data, "x") == value
    assert encode_floor(decode_floor(data, "x")) == data


@pytest.mark.parametrize(
    ("old", "new", "path"),
    [
        (b'"version":9', b'"version":0', "$.version"),
        (b'"root":3', b'"root":"3"', "$.root"),
        (b'"root":3,', b"", "$"),
        (b'"acme":1', b'"acme":0', "$.lists"),
        (b'"acme":1', b'"acme":true', "$.lists"),
        (CONTENT.hex().encode(), b"00", "$.content"),
        (b'"material":{', b'"material":{"x":["00"],', "$.material.x[0]"),
        (b'"material":{', b'"material":{"x":1,', "$.material.x"),
        (b"2030-01-02", b"2030-13-02", "$.issued"),
        (b"{", b"", "$"),
    ],
)
def test_a_damaged_floor_is_refused_at_its_place(old: bytes, new: bytes, path: str) -> None:
    data = encode_floor(FULL)
    assert old in data
    with pytest.raises(MalformedError) as caught:
        decode_floor(data.replace(old, new, 1), "the floor")
    assert (caught.value.what, caught.value.json_path) == ("the floor", path)
