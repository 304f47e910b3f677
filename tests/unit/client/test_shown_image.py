"""``show`` never takes the built-in slots for what an ECU runs whose product has its own installer."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from click.testing import CliRunner

from tests.unit.client.test_release_counters import Flash
from tests.unit.client.vehicle import roots
from twinlock.cli.main import main
from twinlock.client.ecu.config import load_secondary
from twinlock.client.ecu.identity import load_identity
from twinlock.client.ecu.provision import EcuPlan, provision_secondary
from twinlock.client.model.results import Outcome
from twinlock.client.secondary.secondary import Secondary
from twinlock.client.storage.state import TrustedState
from twinlock.testing import Repositories, TestVehicle
from twinlock.testing.simulator.world import BRAKE, GATEWAY, VIN, World


def shown(role: str, directory: Path, *more: str) -> str:
    answer = CliRunner().invoke(main, [role, "show", str(directory), *more])
    assert answer.exit_code == 0, answer.output
    return answer.stdout


def test_a_primary_shows_what_its_own_installer_reported(tmp_path: Path) -> None:
    with Repositories() as servers:
        vehicle = TestVehicle(servers, tmp_path / "gateway", installer=Flash())
        asyncio.run(vehicle.open().close())
        (ecu,) = json.loads(shown("primary", tmp_path / "gateway", "--json"))["ecus"]
        assert ecu["installed"] is None
        assert "(unknown)" in shown("primary", tmp_path / "gateway")
        assert vehicle.update().outcome is Outcome.UPDATED
        assert GATEWAY.path(1) in shown("primary", tmp_path / "gateway")
        words = ["trusted", "why", GATEWAY.path(1), str(tmp_path / "gateway")]
        assert CliRunner().invoke(main, words).exit_code == 0

        vehicle.installer = None  # the product goes back to the built-in one, whose slots were never written
        asyncio.run(vehicle.open().close())
        (ecu,) = json.loads(shown("primary", tmp_path / "gateway", "--json"))["ecus"]
        assert ecu["installed"]["path"] == "factory"


def test_a_secondary_with_its_own_installer_runs_what_only_that_knows(tmp_path: Path) -> None:
    plan = EcuPlan(vehicle=VIN, ecu=BRAKE.ecu, hardware_id=BRAKE.hardware_id)
    provision_secondary(tmp_path / "brake", plan, roots(World()), verification="full", listen="unix:link.sock")
    assert "runs factory, listens on" in shown("secondary", tmp_path / "brake")
    config = load_secondary(tmp_path / "brake" / "secondary.json")
    state = TrustedState.open(config.state, limits=config.limits)
    Secondary(config, state=state, identity=load_identity(config.key), installer=Flash()).close()
    assert "runs (unknown), listens on" in shown("secondary", tmp_path / "brake")
