"""One link of a Root chain as the engine follows it: what falls, what is verified again, what is kept as it is."""

from __future__ import annotations

from datetime import timedelta

import pytest

from twinlock.testing.simulator.keys import KeyPool
from twinlock.testing.simulator.world import START, World
from twinlock.trust.checks.context import Context
from twinlock.trust.checks.root import check_next_root
from twinlock.trust.engine.restore import follow_root, restore_repository, under_root
from twinlock.trust.keys.signatures import Envelope, RoleKeys, Signature, Verified, verify_signatures
from twinlock.trust.limits import DEFAULT_LIMITS
from twinlock.trust.model.root import Root
from twinlock.trust.names import IMAGE, ROOT, SNAPSHOT, TARGETS, TIMESTAMP, KeyId, RoleName
from twinlock.trust.policy import STRICT
from twinlock.trust.state.floors import Floor
from twinlock.trust.state.trusted import TrustedRepository
from twinlock.trust.wire.tuf.metadata import TUF

CONTEXT = Context(repository=IMAGE, now=START, limits=DEFAULT_LIMITS, wire=TUF, policy=STRICT)
ACME = RoleName("acme")
ONLINE = (TIMESTAMP, SNAPSHOT)


@pytest.fixture
def world() -> World:
    """A vehicle that has searched the Image repository, so that files of every level are stored."""
    made = World()
    made.vehicle.update()
    return made


def stored(world: World) -> TrustedRepository:
    return world.vehicle.stores["image"].restore("image")


def next_root(world: World, trusted: TrustedRepository) -> Verified[Root]:
    version = trusted.root.signed.version + 1
    data = world.image.files[f"{version}.root.json"]
    return check_next_root(data, trusted=trusted.root, context=CONTEXT)


def files_of(trusted: TrustedRepository) -> set[str]:
    top = {role: getattr(trusted, role) for role in (TIMESTAMP, SNAPSHOT, TARGETS)}
    return {role for role, file in top.items() if file is not None} | {*trusted.delegated}


def test_a_rotation_of_root_alone_keeps_every_file_and_floor(world: World) -> None:
    trusted = stored(world)
    world.image.rotate("root")
    root = next_root(world, trusted)
    after, command = follow_root(trusted, root, CONTEXT)
    assert files_of(after) == {TIMESTAMP, SNAPSHOT, TARGETS, ACME}
    for role in (TIMESTAMP, SNAPSHOT, TARGETS):
        assert getattr(after, role) is getattr(trusted, role)
    assert after.root is root
    assert command.files == ((ROOT, 2, root.data),)
    assert dict(command.floors) == {ROOT: after.floors[ROOT]}
    assert (after.floors[ROOT].version, after.floors[ROOT].issued) == (2, START)
    assert {role: floor for role, floor in after.floors.items() if role != ROOT} == {
        role: floor for role, floor in trusted.floors.items() if role != ROOT
    }


def test_new_keys_of_the_snapshot_take_the_whole_index_and_what_it_led_to(world: World) -> None:
    trusted = stored(world)
    other = RoleName("other")
    trusted = trusted._replace(delegated={**trusted.delegated, other: b"without a floor"})
    world.image.rotate("snapshot")
    after, command = follow_root(trusted, next_root(world, trusted), CONTEXT)
    assert files_of(after) == set()
    assert set(after.floors) == {ROOT}
    roles = [role for role, _, _ in command.files]
    assert roles[0] == ROOT
    assert sorted(roles[1:]) == sorted([TIMESTAMP, SNAPSHOT, TARGETS, ACME, other])
    assert {(version, data) for _, version, data in command.files[1:]} == {(0, None)}
    assert {role for role, floor in command.floors.items() if floor is None} == {TIMESTAMP, SNAPSHOT, TARGETS, ACME}


def test_new_keys_of_targets_take_targets_alone(world: World) -> None:
    trusted = stored(world)
    assert trusted.targets is not None
    trusted = trusted._replace(opened={(TARGETS, b"a"): trusted.targets, (ACME, b"b"): trusted.targets})
    world.image.rotate("targets")
    after, command = follow_root(trusted, next_root(world, trusted), CONTEXT)
    assert files_of(after) == {TIMESTAMP, SNAPSHOT, ACME}
    assert set(after.opened) == {(ACME, b"b")}
    assert set(after.floors) == {ROOT, TIMESTAMP, SNAPSHOT, ACME}
    assert [role for role, _, _ in command.files] == [ROOT, TARGETS]
    assert {role for role, floor in command.floors.items() if floor is None} == {TARGETS}


def test_floors_of_a_later_root_have_passed_this_link_before(world: World) -> None:
    trusted = stored(world)
    world.image.rotate("targets")
    root = next_root(world, trusted)
    for since, falls in ((1, True), (2, False), (3, False)):
        floors = {role: floor._replace(root=since) for role, floor in trusted.floors.items() if role != ROOT}
        before = trusted._replace(floors={**floors, ROOT: trusted.floors[ROOT]})
        after, _ = follow_root(before, root, CONTEXT)
        assert (TARGETS not in after.floors) is falls


@pytest.mark.parametrize(("newest", "known"), [(1, 2), (2, 2), (3, 3)])
def test_the_floor_of_root_only_rises(world: World, newest: int, known: int) -> None:
    trusted = stored(world)
    world.image.rotate("root")
    root = next_root(world, trusted)
    lost = trusted.floors[ROOT]._replace(version=newest, content=root.content)
    after, command = follow_root(trusted._replace(floors={ROOT: lost}), root, CONTEXT)
    assert after.floors[ROOT].version == known
    assert (ROOT in command.floors) is (newest < known)
    if newest >= known:
        assert after.floors[ROOT] == lost


def test_a_proven_clock_caps_the_time_of_the_root_that_is_followed(world: World) -> None:
    trusted = stored(world)
    world.image.rotate("root")
    proven = START - timedelta(hours=1)
    after, _ = follow_root(trusted, next_root(world, trusted), CONTEXT._replace(ceiling=proven))
    assert after.floors[ROOT].issued == proven


# under another Root


def stated(root: Root) -> Verified[Root]:
    """A verified Root that says ``root``."""
    key = KeyPool()("any")
    keyid = KeyId(key.keyid)
    envelope = Envelope(root, b"payload", (Signature(keyid, key.sign(b"payload")),), b"file")
    return verify_signatures(envelope, {keyid: key.public_key}, RoleKeys((keyid,), 1), repository=IMAGE, role_name=ROOT)


def with_role(root: Root, role: RoleName, keys: RoleKeys | None) -> Verified[Root]:
    others = {name: known for name, known in root.roles.items() if name != role}
    return stated(root._replace(roles=others if keys is None else {**others, role: keys}))


@pytest.mark.parametrize("role", [TIMESTAMP, SNAPSHOT, TARGETS])
def test_a_file_is_kept_only_under_the_same_rule(world: World, role: RoleName) -> None:
    trusted = stored(world)
    root = trusted.root.signed
    keys = root.roles[role]
    others = {name for name in (TIMESTAMP, SNAPSHOT, TARGETS) if name != role}
    for changed, kept in (
        (keys, True),
        (None, False),
        (keys._replace(threshold=2), False),
        (keys._replace(post_quantum=True), False),
        (keys._replace(keyids=root.roles[ROOT].keyids), False),
        (keys._replace(keyids=(*keys.keyids, *root.roles[ROOT].keyids)), True),
    ):
        after = under_root(trusted, with_role(root, role, changed), CONTEXT)
        assert files_of(after) - {ACME} == (others | {role} if kept else others)


def test_a_file_of_a_role_that_an_older_root_did_not_name_is_verified_under_the_newer_one(world: World) -> None:
    trusted = stored(world)
    root = trusted.root.signed
    before = trusted._replace(root=with_role(root, TIMESTAMP, None))
    assert under_root(before, trusted.root, CONTEXT).timestamp == trusted.timestamp
    stranger = with_role(root, TIMESTAMP, root.roles[ROOT])
    assert under_root(before, stranger, CONTEXT).timestamp is None


# from storage


def test_a_stored_floor_of_root_wins_over_the_file_unless_the_file_is_newer(world: World) -> None:
    files = {RoleName(role): data for role, data in world.vehicle.stores["image"].files.items()}
    files = {ROOT: world.image.files["1.root.json"]} | {role: data for role, data in files.items() if role != ROOT}
    own = restore_repository(IMAGE, files).floors[ROOT]
    capped = own._replace(issued=START - timedelta(hours=1))
    newer = own._replace(version=9)
    for given, expected in ((capped, capped), (newer, newer), (own._replace(version=0), own)):
        floors: dict[RoleName, Floor] = {ROOT: given}
        assert restore_repository(IMAGE, files, floors=floors).floors[ROOT] == expected
    tight = DEFAULT_LIMITS._replace(root_bytes=len(files[ROOT]))
    assert restore_repository(IMAGE, files, limits=tight).root.signed.version == 1


def test_a_file_below_its_stored_floor_is_left_out_and_one_without_a_floor_has_its_own(world: World) -> None:
    trusted = stored(world)
    assert trusted.targets is not None
    files = {RoleName(role): data for role, data in world.vehicle.stores["image"].files.items() if role != ROOT}
    files[ROOT] = world.image.files["1.root.json"]
    raised = {TARGETS: trusted.floors[TARGETS]._replace(version=99)}
    found = restore_repository(IMAGE, files, floors=raised)
    assert found.targets is None
    assert found.floors[TARGETS] == raised[TARGETS]
    assert found.timestamp is not None
    assert found.floors[TIMESTAMP].version == found.timestamp.signed.version
    assert set(found.floors) == {ROOT, *ONLINE, TARGETS}
    assert dict(found.delegated) == {ACME: files[ACME]}
