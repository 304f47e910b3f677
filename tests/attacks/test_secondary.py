"""A Secondary that verifies fully: it judges its own image only, and everything that concerns the whole file."""

from __future__ import annotations

import pytest

from twinlock.testing.simulator.vehicle import VehicleSimulator
from twinlock.testing.simulator.world import ADAS, BRAKE, GATEWAY, OTHER_VIN, VIN, World
from twinlock.trust.errors.images import DuplicateEcuError, HardwareError, ImageNotFoundError, VehicleMismatchError


@pytest.fixture
def world() -> World:
    """The vehicle of this world is one Secondary, which knows nobody but itself; release 2 is on offer."""
    made = World()
    made.vehicle = VehicleSimulator(VIN, {BRAKE.ecu: BRAKE.hardware_id}, made.repositories, made.time)
    made.vehicle.complete = False
    made.update()
    made.pass_time(hours=1)
    made.release()
    return made


def _next(world: World) -> None:
    world.pass_time(hours=1)
    world.release()
    world.release()
    assert [image.entry.path for image in world.update().approved] == [BRAKE.path(world.releases)]


def test_its_own_image_only(world: World) -> None:
    decision = world.update()
    assert [(image.ecu, image.entry.path) for image in decision.approved] == [(BRAKE.ecu, BRAKE.path(2))]
    assert world.vehicle.update().approved == ()


def test_orders_for_ecus_that_it_does_not_know(world: World) -> None:
    images = world.director.bodies["targets"]["targets"]
    images[ADAS.path(2)]["custom"]["ecuIdentifiers"] = {"ecu-new": {"hardwareId": "other-1"}}
    world.director.put("targets")
    assert [image.entry.path for image in world.update().approved] == [BRAKE.path(2)]


def test_an_unlisted_image_for_another_ecu_is_not_its_business(world: World) -> None:
    images = world.director.bodies["targets"]["targets"]
    images["adas/unlisted.bin"] = images.pop(ADAS.path(2))
    world.director.put("targets")
    assert [image.entry.path for image in world.update().approved] == [BRAKE.path(2)]


def test_an_unlisted_image_for_itself(world: World) -> None:
    with world.attack():
        images = world.director.bodies["targets"]["targets"]
        images["brake/unlisted.bin"] = images.pop(BRAKE.path(2))
        world.director.put("targets")
        with pytest.raises(ImageNotFoundError) as caught:
            world.vehicle.update()
        assert (caught.value.target, caught.value.hardware_id) == ("brake/unlisted.bin", BRAKE.hardware_id)
    _next(world)


def test_another_ecu_in_two_orders(world: World) -> None:
    with world.attack():
        images = world.director.bodies["targets"]["targets"]
        images[GATEWAY.path(2)]["custom"]["ecuIdentifiers"][ADAS.ecu] = {"hardwareId": ADAS.hardware_id}
        world.director.put("targets")
        before = world.vehicle.snapshot_state()["director/targets"]
        with pytest.raises(DuplicateEcuError) as caught:
            world.vehicle.update()
        assert caught.value.ecu == ADAS.ecu
        assert world.vehicle.snapshot_state()["director/targets"] == before
    _next(world)


def test_other_hardware(world: World) -> None:
    with world.attack():
        custom = world.director.bodies["targets"]["targets"][BRAKE.path(2)]["custom"]
        custom["ecuIdentifiers"][BRAKE.ecu]["hardwareId"] = "brake-8"
        world.director.put("targets")
        with pytest.raises(HardwareError) as caught:
            world.vehicle.update()
        assert caught.value.listed == ("brake-8",)
    _next(world)


@pytest.mark.parametrize("empty", [True, False])
def test_orders_of_another_vehicle(world: World, empty: bool) -> None:
    with world.attack():
        world.director.bodies["targets"]["custom"]["vehicleIdentifier"] = OTHER_VIN
        if empty:
            world.director.bodies["targets"]["targets"] = {}
        world.director.put("targets")
        with pytest.raises(VehicleMismatchError) as caught:
            world.vehicle.update()
        assert (caught.value.offered, caught.value.expected) == (OTHER_VIN, VIN)
    _next(world)
