"""Every vector of ``metadata-fixtures`` against the engine, read as another implementation would read it.

Nothing of the simulator is used here: a case is files, and its reader refuses what the format does not know.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from twinlock.trust.commands import ABSENT, Answer, Command, Fetch, Notice, drive
from twinlock.trust.errors.base import RefusalError
from twinlock.trust.errors.images import EndlessDataError
from twinlock.trust.mapping import decode_map
from twinlock.trust.names import EcuId, HardwareId, RepositoryName, RoleName, VehicleId, target_path
from twinlock.trust.policy import LAX
from twinlock.trust.refresh import refresh_repository
from twinlock.trust.restore import restore_repository
from twinlock.trust.state import Decision, Ecu, InstalledImage, TrustedRepository, TrustedVehicle, Vehicle
from twinlock.trust.verification import full_verification, partial_verification

ROOT = Path(__file__).resolve().parents[2] / "metadata-fixtures"
CASES = sorted(path.parent.relative_to(ROOT).as_posix() for path in ROOT.glob("*/*/case.json"))
MEMBERS = {
    *("format", "comment", "verification", "now", "vehicle", "installed"),
    *("map", "trusted", "offered", "expect"),
}
EXPECT = {
    "accepted": {"verdict", "approved", "notices"},
    "refused": {"verdict", "code", "attack", "clause", "fields", "approved"},
}
VERSIONED = re.compile(r"(?:(\d+)\.)?(.+)\.json")


@dataclass
class Run:
    """One case being run: its document, and what the engine asked and reported."""

    case: dict[str, Any]
    notices: list[str] = field(default_factory=list)

    def answer(self, command: Command) -> Answer:
        if isinstance(command, Notice):
            self.notices.append(command.error.code)
        if not isinstance(command, Fetch):
            return None
        path: str | None = self.case["offered"][command.repository].get(command.name)
        if path is None:
            return ABSENT
        data = (ROOT / path).read_bytes()
        if len(data) > command.max_bytes:
            raise EndlessDataError(what=command.name, limit_bytes=command.max_bytes)
        return data

    def verify(self) -> list[str]:
        """Run the verification that the case is about; gives the names of approved images."""
        now = datetime.strptime(self.case["now"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
        trusted = {name: self.restore(name) for name in self.case["trusted"]}
        if self.case["verification"] == "repository":
            (only,) = trusted.values()
            drive(refresh_repository(only, now, policy=LAX), self.answer)
            return []
        decision: Decision
        if self.case["verification"] == "partial":
            decision = drive(partial_verification(trusted["director"], self.vehicle(), now), self.answer)
        else:
            assert self.case["verification"] == "full"
            mapped = decode_map(json.dumps(self.case["map"]).encode())
            repositories = {RepositoryName(name): repository for name, repository in trusted.items()}
            state = TrustedVehicle(map=mapped, repositories=repositories)
            decision = drive(full_verification(state, self.vehicle(), now), self.answer)
        return sorted(image.entry.path for image in decision.approved)

    def restore(self, repository: str) -> TrustedRepository:
        files: dict[RoleName, bytes] = {}
        newest = 0
        for name, path in self.case["trusted"][repository].items():
            found = VERSIONED.fullmatch(name)
            assert found is not None
            version, role = int(found[1] or 0), RoleName(unquote(found[2]))
            if role != "root" or version > newest:
                files[role] = (ROOT / path).read_bytes()
                newest = version if role == "root" else newest
        return restore_repository(RepositoryName(repository), files)

    def vehicle(self) -> Vehicle:
        described = self.case["vehicle"]
        ecus = {
            EcuId(ecu): Ecu(ecu=EcuId(ecu), hardware_id=HardwareId(kind)) for ecu, kind in described["ecus"].items()
        }
        installed = {
            EcuId(ecu): InstalledImage(
                path=target_path(image["path"]),
                length=image["length"],
                hashes=image["hashes"],
                release_counter=image["releaseCounter"],
            )
            for ecu, image in self.case["installed"].items()
        }
        return Vehicle(
            vehicle=VehicleId(described["vehicle"]), ecus=ecus, installed=installed, complete=described["complete"]
        )


def load(directory: Path) -> Run:
    """Read a case strictly."""
    case = json.loads((directory / "case.json").read_text(encoding="utf-8"))
    if case.get("format") != 1 or set(case) != MEMBERS or set(case["expect"]) != EXPECT.get(case["expect"]["verdict"]):
        raise ValueError(f"{directory} is not a case of format 1: {sorted(case)}")
    return Run(case)


@pytest.mark.parametrize("name", CASES)
def test_fixture(name: str) -> None:
    run = load(ROOT / name)
    expect = run.case["expect"]
    if expect["verdict"] == "accepted":
        assert run.verify() == expect["approved"]
        assert run.notices == expect["notices"]
        return
    with pytest.raises(RefusalError) as caught:
        run.verify()
    found = caught.value.as_json()
    assert {name: found[name] for name in ("code", "attack", "clause")} == {
        name: expect[name] for name in ("code", "attack", "clause")
    }
    assert {name: found["fields"][name] for name in expect["fields"]} == expect["fields"]


def test_there_are_cases_of_both_kinds() -> None:
    assert sum(name.startswith("valid/") for name in CASES) > 30
    assert sum(name.startswith("hostile/") for name in CASES) > 300


@pytest.mark.parametrize("where", ["case", "expect"])
def test_an_unknown_member_fails(tmp_path: Path, where: str) -> None:
    case = json.loads((ROOT / CASES[0] / "case.json").read_text(encoding="utf-8"))
    (case if where == "case" else case["expect"])["surprise"] = 1
    (tmp_path / "case.json").write_text(json.dumps(case), encoding="utf-8")
    with pytest.raises(ValueError, match="not a case"):
        load(tmp_path)


def test_every_file_belongs_to_a_case() -> None:
    used = {
        path
        for name in CASES
        for part in ("trusted", "offered")
        for files in load(ROOT / name).case[part].values()
        for path in files.values()
    }
    there = {
        path.relative_to(ROOT).as_posix()
        for folder in ("valid", "hostile", "shared")
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and path.name != "case.json"
    }
    assert used == there


def test_the_tree_is_small() -> None:
    assert sum(path.stat().st_size for path in ROOT.rglob("*.json")) < 5_000_000


@pytest.mark.slow
def test_the_generator_writes_what_is_committed() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "generate.py", "--check"], capture_output=True, text=True, check=False, timeout=100
    )
    assert (done.returncode, done.stderr) == (0, "")
