"""The option for a read-only trust anchor: from the command through the configuration to an ECU that starts with it."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from twinlock.cli.main import main
from twinlock.client.ecu.config import load_primary, load_secondary
from twinlock.client.primary.primary import Primary
from twinlock.client.secondary.secondary import Secondary
from twinlock.testing.simulator.world import World
from twinlock.trust.errors.local import StorageError


@pytest.fixture
def anchor(tmp_path: Path) -> Path:
    world = World()
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
