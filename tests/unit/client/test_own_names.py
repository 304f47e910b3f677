"""An ECU whose configuration names another one than it was made as does not start: its Director would record an attack."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.unit.client.vehicle import roots
from twinlock.cli.main import main
from twinlock.client.ecu.provision import EcuPlan, provision_primary, provision_secondary
from twinlock.client.model.errors import ConfigurationError
from twinlock.client.primary.primary import Primary
from twinlock.client.secondary.secondary import Secondary
from twinlock.client.storage.database import Database
from twinlock.testing.simulator.world import BRAKE, GATEWAY, VIN, World

NAMES = ("vehicle", "ecu", "hardwareId")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory, world = tmp_path_factory.mktemp("ecus"), World()
    brake = EcuPlan(vehicle=VIN, ecu=BRAKE.ecu, hardware_id=BRAKE.hardware_id)
    provision_secondary(directory / "secondary", brake, roots(world), verification="full", listen="unix:link.sock")
    gateway = EcuPlan(vehicle=VIN, ecu=GATEWAY.ecu, hardware_id=GATEWAY.hardware_id)
    provision_primary(directory / "primary", gateway, roots(world))
    return directory


@pytest.fixture(params=["primary", "secondary"])
def config(request: pytest.FixtureRequest, made: Path, tmp_path: Path) -> Iterator[Path]:
    """The configuration of a provisioned ECU of either role, to change."""
    shutil.copytree(made / request.param, tmp_path / "ecu")
    yield tmp_path / "ecu" / f"{request.param}.json"


def start(config: Path) -> None:
    """Open the ECU, and close it."""
    if config.stem == "secondary":
        Secondary.open(config).close()
    else:
        asyncio.run(Primary.open(config).close())


def rename(config: Path, name: str, value: str) -> str:
    """Change one member; what it was."""
    values = json.loads(config.read_text())
    config.write_text(json.dumps(values | {name: value}))
    return str(values[name])


@pytest.mark.parametrize("name", NAMES)
def test_a_name_that_was_changed_is_an_error_of_the_configuration(config: Path, name: str) -> None:
    before = rename(config, name, "typo")
    with pytest.raises(ConfigurationError) as refused:
        start(config)
    assert (refused.value.path, refused.value.field) == (str(config), name)
    assert f"this ECU was made as {before}" in refused.value.reason
    words = [config.stem, "update" if config.stem == "primary" else "run", str(config.parent)]
    answer = CliRunner().invoke(main, words)
    assert (answer.exit_code, "attack" in answer.output) == (2, False), answer.output
    rename(config, name, before)
    start(config)


def test_an_ecu_that_an_earlier_version_made_is_held_to_the_names_of_its_first_start(config: Path) -> None:
    with closing(Database.open(config.parent / "state.db")) as database, database.transaction("forget") as connection:
        connection.execute("DELETE FROM facts WHERE name = 'provisioned-as'")
    start(config)
    rename(config, "ecu", "typo")
    with pytest.raises(ConfigurationError):
        start(config)
