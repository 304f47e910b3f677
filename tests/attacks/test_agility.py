"""Algorithm agility: keys, schemes, digests and signatures that this engine does not know, beside those that count.

None of them may spoil a file that is signed well, and none of them counts. Where too few usable keys remain, the file is
refused at its own place.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.simulator import hands
from tests.simulator.moves import ALL, both_repositories, name_again
from tests.simulator.scenario import (
    ONLINE,
    REPOSITORIES,
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
from twinlock.testing.simulator.keys import JSON
from twinlock.testing.simulator.world import ADAS, World
from twinlock.trust.errors.metadata import KeyLeftOutError, ThresholdError

FUTURE: JSON = {"keytype": "hash-sig", "scheme": "hash-sig-2040/1", "keyval": {"public": "00", "seed": "01"}}


ODD_KEYS: dict[str, Any] = {
    "unknown-type": FUTURE,
    "unknown-scheme": {"keytype": "ed25519", "scheme": "ed25519ph", "keyval": {"public": "ab" * 32}},
    "other-encoding": {"keytype": "ed25519", "scheme": "ed25519", "keyval": {"public": "-----BEGIN PUBLIC KEY-----"}},
    "no-public-value": {"keytype": "sigstore-oidc", "scheme": "Fulcio", "keyval": {"identity": "a@example.com"}},
    "low-order": {"keytype": "ed25519", "scheme": "ed25519", "keyval": {"public": "00" * 32}},
    "not-an-object": "ed25519",
}


ODD_SIGNATURES: dict[str, Any] = {
    "null": None,
    "no-object": "00",
    "no-value": {"keyid": "stranger"},
    "base64": {"keyid": "stranger", "sig": "AAECAw=="},
    "odd-digits": {"keyid": "stranger", "sig": "abc"},
    "longer-than-any-scheme": {"keyid": "stranger", "sig": "00" * 4_628},
}


def _add(world: World, place: Place, key: Any, *, threshold: int = 1, instead: bool = False) -> None:
    """Name ``key`` under the id ``odd`` for a role, beside or instead of its own keys; publish what follows from it."""
    repository, role = hands.at(world, place), place[1]
    top_level = role in repository.bodies["root"]["roles"]
    holder = repository.bodies["root"] if top_level else repository.bodies["targets"]["delegations"]
    entry = holder["roles"][role] if top_level else hands.delegation(repository, role)
    holder["keys"]["odd"] = key
    entry["keyids"] = ["odd"] if instead else ["odd", *entry["keyids"]]
    entry["threshold"] = threshold
    if top_level:
        repository.publish_root()
    else:
        repository.publish("targets")


@scenario("agility", each=list(ODD_KEYS), undo=False, recover=name_again)
def an_unused_key_in_root(world: World, key: str) -> Accepted:
    """The next Roots list a key that no role names and that this engine cannot use."""
    for repository in world.repositories.values():
        repository.bodies["root"]["keys"]["odd"] = ODD_KEYS[key]
        repository.publish_root()
    return accepted(*ALL)


@scenario(
    "agility",
    each=[(*place, key) for place in ONLINE for key in ("unknown-type", "low-order")],
    undo=False,
    recover=name_again,
)
def a_key_beside_those_that_sign(world: World, name: str, role: str, key: str) -> Accepted:
    """A role is given one more key, which this engine cannot use. The others reach the threshold; it is reported."""
    _add(world, (name, role), ODD_KEYS[key])
    return accepted(*ALL, notices=[KeyLeftOutError])


@scenario("agility", each=list(ODD_KEYS), undo=False, recover=name_again)
def a_key_of_another_supplier(world: World, key: str) -> Accepted:
    """Targets delegate to another supplier as well, whose key this engine cannot use. Nobody asks for its images."""
    image = world.image
    image.delegate("targets", "zeta", ["zeta/*"], keyids=["odd"])
    image.bodies["targets"]["delegations"]["keys"]["odd"] = ODD_KEYS[key]
    image.publish("targets", "zeta")
    return accepted(*ALL, notices=[KeyLeftOutError])


def _dropped(name: str, role: str) -> list[str]:
    """What a raised threshold drops, since one key established it: the role's file, and with the index all that it lists."""
    if role == "targets":
        return [f"{name}/targets"]
    index = ["timestamp", "snapshot", "targets", *(["acme"] if name == "image" else [])]
    return [f"{name}/{entry}" for entry in index]


@scenario("agility", each=[place for place in ONLINE if place[1] != "acme"], undo=False, recover=name_again)
def too_few_usable_keys(world: World, name: str, role: str) -> Refused:
    """Two keys have to sign for a role and this engine can use one. The Root holds, and the role's file is refused."""
    repository = world.repositories[name]
    _add(world, (name, role), FUTURE, threshold=2)
    fields = {"repository": name, "role": role, "valid": 1, "required": 2, "unusable": ("odd",)}
    return refused(
        ThresholdError,
        [*before((name, role)), f"{name}/2.root", *_dropped(name, role)],
        **fields,
        signed=(repository.key(role).keyid,),
    )


@scenario("agility")
def too_few_usable_keys_of_a_supplier(world: World) -> Refused:
    """The same for a delegated role: the delegating Targets hold."""
    _add(world, ("image", "acme"), FUTURE, threshold=2)
    return refused(
        ThresholdError, both_repositories(), repository="image", role="acme", valid=1, required=2, unusable=("odd",)
    )


@scenario("agility", each=REPOSITORIES)
def too_few_usable_keys_for_the_next_root(world: World, name: str) -> Refused:
    """The next Root asks for two Root keys, of which this engine can use one: it cannot be followed and is not stored."""
    _add(world, (name, "root"), FUTURE, threshold=2)
    fields = {"repository": name, "role": "root", "valid": 1, "required": 2, "unusable": ("odd",)}
    return refused(ThresholdError, before((name, "root")), **fields)


@scenario("agility")
def an_unknown_digest_of_another_image(world: World) -> Accepted:
    """One image is listed with a digest of an unknown algorithm. The images that are wanted are not touched by it."""
    entry = world.image.add_image("other/other.bin", b"TEST other image")
    entry["hashes"]["sha4-256"] = "not hexadecimal"
    world.image.publish("targets")
    return accepted(*ALL)


@scenario("agility", each=[(*place, odd) for place in ONLINE for odd in ("null", "base64")])
def an_odd_signature(world: World, name: str, role: str, odd: str) -> Accepted:
    """Somebody added a signature that is none to a file that is signed well."""
    hands.deform(world, (name, role), lambda envelope: envelope["signatures"].insert(0, ODD_SIGNATURES[odd]))
    return accepted(*ALL)


@scenario("agility", each=list(ODD_SIGNATURES), undo=False)
def an_odd_signature_on_root(world: World, odd: str) -> Accepted:
    """The same on the next Root."""
    world.image.publish_root()
    hands.deform(world, ("image", "root"), lambda envelope: envelope["signatures"].insert(0, ODD_SIGNATURES[odd]))
    return accepted(*ALL)


@scenario("agility", each=ONLINE)
def upper_case_digits(world: World, name: str, role: str) -> Accepted:
    """The signatures are written in upper-case hexadecimal digits."""

    def upper(envelope: JSON) -> None:
        for signature in envelope["signatures"]:
            signature["sig"] = signature["sig"].upper()

    hands.deform(world, (name, role), upper)
    return accepted(*ALL)


@scenario("agility", undo=False, recover=name_again)
def a_role_names_a_key_that_the_file_lacks(world: World) -> Accepted:
    """A role lists the id of a key that the file does not give."""
    world.image.bodies["root"]["roles"]["targets"]["keyids"].append("nowhere")
    world.image.publish_root()
    return accepted(*ALL)


@scenario("agility")
def an_ordered_image_of_an_unknown_digest_beside(world: World) -> Accepted:
    """Both repositories list one ordered image with an unknown digest beside known ones: the others are approved.

    Whoever fetches that image refuses it by its name, since every listed digest has to be checked.
    """
    entry = world.image.bodies[ADAS.role]["targets"][ADAS.path(3)]
    entry["hashes"]["sha4-256"] = "00"
    world.image.publish("targets")
    world.director.bodies["targets"]["targets"][ADAS.path(3)]["hashes"]["sha4-256"] = "00"
    world.director.publish("targets")
    return accepted(*ALL)


@pytest.mark.parametrize("scenario", family("agility"), ids=str)
def test_agility(scenario: Scenario) -> None:
    play(scenario)
