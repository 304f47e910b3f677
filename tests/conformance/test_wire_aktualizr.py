"""What an aktualizr client asks of servers: every statement of the list has tests, and these exist."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from conformance.requirements import HERE, PROJECT
from conformance.symbols import has_symbol

STATEMENTS: dict[str, dict[str, Any]] = yaml.safe_load((HERE / "wire-aktualizr.yaml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("statement", sorted(STATEMENTS))
def test_every_statement_about_servers_is_shown(statement: str) -> None:
    entry = STATEMENTS[statement]
    assert set(entry) == {"who", "says", "tests"}
    assert entry["who"] in {"image", "director", "both"}
    assert entry["tests"]
    assert not [test for test in entry["tests"] if "::" not in test or not has_symbol(PROJECT, test)]


def test_each_server_is_asked_something() -> None:
    asked = [entry["who"] for entry in STATEMENTS.values()]
    assert {"image", "director", "both"} == set(asked)
    assert not has_symbol(PROJECT, "tests/e2e/test_mixed_fleet.py::test_of_no_such_name")
