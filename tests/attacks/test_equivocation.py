"""Equivocation: one version, two contents. Refused for every role but the Timestamp, which is kept and reported."""

from __future__ import annotations

import pytest

from tests.simulator.hands import at
from tests.simulator.scenario import (
    REPOSITORIES,
    Accepted,
    Refused,
    Scenario,
    accepted,
    before,
    current,
    family,
    play,
    refused,
    scenario,
)
from twinlock.testing.simulator.repository import sha256
from twinlock.testing.simulator.world import PARTS, World
from twinlock.trust.errors.metadata import EquivocationError


@scenario("equivocation", prepare=current, cycles=True, each=REPOSITORIES)
def timestamp_is_kept_and_reported(world: World, name: str) -> Accepted:
    """A second Timestamp of the stored version is served, listing another Snapshot: the stored one stays in force."""
    repository = world.repositories[name]
    repository.bodies["snapshot"]["x-other"] = 1
    repository.bodies["snapshot"]["version"] += 1
    repository.put("snapshot")
    repository.index("snapshot")
    repository.put("timestamp")
    if name == "director":
        return accepted(notices=[EquivocationError])
    world.vehicle.installed.clear()
    return accepted(*(part.path(world.releases) for part in PARTS), notices=[EquivocationError])


@scenario("equivocation", prepare=current, cycles=True, each=REPOSITORIES)
def snapshot(world: World, name: str) -> Refused:
    """The attacker holds the Snapshot and Timestamp keys and offers the stored Snapshot version with other content."""
    repository = world.repositories[name]
    repository.bodies["snapshot"]["x-other"] = 1
    repository.put("snapshot")
    repository.index("snapshot")
    repository.refresh_timestamp()
    version = repository.bodies["snapshot"]["version"]
    stored = [f"{name}/timestamp"]
    if name == "image":
        world.director.publish("targets")
        world.vehicle.installed.clear()
        stored += before(("image", "timestamp"))
    return refused(EquivocationError, stored, repository=name, role="snapshot", version=version)


@scenario("equivocation", prepare=current, each=[("director", "targets"), ("image", "targets"), ("image", "acme")])
def targets(world: World, *place: str) -> Refused:
    """A new Snapshot lists the stored version of a Targets file with the digest of another content."""
    name, role = place
    repository = at(world, (name, role))
    repository.bodies[role]["x-other"] = 1
    data = repository.put(role)
    repository.bodies["snapshot"]["meta"][f"{role}.json"] |= {"length": len(data), "hashes": {"sha256": sha256(data)}}
    repository.bump("snapshot")
    repository.put("snapshot")
    repository.index("snapshot")
    repository.refresh_timestamp()
    stored = [f"{name}/timestamp", f"{name}/snapshot"]
    if name == "image":
        world.director.publish("targets")
        world.vehicle.installed.clear()
        stored += before(("image", "timestamp"))
    version = repository.bodies[role]["version"]
    return refused(EquivocationError, stored, repository=name, role=role, version=version)


@scenario("equivocation", prepare=current, each=[("director", "targets"), ("image", "targets"), ("image", "acme")])
def same_content_with_another_signature(world: World, *place: str) -> Accepted:
    """A new Snapshot lists the stored version of a Targets file, which one more key has signed: it is the same file."""
    name, role = place
    repository = at(world, (name, role))
    data = repository.put(role, signers=[*repository.signers[role], world.keys("co-signer")])
    repository.bodies["snapshot"]["meta"][f"{role}.json"] |= {"length": len(data), "hashes": {"sha256": sha256(data)}}
    repository.bump("snapshot")
    repository.put("snapshot")
    repository.index("snapshot")
    repository.refresh_timestamp()
    return _everything_again(world, name)


@scenario("equivocation", prepare=current, each=REPOSITORIES)
def same_timestamp_with_unsigned_members(world: World, name: str) -> Accepted:
    """Somebody on the line adds a member and white space that nobody signed to the stored Timestamp: it is the same file."""
    repository = world.repositories[name]
    repository.deform("timestamp", lambda envelope: envelope.update(comment="nobody signed this"))
    repository.files["timestamp.json"] += b" \n"
    return _everything_again(world, name)


def _everything_again(world: World, name: str) -> Accepted:
    if name == "director":
        return accepted()
    world.vehicle.installed.clear()
    return accepted(*(part.path(world.releases) for part in PARTS))


@pytest.mark.parametrize("scenario", family("equivocation"), ids=str)
def test_equivocation(scenario: Scenario) -> None:
    play(scenario)


@pytest.mark.parametrize("name", ["director", "image"])
def test_an_equivocating_timestamp_replaces_nothing_and_what_it_lists_is_not_even_fetched(name: str) -> None:
    world = World()
    current(world)
    world.vehicle.installed.clear()
    before = world.vehicle.snapshot_state()
    with world.attack():
        repository = world.repositories[name]
        repository.bodies["snapshot"]["version"] += 1
        repository.put("snapshot")
        repository.index("snapshot")
        repository.put("timestamp")
        world.vehicle.update()
        assert [type(notice) for notice in world.vehicle.notices] == [EquivocationError]
        assert world.vehicle.snapshot_state() == before
        assert repository.current("snapshot") not in world.vehicle.fetched(name)
