"""The next Root needs the threshold of the Root before it, however much the two look as if the same keys signed them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.simulator.scenario import current
from twinlock.testing.simulator.keys import Key
from twinlock.testing.simulator.world import World
from twinlock.trust.errors.metadata import ThresholdError

REPOSITORIES = ("director", "image")


@pytest.fixture(params=REPOSITORIES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def world(name: str) -> World:
    """A vehicle that trusts a Root with two keys, both of which have to sign."""
    made = World()
    repository = made.repositories[name]
    keys = [repository.key("root"), repository.key("root", 2)]
    repository.set_keys("root", keys)
    repository.publish_root(keys)
    current(made)
    return made


def _other_material(world: World, name: str) -> list[Key]:
    """The thief's own keys, under the key ids of the honest ones."""
    honest = world.repositories[name].signers["root"]
    thieves = [world.keys(f"mallory-{number}").alias(key.keyid) for number, key in enumerate(honest)]
    world.repositories[name].set_keys("root", thieves)
    return thieves


def _one_other(world: World, name: str) -> list[Key]:
    """One honest key has been stolen; the other's key id is given to a key of the thief's."""
    stolen, other = world.repositories[name].signers["root"]
    keys = [stolen, world.keys("mallory").alias(other.keyid)]
    world.repositories[name].set_keys("root", keys)
    return keys


def _lower_threshold(world: World, name: str) -> list[Key]:
    """One honest key has been stolen, and the new Root asks for no more than one."""
    keys = world.repositories[name].signers["root"]
    world.repositories[name].set_keys("root", keys, threshold=1)
    return keys[:1]


def _more_keys(world: World, name: str) -> list[Key]:
    """Two keys of the thief's join those of the honest people, and sign."""
    keys = world.repositories[name].signers["root"]
    thieves = [world.keys("mallory-1"), world.keys("mallory-2")]
    world.repositories[name].set_keys("root", [*keys, *thieves], threshold=2)
    return thieves


@pytest.mark.parametrize("theft", [_other_material, _one_other, _lower_threshold, _more_keys])
def test_a_root_that_only_looks_like_the_one_before(
    world: World, name: str, theft: Callable[[World, str], list[Key]]
) -> None:
    before = world.vehicle.snapshot_state()
    repository = world.repositories[name]
    with world.attack():
        signers = theft(world, name)
        repository.bump("root")
        repository.put("root", signers=signers)
        with pytest.raises(ThresholdError) as caught:
            world.release()
            world.update()
        assert (caught.value.repository, caught.value.role, caught.value.required) == (name, "root", 2)
        assert caught.value.valid < 2
    assert {key: value for key, value in world.vehicle.snapshot_state().items() if key.startswith(f"{name}/")} == {
        key: value for key, value in before.items() if key.startswith(f"{name}/")
    }
    world.release()
    assert len(world.update().approved) == 3


@pytest.mark.parametrize("count", [2, 1, 0])
def test_a_root_with_the_same_signers_needs_all_of_them_once(world: World, name: str, count: int) -> None:
    repository = world.repositories[name]
    with world.attack():
        repository.bump("root")
        repository.put("root", signers=repository.signers["root"][:count])
        if count == 2:
            world.vehicle.refresh(name)
            assert world.vehicle.stores[name].restore(name).root.signed.version == 3
            return
        with pytest.raises(ThresholdError) as caught:
            world.vehicle.refresh(name)
        assert (caught.value.valid, caught.value.required) == (count, 2)


@pytest.mark.parametrize("role", ["timestamp", "snapshot"])
def test_a_key_that_is_replaced_under_its_key_id_is_rotated(world: World, name: str, role: str) -> None:
    """Rotation is of key material: what the old key signed is dropped though the new one goes by its key id."""
    repository = world.repositories[name]
    honest = repository.signers[role][0]
    repository.set_keys(role, [repository.key(role, 2).alias(honest.keyid)])
    repository.publish_root()
    repository.publish()
    world.vehicle.refresh(name)
    (stored,) = (command for command in world.vehicle.persisted if command.files[0][0] == "root")
    dropped = {each for each, _, data in stored.files if data is None}
    assert {"timestamp", "snapshot", "targets"} <= dropped
