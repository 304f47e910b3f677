"""A pytest plugin: runs only the tests that the evidence names, and writes down how each ended.

Used as ``-p conformance.selection`` with two variables of the environment, see ``running.py``.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

SELECT = "TWINLOCK_CONFORMANCE_SELECT"
OUTCOMES = "TWINLOCK_CONFORMANCE_OUTCOMES"
_RANK = {"passed": 0, "skipped": 1, "failed": 2}
_found: dict[str, str] = {}


def selects(selector: str, test: str) -> bool:
    """Whether ``selector`` means ``test``: a file, a class or a function means all within, ``f[x`` each case from x."""
    return (
        test == selector
        or test.startswith((f"{selector}[", f"{selector}::"))
        or ("[" in selector and test.startswith(selector))
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out every test that nobody named."""
    selectors = json.loads(Path(os.environ[SELECT]).read_text(encoding="utf-8"))
    by_file: dict[str, list[str]] = {}
    for selector in selectors:
        by_file.setdefault(selector.partition("::")[0], []).append(selector)
    keep = [
        item
        for item in items
        if any(selects(selector, item.nodeid) for selector in by_file.get(item.nodeid.partition("::")[0], ()))
    ]
    config.hook.pytest_deselected(items=[item for item in items if item not in set(keep)])
    items[:] = keep


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Note the worst of a test's phases; one that was skipped shows nothing."""
    before = _found.get(report.nodeid, "passed")
    _found[report.nodeid] = max(before, report.outcome, key=lambda outcome: _RANK[outcome])


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write the outcomes, in the process that hears of all of them."""
    if not hasattr(session.config, "workerinput"):
        Path(os.environ[OUTCOMES]).write_text(json.dumps(_found), encoding="utf-8")
