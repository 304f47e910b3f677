"""What was installed when, and who approved it: kept for each change, also after the manifests are pruned."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from tests.unit.director.world import NOW, TestVehicle, at
from twinlock.cli.main import main
from twinlock.director.errors.operator import NoSuchEcuError
from twinlock.director.inventory.installations import MAX_PER_DAY
from twinlock.trust.names import target_path

if TYPE_CHECKING:
    from twinlock.director.director import Director

VIN = "VIN1"
BRAKE, GW = "brake/2.0.bin", "gw/1.4.bin"
OLD_BRAKE, OLD_GW = "brake/1.0.bin", "gw/1.3.bin"


def report(director: Director, car: TestVehicle, minutes: float) -> None:
    director.receive_manifest(car.manifest(now=at(minutes=minutes)), now=at(minutes=minutes))


@pytest.fixture
def updated(fleet: Director, car: TestVehicle) -> Director:
    """The brake's new image was assigned by alice; the gateway got what that needs; both are installed at minute 5."""
    fleet.assign(VIN, {"ecu-brake": BRAKE}, actor="alice", now=at(minutes=1))
    fleet.issue(VIN, now=at(minutes=1))
    report(fleet, car, 2)
    car.install("ecu-brake", BRAKE)
    car.install("ecu-gw", GW)
    for minutes in (5, 10, 15):
        report(fleet, car, minutes)
    return fleet


def test_each_change_is_kept_with_its_time_and_whose_approval_it_had(updated: Director) -> None:
    found = updated.installations(VIN)
    decision = updated.decisions(VIN)[-1].number
    assert [(item.ecu, item.path, item.reported_at, item.replaced_at) for item in found] == [
        ("ecu-brake", BRAKE, at(minutes=5), None),
        ("ecu-gw", GW, at(minutes=5), None),
        ("ecu-brake", OLD_BRAKE, NOW, at(minutes=5)),
        ("ecu-gw", OLD_GW, NOW, at(minutes=5)),
    ]
    approvals = [(item.decision, item.actor, item.approved_at) for item in found]
    assert approvals[:2] == [(decision, "alice", at(minutes=1))] * 2, "what another image needs has the same approval"
    assert approvals[2:] == [(None, None, None)] * 2, "nobody ordered what it came with"


def test_it_outlives_the_manifests(updated: Director) -> None:
    before = updated.installations(VIN)
    assert updated.prune(timedelta(minutes=1), now=at(days=400))["reports"]
    assert updated.installations(VIN) == before


def test_what_ran_at_a_time_and_later(updated: Director) -> None:
    assert len(updated.installations(VIN, since=at(minutes=5))) == 4
    assert [item.path for item in updated.installations(VIN, since=at(minutes=6))] == [BRAKE, GW]
    assert [item.path for item in updated.installations(VIN, ecus=["ecu-brake"])] == [BRAKE, OLD_BRAKE]
    assert len(updated.installations(VIN, limit=3)) == 3
    with pytest.raises(NoSuchEcuError):
        updated.installations(VIN, ecus=["ecu-x"])


def test_an_image_that_was_not_ordered_has_no_approval(fleet: Director, car: TestVehicle) -> None:
    fleet.assign(VIN, {"ecu-brake": BRAKE}, actor="alice", now=at(minutes=1))
    fleet.issue(VIN, now=at(minutes=1))
    car.install("ecu-brake", GW)
    report(fleet, car, 5)
    assert (fleet.installations(VIN)[0].path, fleet.installations(VIN)[0].actor) == (GW, None)


def test_other_bytes_under_the_ordered_name_have_no_approval(fleet: Director, car: TestVehicle) -> None:
    fleet.assign(VIN, {"ecu-brake": BRAKE}, actor="alice", now=at(minutes=1))
    fleet.issue(VIN, now=at(minutes=1))
    car.installed["ecu-brake"] = car.installed["ecu-brake"]._replace(path=target_path(BRAKE))
    report(fleet, car, 5)
    newest = fleet.installations(VIN)[0]
    assert (newest.path, newest.decision, newest.actor) == (BRAKE, None, None)


def test_what_is_assigned_later_approves_nothing_that_was_ordered_before(fleet: Director, car: TestVehicle) -> None:
    fleet.assign(VIN, {"ecu-brake": BRAKE}, actor="alice", now=at(minutes=1))
    fleet.issue(VIN, now=at(minutes=1))
    fleet.assign(VIN, {"ecu-gw": GW}, actor="bob", now=at(minutes=2))
    fleet.issue(VIN, now=at(minutes=2), force=True)
    car.install("ecu-gw", GW)
    report(fleet, car, 5)
    newest = fleet.installations(VIN)[0]
    assert (newest.ecu, newest.path, newest.actor) == ("ecu-gw", GW, "alice"), "alice's brake needs it"


def test_a_vehicle_that_changes_without_end_fills_no_disk(fleet: Director, car: TestVehicle) -> None:
    for minutes in range(1, 2 * MAX_PER_DAY):
        car.install("ecu-gw", (GW, OLD_GW)[minutes % 2])
        report(fleet, car, minutes)
    assert len(fleet.installations(VIN, ecus=["ecu-gw"], limit=1000)) == MAX_PER_DAY
    limits = [event.detail for _, event in fleet.events(VIN, limit=1000) if event.code == "daily-limit"]
    assert limits == [
        f"{VIN} has sent {MAX_PER_DAY} changes of what ecu-gw runs within a day; no more are accepted now"
    ]
    car.install("ecu-gw", "factory.bin")
    report(fleet, car, 60 * 48)
    assert fleet.installations(VIN)[0].path == "factory.bin", "it is kept again the next day"


def test_ecus_of_several_vehicles_are_found_wherever_they_are(updated: Director) -> None:
    other = TestVehicle("VIN2", {"gw-2": "gw-1"})
    other.install("gw-2", OLD_GW)
    updated.register(other.description())
    updated.receive_manifest(other.manifest())
    words = ["director", "installed", str(updated.path), "--ecu", "ecu-brake", "--ecu", "gw-2", "--json"]
    updated.close()
    shown = json.loads(CliRunner().invoke(main, words).stdout)["vehicles"]
    assert {item["vehicle"]: len(item["installations"]) for item in shown} == {"VIN1": 2, "VIN2": 1}


def test_the_command_shows_one_row_for_each(updated: Director) -> None:
    words = ["director", "installed", str(updated.path)]
    updated.close()
    text = CliRunner().invoke(main, words)
    assert text.exit_code == 0, text.output
    assert f"{VIN}     ecu-brake  {BRAKE}" in text.output
    assert "alice" in text.output
    shown = json.loads(CliRunner().invoke(main, [*words, "--ecu", "ecu-brake", "--json"]).stdout)
    (vehicle,) = shown["vehicles"]
    assert [item["actor"] for item in vehicle["installations"]] == ["alice", None]
    refused = CliRunner().invoke(main, [*words, "--ecu", "ecu-x"])
    assert refused.exit_code == 2
    assert "error[no-such-ecu]: no such ECU: [ecu-x]" in refused.output
    assert "attack" not in refused.output
