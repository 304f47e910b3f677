"""The oracle shares nothing with what it judges, and its own knobs do what they say."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.aktualizr.client import VirtualAktualizr
from tests.aktualizr.config import Config, Secondary
from tests.aktualizr.publisher import Publisher
from tests.aktualizr.real import RealAktualizr
from tests.aktualizr.server import serving
from tests.aktualizr.trial import ECU, FIRST
from tests.architecture.source import all_modules, below, imports


def test_nothing_of_twinlock_is_imported() -> None:
    modules = [module for module in all_modules() if module.path.startswith("tests/aktualizr/")]
    assert len(modules) > 20
    assert not [(each.path, name) for each in modules for name in imports(each.tree) if below(name, "twinlock")]


@pytest.mark.parametrize(("year", "installed"), [(2035, True), (2036, False), (2037, False)])
def test_the_clock_is_the_tests(year: int, installed: bool) -> None:
    publisher = Publisher()
    publisher.release(FIRST, b"image", ECU)
    with serving(publisher) as served:
        run = VirtualAktualizr(Config(server=served.url, now=lambda: datetime(year, 1, 1, tzinfo=UTC))).once()
    assert run.success is installed
    assert run.said("The root metadata was expired.") is not installed


@pytest.mark.parametrize(
    "config",
    [
        Config(install_result="INSTALL_FAILED"),
        Config(now=lambda: datetime(2030, 1, 1, tzinfo=UTC)),
        Config(secondaries=(Secondary(serial="s", hardware_id="h", kind="ip"),)),
        Config(secondaries=(Secondary(serial="s", hardware_id="h", install_result="INSTALL_FAILED"),)),
    ],
)
def test_the_real_client_refuses_what_only_the_virtual_one_can(config: Config, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="only the simulated client"):
        RealAktualizr(config, tmp_path, "/nonexistent/aktualizr").once()
