"""Every vector of ``metadata-fixtures`` against the engine, read as another implementation would read it.

Nothing of the simulator is used here: a case is files, and its reader refuses what the format does not know. Cases of
manifests are run by ``test_manifest_fixtures.py``.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from twinlock.trust.engine.commands import ABSENT, Answer, Command, Fetch, Notice, Persist, drive
from twinlock.trust.engine.refresh import refresh_repository
from twinlock.trust.engine.restore import restore_repository
from twinlock.trust.engine.verification import full_verification, partial_verification
from twinlock.trust.errors.base import RefusalError
from twinlock.trust.errors.images import EndlessDataError
from twinlock.trust.model.ecu import Ecu, InstalledImage
from twinlock.trust.names import EcuId, HardwareId, RepositoryName, RoleName, VehicleId, target_path
from twinlock.trust.policy import LAX
from twinlock.trust.state.floors import Floor
from twinlock.trust.state.repository_map import decode_map
from twinlock.trust.state.trusted import Decision, TrustedRepository, TrustedVehicle, Vehicle
from twinlock.trust.wire.profiles import PROFILES

ROOT = Path(__file__).resolve().parents[2] / "metadata-fixtures"
FORMAT = 2
RULES = {"tuf", "uptane", "ours"}
MEMBERS = {
    *("format", "comment", "rule", "wire", "verification", "now", "vehicle", "installed"),
    *("map", "asked", "trusted", "offered", "expect", "then"),
}
LATER = {"now", "asked", "offered", "expect"}
EXPECT = {
    "accepted": {"verdict", "approved", "notices"},
    "refused": {"verdict", "code", "attack", "clause", "fields", "approved"},
}
# Refusals that only the Director's files cause, and those of a name or an entry: the engine's own do not repeat where.
OF_DIRECTOR = {"other-vehicle", "unknown-ecu", "duplicate-ecu", "director-delegates"}
OF_ENTRY = {"unsafe-path", "wrong-hardware", "release-counter", "target-format", "unsupported-target-format"}
FILE = re.compile(r"(?:.*/)?(?:(\d+)\.)?([^/]+)\.json")


@dataclass
class Stored:
    """What the vehicle keeps of one repository."""

    roots: dict[int, bytes] = field(default_factory=dict)
    files: dict[RoleName, bytes] = field(default_factory=dict)
    floors: dict[RoleName, Floor] = field(default_factory=dict)

    def apply(self, command: Persist) -> None:
        for role, version, data in command.files:
            if role == "root":
                assert data is not None
                self.roots[version] = data
            elif data is None:
                self.files.pop(role, None)
            else:
                self.files[role] = data
        for role, floor in command.floors.items():
            self.floors.pop(role, None)
            if floor is not None:
                self.floors[role] = floor


class Run:
    """One case being run: its document, the cycle it is in, and what the engine asked, kept and reported."""

    def __init__(self, case: dict[str, Any]) -> None:
        self.case, self.cycle = case, case
        self.wire = PROFILES[case["wire"]]
        self.stored = {name: self._read(files) for name, files in case["trusted"].items()}
        self.installed = {
            EcuId(ecu): InstalledImage(
                path=target_path(image["path"]),
                length=image["length"],
                hashes=image["hashes"],
                release_counter=image["releaseCounter"],
            )
            for ecu, image in case["installed"].items()
        }
        self.notices: list[str] = []

    def cycles(self) -> Iterator[dict[str, Any]]:
        for cycle in (self.case, *self.case["then"]):
            self.cycle, self.notices = cycle, []
            yield cycle["expect"]

    def answer(self, command: Command) -> Answer:
        if isinstance(command, Notice):
            self.notices.append(command.error.code)
        if isinstance(command, Persist):
            self.stored[command.repository].apply(command)
        if not isinstance(command, Fetch):
            return None
        path: str | None = self.cycle["offered"][command.repository].get(command.name)
        if path is None:
            return ABSENT
        data = (ROOT / path).read_bytes()
        if len(data) > command.max_bytes:
            raise EndlessDataError(what=command.name, limit_bytes=command.max_bytes)
        return data

    def verify(self) -> list[str]:
        """Run the verification that the case is about; gives the names of approved images, which are installed."""
        now = datetime.strptime(self.cycle["now"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
        trusted = {name: self.restore(name) for name in self.stored}
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
        for image in decision.approved:
            entry = image.entry
            self.installed[image.ecu] = InstalledImage(
                path=entry.path, length=entry.length, hashes=entry.hashes, release_counter=entry.release_counter
            )
        return sorted(image.entry.path for image in decision.approved)

    def restore(self, repository: str) -> TrustedRepository:
        kept = self.stored[repository]
        files = {**kept.files, RoleName("root"): kept.roots[max(kept.roots)]}
        return restore_repository(RepositoryName(repository), files, wire=self.wire, floors=kept.floors)

    def vehicle(self) -> Vehicle:
        described = self.case["vehicle"]
        ecus = {
            EcuId(ecu): Ecu(ecu=EcuId(ecu), hardware_id=HardwareId(kind)) for ecu, kind in described["ecus"].items()
        }
        return Vehicle(
            vehicle=VehicleId(described["vehicle"]),
            ecus=ecus,
            installed=self.installed,
            complete=described["complete"],
        )

    @staticmethod
    def _read(files: dict[str, str]) -> Stored:
        stored = Stored()
        for name, path in files.items():
            found = FILE.fullmatch(name)
            assert found is not None
            role, data = RoleName(unquote(found[2])), (ROOT / path).read_bytes()
            if role == "root":
                stored.roots[int(found[1])] = data
            else:
                stored.files[role] = data
        return stored


def load(directory: Path) -> Run:
    """Read a case strictly."""
    case = json.loads((directory / "case.json").read_text(encoding="utf-8"))
    cycles = [case, *case.get("then", [])]
    if (
        case.get("format") != FORMAT
        or set(case) != MEMBERS
        or case["rule"] not in RULES
        or any(set(cycle) != LATER for cycle in cycles[1:])
        or any(set(cycle["expect"]) != EXPECT.get(cycle["expect"]["verdict"]) for cycle in cycles)
    ):
        raise ValueError(f"{directory} is not a case of format {FORMAT}: {sorted(case)}")
    return Run(case)


def documents() -> dict[str, dict[str, Any]]:
    """Every ``case.json`` by the name of its directory."""
    paths = sorted(ROOT.glob("*/*/case.json"))
    return {path.parent.relative_to(ROOT).as_posix(): json.loads(path.read_text(encoding="utf-8")) for path in paths}


DOCUMENTS = documents()
CASES = [name for name, case in DOCUMENTS.items() if case["verification"] != "manifest"]


@pytest.mark.parametrize("name", CASES)
def test_fixture(name: str) -> None:
    run = load(ROOT / name)
    for expect in run.cycles():
        if expect["verdict"] == "accepted":
            assert run.verify() == expect["approved"]
            assert run.notices == expect["notices"]
            assert set(expect["approved"]) <= set(run.cycle["asked"])
            continue
        with pytest.raises(RefusalError) as caught:
            run.verify()
        found = caught.value.as_json()
        assert {name: found[name] for name in ("code", "attack", "clause")} == {
            name: expect[name] for name in ("code", "attack", "clause")
        }
        stated = dict(expect["fields"])
        if found["code"] in OF_ENTRY:
            assert stated.pop("repository", "director") in run.stored
        assert {name: value for name, value in placed(found).items() if name in stated} == stated


def placed(found: dict[str, Any]) -> dict[str, Any]:
    """The fields of an error with the repository that ``what`` names, such as ``image/targets``."""
    fields: dict[str, Any] = dict(found["fields"])
    if "what" in fields:
        fields["repository"] = re.split("[/:]", fields["what"])[0]
    if found["code"] in OF_DIRECTOR:
        fields["repository"] = "director"
    return fields


def test_there_are_cases_of_every_kind() -> None:
    counts = Counter((name.partition("/")[0], case["rule"]) for name, case in DOCUMENTS.items())
    assert counts["valid", "uptane"] > 30
    assert counts["hostile", "tuf"] > 200
    assert counts["hostile", "uptane"] > 60
    assert counts["hostile", "ours"] > 60
    assert sum(case.get("wire") == "aktualizr" for case in DOCUMENTS.values()) > 30
    assert sum(len(case.get("then", ())) > 0 for case in DOCUMENTS.values()) > 15
    assert sum("rsa" in name for name in DOCUMENTS) >= 2


def test_a_refusal_states_its_repository_wherever_there_is_one() -> None:
    """Without one are entries on which both repositories agree."""
    without = {
        case["expect"]["code"]
        for name, case in DOCUMENTS.items()
        if name in CASES and case["expect"]["verdict"] == "refused" and "repository" not in case["expect"]["fields"]
    }
    assert without == {"wrong-hardware", "release-counter", "target-format", "unsupported-target-format"}


def test_what_every_client_may_be_held_to() -> None:
    """The letter of TUF 5.3.4 counts key ids, and other content under one version is nobody's rule."""
    ours = {name.partition("/")[2] for name, case in DOCUMENTS.items() if case["rule"] == "ours"}
    assert "arbitrary-software--one-key-under-two-ids-image-targets" in ours
    assert "equivocation--snapshot-image" in ours
    assert "arbitrary-software--unsigned-image-targets" not in ours
    assert DOCUMENTS["hostile/freeze--expires-at-this-very-second-image-timestamp"]["rule"] == "tuf"
    assert DOCUMENTS["hostile/replay--orders-of-another-vehicle"]["rule"] == "uptane"


@pytest.mark.parametrize("where", ["case", "expect"])
def test_an_unknown_member_fails(tmp_path: Path, where: str) -> None:
    case = json.loads((ROOT / CASES[0] / "case.json").read_text(encoding="utf-8"))
    (case if where == "case" else case["expect"])["surprise"] = 1
    (tmp_path / "case.json").write_text(json.dumps(case), encoding="utf-8")
    with pytest.raises(ValueError, match="not a case"):
        load(tmp_path)


def test_every_file_belongs_to_a_case() -> None:
    used = {step["manifest"] for case in DOCUMENTS.values() for step in case.get("steps", ())}
    for name in CASES:
        case = DOCUMENTS[name]
        for files in (case["trusted"], *(cycle["offered"] for cycle in (case, *case["then"]))):
            used |= {path for named in files.values() for path in named.values()}
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
