"""What a vehicle is told: assignments, what they bring along, withdrawing them, and waiting for confirmation."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.counted_calls import counted
from tests.unit.director.world import FACTORY, NOW, ImageSite, TestVehicle, at, listed, measured
from twinlock.director.director import Director
from twinlock.director.errors.operator import NoSuchEcuError, NothingAssignedError
from twinlock.director.errors.vehicles import NoImageSetError, UnknownImageError, UnknownVehicleError
from twinlock.director.model.records import HELD, IMPOSSIBLE, NOTHING, ORDERED, WAITING
from twinlock.director.planning.resolver import resolve
from twinlock.trust.errors.base import RefusalError
from twinlock.trust.errors.images import HardwareError, ReleaseCounterError
from twinlock.trust.errors.metadata import UnsafePathError

VIN = "VIN1"
BRAKE, GW = "brake/2.0.bin", "gw/1.4.bin"


def ordered(director: Director, *, minutes: float = 0, vin: str = VIN) -> dict[str, list[str]]:
    data = director.metadata(vin, "targets.json", now=at(minutes=minutes))
    assert data is not None
    return listed(data)


def report(director: Director, car: TestVehicle, *, minutes: float, **changes: Any) -> None:
    director.receive_manifest(car.manifest(now=at(minutes=minutes), **changes), now=at(minutes=minutes))


def test_an_empty_list_is_bound_to_its_vehicle(fleet: Director) -> None:
    data = fleet.metadata(VIN, "targets.json")
    assert data is not None
    signed = json.loads(data)["signed"]
    assert signed["targets"] == {}
    assert signed["custom"]["vehicleIdentifier"] == VIN
    assert signed["custom"]["correlationId"].startswith("urn:")
    assert "delegations" not in signed


def test_assigning_solves_the_problem_once(fleet: Director, car: TestVehicle) -> None:
    with counted(solved=resolve) as calls:
        fleet.assign(VIN, {"ecu-brake": BRAKE})
    assert calls == {"solved": 1}
    with counted(solved=resolve) as calls:
        assert fleet.explain(VIN).outcome == ORDERED
    assert calls == {"solved": 1}


def test_an_assignment_brings_what_it_depends_on(fleet: Director, car: TestVehicle) -> None:
    plan = fleet.assign(VIN, {"ecu-brake": BRAKE})
    assert plan.outcome == ORDERED
    assert {(order.ecu, order.path, order.moved) for order in plan.orders} == {
        ("ecu-brake", BRAKE, False),
        ("ecu-gw", GW, True),
    }
    data = fleet.metadata(VIN, "targets.json")
    assert data is not None
    entry = json.loads(data)["signed"]["targets"][BRAKE]
    assert {"length": entry["length"], "hashes": entry["hashes"]} == measured(BRAKE)
    assert entry["custom"]["mustAgree"] == {"hardwareIds": ["hw-7"], "releaseCounter": 2}
    assert entry["custom"]["ecuIdentifiers"] == {"ecu-brake": {"hardwareId": "hw-7"}}

    car.install("ecu-gw", GW)
    car.install("ecu-brake", BRAKE)
    report(fleet, car, minutes=1)
    assert fleet.explain(VIN).outcome == NOTHING
    assert ordered(fleet, minutes=2) == {BRAKE: ["ecu-brake"]}


def test_nothing_is_ordered_before_the_first_manifest(director: Director, car: TestVehicle) -> None:
    director.register(car.description())
    assert director.assign(VIN, {"ecu-gw": GW}).outcome == WAITING
    assert ordered(director) == {}
    director.receive_manifest(car.manifest())
    assert ordered(director) == {GW: ["ecu-gw"]}


def test_one_image_for_two_ecus_is_one_entry_that_names_both(director: Director, site: ImageSite) -> None:
    car = TestVehicle("VIN5", {"ecu-p": "gw-1", "ecu-l": "hw-7", "ecu-r": "hw-7"})
    director.register(car.description())
    director.receive_manifest(car.manifest())
    director.assign("VIN5", {"ecu-l": "brake/1.0.bin", "ecu-r": "brake/1.0.bin"})
    assert ordered(director, vin="VIN5") == {"brake/1.0.bin": ["ecu-l", "ecu-r"]}


@pytest.mark.parametrize(
    ("images", "error", "fields"),
    [
        ({"ecu-x": GW}, NoSuchEcuError, {"vehicle": VIN, "ecus": ("ecu-x",)}),
        ({"ecu-gw": "gw/9.bin"}, UnknownImageError, {"ecu": "ecu-gw", "target": "gw/9.bin"}),
        ({"ecu-gw": BRAKE}, HardwareError, {"ecu": "ecu-gw", "target": BRAKE, "listed": ("hw-7",), "actual": "gw-1"}),
        (
            {"ecu-gw": FACTORY},
            ReleaseCounterError,
            {"ecu": "ecu-gw", "target": FACTORY, "offered": 0, "installed": 13},
        ),
    ],
)
def test_what_cannot_be_is_refused_and_not_stored(
    fleet: Director, images: dict[str, str], error: type[RefusalError], fields: dict[str, object]
) -> None:
    with pytest.raises(error) as caught:
        fleet.assign(VIN, images)
    assert caught.value.fields() == fields
    assert fleet.assignments(VIN) == ()
    assert ordered(fleet) == {}


@pytest.mark.parametrize("path", ["../../etc/passwd", "/abs", "a\\b", "x\0y", "con"])
def test_a_hostile_name_is_refused(fleet: Director, path: str) -> None:
    with pytest.raises(UnsafePathError):
        fleet.assign(VIN, {"ecu-gw": path})


def test_an_unknown_vehicle_is_named(fleet: Director) -> None:
    for call in (
        lambda: fleet.assign("VIN9", {"ecu-gw": GW}),
        lambda: fleet.metadata("VIN9", "timestamp.json"),
        lambda: fleet.metadata("VIN9", "1.root.json"),
        lambda: fleet.explain("VIN9"),
        lambda: fleet.decisions("VIN9"),
    ):
        with pytest.raises(UnknownVehicleError) as caught:
            call()
        assert caught.value.vehicle == "VIN9"


def test_a_set_that_does_not_fit_is_explained_and_not_stored(
    fleet: Director, site: ImageSite, car: TestVehicle
) -> None:
    del site.images[GW]
    site.publish()
    with pytest.raises(NoImageSetError) as caught:
        fleet.assign(VIN, {"ecu-brake": BRAKE})
    assert caught.value.causes == ("brake 2.0 needs gateway >= 1.4, which is not offered for gw-1",)
    assert fleet.assignments(VIN) == ()


def test_an_image_that_vanishes_after_it_was_assigned_is_not_ordered(fleet: Director, site: ImageSite) -> None:
    fleet.assign(VIN, {"ecu-gw": GW})
    del site.images[GW]
    site.publish()
    assert ordered(fleet, minutes=2) == {}
    newest = fleet.decisions(VIN)[0]
    assert newest.plan.outcome == IMPOSSIBLE
    assert GW in newest.plan.reasons[0]
    site.add(GW, hardware=["gw-1"], counter=14, name="gateway", version="1.4")
    site.publish()
    assert ordered(fleet, minutes=4) == {GW: ["ecu-gw"]}


def test_an_image_that_changes_under_its_name_is_ordered_as_it_is_now(fleet: Director, site: ImageSite) -> None:
    fleet.assign(VIN, {"ecu-gw": GW})
    site.add(GW, hardware=["gw-1"], counter=15, name="gateway", version="1.4.1")
    site.publish()
    data = fleet.metadata(VIN, "targets.json", now=at(minutes=2))
    assert data is not None
    agreed = json.loads(data)["signed"]["targets"][GW]["custom"]["mustAgree"]
    assert agreed["releaseCounter"] == 15


def test_a_withdrawn_assignment_leaves_a_new_version_without_it(fleet: Director) -> None:
    fleet.assign(VIN, {"ecu-gw": GW})
    first = fleet.issue(VIN)
    assert ordered(fleet) == {GW: ["ecu-gw"]}
    assert fleet.unassign(VIN).outcome == NOTHING
    second = fleet.issue(VIN)
    assert second.targets == first.targets + 1
    assert ordered(fleet) == {}
    assert second.correlation_id != first.correlation_id


def test_withdrawing_what_is_not_assigned_is_an_error(fleet: Director) -> None:
    with pytest.raises(NothingAssignedError):
        fleet.unassign(VIN)
    fleet.assign(VIN, {"ecu-gw": GW})
    with pytest.raises(NothingAssignedError) as caught:
        fleet.unassign(VIN, ["ecu-brake", "ecu-gw"])
    assert (caught.value.vehicle, caught.value.ecus) == (VIN, ("ecu-brake",))
    with pytest.raises(NoSuchEcuError):
        fleet.unassign(VIN, ["ecu-x"])
    assert [item.ecu for item in fleet.assignments(VIN)] == ["ecu-gw"]


def test_a_second_order_waits_until_the_first_is_confirmed(fleet: Director, car: TestVehicle) -> None:
    fleet.assign(VIN, {"ecu-gw": GW})
    assert ordered(fleet) == {GW: ["ecu-gw"]}
    plan = fleet.assign(VIN, {"ecu-brake": BRAKE})
    assert plan.outcome == HELD
    assert ordered(fleet, minutes=1) == {GW: ["ecu-gw"]}
    # A report that shows the old image settles nothing: the order may still be installing.
    report(fleet, car, minutes=2)
    assert ordered(fleet, minutes=2) == {GW: ["ecu-gw"]}
    assert fleet.decisions(VIN)[0].plan.outcome == HELD
    car.install("ecu-gw", GW)
    report(fleet, car, minutes=3)
    assert ordered(fleet, minutes=3) == {BRAKE: ["ecu-brake"], GW: ["ecu-gw"]}


def test_an_order_that_failed_holds_back_nothing(fleet: Director, car: TestVehicle) -> None:
    fleet.assign(VIN, {"ecu-gw": GW})
    ordered(fleet)
    fleet.assign(VIN, {"ecu-brake": BRAKE})
    report(fleet, car, minutes=1, attack="wrong-digest", detail="it did not fit")
    assert ordered(fleet, minutes=1) == {BRAKE: ["ecu-brake"], GW: ["ecu-gw"]}


def test_a_replaced_order_is_withdrawn_first_and_follows_after_a_report(
    fleet: Director, site: ImageSite, car: TestVehicle
) -> None:
    site.add("gw/1.5.bin", hardware=["gw-1"], counter=15, name="gateway", version="1.5")
    site.publish()
    fleet.assign(VIN, {"ecu-gw": GW})
    assert ordered(fleet) == {GW: ["ecu-gw"]}
    fleet.assign(VIN, {"ecu-gw": "gw/1.5.bin"})
    assert ordered(fleet, minutes=1) == {}
    report(fleet, car, minutes=2)
    assert ordered(fleet, minutes=2) == {"gw/1.5.bin": ["ecu-gw"]}


def test_withdrawing_half_of_what_belongs_together_withdraws_all_of_it(
    fleet: Director, site: ImageSite, car: TestVehicle
) -> None:
    site.add("gw/1.5.bin", hardware=["gw-1"], counter=15, name="gateway", version="1.5")
    site.publish()
    fleet.assign(VIN, {"ecu-brake": BRAKE, "ecu-gw": GW})
    assert set(ordered(fleet)) == {BRAKE, GW}
    # The gateway's order is replaced, and the brakes' cannot stand without a gateway of 1.4 or newer.
    fleet.assign(VIN, {"ecu-gw": "gw/1.5.bin"})
    assert ordered(fleet, minutes=1) == {}


def test_a_failed_half_is_ordered_again_with_what_it_needs(fleet: Director, car: TestVehicle) -> None:
    fleet.assign(VIN, {"ecu-brake": BRAKE})
    ordered(fleet)
    car.install("ecu-brake", BRAKE)
    report(fleet, car, minutes=1)
    assert ordered(fleet, minutes=1) == {BRAKE: ["ecu-brake"], GW: ["ecu-gw"]}


def test_a_decision_says_what_was_chosen_why_and_from_what(fleet: Director, site: ImageSite) -> None:
    fleet.assign(VIN, {"ecu-brake": BRAKE}, actor="alice")
    issue = fleet.issue(VIN)
    decision = fleet.decisions(VIN)[0]
    assert decision.correlation_id == issue.correlation_id
    assert decision.plan.outcome == ORDERED
    assert decision.plan.reasons == ("ecu-gw gets gateway 1.4 because brake 2.0 asks for it",)
    assert decision.versions == {"root": 1, "timestamp": 1, "snapshot": 1, "targets": 1}
    assert decision.manifest == fleet.manifests(VIN)[0].number
    assert decision.made_at == NOW
    assert [(row["actor"], row["action"]) for row in fleet.audit(VIN)] == [
        ("alice", "assign"),
        ("operator", "register"),
    ]


def test_asking_again_decides_nothing_new(fleet: Director, car: TestVehicle) -> None:
    fleet.assign(VIN, {"ecu-gw": GW})
    first = fleet.issue(VIN)
    for minutes in range(5):
        report(fleet, car, minutes=minutes)
        assert fleet.issue(VIN, now=at(minutes=minutes)) == first
    assert len(fleet.decisions(VIN)) == 1


def test_explaining_changes_nothing(fleet: Director) -> None:
    plan = fleet.explain(VIN, {"ecu-brake": BRAKE})
    assert plan.outcome == ORDERED
    assert fleet.assignments(VIN) == ()
    assert fleet.decisions(VIN) == ()
    impossible = fleet.explain(VIN, {"ecu-gw": "gw/1.3.bin", "ecu-brake": BRAKE})
    assert impossible.outcome == IMPOSSIBLE
    assert impossible.reasons == ("brake 2.0 needs gateway >= 1.4, but gateway 1.3 is assigned to ecu-gw",)


def test_two_vehicles_are_told_different_things(fleet: Director) -> None:
    other = TestVehicle("VIN2", {"ecu-2": "gw-1"})
    fleet.register(other.description())
    fleet.receive_manifest(other.manifest())
    fleet.assign("VIN2", {"ecu-2": GW})
    assert ordered(fleet) == {}
    assert ordered(fleet, vin="VIN2") == {GW: ["ecu-2"]}
    assert fleet.vehicle(VIN).ecus.keys() == {"ecu-gw", "ecu-brake"}
