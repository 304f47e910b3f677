"""Honest work that strict verification must not refuse."""

from __future__ import annotations

from typing import Any

import pytest

from tests.simulator.moves import ALL
from tests.simulator.scenario import (
    EVERYWHERE,
    Accepted,
    Decorator,
    Scenario,
    accepted,
    current,
    family,
    play,
    scenario,
)
from twinlock.testing.simulator.world import World


def _honest(**more: Any) -> Decorator:
    return scenario("honest", undo=False, **more)


@_honest()
def next_release(world: World) -> Accepted:
    """A release at both repositories, through a delegated role."""
    assert world.releases == 3
    return accepted(*ALL)


@_honest(prepare=current)
def nothing_new(world: World) -> Accepted:
    """Everything that is ordered is installed."""
    assert world.releases == 3
    return accepted()


@_honest()
def empty_orders(world: World) -> Accepted:
    """Empty Director Targets that name this vehicle mean that there is nothing to do."""
    world.director.bodies["targets"]["targets"] = {}
    world.director.put("targets")
    return accepted()


@_honest(each=[place for place in EVERYWHERE if place[1] not in ("root", "acme")])
def key_rotation(world: World, *place: str) -> Accepted:
    """Root replaces the keys of one online role."""
    world.repositories[place[0]].rotate(place[1])
    return accepted(*ALL)


@_honest(cycles=True, each=["director", "image"])
def root_key_rotation(world: World, name: str) -> Accepted:
    """Root replaces its own keys; the new Root is signed by both sets."""
    repository = world.repositories[name]
    outgoing = repository.signers["root"]
    repository.set_keys("root", [repository.key("root", 2), repository.key("root", 3)], 2)
    repository.publish_root(outgoing)
    return accepted(*ALL)


@_honest(each=["director", "image"])
def five_roots_behind(world: World, name: str) -> Accepted:
    """A vehicle that slept through five Roots follows them one by one."""
    for number in range(2, 7):
        repository = world.repositories[name]
        outgoing = repository.signers["root"]
        repository.set_keys("root", [repository.key("root", number)])
        repository.publish_root(outgoing)
    return accepted(*ALL)


@_honest()
def more_signatures_than_needed(world: World) -> Accepted:
    """Signatures by keys that nobody names do no harm beside enough good ones."""
    for name, role in EVERYWHERE[2:]:
        repository = world.repositories[name]
        repository.put(role, signers=[world.keys("bystander"), *repository.signers[role]])
    for repository in world.repositories.values():
        repository.index("snapshot")
        repository.put("timestamp")
    return accepted(*ALL)


@_honest()
def indented_json(world: World) -> Accepted:
    """Files in another spelling than the signed canonical form, as python-tuf can write them."""
    for name, role in EVERYWHERE[2:]:
        repository = world.repositories[name]
        if role in ("snapshot", "timestamp"):
            continue
        repository.put(role, data=repository.seal(repository.bodies[role], repository.signers[role], indent=2))
    for repository in world.repositories.values():
        data = repository.seal(repository.bodies["snapshot"], repository.signers["snapshot"], indent=2)
        repository.put("snapshot", data=data)
        repository.index("snapshot")
        data = repository.seal(repository.bodies["timestamp"], repository.signers["timestamp"], indent=2)
        repository.put("timestamp", data=data)
    return accepted(*ALL)


@_honest(each=["ecdsa-p256", "ecdsa-p384", "rsa"])
def other_keys(world: World, kind: str) -> Accepted:
    """Every online role signs with another type of key."""
    for name, repository in world.repositories.items():
        outgoing = repository.signers["root"]
        for role in ("timestamp", "snapshot", "targets"):
            repository.set_keys(role, [world.keys(f"{name}-{role}-{kind}", kind)])
        repository.publish_root(outgoing)
        repository.publish("targets")
    return accepted(*ALL)


@_honest()
def names_beyond_ascii(world: World) -> Accepted:
    """Text in Unicode normal form C, in members that are signed."""
    world.image.bodies["targets"]["x-note"] = 'Gr\u00fc\u00dfe \U0001f697 \u4f60\u597d \\ " \t'
    world.image.put("targets")
    return accepted(*ALL)


@_honest()
def unknown_members(world: World) -> Accepted:
    """Members that this version does not know are signed over and otherwise left alone."""
    for name, role in EVERYWHERE[2:]:
        repository = world.repositories[name]
        repository.bodies[role]["x-future"] = {"list": [1, None, True, {"deep": [[]]}]}
        repository.put(role)
    for repository in world.repositories.values():
        repository.reindex_listed()
    return accepted(*ALL)


@pytest.mark.parametrize("scenario", family("honest"), ids=str)
def test_honest(scenario: Scenario) -> None:
    play(scenario)
