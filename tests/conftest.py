"""What every test shares: output of commands is held to its schema, and tests of missing programs are left out and named."""

from __future__ import annotations

import shutil

import pytest
from hypothesis import HealthCheck, settings

from tests.published_schemas import hold_output

# Speed is measured in bench/, never asserted: a busy machine fails no property.
settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")

# Programs that a test may ask for with `@pytest.mark.needs(...)`. `make system` installs none of them.
UNINSTALLED = ("cargo",)


def pytest_configure() -> None:
    """Hold every command that a test runs to its published JSON Schema."""
    hold_output()


def pytest_report_header() -> list[str]:
    """Say which programs are missing, so that a run never looks as if it had tried them."""
    missing = [command for command in UNINSTALLED if shutil.which(command) is None]
    return [f"left out, {command} is not on PATH: the tests marked needs({command!r})" for command in missing]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect the tests that need a program which is not here."""
    left_out = [item for item in items if any(shutil.which(command) is None for command in _needs(item))]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


def _needs(item: pytest.Item) -> list[str]:
    needed = [command for mark in item.iter_markers("needs") for command in mark.args]
    unknown = set(needed) - set(UNINSTALLED)
    assert not unknown, f"{item.nodeid} needs {unknown}, which tests/conftest.py does not name"
    return needed
