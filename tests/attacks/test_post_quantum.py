"""A role that demands a post-quantum signature, and files without one."""

from __future__ import annotations

import pytest

from tests.simulator import hands
from tests.simulator.moves import both_repositories, name_again
from tests.simulator.scenario import (
    ONLINE,
    Accepted,
    Place,
    Refused,
    Scenario,
    accepted,
    before,
    family,
    play,
    refused,
    scenario,
)
from twinlock.testing.simulator.world import BRAKE, PARTS, World
from twinlock.trust.engine.commands import Answer, Command, Fetch, drive
from twinlock.trust.engine.delegation import Found, find_image
from twinlock.trust.engine.refresh import refresh_repository
from twinlock.trust.engine.restore import bootstrap_repository
from twinlock.trust.errors.metadata import MalformedError, PostQuantumError
from twinlock.trust.names import IMAGE, HardwareId, TargetPath
from twinlock.trust.state.trusted import TrustedRepository


def _demand(world: World, place: Place) -> None:
    """Give a role an ML-DSA key beside its own two, which vehicles learn; then demand a signature by such a key."""
    repository, role = hands.at(world, place), place[1]
    top_level = role in repository.bodies["root"]["roles"]
    keys = [repository.key(role), repository.key(role, 2), world.keys(f"{role}-pq", "ml-dsa-44")]
    holder = repository.bodies["root" if top_level else "targets"]
    hands.require(world, place, keys, 2)
    world.update()
    holder.setdefault("custom", {})["postQuantum"] = [role]
    if top_level:
        repository.publish_root()
    repository.publish("targets", "acme")
    world.release()


@scenario(
    "post-quantum",
    each=[place for place in ONLINE if place[0] == "image"],
    undo=False,
    recover=name_again,
    fixture=False,
)
def two_classical_signatures(world: World, name: str, role: str) -> Refused:
    """A role demands a post-quantum signature; two classical ones reach its threshold of two, and are not enough.

    Whoever breaks the classical schemes can make those two.
    """
    repository = world.repositories[name]
    _demand(world, (name, role))
    classical = [repository.key(role), repository.key(role, 2)]
    hands.sign_as(world, (name, role), classical)
    stored = [*before((name, role)), *(["image/3.root"] if role != "acme" else [])]
    ids = tuple(key.keyid for key in classical)
    return refused(PostQuantumError, stored, repository=name, role=role, signed=ids)


@scenario("post-quantum", each=["targets", "acme"], undo=False, recover=name_again)
def a_demand_that_comes_with_its_key(world: World, role: str) -> Refused:
    """The same where the key and the demand are new at once, and nothing was signed by that key yet."""
    image = world.image
    keys = [image.key(role), image.key(role, 2), world.keys(f"{role}-pq", "ml-dsa-44")]
    holder = image.bodies["root" if role == "targets" else "targets"]
    holder.setdefault("custom", {})["postQuantum"] = [role]
    hands.require(world, ("image", role), keys, 2)
    hands.sign_as(world, ("image", role), keys[:2])
    stored = [*before(("image", role)), *(["image/2.root", "image/targets"] if role == "targets" else [])]
    return refused(PostQuantumError, stored, repository="image", role=role, signed=(keys[0].keyid, keys[1].keyid))


def _signed_as_demanded(world: World) -> None:
    world.image.put("root")
    name_again(world)


@scenario("post-quantum", undo=False, recover=_signed_as_demanded, fixture=False)
def a_root_without_it(world: World) -> Refused:
    """The Root role itself demands it: the next Root that lacks it is not followed."""
    image = world.image
    _demand(world, ("image", "root"))
    world.update()
    image.publish_root()
    image.put("root", signers=[image.key("root"), image.key("root", 2)])
    world.release()
    ids = (image.key("root").keyid, image.key("root", 2).keyid)
    return refused(PostQuantumError, before(("image", "root")), repository="image", role="root", signed=ids)


@scenario(
    "post-quantum",
    each=[place for place in ONLINE if place[0] == "image"],
    undo=False,
    recover=name_again,
    fixture=False,
)
def one_of_each_kind(world: World, name: str, role: str) -> Accepted:
    """One classical and one post-quantum signature: what the demand asks for. (Not a vector: the signature is random.)"""
    repository = world.repositories[name]
    _demand(world, (name, role))
    hands.sign_as(world, (name, role), [repository.key(role), world.keys(f"{role}-pq", "ml-dsa-44")])
    return accepted(*(part.path(4) for part in PARTS))


@scenario("post-quantum")
def a_demand_on_nobody(world: World) -> Refused:
    """Targets demand it of a role that they do not delegate to: a slip that would leave the role unprotected."""
    world.image.bodies["targets"]["custom"] = {"postQuantum": ["acmee"]}
    world.image.publish("targets")
    place = "$.signed.custom.postQuantum"
    return refused(MalformedError, both_repositories()[:-1], what="image/targets", json_path=place)


@pytest.mark.parametrize("scenario", family("post-quantum"), ids=str)
def test_post_quantum(scenario: Scenario) -> None:
    play(scenario)


def test_a_demand_made_later_is_not_met_by_what_was_verified_before_it() -> None:
    """A delegator demands more of the same keys: the file that this process has opened already counts no longer."""
    world = World()

    def answer(command: Command) -> Answer:
        return world.image.serve(command) if isinstance(command, Fetch) else None

    def search(known: TrustedRepository) -> Found:
        trusted = drive(refresh_repository(known, world.now), answer)
        path, hardware = TargetPath(BRAKE.path(1)), HardwareId(BRAKE.hardware_id)
        return drive(find_image(trusted, path, hardware, world.now), answer)

    found = search(bootstrap_repository(IMAGE, world.image.files["1.root.json"]))
    assert found.entry is not None
    assert found.trusted.opened
    world.image.bodies["targets"]["custom"] = {"postQuantum": ["acme"]}
    world.image.publish("targets")
    with pytest.raises(PostQuantumError) as refused:
        search(found.trusted)
    assert refused.value.fields()["role"] == "acme"
    del world.image.bodies["targets"]["custom"]
    world.image.publish("targets")
    assert search(found.trusted).entry == found.entry
