"""What does *not* stand: attackers who hold what the decision rests on succeed here, as the threat model says they do.

Each of these tests would have to change, and ``docs/threat-model.md`` with it, if that ever became untrue.
"""

from __future__ import annotations

import pytest

from twinlock.testing.simulator.repository import RepositorySimulator
from twinlock.testing.simulator.world import ADAS, BRAKE, GATEWAY, PARTS, World
from twinlock.trust.errors.images import ImageNotFoundError
from twinlock.trust.errors.metadata import ExpiredError

EVIL = b"TEST malware\n"
EVIL_PATH = "gateway/special.bin"


@pytest.fixture
def world() -> World:
    """Release 1 installed, release 2 on offer."""
    made = World()
    made.update()
    made.pass_time(hours=1)
    made.release()
    return made


def _list_malware(repository: RepositorySimulator) -> None:
    repository.add_image(
        EVIL_PATH,
        EVIL,
        mustAgree={"hardwareIds": [GATEWAY.hardware_id], "releaseCounter": 9},
        name="gateway",
        version="9.0",
    )


def _order_malware(world: World, ecu: str = GATEWAY.ecu, hardware_id: str = GATEWAY.hardware_id) -> None:
    scratch = World().image
    _list_malware(scratch)
    listed = scratch.bodies["targets"]["targets"][EVIL_PATH]
    listed["custom"]["mustAgree"]["hardwareIds"] = [hardware_id]
    world.director.order(ecu, hardware_id, EVIL_PATH, listed)
    world.director.publish("targets")


def _approved(world: World) -> set[str]:
    return {image.entry.path for image in world.update().approved}


def test_the_targets_keys_of_both_repositories_install_anything(world: World) -> None:
    _list_malware(world.image)
    world.image.publish("targets")
    _order_malware(world)
    assert EVIL_PATH in _approved(world)


def test_the_directors_keys_alone_do_not(world: World) -> None:
    _order_malware(world)
    with pytest.raises(ImageNotFoundError):
        world.update()


def test_the_directors_targets_key_rules_an_ecu_that_verifies_partially(world: World) -> None:
    _order_malware(world, ADAS.ecu, ADAS.hardware_id)
    decision = world.vehicle.partial_update(ADAS.ecu)
    assert [image.entry.path for image in decision.approved] == [EVIL_PATH]
    assert decision.missing_guarantees == ("image-repository-not-consulted",)


def test_the_directors_keys_choose_among_what_is_listed_compatible_and_not_older(world: World) -> None:
    """A newer release that nobody meant for this vehicle yet."""
    world.list_release(3)
    world.image.publish("targets", "acme")
    world.order_release(3)
    world.director.publish("targets")
    assert _approved(world) == {part.path(3) for part in PARTS}


def test_whoever_holds_the_line_withholds_updates_until_metadata_expires(world: World) -> None:
    """Nothing is noticed while what is replayed is valid; then it is, as freeze."""
    world.update()
    old = dict(world.director.files)
    world.release()
    world.director.files.clear()
    world.director.files.update(old)
    assert world.update().approved == ()
    world.pass_time(days=3)
    with pytest.raises(ExpiredError):
        world.update()


def test_a_clock_in_the_past_is_believed_down_to_what_metadata_proves(world: World) -> None:
    """Days late, with a clock set back to the second of signing: what has expired by now passes."""
    world.pass_time(days=3)
    with pytest.raises(ExpiredError):
        world.vehicle.update()
    world.pass_time(days=-3)
    assert _approved(world) == {part.path(2) for part in PARTS}


def test_a_valid_image_that_does_harm_is_installed(world: World) -> None:
    """What its owners list and order is installed, whatever it does."""
    world.release()
    assert BRAKE.path(3) in _approved(world)
