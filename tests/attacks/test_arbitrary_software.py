"""Arbitrary software: files that too few of the right keys signed (Uptane 2.1.0 5.4.4.3 to 5.4.4.6, threshold steps)."""

from __future__ import annotations

import pytest

from tests.simulator.hands import at, deform, fallen, offer, require, sign_as
from tests.simulator.scenario import (
    EVERYWHERE,
    Place,
    Refused,
    Scenario,
    before,
    current,
    family,
    play,
    refused,
    scenario,
    seasoned,
)
from twinlock.testing.simulator.world import World
from twinlock.trust.errors.images import DirectorDelegationError
from twinlock.trust.errors.metadata import MalformedError, ThresholdError

STORED = before(("director", "targets"))


@scenario("arbitrary-software")
def director_delegates(world: World) -> Refused:
    """A Director must not delegate."""
    world.director.delegate("targets", "helper", ["*"])
    world.director.put("targets")
    return refused(DirectorDelegationError, STORED, roles=("helper",))


@scenario("arbitrary-software")
def director_delegates_to_bins(world: World) -> Refused:
    """A Director must not delegate to hash bins either."""
    key = world.keys("bins")
    world.director.bodies["targets"]["delegations"] = {
        "keys": {key.keyid: key.public},
        "succinct_roles": {"keyids": [key.keyid], "threshold": 1, "bit_length": 4, "name_prefix": "bin"},
    }
    world.director.put("targets")
    return refused(DirectorDelegationError, STORED)


@scenario("arbitrary-software")
def director_delegates_to_several_roles(world: World) -> Refused:
    """A Director must not delegate to roles in agreement either."""
    key = world.keys("several")
    roles = [{"name": "one", "keyids": [key.keyid], "threshold": 1}]
    several = {"paths": ["*"], "terminating": False, "min_roles_in_agreement": 1, "roles": roles}
    world.director.bodies["targets"]["delegations"] = {
        "keys": {key.keyid: key.public},
        "roles": [],
        "prioritized_delegations": [several],
    }
    world.director.put("targets")
    return refused(DirectorDelegationError, STORED)


def _threshold(place: Place, **fields: object) -> Refused:
    repository, role = place
    return refused(ThresholdError, before(place), repository=repository, role=role, **fields)


@scenario("arbitrary-software", each=EVERYWHERE)
def unsigned(world: World, *place: str) -> Refused:
    """The file carries no signature at all."""
    repository = offer(world, _place(place))
    role = place[1]
    sign_as(world, _place(place), [])
    key = repository.signers[role][0].keyid
    return _threshold(_place(place), valid=0, required=1, missing=(key,), unknown=())


@scenario("arbitrary-software", each=EVERYWHERE)
def stranger(world: World, *place: str) -> Refused:
    """The file is signed by a key that no Root and no delegation names."""
    repository = offer(world, _place(place))
    key, mallory = repository.signers[place[1]][0], world.keys("mallory")
    sign_as(world, _place(place), [mallory])
    return _threshold(_place(place), valid=0, required=1, missing=(key.keyid,), unknown=(mallory.keyid,))


@scenario("arbitrary-software", each=EVERYWHERE)
def stranger_under_the_right_key_id(world: World, *place: str) -> Refused:
    """The attacker's signature claims to be by the right key id."""
    repository = offer(world, _place(place))
    key = repository.signers[place[1]][0]
    sign_as(world, _place(place), [world.keys("mallory").alias(key.keyid)])
    return _threshold(_place(place), valid=0, required=1, invalid=(key.keyid,), signed=())


@scenario("arbitrary-software", each=EVERYWHERE)
def altered_after_signing(world: World, *place: str) -> Refused:
    """One member is added to the signed part after it was signed."""
    repository = offer(world, _place(place))
    key = repository.signers[place[1]][0]
    deform(world, _place(place), lambda envelope: envelope["signed"].update({"x-added": 1}))
    return _threshold(_place(place), valid=0, required=1, invalid=(key.keyid,))


@scenario("arbitrary-software", each=EVERYWHERE)
def signed_for_another_role(world: World, *place: str) -> Refused:
    """The file is signed by the key of another role of the same repository (a stolen online key, for instance)."""
    repository = offer(world, _place(place))
    other = "snapshot" if place[1] == "timestamp" else "timestamp"
    key, thief = repository.signers[place[1]][0], repository.signers[other][0]
    sign_as(world, _place(place), [thief])
    return _threshold(_place(place), valid=0, required=1, missing=(key.keyid,), unknown=(thief.keyid,))


@scenario("arbitrary-software", each=EVERYWHERE)
def signed_by_the_other_repository(world: World, *place: str) -> Refused:
    """The file is signed by the key of the same role at the other repository."""
    repository = offer(world, _place(place))
    other = world.image if place[0] == "director" else world.director
    role = place[1] if place[1] in other.signers else "targets"
    key, thief = repository.signers[place[1]][0], other.signers[role][0]
    sign_as(world, _place(place), [thief])
    return _threshold(_place(place), valid=0, required=1, missing=(key.keyid,), unknown=(thief.keyid,))


def _two_of_two(world: World) -> None:
    seasoned(world)
    for place in EVERYWHERE:
        repository = at(world, place)
        role = place[1]
        require(world, place, [repository.key(role), repository.key(role, 2)], 2)
    world.update()
    world.pass_time(hours=1)
    world.release()


@scenario("arbitrary-software", prepare=_two_of_two, each=EVERYWHERE)
def below_threshold(world: World, *place: str) -> Refused:
    """Two keys have to sign; one did."""
    repository = offer(world, _place(place))
    first, second = repository.signers[place[1]]
    sign_as(world, _place(place), [first])
    return _threshold(_place(place), valid=1, required=2, signed=(first.keyid,), missing=(second.keyid,))


@scenario("arbitrary-software", prepare=_two_of_two, each=EVERYWHERE)
def duplicate_signatures(world: World, *place: str) -> Refused:
    """Two keys have to sign; the file carries the signature of one of them twice."""
    repository = offer(world, _place(place))
    first, _ = repository.signers[place[1]]
    sign_as(world, _place(place), [first, first])
    return refused(MalformedError, before(_place(place)), json_path="$.signatures")


def _two_keys_again(world: World) -> None:
    world.pass_time(hours=1)
    for place in EVERYWHERE[2:]:
        repository = at(world, place)
        require(world, place, [repository.key(place[1], 2), repository.key(place[1], 3)], 2)
    world.release()


@scenario("arbitrary-software", recover=_two_keys_again, undo=False, each=EVERYWHERE[2:])
def one_key_under_two_ids(world: World, *place: str) -> Refused:
    """Two keys have to sign; one key signs under two key ids, both of which the delegator names."""
    repository, role = at(world, _place(place)), place[1]
    key = repository.key(role)
    alias = key.alias("f" * 64)
    require(world, _place(place), [key, alias], 2)
    stored = before(_place(place))
    if role != "acme":
        stored += [f"{place[0]}/2.root", *fallen(place[0], role)]
    fields = {"repository": place[0], "role": role, "valid": 1, "required": 2, "signed": (key.keyid, alias.keyid)}
    return refused(ThresholdError, stored, **fields)


@scenario("arbitrary-software", each=("director", "image"))
def root_signed_by_new_keys_only(world: World, name: str) -> Refused:
    """The next Root names the attacker's keys and is signed by them alone."""
    repository = world.repositories[name]
    outgoing, mallory = repository.signers["root"][0], world.keys("mallory")
    repository.set_keys("root", [mallory])
    repository.publish_root([mallory])
    return _threshold((name, "root"), missing=(outgoing.keyid,), unknown=(mallory.keyid,))


@scenario("arbitrary-software", each=("director", "image"))
def root_signed_by_old_keys_only(world: World, name: str) -> Refused:
    """The next Root is signed by the present Root's keys, but not by the keys that it names itself."""
    repository = world.repositories[name]
    outgoing, incoming = repository.signers["root"][0], repository.key("root", 2)
    repository.set_keys("root", [incoming])
    repository.bump("root")
    repository.put("root", signers=[outgoing])
    return _threshold((name, "root"), missing=(incoming.keyid,), unknown=(outgoing.keyid,))


def _revoked(world: World) -> None:
    seasoned(world)
    for name, role in EVERYWHERE:
        if role != "acme":
            world.repositories[name].rotate(role)
    world.update()
    world.pass_time(hours=1)
    world.release()


@scenario("arbitrary-software", prepare=_revoked, each=EVERYWHERE[:-1])
def revoked_key(world: World, *place: str) -> Refused:
    """The file is signed by a key that an earlier Root named and a later one revoked."""
    repository = offer(world, _place(place))
    stolen, key = repository.key(place[1]), repository.signers[place[1]][0]
    sign_as(world, _place(place), [stolen])
    return _threshold(_place(place), valid=0, missing=(key.keyid,), unknown=(stolen.keyid,))


def _place(place: tuple[str, ...]) -> Place:
    name, role = place
    return name, role


@scenario("arbitrary-software", prepare=current, undo=False, each=("director", "image"))
def stored_targets_of_a_revoked_key(world: World, name: str) -> Refused:
    """Root revokes the Targets key, and what that key signed is stored and still listed: it counts no longer."""
    repository = world.repositories[name]
    stolen, key = repository.signers["targets"][0], repository.key("targets", 2)
    outgoing = repository.signers["root"]
    repository.set_keys("targets", [key])
    repository.publish_root(outgoing)
    world.vehicle.installed.clear()
    fields = {"repository": name, "role": "targets", "missing": (key.keyid,), "unknown": (stolen.keyid,)}
    return refused(ThresholdError, [f"{name}/2.root", f"{name}/targets"], **fields)


def _one_of_two(world: World) -> None:
    seasoned(world)
    for repository in world.repositories.values():
        for role in ("snapshot", "targets"):
            outgoing = repository.signers["root"]
            first = repository.key(role)
            repository.set_keys(role, [first, repository.key(role, 2)], 1)
            repository.signers[role] = [first]
            repository.publish_root(outgoing)
        repository.publish("targets")
    world.update()


@scenario(
    "arbitrary-software",
    prepare=_one_of_two,
    recover=_two_keys_again,
    undo=False,
    each=[(name, role) for name in ("director", "image") for role in ("snapshot", "targets")],
)
def stored_file_below_a_raised_threshold(world: World, name: str, role: str) -> Refused:
    """Root raises the threshold to two for the same keys; the stored file, still listed, carries one signature."""
    repository = world.repositories[name]
    first, second = repository.key(role), repository.key(role, 2)
    repository.set_keys(role, [first, second], 2)
    repository.publish_root()
    world.vehicle.installed.clear()
    fields = {"repository": name, "role": role, "valid": 1, "required": 2, "signed": (first.keyid,)}
    gone = [file for file in fallen(name, role) if not file.endswith("timestamp")]  # which is fetched again
    return refused(ThresholdError, [f"{name}/4.root", *gone], **fields)


@pytest.mark.parametrize("scenario", family("arbitrary-software"), ids=str)
def test_arbitrary_software(scenario: Scenario) -> None:
    play(scenario)
