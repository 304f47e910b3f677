"""What one ECU that verifies partially is promised: Director Root and Director Targets, and nothing beyond."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.simulator.scenario import Accepted, Decorator, Refused, Scenario, accepted, family, play, refused, scenario
from twinlock.testing.simulator.repository import file_name, wire_time
from twinlock.testing.simulator.world import ADAS, BRAKE, GATEWAY, OTHER_VIN, VIN, World
from twinlock.trust.errors.base import RefusalError
from twinlock.trust.errors.images import (
    DirectorDelegationError,
    DuplicateEcuError,
    HardwareError,
    ReleaseCounterError,
    VehicleMismatchError,
)
from twinlock.trust.errors.metadata import (
    EquivocationError,
    ExpiredError,
    MalformedError,
    MissingMetadataError,
    RollbackError,
    RootVersionError,
    ThresholdError,
)

BARE = file_name("targets", None)


def _partial_seasoned(world: World) -> None:
    for _ in range(2):
        world.vehicle.install(world.vehicle.partial_update(BRAKE.ecu))
        world.pass_time(hours=1)
        world.release()


def _scenario(attack: str, **more: Any) -> Decorator:
    return scenario(attack, prepare=_partial_seasoned, verification="partial", subject=BRAKE.ecu, **more)


def _refused(error: type[RefusalError], **fields: Any) -> Refused:
    return refused(error, **fields)


@_scenario("partial")
def honest(world: World) -> Accepted:
    """The new order, by its bare name; nothing of the Image repository is asked for."""
    assert world.releases == 3
    return accepted(BRAKE.path(3))


@_scenario("partial")
def unsigned(world: World) -> Refused:
    """Director Targets without any signature."""
    world.director.put("targets", signers=[])
    return _refused(ThresholdError, repository="director", role="targets", valid=0, required=1)


@_scenario("partial")
def stranger(world: World) -> Refused:
    """Director Targets signed by a key that Root does not name."""
    mallory = world.keys("mallory")
    world.director.put("targets", signers=[mallory])
    return _refused(ThresholdError, repository="director", role="targets", unknown=(mallory.keyid,))


@_scenario("partial", cycles=True)
def rolled_back(world: World) -> Refused:
    """The Director Targets of two publications ago."""
    world.director.rewind("targets", 2)
    return _refused(RollbackError, repository="director", role="targets", offered=2, trusted=3)


@_scenario("partial")
def equivocation(world: World) -> Refused:
    """The stored version of Director Targets with other content."""
    world.director.bodies["targets"]["version"] = 3
    world.director.put("targets")
    return _refused(EquivocationError, repository="director", role="targets", version=3)


@_scenario("partial")
def expired(world: World) -> Refused:
    """Director Targets past their time; there is no Timestamp that could show it."""
    body = world.director.bodies["targets"]
    body["issued"] = wire_time(world.now - timedelta(hours=2))
    body["expires"] = wire_time(world.now)
    world.director.put("targets")
    return _refused(ExpiredError, repository="director", role="targets", version=4)


@_scenario("partial")
def expired_and_unchanged(world: World) -> Refused:
    """The stored Director Targets for ever: freeze."""
    world.director.rewind("targets", 1)
    world.pass_time(days=91)
    return _refused(ExpiredError, repository="director", role="targets", version=3)


@_scenario("partial")
def missing(world: World) -> Refused:
    """No Director Targets at all."""
    del world.director.files[BARE]
    return _refused(MissingMetadataError, repository="director", role="targets", name=BARE)


@_scenario("partial", each=[False, True])
def other_vehicle(world: World, empty: bool) -> Refused:
    """The (empty) Director Targets of another vehicle."""
    world.director.bodies["targets"]["custom"]["vehicleIdentifier"] = OTHER_VIN
    if empty:
        world.director.bodies["targets"]["targets"] = {}
    world.director.put("targets")
    return _refused(VehicleMismatchError, offered=OTHER_VIN, expected=VIN)


@_scenario("partial")
def delegates(world: World) -> Refused:
    """A Director must not delegate; partial verification has no walk that would follow."""
    world.director.delegate("targets", "helper", ["*"])
    world.director.put("targets")
    return _refused(DirectorDelegationError, roles=("helper",))


@_scenario("partial")
def other_ecus_named_twice(world: World) -> Refused:
    """An ECU that is not even this one stands in two orders."""
    images = world.director.bodies["targets"]["targets"]
    images[GATEWAY.path(3)]["custom"]["ecuIdentifiers"][ADAS.ecu] = {"hardwareId": ADAS.hardware_id}
    world.director.put("targets")
    return _refused(DuplicateEcuError, ecu=ADAS.ecu)


@_scenario("partial")
def order_for_other_hardware(world: World) -> Refused:
    """The order says that this ECU is of another kind."""
    custom = world.director.bodies["targets"]["targets"][BRAKE.path(3)]["custom"]
    custom["ecuIdentifiers"][BRAKE.ecu]["hardwareId"] = "brake-8"
    world.director.put("targets")
    return _refused(HardwareError, ecu=BRAKE.ecu, listed=("brake-8",), actual=BRAKE.hardware_id)


@_scenario("partial")
def image_for_other_hardware(world: World) -> Refused:
    """The entry names other hardware than this ECU's."""
    world.director.bodies["targets"]["targets"][BRAKE.path(3)]["custom"]["mustAgree"]["hardwareIds"] = ["brake-8"]
    world.director.put("targets")
    stored = ["director/targets"]
    return refused(HardwareError, stored, ecu=BRAKE.ecu, listed=("brake-8",), actual=BRAKE.hardware_id)


@_scenario("partial")
def older_image(world: World) -> Refused:
    """The entry has a release counter below that of the installed image."""
    world.director.bodies["targets"]["targets"][BRAKE.path(3)]["custom"]["mustAgree"]["releaseCounter"] = 1
    world.director.put("targets")
    stored = ["director/targets"]
    story = refused(ReleaseCounterError, stored, ecu=BRAKE.ecu, offered=1, installed=2)
    return story.under("Uptane 2.1.0 5.4.3.4")


@_scenario("partial")
def unknown_ecus_are_others(world: World) -> Accepted:
    """A Secondary does not know the other ECUs of the vehicle, so an order for one is none of its business."""
    custom = world.director.bodies["targets"]["targets"][ADAS.path(3)]["custom"]
    custom["ecuIdentifiers"]["ecu-new"] = {"hardwareId": ADAS.hardware_id}
    world.director.put("targets")
    return accepted(BRAKE.path(3))


@_scenario("partial", undo=False)
def through_a_key_rotation(world: World) -> Accepted:
    """The Targets keys are rotated by Root; a Secondary that reads Root follows."""
    world.director.rotate("targets")
    return accepted(BRAKE.path(3))


@_scenario("partial", undo=False)
def revoked_key(world: World) -> Refused:
    """Director Targets by a key that the newest Root has revoked."""
    stolen = world.director.key("targets")
    world.director.rotate("targets")
    world.director.put("targets", signers=[stolen])
    stored = ["director/2.root", "director/targets"]  # what the revoked key had signed is dropped
    return refused(ThresholdError, stored, repository="director", role="targets", unknown=(stolen.keyid,))


@_scenario("partial")
def root_skips_a_version(world: World) -> Refused:
    """What is served as the next Root is the one after it."""
    for _ in range(2):
        world.director.publish_root()
    world.director.files["2.root.json"] = world.director.files["3.root.json"]
    return _refused(RootVersionError, repository="director", offered=3, expected=2)


@_scenario("partial")
def root_expired(world: World) -> Refused:
    """The Director's Root is past its time."""
    world.pass_time(days=366)
    world.director.publish("targets")
    return _refused(ExpiredError, repository="director", role="root", version=1)


@_scenario("partial")
def wrong_type(world: World) -> Refused:
    """A rightly signed Snapshot under the name of Targets, by the Targets key."""
    body = world.director.bodies["snapshot"]
    world.director.bodies["targets"] = {**body, "version": 4}
    world.director.put("targets")
    return _refused(MalformedError, json_path="$.signed._type")


@_scenario("partial", undo=False, each=["timestamp", "snapshot"])
def rolled_back_after_a_rotation_of_other_keys(world: World, role: str) -> Refused:
    """Only the Timestamp's or Snapshot's keys are rotated, and old Director Targets are replayed.

    Full verification may forget the floor of Targets then, because the next Snapshot says which are current. This ECU
    reads no Snapshot, so for it nothing but a rotation of the Targets keys drops that floor.
    """
    old = world.director.history["targets"][1]
    world.director.rotate(role)
    world.director.files[BARE] = old
    fields = {"repository": "director", "role": "targets", "offered": 2, "trusted": 3}
    return refused(RollbackError, ["director/2.root"], **fields)


def _fast_forwarded(world: World) -> None:
    _partial_seasoned(world)
    body = world.director.bodies["targets"]
    honest = body["version"]
    body["version"] = 1_000_000
    world.director.put("targets")
    world.vehicle.partial_update(BRAKE.ecu)
    body["version"] = honest + 1
    world.director.put("targets")


def _rotate_targets(world: World) -> None:
    world.director.rotate("targets")
    world.release()


@scenario(
    "partial",
    prepare=_fast_forwarded,
    recover=_rotate_targets,
    undo=False,
    verification="partial",
    subject=BRAKE.ecu,
    cycles=True,
)
def fast_forwarded(world: World) -> Refused:
    """Director Targets of version one million were accepted; their floor goes when the Targets keys are rotated."""
    version = world.director.bodies["targets"]["version"]
    fields = {"repository": "director", "role": "targets", "offered": version, "trusted": 1_000_000}
    return refused(RollbackError, **fields)


@pytest.mark.parametrize("scenario", family("partial"), ids=str)
def test_partial(scenario: Scenario) -> None:
    play(scenario)
