"""What the Director cannot do, and which vehicles need somebody, is visible without asking for a reason."""

from __future__ import annotations

import json
import logging
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.unit.director.device_world import Device
from tests.unit.director.world import ImageSite, TestVehicle, at
from twinlock.cli.main import main
from twinlock.cli.shared.foreign import foreign
from twinlock.director.director import Director
from twinlock.director.model import actions
from twinlock.director.model.actions import ACTIONS
from twinlock.trust.errors.base import RefusalError
from twinlock.trust.errors.reports import ReportReplayError

VIN = "VIN1"


def test_an_expired_image_repository_with_an_order_waiting_is_a_problem(
    fleet: Director, site: ImageSite, car: TestVehicle, caplog: pytest.LogCaptureFixture
) -> None:
    assert fleet.status(look=True).problems == ()
    fleet.assign(VIN, {"ecu-gw": "gw/1.4.bin"})
    later = at(days=30, hours=1)
    fleet.receive_manifest(car.manifest(now=later), now=later)
    with caplog.at_level(logging.WARNING):
        fleet.issue(VIN, now=later)
    assert any("order-impossible" in record.message for record in caplog.records)
    found = fleet.status(now=later, look=True)
    assert any(text.startswith("the Image repository cannot be used") for text in found.problems)
    state = found.of(VIN)
    assert state is not None
    assert state.state == "failing"
    assert any("expired" in reason for reason in state.reasons)
    assert 'twinlock_director_vehicles{state="failing"} 1' in found.metrics()
    site.now = later
    site.publish()
    fleet.issue(VIN, now=later + timedelta(minutes=2))
    healed = fleet.status(now=later + timedelta(minutes=2), look=True)
    assert healed.problems == ()
    assert healed.of(VIN).state == "waiting"  # type: ignore[union-attr]


def test_each_state_is_told_apart(director: Director, fleet: Director, car: TestVehicle) -> None:
    fleet.register(TestVehicle("VIN2", {"ecu-2": "gw-1"}).description())
    for now in (at(), at(days=8)):  # silent is only one that reported before
        state = fleet.status(now=now).of("VIN2")
        assert state is not None
        assert (state.state, "registered at" in state.reasons[0]) == ("waiting", True)
    assert fleet.status().of(VIN).state == "ok"  # type: ignore[union-attr]
    assert fleet.status(now=at(days=8)).of(VIN).state == "silent"  # type: ignore[union-attr]
    fleet.receive_manifest(car.manifest(attack="rollback", detail="older"))
    assert fleet.status().of(VIN).state == "attacked"  # type: ignore[union-attr]
    fleet.ways_out.retire(VIN)
    assert fleet.status().of(VIN).state == "retired"  # type: ignore[union-attr]
    assert fleet.status().counts["waiting"] == 1


def test_the_commands_show_states_and_who_did_what(fleet: Director, car: TestVehicle) -> None:
    fleet.assign(VIN, {"ecu-gw": "gw/1.4.bin"}, actor="anna")
    fleet.receive_manifest(car.manifest(attack="rollback", detail="one\nVIN9  forged \x1b[31m row"))
    path = str(fleet.path)
    run = CliRunner().invoke
    shown = run(main, ["director", "vehicles", path])
    assert "silent" in shown.output  # the command's clock is the machine's
    assert "1 silent" in run(main, ["director", "status", path]).output
    metrics = run(main, ["director", "status", path, "--metrics"]).output
    assert 'twinlock_director_vehicles{state="silent"} 1' in metrics
    seen = run(main, ["director", "show", path, VIN]).output
    assert "\x1b" not in seen
    assert not any(line.startswith("VIN9") for line in seen.splitlines())
    audit = run(main, ["audit", "show", path, "--limit", "1"])
    assert (audit.exit_code, "anna" in audit.output) == (0, True)
    unknown = run(main, ["director", "certificates", path, "NOPE"])
    assert (unknown.exit_code, "NOPE" in unknown.output) == (2, True)
    for limit, count in ((1, 1), (50, 2)):
        lines = run(main, ["director", "show", path, VIN, "--limit", str(limit)]).output.splitlines()
        assert sum(" attack rollback on " in line for line in lines) == count


def test_the_audit_is_narrowed_down_to_what_an_auditor_asks(fleet: Director) -> None:
    fleet.assign(VIN, {"ecu-gw": "gw/1.4.bin"}, actor="anna")
    fleet.unassign(VIN, ["ecu-gw"], actor="ben")
    fleet.assign(VIN, {"ecu-gw": "gw/1.4.bin"}, actor="ben")

    def shown(*words: str) -> list[tuple[str, str]]:
        result = CliRunner().invoke(main, ["audit", "show", str(fleet.path), *words, "--json"])
        assert result.exit_code == 0, result.output
        return [(row["actor"], row["action"]) for row in json.loads(result.stdout)["audit"]]

    assert shown("--by", "anna") == [("anna", "assign")]
    assert shown("--action", "assign") == [("ben", "assign"), ("anna", "assign")]
    assert shown("--by", "ben", "--action", "unassign", "--vehicle", VIN) == [("ben", "unassign")]
    day = fleet.audit()[0]["at"]
    assert len(shown("--since", f"{day:%Y-%m-%d}")) == len(shown())
    assert shown("--since", f"{day + timedelta(days=1):%Y-%m-%d}") == []
    text = CliRunner().invoke(main, ["audit", "show", str(fleet.path), "--by", "nobody-here"]).output
    assert text == "no entry matches\n"


@pytest.mark.parametrize(
    ("asked", "near"),
    [("rotate", ("root",)), ("revoke", ("revoke-certificate",)), ("rekey", ("change-key",)), ("zzz", ())],
)
def test_an_action_that_the_audit_never_records_is_answered_with_those_near_it(
    fleet: Director, asked: str, near: tuple[str, ...]
) -> None:
    result = CliRunner().invoke(main, ["audit", "show", str(fleet.path), "--action", asked, "--json"])
    error = json.loads(result.stdout)["error"]
    assert (result.exit_code, error["code"], error["fields"]["action"]) == (2, "unknown-action", asked)
    assert set(near) <= set(error["fields"]["near"])
    assert error["message"].startswith(f"unknown action {asked}; known ones include ")
    assert len(error["fields"]["near"]) == 8
    for action in ACTIONS:
        fleet.audit(action=action)


def test_every_known_action_is_recorded_somewhere() -> None:
    sources = [
        path.read_text() for path in Path(actions.__file__).parents[1].rglob("*.py") if path.name != "actions.py"
    ]
    assert [action for action in ACTIONS if not any(f'"{action}"' in source for source in sources)] == []


@pytest.mark.parametrize(("value", "line"), [("a\nb", "a\\nb"), ([1], "[1]"), ({"a": "\x1b"}, '{"a": "\\u001b"}')])
def test_what_came_from_outside_is_one_printable_line(value: object, line: str) -> None:
    assert foreign(value) == line
    assert len(foreign("x" * 5000)) == 300


def test_a_director_that_cannot_sign_says_so(fleet: Director) -> None:
    keys = Path(fleet.path) / fleet.settings.online_keys
    for key in keys.glob("*.pem"):
        key.unlink()
    fleet._keyring.forget()
    assert any(text.startswith("the Director cannot sign") for text in fleet.status(look=True).problems)


def test_a_vehicle_that_never_registered_shows_what_was_refused_from_it(wired: Director, tmp_path: Path) -> None:
    device = Device()
    wired.devices.register(device.identity(), device.registration())
    thief = Device(vehicle="VIN-NEVER")
    with pytest.raises(RefusalError) as caught:
        wired.devices.register(thief.identity(), device.registration())
    shown = CliRunner().invoke(main, ["director", "show", str(wired.path), "VIN-NEVER", "--json"])
    assert shown.exit_code == 0, shown.output
    found = json.loads(shown.stdout)
    assert (found["registeredAt"], found["ecus"], found["state"]) == (None, [], None)
    assert [(event["code"], event["kind"]) for event in found["events"]] == [(caught.value.code, "refusal")]
    text = CliRunner().invoke(main, ["director", "show", str(wired.path), "VIN-NEVER"]).output
    assert "is not registered; requests from it were refused" in text
    assert caught.value.code in text
    nobody = CliRunner().invoke(main, ["director", "show", str(wired.path), "VIN-NOBODY", "--json"])
    assert (nobody.exit_code, json.loads(nobody.stdout)["error"]["code"]) == (2, "unknown-vehicle")


def test_a_director_whose_clock_was_wrong_says_so(fleet: Director) -> None:
    fleet.issue(VIN, now=at(days=20))
    assert fleet.status(now=at(days=20), look=True).problems == ()
    problems = fleet.status(now=at(days=1), look=True).problems
    assert [text.partition(":")[0] for text in problems] == ["the Director cannot sign by its clock"]


def test_a_vehicle_whose_manifests_are_refused_is_failing(fleet: Director, car: TestVehicle) -> None:
    """Restored from a backup with its certificate, say: it is in order by its last accepted manifest, and nothing it sends counts."""
    car.counter -= 1
    with pytest.raises(RefusalError):
        fleet.receive_manifest(car.manifest(), vehicle=VIN, now=at(minutes=5), authenticated=True)
    state = fleet.status(now=at(minutes=6)).of(VIN)
    assert state is not None
    assert (state.state, "refused" in state.reasons[0]) == ("failing", True)
    car.counter += 5
    fleet.receive_manifest(car.manifest(now=at(minutes=7)), now=at(minutes=7))
    assert fleet.status(now=at(minutes=8)).of(VIN).state == "ok"  # type: ignore[union-attr]


def test_a_vehicle_that_only_repeats_itself_is_named_with_the_way_out(fleet: Director, car: TestVehicle) -> None:
    def send(minutes: int, error: type[RefusalError] | None = None) -> None:
        data, now = car.manifest(now=at(minutes=minutes)), at(minutes=minutes)
        if error is None:
            fleet.receive_manifest(data, vehicle=VIN, now=now)
            return
        with pytest.raises(error):
            fleet.receive_manifest(data, vehicle=VIN, now=now)

    send(1)
    car.counter = 0  # restored from a backup
    send(2, ReportReplayError)
    assert fleet.status(now=at(minutes=2)).of(VIN).state == "ok"  # type: ignore[union-attr]
    car.counter = 0
    send(3, ReportReplayError)
    state = fleet.status(now=at(minutes=3)).of(VIN)
    assert state is not None
    assert (state.state, len(state.reasons)) == ("waiting", 1)
    assert "2 manifests came that its own keys signed" in state.reasons[0]
    assert "reset-counter" in state.reasons[0]
    car.counter = 9
    send(4)
    assert fleet.status(now=at(minutes=4)).of(VIN).state == "ok"  # type: ignore[union-attr]
