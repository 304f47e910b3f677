"""The checks of metadata called one by one: each bound from both sides, and every field of each refusal.

The attacks (``tests/attacks``) show what the checks do together; here is what each of them says by itself.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from twinlock.testing.simulator.keys import KeyPool
from twinlock.testing.simulator.repository import RepositorySimulator
from twinlock.testing.simulator.world import START
from twinlock.trust.checks.context import Context
from twinlock.trust.checks.index import check_expiry, check_listed_bytes, check_listed_version, is_listed
from twinlock.trust.checks.root import check_next_root
from twinlock.trust.checks.snapshot import check_snapshot
from twinlock.trust.checks.targets import check_targets, read_targets
from twinlock.trust.checks.timestamp import check_timestamp
from twinlock.trust.engine.restore import bootstrap_repository, top_level_authority
from twinlock.trust.errors.base import RefusalError
from twinlock.trust.errors.images import VehicleMismatchError
from twinlock.trust.errors.metadata import (
    EquivocationError,
    ExpiredError,
    LimitError,
    MalformedError,
    MixAndMatchError,
    RoleRemovedError,
    RollbackError,
    RootVersionError,
    ThresholdError,
)
from twinlock.trust.keys.signatures import RoleKeys, Verified
from twinlock.trust.limits import DEFAULT_LIMITS
from twinlock.trust.model.base import NOTHING, FileInfo
from twinlock.trust.model.root import Root
from twinlock.trust.model.targets import Targets
from twinlock.trust.names import IMAGE, ROOT, SNAPSHOT, TARGETS, TIMESTAMP, KeyId, RoleName, VehicleId
from twinlock.trust.policy import LAX, STRICT
from twinlock.trust.state.floors import Floor, establish
from twinlock.trust.wire.aktualizr.decode import AKTUALIZR
from twinlock.trust.wire.tuf.metadata import TUF

KEYS = KeyPool()
CONTEXT = Context(repository=IMAGE, now=START, limits=DEFAULT_LIMITS, wire=TUF, policy=STRICT)
SECOND = timedelta(seconds=1)


def fields(error: type[RefusalError], call: Callable[[], object]) -> dict[str, Any]:
    """The fields of the refusal that ``call`` has to end in."""
    with pytest.raises(error) as caught:
        call()
    assert type(caught.value) is error
    return caught.value.fields()


@pytest.fixture
def image() -> RepositorySimulator:
    """A repository with everything at version 1."""
    return RepositorySimulator("image", KEYS, lambda: START)


def root_of(image: RepositorySimulator) -> Verified[Root]:
    return bootstrap_repository(IMAGE, image.files[image.current("root")]).root


def info(image: RepositorySimulator, role: str) -> FileInfo:
    """How an index would list the current file of ``role``, with everything it may state."""
    data = image.files[image.current(role)]
    return FileInfo(image.bodies[role]["version"], len(data), {"sha256": hashlib.sha256(data).hexdigest()})


def late(image: RepositorySimulator, role: str) -> tuple[Context, dict[str, Any]]:
    """The first moment at which the current file of ``role`` counts no longer, and the refusal's fields."""
    expires = START + {"timestamp": timedelta(days=1), "snapshot": timedelta(days=7)}.get(role, timedelta(days=90))
    version = image.bodies[role]["version"]
    expected = {"repository": IMAGE, "role": role, "version": version, "expires": expires, "now": expires}
    return CONTEXT._replace(now=expires), expected


def unsigned(image: RepositorySimulator, role: str) -> tuple[bytes, dict[str, Any]]:
    """The file of ``role`` by a stranger, and the fields of its refusal."""
    stranger = KEYS("stranger")
    expected = {
        "repository": IMAGE,
        "role": role,
        "valid": 0,
        "required": 1,
        "signed": (),
        "invalid": (),
        "missing": (image.key(role).keyid,),
        "unknown": (stranger.keyid,),
        "unusable": (),
    }
    return image.put(role, signers=[stranger]), expected


# what an index lists


def test_a_file_counts_until_the_moment_of_its_expiry_and_no_longer(image: RepositorySimulator) -> None:
    signed = root_of(image).signed
    check_expiry(signed, ROOT, CONTEXT._replace(now=signed.expires - SECOND))
    for now in (signed.expires, signed.expires + SECOND):
        found = fields(ExpiredError, lambda now=now: check_expiry(signed, ROOT, CONTEXT._replace(now=now)))  # type: ignore[misc]
        assert found == {"repository": IMAGE, "role": ROOT, "version": 1, "expires": signed.expires, "now": now}


@pytest.mark.parametrize("length", [None, 4])
@pytest.mark.parametrize(
    "hashes",
    [{}, {"sha512": hashlib.sha512(b"data").hexdigest()}, {"md5": "00", "sha256": hashlib.sha256(b"data").hexdigest()}],
)
def test_what_is_stated_and_right(length: int | None, hashes: dict[str, str]) -> None:
    check_listed_bytes(b"data", FileInfo(1, length, hashes), TARGETS, CONTEXT)


@pytest.mark.parametrize(
    ("listed", "expected"),
    [
        (FileInfo(1, 3, {}), ("length", "3", "4")),
        (FileInfo(1, 5, {}), ("length", "5", "4")),
        (FileInfo(1, 4, {"md5": "00", "x": "11"}), ("hashes", "md5, x", "no known algorithm")),
        (FileInfo(1, 4, {"sha256": "00"}), ("hashes.sha256", "00", hashlib.sha256(b"data").hexdigest())),
        (
            FileInfo(1, None, {"sha256": hashlib.sha256(b"data").hexdigest(), "sha512": "00"}),
            ("hashes.sha512", "00", hashlib.sha512(b"data").hexdigest()),
        ),
    ],
)
def test_what_is_stated_and_wrong(listed: FileInfo, expected: tuple[str, str, str]) -> None:
    found = fields(MixAndMatchError, lambda: check_listed_bytes(b"data", listed, TARGETS, CONTEXT))
    field, stated, offered = expected
    assert found == {"repository": IMAGE, "role": TARGETS, "field": field, "listed": stated, "offered": offered}


FORM = b'{"signatures":[],"signed":{}}'  # what an aktualizr index hashes
SERVED = b'{"signatures": [], "signed": {}}'  # the same file as somebody may serve it
FORM_HASH = {"sha256": hashlib.sha256(FORM).hexdigest()}


@pytest.mark.parametrize("length", [None, len(SERVED), len(SERVED) + 1])
def test_where_another_form_is_hashed_the_length_is_a_bound(length: int | None) -> None:
    check_listed_bytes(SERVED, FileInfo(1, length, FORM_HASH), TARGETS, CONTEXT._replace(wire=AKTUALIZR))


@pytest.mark.parametrize("length", [len(FORM), len(SERVED) - 1])
def test_more_bytes_than_listed_in_any_form(length: int) -> None:
    context = CONTEXT._replace(wire=AKTUALIZR)
    found = fields(
        MixAndMatchError, lambda: check_listed_bytes(SERVED, FileInfo(1, length, FORM_HASH), TARGETS, context)
    )
    assert (found["field"], found["listed"], found["offered"]) == ("length", str(length), str(len(SERVED)))


def test_a_length_without_hashes_is_exact_in_every_encoding() -> None:
    listed = FileInfo(1, len(SERVED) + 1, NOTHING)
    found = fields(
        MixAndMatchError, lambda: check_listed_bytes(SERVED, listed, TARGETS, CONTEXT._replace(wire=AKTUALIZR))
    )
    assert (found["field"], found["offered"]) == ("length", str(len(SERVED)))


@pytest.mark.parametrize("listed", [0, 2])
def test_another_version_than_listed(image: RepositorySimulator, listed: int) -> None:
    signed = root_of(image).signed
    check_listed_version(signed, FileInfo(1, None, NOTHING), ROOT, CONTEXT)
    found = fields(
        MixAndMatchError, lambda: check_listed_version(signed, FileInfo(listed, None, NOTHING), ROOT, CONTEXT)
    )
    assert found == {"repository": IMAGE, "role": ROOT, "field": "version", "listed": str(listed), "offered": "1"}


def test_a_file_is_named_by_repository_and_role() -> None:
    assert CONTEXT.what(SNAPSHOT) == "image/snapshot"


# Root


def next_root(image: RepositorySimulator) -> bytes:
    image.publish_root()
    return image.files[image.current("root")]


def test_the_next_root(image: RepositorySimulator) -> None:
    trusted = root_of(image)
    data = next_root(image)
    accepted = check_next_root(data, trusted=trusted, context=CONTEXT)
    assert accepted.signed.version == 2
    assert accepted.data == data


@pytest.mark.parametrize(("role", "number"), [("new", 2), ("old", 1)])
def test_a_root_signed_by_one_side_only(image: RepositorySimulator, role: str, number: int) -> None:
    trusted = root_of(image)
    image.set_keys("root", [image.key("root", 2)])
    image.bump("root")
    data = image.put("root", signers=[image.key("root", number)])
    found = fields(ThresholdError, lambda: check_next_root(data, trusted=trusted, context=CONTEXT))
    assert (found["repository"], found["role"], found["valid"], found["required"]) == (IMAGE, ROOT, 0, 1)
    assert found["missing"] == (image.key("root", 3 - number).keyid,)
    assert found["unknown"] == (image.key("root", number).keyid,)


@pytest.mark.parametrize("version", [1, 3])
def test_a_root_out_of_line(image: RepositorySimulator, version: int) -> None:
    trusted = root_of(image)
    image.bodies["root"]["version"] = version
    data = image.put("root")
    found = fields(RootVersionError, lambda: check_next_root(data, trusted=trusted, context=CONTEXT))
    assert found == {"repository": IMAGE, "offered": version, "expected": 2}


def test_a_root_says_which_file_it_is_when_it_is_too_long_or_broken(image: RepositorySimulator) -> None:
    trusted, data = root_of(image), next_root(image)
    exact = CONTEXT._replace(limits=DEFAULT_LIMITS._replace(root_bytes=len(data)))
    check_next_root(data, trusted=trusted, context=exact)
    tight = CONTEXT._replace(limits=DEFAULT_LIMITS._replace(root_bytes=len(data) - 1))
    found = fields(LimitError, lambda: check_next_root(data, trusted=trusted, context=tight))
    assert (found["value"], found["limit"]) == (len(data), len(data) - 1)
    assert found["what"].startswith("image/root")
    broken = fields(MalformedError, lambda: check_next_root(b"{}", trusted=trusted, context=CONTEXT))
    assert broken["what"] == "image/root"


def floor_of(role: RoleName, trusted: Any, root: Root) -> Floor | None:
    """The floor that ``trusted`` established under ``root``."""
    return None if trusted is None else establish({}, role, trusted, keys=root.keys, root=root.version)


# Timestamp


def _timestamp(image: RepositorySimulator, trusted: Any = None, context: Context = CONTEXT) -> Any:
    data = image.files["timestamp.json"]
    root = root_of(image).signed
    floor = floor_of(TIMESTAMP, trusted, root)
    return check_timestamp(data, root=root, trusted=trusted, floor=floor, context=context)


def test_the_first_timestamp_and_the_next(image: RepositorySimulator) -> None:
    first, notice = _timestamp(image)
    assert (first.signed.version, notice) == (1, None)
    image.refresh_timestamp()
    second, notice = _timestamp(image, first)
    assert (second.signed.version, notice) == (2, None)
    assert second.data == image.files["timestamp.json"]


def test_the_same_timestamp_again_stays_in_force_until_it_expires(image: RepositorySimulator) -> None:
    first, _ = _timestamp(image)
    assert _timestamp(image, first) == (first, None)
    at, expected = late(image, "timestamp")
    assert fields(ExpiredError, lambda: _timestamp(image, first, at)) == expected
    assert _timestamp(image, first, at._replace(now=at.now - SECOND))[0] is first


def test_an_expired_timestamp_is_not_taken(image: RepositorySimulator) -> None:
    at, expected = late(image, "timestamp")
    assert fields(ExpiredError, lambda: _timestamp(image, None, at)) == expected


def test_a_timestamp_of_a_stranger(image: RepositorySimulator) -> None:
    _, expected = unsigned(image, "timestamp")
    assert fields(ThresholdError, lambda: _timestamp(image)) == expected


def test_other_bytes_under_the_same_version_leave_the_trusted_timestamp_in_force(image: RepositorySimulator) -> None:
    first, _ = _timestamp(image)
    image.bodies["timestamp"]["x"] = 1
    image.put("timestamp")
    kept, notice = _timestamp(image, first)
    assert kept is first
    assert type(notice) is EquivocationError
    assert notice.fields() == {"repository": IMAGE, "role": TIMESTAMP, "version": 1}
    at, expected = late(image, "timestamp")
    assert fields(ExpiredError, lambda: _timestamp(image, first, at)) == expected


def test_an_older_timestamp_and_one_that_names_an_older_snapshot(image: RepositorySimulator) -> None:
    old = image.files["timestamp.json"]
    image.publish()
    trusted, _ = _timestamp(image)
    image.files["timestamp.json"] = old
    expected = {"repository": IMAGE, "role": TIMESTAMP, "offered": 1, "trusted": 2}
    assert fields(RollbackError, lambda: _timestamp(image, trusted)) == expected
    image.bodies["timestamp"]["meta"]["snapshot.json"]["version"] = 1
    image.refresh_timestamp()
    assert fields(RollbackError, lambda: _timestamp(image, trusted)) == expected | {"role": SNAPSHOT}


def test_a_timestamp_without_a_hash_of_the_snapshot(image: RepositorySimulator) -> None:
    del image.bodies["timestamp"]["meta"]["snapshot.json"]["hashes"]
    image.put("timestamp")
    found = fields(MalformedError, lambda: _timestamp(image))
    assert (found["what"], found["json_path"]) == ("image/timestamp", "$.signed.meta")
    assert _timestamp(image, None, CONTEXT._replace(policy=LAX))[0].signed.snapshot.hashes == {}


def test_a_timestamp_says_which_file_it_is_and_how_long_it_may_be(image: RepositorySimulator) -> None:
    image.files["timestamp.json"], data = b"{}", image.files["timestamp.json"]
    assert fields(MalformedError, lambda: _timestamp(image))["what"] == "image/timestamp"
    image.files["timestamp.json"] = data
    tight = CONTEXT._replace(limits=DEFAULT_LIMITS._replace(timestamp_bytes=len(data) - 1))
    assert fields(LimitError, lambda: _timestamp(image, None, tight))["limit"] == len(data) - 1


# Snapshot


def _snapshot(image: RepositorySimulator, root: Root, trusted: Any = None, context: Context = CONTEXT) -> Any:
    data, floor = image.files[image.current("snapshot")], floor_of(SNAPSHOT, trusted, root)
    return check_snapshot(data, root=root, listed=info(image, "snapshot"), floor=floor, context=context)


def test_a_snapshot_listed_and_signed(image: RepositorySimulator) -> None:
    root = root_of(image).signed
    found = _snapshot(image, root)
    assert found.signed.version == 1
    assert found.data == image.files[image.current("snapshot")]
    _, expected = unsigned(image, "snapshot")
    assert fields(ThresholdError, lambda: _snapshot(image, root)) == expected


def test_a_snapshot_that_is_not_the_listed_one_or_expired(image: RepositorySimulator) -> None:
    root, listed = root_of(image).signed, info(image, "snapshot")
    data = image.files[image.current("snapshot")]
    expected = {"repository": IMAGE, "role": SNAPSHOT, "field": "version", "listed": "2", "offered": "1"}
    wrong = listed._replace(version=2)

    def check(listed: FileInfo) -> object:
        return check_snapshot(data, root=root, listed=listed, floor=None, context=CONTEXT)

    assert fields(MixAndMatchError, lambda: check(wrong)) == expected
    found = fields(MixAndMatchError, lambda: check(listed._replace(length=1)))
    assert (found["repository"], found["role"], found["field"]) == (IMAGE, SNAPSHOT, "length")
    at, expected = late(image, "snapshot")
    assert fields(ExpiredError, lambda: _snapshot(image, root, None, at)) == expected


def test_unlisted_bytes_of_a_snapshot_are_not_even_read(image: RepositorySimulator) -> None:
    root = root_of(image).signed
    with pytest.raises(MixAndMatchError):
        check_snapshot(b"no JSON", root=root, listed=info(image, "snapshot"), floor=None, context=CONTEXT)


def test_a_snapshot_against_the_trusted_one(image: RepositorySimulator) -> None:
    image.add_role("acme")
    image.publish("acme", "targets")
    root, trusted = root_of(image).signed, _snapshot(image, root_of(image).signed)
    assert _snapshot(image, root, trusted).signed == trusted.signed
    image.bodies["snapshot"]["x"] = 1
    image.put("snapshot")
    found = fields(EquivocationError, lambda: _snapshot(image, root, trusted))
    assert found == {"repository": IMAGE, "role": SNAPSHOT, "version": 2}
    image.bodies["snapshot"]["version"] = 1
    image.put("snapshot")
    found = fields(RollbackError, lambda: _snapshot(image, root, trusted))
    assert found == {"repository": IMAGE, "role": SNAPSHOT, "offered": 1, "trusted": 2}
    image.bodies["snapshot"]["version"] = 3
    image.put("snapshot")
    assert _snapshot(image, root, trusted).signed.version == 3


def test_what_a_snapshot_lists_against_what_the_trusted_one_did(image: RepositorySimulator) -> None:
    image.add_role("acme")
    image.publish("acme", "targets")
    root, trusted = root_of(image).signed, _snapshot(image, root_of(image).signed)
    listed = image.bodies["snapshot"]["meta"]
    listed["targets.json"]["version"] = 1
    image.bump("snapshot")
    image.put("snapshot")
    found = fields(RollbackError, lambda: _snapshot(image, root, trusted))
    assert found == {"repository": IMAGE, "role": TARGETS, "offered": 1, "trusted": 2}
    listed["targets.json"]["version"] = 3
    del listed["acme.json"]
    image.put("snapshot")
    found = fields(RoleRemovedError, lambda: _snapshot(image, root, trusted))
    assert found == {"repository": IMAGE, "role": "acme"}


@pytest.mark.parametrize("role", ["timestamp", "snapshot"])
def test_a_file_of_another_vehicle(image: RepositorySimulator, role: str) -> None:
    root = root_of(image).signed
    ours = CONTEXT._replace(vehicle=VehicleId("VIN1"))

    def check(context: Context) -> Any:
        return _timestamp(image, None, context)[0] if role == "timestamp" else _snapshot(image, root, None, context)

    assert check(ours).signed.vehicle is None
    for vehicle in ("VIN1", "VIN2"):
        image.bodies[role]["custom"] = {"vehicleIdentifier": vehicle}
        image.put(role)
        assert check(CONTEXT).signed.vehicle == vehicle
        if vehicle == "VIN1":
            assert check(ours).signed.vehicle == vehicle
    assert fields(VehicleMismatchError, lambda: check(ours)) == {"offered": "VIN2", "expected": "VIN1"}


def test_whether_the_stored_snapshot_is_the_listed_one(image: RepositorySimulator) -> None:
    stored, listed = _snapshot(image, root_of(image).signed), info(image, "snapshot")
    assert is_listed(stored, listed, SNAPSHOT, CONTEXT) is True
    for other in ({"version": 2}, {"length": 1}, {"hashes": {"sha256": "00"}}):
        assert is_listed(stored, listed._replace(**other), SNAPSHOT, CONTEXT) is False


def test_a_snapshot_says_which_file_it_is_and_how_long_it_may_be(image: RepositorySimulator) -> None:
    root, nothing = root_of(image).signed, FileInfo(1, None, {})

    def check(data: bytes, context: Context) -> object:
        return check_snapshot(data, root=root, listed=nothing, floor=None, context=context)

    assert fields(MalformedError, lambda: check(b"{}", CONTEXT))["what"] == "image/snapshot"
    data = image.files[image.current("snapshot")]
    tight = CONTEXT._replace(limits=DEFAULT_LIMITS._replace(snapshot_bytes=len(data) - 1))
    assert fields(LimitError, lambda: check(data, tight))["limit"] == len(data) - 1


# Targets


def _targets(image: RepositorySimulator, trusted: Any = None, context: Context = CONTEXT, **listed: Any) -> Any:
    data, root = image.files[image.current("targets")], root_of(image).signed
    return check_targets(
        data,
        authority=top_level_authority(root),
        listed=info(image, "targets")._replace(**listed) if listed.get("version", 1) else None,
        floor=floor_of(TARGETS, trusted, root),
        context=context,
    )


def test_targets_listed_and_signed(image: RepositorySimulator) -> None:
    found = _targets(image)
    assert (found.signed.version, found.data) == (1, image.files[image.current("targets")])
    assert _targets(image, version=None) == found
    _, expected = unsigned(image, "targets")
    assert fields(ThresholdError, lambda: _targets(image)) == expected


def test_targets_that_are_not_the_listed_ones_or_expired(image: RepositorySimulator) -> None:
    expected = {"repository": IMAGE, "role": TARGETS, "field": "version", "listed": "2", "offered": "1"}
    assert fields(MixAndMatchError, lambda: _targets(image, version=2)) == expected
    found = fields(MixAndMatchError, lambda: _targets(image, length=1))
    assert (found["repository"], found["role"], found["field"]) == (IMAGE, TARGETS, "length")
    at, expected = late(image, "targets")
    assert fields(ExpiredError, lambda: _targets(image, None, at)) == expected


def test_targets_against_the_trusted_ones(image: RepositorySimulator) -> None:
    image.publish("targets")
    trusted = _targets(image)
    assert _targets(image, trusted) == trusted
    image.bodies["targets"]["x"] = 1
    image.put("targets")
    found = fields(EquivocationError, lambda: _targets(image, trusted))
    assert found == {"repository": IMAGE, "role": TARGETS, "version": 2}
    image.bodies["targets"]["version"] = 1
    image.put("targets")
    found = fields(RollbackError, lambda: _targets(image, trusted))
    assert found == {"repository": IMAGE, "role": TARGETS, "offered": 1, "trusted": 2}
    image.bodies["targets"]["version"] = 3
    image.put("targets")
    assert _targets(image, trusted).signed.version == 3


def test_targets_say_which_file_they_are_and_how_long_they_may_be(image: RepositorySimulator) -> None:
    data = image.files[image.current("targets")]
    tight = CONTEXT._replace(limits=DEFAULT_LIMITS._replace(targets_bytes=len(data) - 1))
    assert fields(LimitError, lambda: _targets(image, None, tight))["limit"] == len(data) - 1
    image.files[image.current("targets")] = b"{}"
    assert fields(MalformedError, lambda: _targets(image))["what"] == "image/targets"
    authority = top_level_authority(root_of(image).signed)

    def read(data: bytes) -> Verified[Targets]:
        return read_targets(data, authority=authority, context=CONTEXT)

    assert fields(MalformedError, lambda: read(b"{}"))["what"] == "image/targets"
    assert read(data).data == data


def test_a_key_that_the_role_names_and_cannot_be_used_counts_for_nothing(image: RepositorySimulator) -> None:
    root = root_of(image).signed
    authority = top_level_authority(root)
    ghost = RoleKeys((*authority.signers.keyids, KeyId("ghost")), 2)
    data = image.files[image.current("targets")]
    found = fields(
        ThresholdError,
        lambda: check_targets(
            data, authority=authority._replace(signers=ghost), listed=None, floor=None, context=CONTEXT
        ),
    )
    assert (found["valid"], found["required"], found["missing"], found["unusable"]) == (1, 2, (), ("ghost",))
    assert found["signed"] == authority.signers.keyids
