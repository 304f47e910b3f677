"""The option for a read-only trust anchor: from the command through the configuration to an ECU that starts with it."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.unit.client.test_secondary import bundle
from tests.unit.client.vehicle import running_car
from twinlock.cli.main import main
from twinlock.client.ecu.config import load_primary, load_secondary
from twinlock.client.model.results import Outcome
from twinlock.client.primary.primary import Primary
from twinlock.client.secondary.secondary import Secondary
from twinlock.testing.simulator.world import ADAS, BRAKE, VIN, World
from twinlock.trust.errors.local import StorageError


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def anchor(tmp_path: Path, world: World) -> Path:
    made = tmp_path / "anchor"
    made.mkdir()
    for name in ("director", "image"):
        (made / f"{name}.root.json").write_bytes(world.repositories[name].files["1.root.json"])
    return made


def init(kind: str, directory: Path, anchor: Path, *more: str, image: Path | None = None) -> tuple[int, str]:
    arguments = [kind, "init", str(directory), "--vehicle", "VIN1", "--ecu", "ecu-1", "--hardware-id", "hw-1"]
    roots = [
        "--director-root",
        str(anchor / "director.root.json"),
        "--image-root",
        str(image or anchor / "image.root.json"),
    ]
    done = CliRunner().invoke(main, [*arguments, *roots, *more])
    return done.exit_code, done.output


URLS = ("--director-url", "http://127.0.0.1:1/vehicles/VIN1", "--image-url", "http://127.0.0.1:1/image", "--offline")


def test_a_primary_starts_from_its_anchor(tmp_path: Path, anchor: Path) -> None:
    assert init("primary", tmp_path / "gw", anchor, *URLS, "--anchor", str(anchor))[0] == 0
    config = tmp_path / "gw" / "primary.json"
    assert json.loads(config.read_text())["anchor"] == str(anchor)
    assert load_primary(config).anchor == anchor
    asyncio.run(Primary.open(config).close())
    (anchor / "director.root.json").unlink()
    (anchor / "image.root.json").unlink()
    with pytest.raises(StorageError) as caught:
        Primary.open(config)
    assert caught.value.path == str(anchor)


def test_a_secondary_starts_from_its_anchor(tmp_path: Path, anchor: Path) -> None:
    listen = ("--listen", "http://127.0.0.1:0")
    assert init("secondary", tmp_path / "brake", anchor, *listen, "--anchor", str(anchor))[0] == 0
    config = tmp_path / "brake" / "secondary.json"
    assert load_secondary(config).anchor == anchor
    Secondary.open(config).close()


def lose_roots(state: Path) -> None:
    with closing(sqlite3.connect(state)) as connection, connection:
        connection.execute("DELETE FROM metadata WHERE role = 'root'")


def brake(tmp_path: Path, anchor: Path, *more: str) -> Path:
    """The configuration of a Secondary whose stored Roots were lost."""
    arguments = ["secondary", "init", str(tmp_path / "brake"), "--vehicle", VIN, "--ecu", BRAKE.ecu]
    arguments += ["--hardware-id", BRAKE.hardware_id, "--listen", "http://127.0.0.1:0"]
    arguments += ["--director-root", str(anchor / "director.root.json")]
    arguments += ["--image-root", str(anchor / "image.root.json"), *more]
    assert CliRunner().invoke(main, arguments).exit_code == 0
    lose_roots(tmp_path / "brake" / "state.db")
    return tmp_path / "brake" / "secondary.json"


def test_a_secondary_that_lost_its_roots_goes_on_from_its_anchor(tmp_path: Path, anchor: Path, world: World) -> None:
    config = brake(tmp_path, anchor, "--anchor", str(anchor))
    with Secondary.open(config, wall=world.time) as secondary:
        assert secondary.identity()["roots"] == {"director": 1, "image": 1}
        entry = secondary.accept_metadata(bundle(world))
        assert entry is not None
        assert entry.path == BRAKE.path(1)
        world.director.rotate("timestamp")
        secondary.accept_metadata(bundle(world))
        assert secondary.identity()["roots"] == {"director": 2, "image": 1}


def test_a_planted_root_is_not_stated_to_the_primary(tmp_path: Path, anchor: Path, world: World) -> None:
    config = brake(tmp_path, anchor, "--anchor", str(anchor))
    with closing(sqlite3.connect(tmp_path / "brake" / "state.db")) as connection, connection:
        connection.execute("INSERT INTO metadata VALUES ('director', 'root', 999, ?)", (b"{}",))
    with Secondary.open(config, wall=world.time) as secondary:
        assert secondary.identity()["roots"] == {"director": 1, "image": 1}
        assert secondary.accept_metadata(bundle(world)) is not None


def test_without_an_anchor_a_secondary_that_lost_its_roots_states_what_helps(
    tmp_path: Path, anchor: Path, world: World
) -> None:
    with Secondary.open(brake(tmp_path, anchor), wall=world.time) as secondary:
        for method in (secondary.identity, lambda: secondary.accept_metadata(bundle(world))):
            with pytest.raises(StorageError) as caught:
                method()
            assert "provision this ECU with one" in caught.value.reason
        assert [event.code for event in secondary._evidence.events()] == ["storage"]


def test_a_primary_that_lost_its_roots_sends_its_secondaries_those_of_its_anchor(
    tmp_path: Path, anchor: Path, world: World
) -> None:
    async def run() -> None:
        async with running_car(tmp_path, world=world, changes={"anchor": str(anchor)}) as car:
            lose_roots(car.primary.config.state)
            result = await car.primary.update_cycle()
            assert (result.outcome, result.problems) == (Outcome.UPDATED, ())
            assert {ecu: car.paths()[ecu] for ecu in (BRAKE.ecu, ADAS.ecu)} == {
                part.ecu: part.path(1) for part in (BRAKE, ADAS)
            }

    asyncio.run(run())


def test_without_the_option_the_stored_roots_are_believed(tmp_path: Path, anchor: Path) -> None:
    assert init("primary", tmp_path / "gw", anchor, *URLS)[0] == 0
    assert load_primary(tmp_path / "gw" / "primary.json").anchor is None


@pytest.mark.parametrize("wrong", ["other", "missing"])
def test_an_anchor_with_other_roots_makes_nothing(tmp_path: Path, anchor: Path, wrong: str) -> None:
    image = tmp_path / "image.json"
    image.write_bytes((anchor / "image.root.json").read_bytes())
    (anchor / "image.root.json").unlink()
    if wrong == "other":
        (anchor / "image.root.json").write_bytes((anchor / "director.root.json").read_bytes())
    status, output = init("primary", tmp_path / "gw", anchor, *URLS, "--anchor", str(anchor), image=image)
    assert status == 2
    assert "image.root.json is not the Root given for the repository image" in output
    assert not (tmp_path / "gw").exists()
