"""Files that are not what they are asked for as: other roles, other formats, damaged bytes."""

from __future__ import annotations

import pytest

from tests.simulator.hands import offer, replace
from tests.simulator.scenario import (
    EVERYWHERE,
    REPOSITORIES,
    Refused,
    Scenario,
    before,
    family,
    next_releases,
    play,
    refused,
    scenario,
)
from twinlock.testing.simulator.world import ADAS, World
from twinlock.trust.errors.metadata import (
    ConsistentSnapshotError,
    MalformedError,
    UnsupportedSpecError,
)

STORED = before(("director", "targets"))


@scenario("malformed")
def order_without_hashes(world: World) -> Refused:
    """An entry that lists no hash at all."""
    world.director.bodies["targets"]["targets"][ADAS.path(3)]["hashes"] = {}
    world.director.put("targets")
    return refused(MalformedError, STORED)


@scenario("malformed")
def order_with_a_negative_length(world: World) -> Refused:
    """An entry whose length is below nothing."""
    world.director.bodies["targets"]["targets"][ADAS.path(3)]["length"] = -1
    world.director.put("targets")
    return refused(MalformedError, STORED)


def _at(place: tuple[str, ...], path: str) -> Refused:
    name, role = place
    return refused(MalformedError, before((name, role)), json_path=path)


def _versioned_again(world: World) -> None:
    for repository in world.repositories.values():
        repository.bodies["root"]["consistent_snapshot"] = True
        repository.publish_root()
    next_releases(world)


@scenario("malformed", each=REPOSITORIES, undo=False, recover=_versioned_again)
def root_says_that_file_names_hold_no_version(world: World, name: str) -> Refused:
    """The next Root says consistent_snapshot false, as plain TUF allows: refused by the strict policy, by its name."""
    world.repositories[name].bodies["root"]["consistent_snapshot"] = False
    world.repositories[name].publish_root()
    stored = [*before((name, "root")), f"{name}/2.root"]
    return refused(ConsistentSnapshotError, stored, repository=name, version=2)


@scenario("malformed", each=EVERYWHERE)
def not_json(world: World, *place: str) -> Refused:
    """A captive portal's page, served with status 200."""
    offer(world, (place[0], place[1]))
    replace(world, (place[0], place[1]), b"<html><body>Welcome to Free WiFi</body></html>\n")
    return _at(place, "$")


@scenario("malformed", each=EVERYWHERE)
def truncated(world: World, *place: str) -> Refused:
    """The last byte is missing."""
    repository = offer(world, (place[0], place[1]))
    replace(world, (place[0], place[1]), repository.files[repository.current(place[1])][:-1])
    return _at(place, "$")


@scenario("malformed", each=EVERYWHERE)
def empty_file(world: World, *place: str) -> Refused:
    """Nothing at all, which is not the same as an absent file."""
    offer(world, (place[0], place[1]))
    replace(world, (place[0], place[1]), b"")
    return _at(place, "$")


@scenario("malformed", each=EVERYWHERE)
def duplicate_member(world: World, *place: str) -> Refused:
    """The version stands twice, so that two readers could each see another one. The signature is over the bytes."""
    repository = offer(world, (place[0], place[1]))
    role = place[1]
    payload = repository.payload(repository.bodies[role])
    twice = b'{"version":1,' + payload[1:]
    replace(world, (place[0], place[1]), repository.wire.enclose(twice, repository.signers[role]))
    return _at(place, "$.signed")


@scenario("malformed", each=EVERYWHERE)
def floating_version(world: World, *place: str) -> Refused:
    """The version is written 2.0, which has no canonical form."""
    repository = offer(world, (place[0], place[1]))
    role = place[1]
    text = repository.seal(repository.bodies[role], repository.signers[role]).decode()
    version = repository.bodies[role]["version"]
    head, found, tail = text.rpartition(f'"version":{version}')
    assert found
    replace(world, (place[0], place[1]), f"{head}{found}.0{tail}".encode())
    return _at(place, "$.signed.version")


@scenario("malformed", each=EVERYWHERE)
def wrong_type(world: World, *place: str) -> Refused:
    """The right keys signed a file that says to be of another role."""
    repository = offer(world, (place[0], place[1]))
    role = place[1]
    body = repository.bodies[role] | {"_type": "root" if role != "root" else "targets"}
    replace(world, (place[0], place[1]), repository.seal(body, repository.signers[role]))
    return _at(place, "$.signed._type")


@scenario("malformed", each=EVERYWHERE)
def other_major_specification(world: World, *place: str) -> Refused:
    """The right keys signed a file that follows version 2 of the specification."""
    repository = offer(world, (place[0], place[1]))
    role = place[1]
    body = repository.bodies[role] | {"spec_version": "2.0.0"}
    replace(world, (place[0], place[1]), repository.seal(body, repository.signers[role]))
    return refused(UnsupportedSpecError, before((place[0], role)), offered="2.0.0")


@scenario("malformed", each=[("director", "timestamp"), ("image", "snapshot"), ("image", "acme")])
def nested_deeply(world: World, *place: str) -> Refused:
    """A member of the signed part nests ten thousand levels, to exhaust the stack of whoever reads it."""
    repository = offer(world, (place[0], place[1]))
    role = place[1]
    levels = 10_000
    payload = repository.payload(repository.bodies[role])[:-1] + b',"x":' + b"[" * levels + b"]" * levels + b"}"
    replace(world, (place[0], role), repository.wire.enclose(payload, repository.signers[role]))
    return _at(place, "$.signed.x")


@scenario("malformed", each=EVERYWHERE)
def lone_surrogate(world: World, *place: str) -> Refused:
    """The right keys signed a member with half a character in it, which no other form of the file could hold."""
    repository = offer(world, (place[0], place[1]))
    role = place[1]
    payload = repository.payload(repository.bodies[role])[:-1] + b',"x":"\\ud800"}'
    replace(world, (place[0], role), repository.wire.enclose(payload, repository.signers[role]))
    return _at(place, "$.signed.x")


@scenario("malformed")
def must_agree_nested_deeply(world: World) -> Refused:
    """The must-agree section nests a hundred levels, to exhaust the stack of whoever compares it."""
    deep: object = 1
    for _ in range(100):
        deep = [deep]
    world.director.bodies["targets"]["targets"]["adas/adas-3.bin"]["custom"]["mustAgree"]["x"] = deep
    world.director.put("targets")
    return refused(MalformedError, before(("director", "targets")))


@scenario("malformed", each=REPOSITORIES)
def next_root_is_something_else(world: World, name: str) -> Refused:
    """The answer for the next Root is a rightly signed Targets file: a 200 that is not a Root is no absence."""
    repository = world.repositories[name]
    repository.files["2.root.json"] = repository.files[repository.current("targets")]
    return _at((name, "root"), "$.signed._type")


@scenario("malformed", each=REPOSITORIES)
def next_root_is_an_error_page(world: World, name: str) -> Refused:
    """The answer for the next Root is a JSON error object with status 200."""
    world.repositories[name].files["2.root.json"] = b'{"error": "not found"}'
    return _at((name, "root"), "$")


@scenario("malformed", each=EVERYWHERE)
def issued_after_its_expiry(world: World, *place: str) -> Refused:
    """The right keys signed a file whose time of signing lies after its own expiry."""
    repository = offer(world, (place[0], place[1]))
    role = place[1]
    body = repository.bodies[role] | {"issued": "2999-01-01T00:00:00Z"}
    replace(world, (place[0], place[1]), repository.seal(body, repository.signers[role]))
    return _at(place, "$.signed.issued")


@scenario("malformed", each=REPOSITORIES)
def duplicate_member_in_an_entry(world: World, name: str) -> Refused:
    """The length of an ordered image stands twice in its entry, so that two readers could each see another one."""
    repository = world.repositories[name]
    payload = repository.payload(repository.bodies["targets"])
    one, twice = b'"length":304', b'"length":304,"length":304'
    assert payload.count(one) >= 1
    before_it, _, after_it = payload.rpartition(one)
    data = repository.wire.enclose(before_it + twice + after_it, repository.signers["targets"])
    replace(world, (name, "targets"), data)
    stored = before((name, "targets")) + (["image/targets"] if name == "image" else [])
    return refused(MalformedError, stored)


@pytest.mark.parametrize("scenario", family("malformed"), ids=str)
def test_malformed(scenario: Scenario) -> None:
    play(scenario)
