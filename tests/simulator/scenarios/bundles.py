"""Mixed bundles: Director Targets that no honest Director signs (Uptane 2.1.0 5.4.4.6, steps for the Director)."""

from __future__ import annotations

from tests.simulator.scenario import Refused, before, current, next_releases, refused, scenario
from tests.simulator.world import ADAS, GATEWAY, VIN, World
from twinlock.trust.errors.images import CustomFieldError, DirectorDelegationError, DuplicateEcuError, UnknownEcuError
from twinlock.trust.errors.metadata import MalformedError, UnsafePathError

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


@scenario("path-traversal", each=["../evil.bin", "/etc/evil.bin", "a/../../evil.bin", "a\\evil.bin", "nul/evil.bin"])
def director_orders(world: World, path: str) -> Refused:
    """The Director orders an image under a name that would leave its directory, or open a device."""
    images = world.director.bodies["targets"]["targets"]
    images[path] = images.pop(ADAS.path(3))
    world.director.put("targets")
    return refused(UnsafePathError, STORED, path=path)


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
