"""Rollback: metadata older than what was seen, roles that vanish, and Roots out of line."""

from __future__ import annotations

import pytest

from tests.simulator.hands import offer
from tests.simulator.moves import both_repositories
from tests.simulator.scenario import (
    EVERYWHERE,
    ONLINE,
    REPOSITORIES,
    Refused,
    Scenario,
    before,
    family,
    play,
    refused,
    scenario,
    seasoned,
)
from twinlock.testing.simulator.world import World
from twinlock.trust.errors.metadata import MalformedError, RoleRemovedError, RollbackError, RootVersionError

INDEXED = [place for place in ONLINE if place[1] not in ("timestamp", "snapshot")]


@scenario("rollback", each=REPOSITORIES)
def timestamp(world: World, name: str) -> Refused:
    """The Timestamp that was current two publications ago is served again."""
    world.repositories[name].rewind("timestamp", 2)
    stored = [] if name == "director" else before(("image", "timestamp"))
    return refused(RollbackError, stored, repository=name, role="timestamp", offered=2, trusted=3)


@scenario("rollback", cycles=True, each=REPOSITORIES)
def whole_repository(world: World, name: str) -> Refused:
    """Every file is served as it was two publications ago."""
    repository = world.repositories[name]
    repository.rewind_all(2)
    return refused(RollbackError, before((name, "timestamp")), repository=name, role="timestamp", offered=2, trusted=3)


@scenario("rollback", each=REPOSITORIES)
def snapshot_behind_a_new_timestamp(world: World, name: str) -> Refused:
    """The attacker holds the Timestamp key and lists, and serves, an older Snapshot."""
    repository = world.repositories[name]
    old = repository.history["snapshot"][1]
    repository.bodies["snapshot"]["version"] = 2
    repository.put("snapshot", data=old)
    repository.index("snapshot")
    repository.put("timestamp")
    fields = {"repository": name, "role": "snapshot", "offered": 2, "trusted": 3}
    return refused(RollbackError, before((name, "timestamp")), **fields).under("TUF 1.0.34 5.4.3")


def _timestamps_lost(world: World) -> None:
    seasoned(world)
    for name in REPOSITORIES:
        world.vehicle.forget(name, ["timestamp"])


@scenario("rollback", prepare=_timestamps_lost, each=REPOSITORIES)
def snapshot_after_the_timestamp_was_lost(world: World, name: str) -> Refused:
    """The store has lost its Timestamp, so that only the Snapshot itself remembers how new it was.

    An older publication is served, Timestamp and all.
    """
    world.repositories[name].rewind_all(2)
    stored = before((name, "snapshot"))
    return refused(RollbackError, stored, repository=name, role="snapshot", offered=2, trusted=3)


def _snapshots_lost(world: World) -> None:
    seasoned(world)
    for name in REPOSITORIES:
        world.vehicle.forget(name, ["timestamp", "snapshot"])


@scenario("rollback", prepare=_snapshots_lost, each=REPOSITORIES)
def targets_after_the_snapshot_was_lost(world: World, name: str) -> Refused:
    """The store has lost its Timestamp and Snapshot, so that only Targets themselves remember how new they were.

    An older publication is served, all of it.
    """
    world.repositories[name].rewind_all(2)
    stored = before((name, "targets"))
    return refused(RollbackError, stored, repository=name, role="targets", offered=2, trusted=3)


@scenario("rollback", prepare=_snapshots_lost, each=["acme"])
def delegated_role_after_the_snapshot_was_lost(world: World, role: str) -> Refused:
    """As above; the attacker holds the Snapshot and Timestamp keys, and only the supplier's file is an old one."""
    trusted = world.image.bodies[role]["version"] - 1
    world.image.bodies[role]["version"] = trusted - 1
    world.image.rewind(role, 2)
    world.image.reindex(role)
    fields = {"repository": "image", "role": role, "offered": trusted - 1, "trusted": trusted}
    return refused(RollbackError, both_repositories(), **fields)


@scenario("rollback", each=INDEXED)
def targets_behind_a_new_snapshot(world: World, *place: str) -> Refused:
    """The attacker holds the Snapshot and Timestamp keys and lists, and serves, an older version of a Targets file."""
    name, role = place
    repository = world.repositories[name]
    trusted = repository.bodies[role]["version"] - 1
    repository.bodies[role]["version"] = trusted - 1
    repository.reindex(role)
    fields = {"repository": name, "role": role, "offered": trusted - 1, "trusted": trusted}
    return refused(RollbackError, before((name, "snapshot")), **fields).under("Uptane 2.1.0 5.4.4.5")


@scenario("rollback", each=["acme"])
def role_removed_from_snapshot(world: World, role: str) -> Refused:
    """The attacker holds the Snapshot and Timestamp keys and lists a delegated role no longer."""
    del world.image.bodies["snapshot"]["meta"][f"{role}.json"]
    world.image.reindex()
    return refused(RoleRemovedError, before(("image", "snapshot")), repository="image", role=role)


@scenario("rollback", each=REPOSITORIES)
def targets_removed_from_snapshot(world: World, name: str) -> Refused:
    """The attacker holds the Snapshot and Timestamp keys and lists no top-level Targets at all."""
    repository = world.repositories[name]
    del repository.bodies["snapshot"]["meta"]["targets.json"]
    repository.reindex()
    return refused(MalformedError, before((name, "snapshot")), json_path="$.signed.meta")


@scenario("rollback", each=REPOSITORIES)
def root_that_skips_a_version(world: World, name: str) -> Refused:
    """What is served as the next Root is, rightly signed, the one after it."""
    repository = world.repositories[name]
    repository.publish_root()
    repository.publish_root()
    repository.files["2.root.json"] = repository.files["3.root.json"]
    return refused(RootVersionError, before((name, "root")), repository=name, offered=3, expected=2)


@scenario("rollback", each=REPOSITORIES)
def root_again(world: World, name: str) -> Refused:
    """What is served as the next Root is the one that is trusted already."""
    repository = world.repositories[name]
    repository.files["2.root.json"] = repository.files["1.root.json"]
    return refused(RootVersionError, before((name, "root")), repository=name, offered=1, expected=2)


def _rotated_twice(world: World) -> None:
    seasoned(world)
    for repository in world.repositories.values():
        repository.publish_root()
        repository.publish_root()
    world.update()
    world.pass_time(hours=1)
    world.release()


@scenario("rollback", prepare=_rotated_twice, each=REPOSITORIES)
def older_root(world: World, name: str) -> Refused:
    """What is served as Root 4 is Root 2."""
    repository = world.repositories[name]
    repository.files["4.root.json"] = repository.files["2.root.json"]
    return refused(RootVersionError, before((name, "root")), repository=name, offered=2, expected=4)


@scenario("rollback", each=EVERYWHERE)
def version_zero(world: World, *place: str) -> Refused:
    """A rightly signed file with version 0, which is no version."""
    name, role = place
    repository = offer(world, (name, role))
    file, version = repository.current(role), repository.bodies[role]["version"]
    repository.bodies[role]["version"] = 0
    data = repository.put(role)
    repository.files[file] = data
    if role == "snapshot":
        repository.bodies["snapshot"]["version"] = version
        repository.put("snapshot", data=data)
        repository.index("snapshot")
        repository.put("timestamp")
    return refused(MalformedError, before((name, role)), json_path="$.signed.version")


@scenario(
    "rollback",
    prepare=seasoned,
    each=[(name, role) for name in REPOSITORIES for role in ("timestamp", "snapshot", "targets")],
)
def everything_after_a_key_was_added(world: World, *place: str) -> Refused:
    """Root adds a key to a role and removes none; somebody without any key serves all files of an earlier day."""
    name, role = place
    repository = world.repositories[name]
    key = repository.key(role)
    repository.set_keys(role, [repository.key(role, 2), key], 1)
    repository.signers[role] = [key]
    repository.publish_root()
    repository.rewind_all(2)
    world.vehicle.installed.clear()
    stored = [*before((name, "timestamp")), f"{name}/2.root"]
    return refused(RollbackError, stored, repository=name, role="timestamp", offered=2, trusted=3)


@pytest.mark.parametrize("scenario", family("rollback"), ids=str)
def test_rollback(scenario: Scenario) -> None:
    play(scenario)
