"""What an operator sees of a vehicle in which one ECU makes up evidence: what another one met stays in sight."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.unit.director.world import FACTORY, NOW, ImageSite, TestVehicle, at
from twinlock.cli.main import main
from twinlock.director.director import Director
from twinlock.repository.workspace.validity import utc_now
from twinlock.trust.errors.base import Kind
from twinlock.trust.model.evidence import Evidence

VIN = "VIN1"
ECUS = {"ecu-gw": "gw-1", "ecu-brake": "hw-7", "ecu-adas": "hw-7"}


def evidence(number: int, code: str, *, minutes: int, kind: Kind = Kind.ATTACK, detail: str = "") -> Evidence:
    return Evidence(
        id=f"{number:016x}",
        kind=kind,
        code=code,
        attack="rollback",
        clause="x",
        detail=detail or f"detail {number}",
        step="metadata",
        first=at(minutes=minutes),
        last=at(minutes=minutes),
        occurrences=1,
    )


@pytest.fixture
def car() -> TestVehicle:
    car = TestVehicle(VIN, ECUS)
    for ecu in ECUS:
        car.install(ecu, FACTORY)
    return car


def report(director: Director, car: TestVehicle, minutes: int, **met: tuple[Evidence, ...]) -> None:
    car.counter += 1
    now = at(minutes=minutes)
    reports = [car.report(ecu, now=now, evidence=met.get(ecu.replace("-", "_"), ())) for ecu in ECUS]
    director.receive_manifest(car.manifest(now=now, reports=reports), now=now)


def show(director: Director, *words: str) -> list[str]:
    result = CliRunner().invoke(main, ["director", "show", str(director.path), VIN, *words])
    assert result.exit_code == 0, result.output
    return [line for line in result.output.splitlines() if " attack " in line or " failure " in line or "more" in line]


def reasons(director: Director, minutes: int) -> tuple[str, ...]:
    state = director.status(now=at(minutes=minutes)).of(VIN)
    assert state is not None
    return state.reasons


def test_invented_evidence_of_a_secondary_hides_no_attack_that_others_met(fleet: Director, car: TestVehicle) -> None:
    report(fleet, car, 1, ecu_gw=(evidence(1, "repository-mismatch", minutes=1),))
    report(fleet, car, 2, ecu_adas=(evidence(2, "rollback", minutes=2),))
    assert reasons(fleet, 2) == ("repository-mismatch on ecu-gw: detail 1", "rollback on ecu-adas: detail 2")
    # The attack: the key of one Secondary was stolen, and it reports what it likes, the same again and ever new codes.
    for minutes in range(3, 6):
        invented = [evidence(100 * minutes + n, "slow-retrieval", minutes=minutes) for n in range(8)]
        codes = [evidence(100 * minutes + n, f"made-up-{minutes}-{n}", minutes=minutes) for n in range(8, 16)]
        report(fleet, car, minutes, ecu_brake=(*invented, *codes))

    seen = reasons(fleet, 6)
    assert seen[0] == "repository-mismatch on ecu-gw: detail 1"
    assert "rollback on ecu-adas: detail 2" in seen[:3]
    assert any(
        line.startswith("slow-retrieval on ecu-brake (24 events, the newest at 2026-03-01T12:05:00Z)") for line in seen
    )
    assert seen[-1] == "and 7 more of other ECUs or codes"

    lines = show(fleet)
    assert "attack repository-mismatch on ecu-gw: detail 1" in lines[0]
    assert any("attack rollback on ecu-adas: detail 2" in line for line in lines[:3])
    assert len(lines) == 11
    assert lines[-1] == "and 17 more; --limit 27 shows all of them"
    assert len(show(fleet, "--limit", "27")) == 27
    assert sum("slow-retrieval" in line for line in show(fleet, "--limit", "27")) == 1

    # Programs get every row as it is, newest first.
    document = CliRunner().invoke(main, ["director", "show", str(fleet.path), VIN, "--limit", "50", "--json"]).stdout
    rows = json.loads(document)["events"]
    assert len(rows) == 50
    assert {row["ecu"] for row in rows[:48]} == {"ecu-brake"}
    assert [row["code"] for row in rows[48:]] == ["rollback", "repository-mismatch"]


def test_an_attack_is_listed_before_newer_failures(fleet: Director, car: TestVehicle) -> None:
    report(fleet, car, 1, ecu_adas=(evidence(1, "rollback", minutes=1),))
    report(fleet, car, 2, ecu_gw=(evidence(2, "fetch", minutes=2, kind=Kind.FAILURE),))
    report(fleet, car, 3, ecu_brake=(evidence(3, "fetch", minutes=3, kind=Kind.FAILURE),))
    expected = ["rollback on ecu-adas: detail 1", "fetch on ecu-gw: detail 2", "fetch on ecu-brake: detail 3"]
    assert list(reasons(fleet, 4)) == expected
    assert [line.partition("Z ")[2] for line in show(fleet)] == [
        f"attack {expected[0]}",
        f"failure {expected[1]}",
        f"failure {expected[2]}",
    ]


def test_a_missing_ecu_hides_no_failure_of_another(fleet: Director, car: TestVehicle) -> None:
    report(fleet, car, 1, ecu_gw=(evidence(1, "fetch", minutes=1, kind=Kind.FAILURE),))
    car.counter += 1
    fleet.receive_manifest(
        car.manifest(now=at(minutes=2), reports=[car.report(ecu, now=at(minutes=2)) for ecu in ("ecu-gw", "ecu-adas")]),
        now=at(minutes=2),
    )
    assert reasons(fleet, 3) == ("missing from manifests: ecu-brake", "fetch on ecu-gw: detail 1")


def test_a_long_sentence_of_one_ecu_cuts_off_nothing_behind_it(
    tmp_path: Path, site: ImageSite, car: TestVehicle
) -> None:
    start = utc_now() - timedelta(minutes=9)  # the command's clock is the machine's
    with Director.create(tmp_path / "d", image_root=site.root, image_url=str(site.path), clock=lambda: NOW) as director:
        director.register(car.description())
        met = [
            {"ecu-gw": (evidence(1, "rollback", minutes=1, detail="x" * 400),)},
            {"ecu-adas": (evidence(2, "rollback", minutes=2),)},
        ]
        for number, found in enumerate(met):
            now = start + timedelta(minutes=number)
            car.counter += 1
            reports = [car.report(ecu, now=now, evidence=found.get(ecu, ())) for ecu in ECUS]
            director.receive_manifest(car.manifest(now=now, reports=reports), now=now)
    lines = CliRunner().invoke(main, ["director", "status", str(tmp_path / "d")]).output.splitlines()
    assert any(line.endswith("rollback on ecu-adas: detail 2") for line in lines)
    assert sum(line.startswith(VIN) for line in lines) == 1
