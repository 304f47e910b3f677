"""Keys with which anybody could sign, named by a Root or a delegation whose keys were stolen, or by mistake."""

from __future__ import annotations

import json

import pytest

from tests.simulator.hands import delegation
from tests.simulator.moves import both_repositories
from tests.simulator.scenario import (
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
from twinlock.testing.simulator.repository import RepositorySimulator
from twinlock.testing.simulator.world import World
from twinlock.trust.errors.metadata import ThresholdError

LOW_ORDER = {
    "order-1": "01" + "00" * 31,
    "order-2": "ec" + "ff" * 30 + "7f",
    "order-4": "00" * 32,
    "order-4-signed": "00" * 31 + "80",
    "order-8-a": "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "order-8-b": "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "not-canonical": "ed" + "ff" * 30 + "7f",
}


def _named_again(world: World) -> None:
    for repository in world.repositories.values():
        repository.set_keys("targets", [repository.key("targets")])
        repository.publish_root()
    next_releases(world)


@scenario(
    "weak-keys",
    each=[(name, order) for name in REPOSITORIES for order in LOW_ORDER],
    undo=False,
    recover=_named_again,
)
def root_names_a_key_of_low_order(world: World, name: str, order: str) -> Refused:
    """The next Root, rightly signed, gives Targets an ed25519 key of low order alone, for which anybody can sign.

    The Root is followed, since the next one may mend it; Targets are signed by nobody who counts.
    """
    repository = world.repositories[name]
    key = {"keytype": "ed25519", "scheme": "ed25519", "keyval": {"public": LOW_ORDER[order]}}
    root = repository.bodies["root"]
    root["keys"]["weak"] = key
    root["roles"]["targets"] = {"keyids": ["weak"], "threshold": 1}
    repository.publish_root()
    _sign_as_anybody(repository, "targets")
    stored = [*before((name, "targets")), f"{name}/2.root", f"{name}/targets"]
    return refused(ThresholdError, stored, repository=name, role="targets", valid=0, unusable=("weak",))


@scenario("weak-keys", each=list(LOW_ORDER))
def delegation_to_a_key_of_low_order(world: World, order: str) -> Refused:
    """Targets, rightly signed, delegate to an ed25519 key of low order alone."""
    key = {"keytype": "ed25519", "scheme": "ed25519", "keyval": {"public": LOW_ORDER[order]}}
    world.image.bodies["targets"]["delegations"]["keys"]["weak"] = key
    delegation(world.image, "acme")["keyids"] = ["weak"]
    world.image.put("targets")
    _sign_as_anybody(world.image, "acme")
    return refused(ThresholdError, both_repositories(), repository="image", role="acme", unusable=("weak",))


@scenario("weak-keys", each=["md5", "rsassa-pkcs1v15-sha1", "ed448"], undo=False, recover=_named_again)
def unknown_scheme(world: World, scheme: str) -> Refused:
    """The next Root names a key under a scheme that no secure reader supports, alone for Targets."""
    root = world.image.bodies["root"]
    root["keys"]["weak"] = {"keytype": "rsa", "scheme": scheme, "keyval": {"public": "x"}}
    root["roles"]["targets"] = {"keyids": ["weak"], "threshold": 1}
    world.image.publish_root()
    stored = [*before(("image", "targets")), "image/2.root", "image/targets"]
    return refused(ThresholdError, stored, repository="image", role="targets", unusable=("weak",))


def _sign_as_anybody(repository: RepositorySimulator, role: str) -> None:
    """Offer the role's file under the signature that fits many messages where the key has low order: R = A, S = 0."""
    envelope = json.loads(repository.files[repository.current(role)])
    envelope["signatures"].append({"keyid": "weak", "sig": "01" + "00" * 63})
    repository.put(role, data=repository.wire.encode(envelope))


@pytest.mark.parametrize("scenario", family("weak-keys"), ids=str)
def test_weak_keys(scenario: Scenario) -> None:
    play(scenario)
