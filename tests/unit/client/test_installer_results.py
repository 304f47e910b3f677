"""What a product's installer returns has to be the approved image, or the installation has failed."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from tests.unit.client.test_boundaries import with_installer
from tests.unit.client.test_primary import drive
from tests.unit.client.vehicle import Car
from twinlock.client.model.errors import InstallerError
from twinlock.client.model.results import Outcome, Step
from twinlock.testing.simulator.world import GATEWAY
from twinlock.trust.model.ecu import InstalledImage
from twinlock.trust.names import target_path


@pytest.mark.parametrize(
    ("member", "value"), [("path", "factory"), ("length", 1), ("hashes", {"sha256": "00" * 32}), ("hashes", {})]
)
def test_an_installer_that_returns_another_image_has_failed(tmp_path: Path, member: str, value: Any) -> None:
    async def scenario(car: Car) -> None:
        data = GATEWAY.image(1)
        right = InstalledImage(target_path(GATEWAY.path(1)), len(data), {"sha256": hashlib.sha256(data).hexdigest()}, 1)
        returned = right._replace(**{member: value})
        result = await with_installer(car, "install", lambda: returned)
        (problem,) = result.problems
        assert isinstance(problem.error, InstallerError)
        assert (problem.step, result.installed, result.outcome) == (Step.INSTALL, (), Outcome.FAILED)
        assert result.reported
        assert car.servers.attacks()[-1][GATEWAY.ecu] in ("", "installer-failed")

    drive(tmp_path, scenario, with_secondaries=False)
