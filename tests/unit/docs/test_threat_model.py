"""``docs/threat-model.md`` has a row for every attack, and every test that it names is there."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from conformance.requirements import load_requirements
from tests.architecture.source import ROOT
from tests.unit.docs.pouf import tables
from twinlock.trust.errors.base import Attack

TEXT = (ROOT / "docs" / "threat-model.md").read_text()
TABLES = tables(TEXT)
NODES = sorted(set(re.findall(r"`(tests/[\w/]+\.py::[^`]+)`", TEXT)))
_CODE = re.compile(r"`([a-z-]+)`")


def missing(named: list[str], collected: set[str]) -> list[str]:
    """The tests among ``named`` that were not collected; one without parameters stands for all of its cases."""
    plain = {node.partition("[")[0] for node in collected}
    return [node for node in named if node not in collected and node not in plain]


@pytest.mark.timeout(300)
def test_every_named_test_is_collected(request: pytest.FixtureRequest) -> None:
    absent = missing(NODES, {item.nodeid for item in request.session.items})
    assert not missing(absent, _collected(absent))


def _collected(named: list[str]) -> set[str]:
    """What pytest finds in the files of ``named``: this run may be about some tests only."""
    files = sorted({node.partition("::")[0] for node in named})
    if not files:
        return set()
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", "-m", "", *files]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=240, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    return set(run.stdout.splitlines())


def test_a_test_that_is_not_there_is_seen() -> None:
    there = {"a.py::one", "a.py::two[x]"}
    assert missing(["a.py::one", "a.py::two", "a.py::two[x]"], there) == []
    assert missing(["a.py::three", "a.py::two[y]", "a.py::tw"], there) == ["a.py::three", "a.py::two[y]", "a.py::tw"]


def test_every_attack_has_a_row() -> None:
    rows = [name for row in TABLES["attacks"] for name in _CODE.findall(row[0])]
    ours = {attack.value for attack in Attack} - {Attack.NONE.value}
    assert sorted(rows) == sorted(ours | load_requirements().attacks.keys())


@pytest.mark.parametrize("mark", ["attackers", "attacks", "limits"])
def test_every_row_names_a_test(mark: str) -> None:
    assert TABLES[mark]
    assert not [row[0] for row in TABLES[mark] if "tests/" not in row[-1]]
