"""Wrong hardware: an image, an order or a delegation for another kind of ECU (Uptane 2.1.0 5.4.3.4, 5.4.4.7)."""

from __future__ import annotations

import pytest

from tests.simulator.hands import delegation
from tests.simulator.moves import both_repositories
from tests.simulator.scenario import Refused, Scenario, before, family, play, refused, scenario
from twinlock.testing.simulator.world import ADAS, BRAKE, GATEWAY, World
from twinlock.trust.errors.images import HardwareError, ImageNotFoundError


@scenario("wrong-hardware")
def director_orders_for_other_hardware(world: World) -> Refused:
    """The order says that our ECU is of another kind than it is."""
    custom = world.director.bodies["targets"]["targets"][ADAS.path(3)]["custom"]
    custom["ecuIdentifiers"][ADAS.ecu]["hardwareId"] = "adas-4"
    world.director.put("targets")
    fields = {"ecu": ADAS.ecu, "target": ADAS.path(3), "listed": ("adas-4",), "actual": ADAS.hardware_id}
    return refused(HardwareError, before(("director", "targets")), **fields)


@scenario("wrong-hardware")
def director_orders_an_image_for_other_hardware(world: World) -> Refused:
    """The Director's keys are stolen; a genuine image for the gateway is ordered for the driver assistance."""
    listed = world.image.bodies["targets"]["targets"][GATEWAY.path(2)]
    world.director.order(ADAS.ecu, ADAS.hardware_id, GATEWAY.path(2), listed)
    world.director.put("targets")
    fields = {"ecu": ADAS.ecu, "target": GATEWAY.path(2), "listed": (GATEWAY.hardware_id,), "actual": ADAS.hardware_id}
    return refused(HardwareError, [*both_repositories(), "image/acme"], **fields)


@scenario("wrong-hardware")
def director_orders_a_suppliers_image_for_other_hardware(world: World) -> Refused:
    """As above with an image of a supplier, whose delegation is for other hardware: nobody may list it for this ECU."""
    listed = world.image.bodies["acme"]["targets"][BRAKE.path(2)]
    world.director.order(ADAS.ecu, ADAS.hardware_id, BRAKE.path(2), listed)
    world.director.put("targets")
    fields = {"target": BRAKE.path(2), "repository": "image", "hardware_id": ADAS.hardware_id}
    return refused(ImageNotFoundError, both_repositories(), **fields)


@scenario("wrong-hardware")
def both_list_other_hardware(world: World) -> Refused:
    """Both repositories list the image for other hardware only: a mistake at the publisher's desk."""
    for repository in (world.image, world.director):
        entry = repository.bodies["targets"]["targets"][ADAS.path(3)]
        entry["custom"]["mustAgree"]["hardwareIds"] = ["adas-4", "adas-5"]
        repository.put("targets")
    fields = {"ecu": ADAS.ecu, "listed": ("adas-4", "adas-5"), "actual": ADAS.hardware_id}
    return refused(HardwareError, both_repositories(), **fields)


@scenario("wrong-hardware")
def delegation_for_other_hardware(world: World) -> Refused:
    """The supplier is trusted for other hardware only, so what it lists for ours is not found."""
    delegation(world.image, "acme")["hardwareIds"] = ["brake-8"]
    world.image.put("targets")
    fields = {"target": BRAKE.path(3), "repository": "image", "hardware_id": BRAKE.hardware_id}
    return refused(ImageNotFoundError, both_repositories(), **fields)


@scenario("wrong-hardware")
def empty_list_of_hardware(world: World) -> Refused:
    """An empty list of hardware ids fits no hardware; it is not the same as none given."""
    for repository in (world.image, world.director):
        entry = repository.bodies["targets"]["targets"][ADAS.path(3)]
        entry["custom"]["mustAgree"]["hardwareIds"] = []
        repository.put("targets")
    return refused(HardwareError, both_repositories(), ecu=ADAS.ecu, listed=(), actual=ADAS.hardware_id)


@pytest.mark.parametrize("scenario", family("wrong-hardware"), ids=str)
def test_wrong_hardware(scenario: Scenario) -> None:
    play(scenario)
