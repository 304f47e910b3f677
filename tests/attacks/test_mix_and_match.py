"""Mix-and-match: files that were each published, or signed, but never together."""

from __future__ import annotations

from typing import Any

import pytest

from tests.simulator.hands import at
from tests.simulator.scenario import REPOSITORIES, Refused, Scenario, before, family, play, refused, scenario
from twinlock.testing.simulator.repository import sha256
from twinlock.testing.simulator.world import World
from twinlock.trust.errors.metadata import MalformedError, MixAndMatchError

INDEXED = [("director", "targets"), ("image", "targets"), ("image", "acme")]


def _mixed(place: tuple[str, ...], field: str, **more: Any) -> Refused:
    name, role = place
    return refused(MixAndMatchError, before((name, role)), repository=name, role=role, field=field, **more)


@scenario("mix-and-match", each=REPOSITORIES)
def older_snapshot_under_a_new_timestamp(world: World, name: str) -> Refused:
    """The Snapshot of the publication before is served where the Timestamp lists the new one."""
    repository = world.repositories[name]
    listed = sha256(repository.files[repository.current("snapshot")])
    old = repository.rewind("snapshot")
    length = len(repository.history["snapshot"][-1])
    if len(old) != length:
        return _mixed((name, "snapshot"), "length", listed=str(length), offered=str(len(old)))
    return _mixed((name, "snapshot"), "hashes.sha256", listed=listed, offered=sha256(old))


@scenario("mix-and-match", each=REPOSITORIES)
def snapshot_shorter_than_listed(world: World, name: str) -> Refused:
    """The Timestamp lists the length of another spelling of the same Snapshot."""
    repository = world.repositories[name]
    data = repository.files[repository.current("snapshot")]
    repository.bodies["timestamp"]["meta"]["snapshot.json"]["length"] = len(data) + 1
    repository.put("timestamp")
    return _mixed((name, "snapshot"), "length", listed=str(len(data) + 1), offered=str(len(data)))


@scenario("mix-and-match", each=REPOSITORIES)
def snapshot_with_another_hash(world: World, name: str) -> Refused:
    """The Snapshot is served in another spelling: the signature would hold, the digest does not."""
    repository = world.repositories[name]
    listed = sha256(repository.files[repository.current("snapshot")])
    del repository.bodies["timestamp"]["meta"]["snapshot.json"]["length"]
    repository.put("timestamp")
    other = repository.put("snapshot", data=repository.files[repository.current("snapshot")] + b"\n")
    return _mixed((name, "snapshot"), "hashes.sha256", listed=listed, offered=sha256(other))


@scenario("mix-and-match", each=REPOSITORIES)
def snapshot_of_another_version(world: World, name: str) -> Refused:
    """The attacker holds the Timestamp key and lists a version that the Snapshot of those hashes does not have."""
    repository = world.repositories[name]
    version = repository.bodies["snapshot"]["version"]
    data = repository.files[repository.current("snapshot")]
    repository.bodies["timestamp"]["meta"]["snapshot.json"]["version"] = version + 1
    repository.files[repository.wire.file_name("snapshot", version + 1)] = data
    repository.put("timestamp")
    return _mixed((name, "snapshot"), "version", listed=str(version + 1), offered=str(version))


@scenario("mix-and-match", each=INDEXED)
def older_targets_under_a_new_snapshot(world: World, *place: str) -> Refused:
    """The Targets file of the publication before is served where Snapshot lists the new one."""
    name, role = place
    repository = at(world, (name, role))
    version = repository.bodies[role]["version"]
    repository.rewind(role)
    return _mixed(place, "version", listed=str(version), offered=str(version - 1))


@scenario("mix-and-match", each=INDEXED)
def newer_targets_than_listed(world: World, *place: str) -> Refused:
    """A Targets file that is newer than Snapshot lists is served ahead of its publication."""
    name, role = place
    repository = at(world, (name, role))
    listed = repository.current(role)
    version = repository.bodies[role]["version"]
    repository.bump(role)
    data = repository.put(role)
    repository.files[listed] = data
    return _mixed(place, "version", listed=str(version), offered=str(version + 1))


@scenario("mix-and-match", each=INDEXED)
def targets_shorter_than_listed(world: World, *place: str) -> Refused:
    """Snapshot states the length of the Targets file, and a shorter one is served."""
    name, role = place
    repository = at(world, (name, role))
    data = repository.files[repository.current(role)]
    repository.bodies["snapshot"]["meta"][f"{role}.json"]["length"] = len(data) + 1
    repository.reindex_listed()
    return _mixed(place, "length", listed=str(len(data) + 1), offered=str(len(data)))


@scenario("mix-and-match", each=INDEXED)
def targets_with_another_hash(world: World, *place: str) -> Refused:
    """Snapshot states the digest of the Targets file, and another spelling of the same content is served."""
    name, role = place
    repository = at(world, (name, role))
    data = repository.files[repository.current(role)]
    repository.bodies["snapshot"]["meta"][f"{role}.json"]["hashes"] = {"sha256": sha256(data)}
    repository.reindex_listed()
    other = data + b"\n"
    repository.put(role, data=other)
    return _mixed(place, "hashes.sha256", listed=sha256(data), offered=sha256(other))


@scenario("mix-and-match", each=REPOSITORIES)
def listed_by_an_unknown_hash_only(world: World, name: str) -> Refused:
    """The Timestamp lists a digest of an algorithm that nobody knows; that is not the same as listing none."""
    repository = world.repositories[name]
    repository.bodies["timestamp"]["meta"]["snapshot.json"]["hashes"] = {"x-new": "00"}
    repository.put("timestamp")
    return _mixed((name, "snapshot"), "hashes")


@scenario("mix-and-match", each=REPOSITORIES)
def timestamp_that_lists_no_hash(world: World, name: str) -> Refused:
    """The Timestamp names a version of Snapshot and no digest (Uptane 2.1.0 5.2.5 wants at least one)."""
    repository = world.repositories[name]
    del repository.bodies["timestamp"]["meta"]["snapshot.json"]["hashes"]
    repository.put("timestamp")
    return refused(MalformedError, before((name, "timestamp")), json_path="$.signed.meta").under("Uptane 2.1.0 5.2.5")


@pytest.mark.parametrize("scenario", family("mix-and-match"), ids=str)
def test_mix_and_match(scenario: Scenario) -> None:
    play(scenario)
