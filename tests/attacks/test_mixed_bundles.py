"""Mixed bundles: Director Targets that no honest Director signs (Uptane 2.1.0 5.4.4.6, steps for the Director)."""

from __future__ import annotations

import pytest

from tests.simulator.scenario import Refused, Scenario, before, current, family, next_releases, play, refused, scenario
from twinlock.testing.simulator.world import ADAS, GATEWAY, VIN, World
from twinlock.trust.errors.images import CustomFieldError, DuplicateEcuError, UnknownEcuError

STORED = before(("director", "targets"))


@scenario("mixed-bundles")
def one_ecu_in_two_orders(world: World) -> Refused:
    """Two images are ordered for the same ECU."""
    images = world.director.bodies["targets"]["targets"]
    images[GATEWAY.path(3)]["custom"]["ecuIdentifiers"][ADAS.ecu] = {"hardwareId": ADAS.hardware_id}
    world.director.put("targets")
    return refused(DuplicateEcuError, STORED, ecu=ADAS.ecu)


@scenario("mixed-bundles")
def unknown_ecu_in_an_order_of_its_own(world: World) -> Refused:
    """A further image is ordered, for an ECU that this vehicle does not have and for no other."""
    listed = world.image.bodies["targets"]["targets"][ADAS.path(2)]
    world.director.order("ecu-ghost", ADAS.hardware_id, ADAS.path(2), listed)
    world.director.put("targets")
    return refused(UnknownEcuError, STORED, vehicle=VIN, ecu="ecu-ghost")


@scenario("mixed-bundles")
def unknown_ecu(world: World) -> Refused:
    """An image is ordered for an ECU that this vehicle does not have."""
    images = world.director.bodies["targets"]["targets"]
    images[ADAS.path(3)]["custom"]["ecuIdentifiers"]["ecu-ghost"] = {"hardwareId": ADAS.hardware_id}
    world.director.put("targets")
    return refused(UnknownEcuError, STORED, vehicle=VIN, ecu="ecu-ghost")


@scenario("mixed-bundles")
def ecu_id_that_differs_in_case(world: World) -> Refused:
    """An ECU id that a careless comparison would take for one of ours."""
    custom = world.director.bodies["targets"]["targets"][ADAS.path(3)]["custom"]
    custom["ecuIdentifiers"] = {ADAS.ecu.upper(): {"hardwareId": ADAS.hardware_id}}
    world.director.put("targets")
    return refused(UnknownEcuError, STORED, vehicle=VIN, ecu=ADAS.ecu.upper())


@scenario("mixed-bundles")
def order_for_nobody(world: World) -> Refused:
    """An entry that names no ECU: a Director has to say for whom an image is."""
    world.director.bodies["targets"]["targets"][ADAS.path(3)]["custom"]["ecuIdentifiers"] = {}
    world.director.put("targets")
    return refused(CustomFieldError, STORED, target=ADAS.path(3), repository="director", field="ecuIdentifiers")


@scenario("mixed-bundles")
def order_without_hardware(world: World) -> Refused:
    """An entry that names the ECU and not its hardware; strict verification requires it."""
    custom = world.director.bodies["targets"]["targets"][ADAS.path(3)]["custom"]
    custom["ecuIdentifiers"] = {ADAS.ecu: {}}
    world.director.put("targets")
    return refused(CustomFieldError, STORED, target=ADAS.path(3), repository="director", field="hardwareId")


def _fitted_again(world: World) -> None:
    world.vehicle.ecus = dict(World().vehicle.ecus)
    next_releases(world)


@scenario("mixed-bundles", prepare=current, recover=_fitted_again)
def stored_orders_for_an_ecu_that_was_removed(world: World) -> Refused:
    """Nothing new is offered, and the stored orders name an ECU that the vehicle no longer has: they are judged again."""
    world.vehicle.ecus = {ecu: known for ecu, known in world.vehicle.ecus.items() if ecu != ADAS.ecu}
    world.vehicle.installed = {ecu: image for ecu, image in world.vehicle.installed.items() if ecu != ADAS.ecu}
    return refused(UnknownEcuError, vehicle=VIN, ecu=ADAS.ecu)


@pytest.mark.parametrize("scenario", family("mixed-bundles"), ids=str)
def test_mixed_bundles(scenario: Scenario) -> None:
    play(scenario)
