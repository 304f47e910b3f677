"""Images whose author wrote something else into the members that only planning reads: they can be ordered, or it says why."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.director.world import ImageSite, TestVehicle
from twinlock.director.director import Director
from twinlock.director.errors.vehicles import NoImageSetError
from twinlock.director.model.records import ORDERED


@pytest.mark.parametrize(
    "custom",
    [{"version": 3}, {"name": "brake", "version": 7}, {"version": "A07_R3 (final)"}, {"name": ["brake"]}, {"name": 1}],
)
def test_a_vehicle_that_runs_such_an_image_and_gets_such_an_image(
    site: ImageSite, fleet: Director, car: TestVehicle, custom: dict[str, Any]
) -> None:
    site.add("odd/1.bin", hardware=["hw-7"], counter=20, **custom)
    site.add("odd/2.bin", hardware=["hw-7"], counter=21, **custom)
    site.publish()
    car.install("ecu-brake", "odd/1.bin")
    fleet.receive_manifest(car.manifest())
    plan = fleet.assign("VIN1", {"ecu-brake": "odd/2.bin"})
    assert plan.outcome == ORDERED
    assert [order.path for order in plan.orders] == ["odd/2.bin"]


@pytest.mark.parametrize("member", ["dependencies", "conflicts"])
def test_needs_that_cannot_be_read_are_asked_for_when_the_image_is_ordered(
    site: ImageSite, fleet: Director, car: TestVehicle, member: str
) -> None:
    site.add("odd/1.bin", hardware=["hw-7"], counter=20, **{member: ["gateway >= 1"]})
    site.publish()
    fleet.receive_manifest(car.manifest())
    with pytest.raises(NoImageSetError) as caught:
        fleet.assign("VIN1", {"ecu-brake": "odd/1.bin"})
    (cause,) = caught.value.causes
    assert cause.startswith(f"the {member} of odd/1.bin cannot be read")
    assert "image add --replace" in cause


def test_needs_of_an_installed_image_that_cannot_be_read_hold_nothing_and_are_said(
    site: ImageSite, fleet: Director, car: TestVehicle
) -> None:
    site.add("odd/1.bin", hardware=["hw-7"], counter=20, dependencies=["gateway >= 1"])
    site.publish()
    car.install("ecu-brake", "odd/1.bin")
    fleet.assign("VIN1", {"ecu-gw": "gw/1.3.bin"})  # reads the new publication
    fleet.receive_manifest(car.manifest())
    plan = fleet.assign("VIN1", {"ecu-gw": "gw/1.4.bin"})
    assert plan.outcome == ORDERED
    assert "ecu-brake runs odd/1.bin, whose dependencies cannot be read and do not count" in plan.reasons
