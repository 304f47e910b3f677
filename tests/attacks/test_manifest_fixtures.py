"""The vectors of manifests against a real Director, read as another implementation would read them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.attacks.test_fixtures import DOCUMENTS, FORMAT, ROOT, RULES
from twinlock.director.director import Director
from twinlock.trust.errors.base import RefusalError

CASES = [name for name, case in DOCUMENTS.items() if case["verification"] == "manifest"]
MEMBERS = {"format", "comment", "rule", "verification", "vehicle", "steps"}
STEP = {"now", "arms", "manifest", "expect"}
EXPECT = {
    "accepted": {"verdict", "missing", "noted", "acknowledged", "armed"},
    "refused": {"verdict", "code", "attack", "fields"},
}
SITE = DOCUMENTS["valid/next-release"]["offered"]["image"]


@pytest.fixture
def director(tmp_path: Path) -> Iterator[Director]:
    """A Director that trusts the Image repository of the other vectors."""
    (tmp_path / "site" / "metadata").mkdir(parents=True)
    for name, path in SITE.items():
        (tmp_path / "site" / "metadata" / name).write_bytes((ROOT / path).read_bytes())
    root = (ROOT / SITE["1.root.json"]).read_bytes()
    url = str(tmp_path / "site")
    start = datetime(2030, 1, 1, tzinfo=UTC)
    with Director.create(tmp_path / "director", image_root=root, image_url=url, clock=lambda: start) as made:
        yield made


def load(name: str) -> dict[str, Any]:
    """Read a case strictly."""
    case = DOCUMENTS[name]
    assert (case["format"], set(case), case["rule"] in RULES) == (FORMAT, MEMBERS, True)
    for step in case["steps"]:
        assert (set(step), set(step["expect"])) == (STEP, EXPECT[step["expect"]["verdict"]])
    return case


@pytest.mark.parametrize("name", CASES)
def test_manifest_fixture(director: Director, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    case = load(name)
    whose = case["vehicle"]
    ecus = [{"ecu": ecu, "verification": "full", **described} for ecu, described in whose["ecus"].items()]
    director.register({"vehicle": whose["vehicle"], "primary": whose["primary"], "ecus": ecus})
    for step in case["steps"]:
        now = datetime.strptime(step["now"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
        for ecu, nonce in step["arms"].items():
            monkeypatch.setattr("secrets.token_hex", lambda _bytes, nonce=nonce: nonce)
            director.ways_out.reset_counter(whose["vehicle"], [ecu], now=now)
            monkeypatch.undo()
        check_step(director, whose["vehicle"], step, now)


def check_step(director: Director, vehicle: str, step: dict[str, Any], now: datetime) -> None:
    expect, data = step["expect"], (ROOT / step["manifest"]).read_bytes()
    before = director.vehicle(vehicle)
    if expect["verdict"] == "refused":
        with pytest.raises(RefusalError) as caught:
            director.receive_manifest(data, vehicle=vehicle, now=now)
        found = caught.value.as_json()
        assert (found["code"], found["attack"]) == (expect["code"], expect["attack"])
        assert {name: found["fields"][name] for name in expect["fields"]} == expect["fields"]
        assert director.vehicle(vehicle).reports == before.reports
        return
    events = director.receive_manifest(data, vehicle=vehicle, now=now).events
    assert {(ecu, code) for ecu, code in expect["noted"].items()} <= {(event.ecu, event.code) for event in events}
    after = director.vehicle(vehicle)
    assert [ecu for ecu, item in after.ecus.items() if item.missing_since is not None] == expect["missing"]
    custom = json.loads(director.metadata(vehicle, "targets.json", now=now) or b"")["signed"]["custom"]
    assert custom.get("acknowledged", {}) == expect["acknowledged"]
    assert custom.get("resets", {}) == expect["armed"]


def test_there_are_cases_of_both_kinds() -> None:
    assert {name.partition("/")[0] for name in CASES} == {"valid", "hostile"}
    assert len(CASES) > 12
