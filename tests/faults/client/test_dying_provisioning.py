"""Killed at any moment of its provisioning, an ECU is made by the same command again, with the key that it had."""

from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.faults.client.dying import every_death
from tests.faults.client.test_recovery import updated
from twinlock.cli.main import main
from twinlock.client.ecu.identity import load_identity
from twinlock.client.model.results import Outcome
from twinlock.client.primary.primary import Primary
from twinlock.client.secondary.secondary import Secondary
from twinlock.testing import Repositories
from twinlock.testing.simulator.world import BRAKE, GATEWAY, VIN, World


def init(words: list[str]) -> tuple[int, str]:
    """The exit status and the output of the command."""
    answer = CliRunner().invoke(main, words)
    return answer.exit_code, answer.output


def kept_key(directory: Path) -> str | None:
    path = directory / "identity.pem"
    return load_identity(path).public_key.keyid if path.exists() else None


def died(directory: Path, words: list[str]) -> bool:
    """Repeat the command that was killed; whether it had not ended. The ECU has the key of the first run, if that made one."""
    config = directory / f"{words[0]}.json"
    ended, key = config.exists(), kept_key(directory)
    status, output = init(words)
    assert (status, "holds an ECU already" in output) == ((2, True) if ended else (0, False)), output
    assert key in (None, kept_key(directory))
    assert [path.name for path in directory.iterdir() if "begun" in path.name or ".tmp-" in path.name] == []
    return not ended


def roots(directory: Path, director: bytes, image: bytes) -> list[str]:
    (directory / "director.json").write_bytes(director)
    (directory / "image.json").write_bytes(image)
    return ["--director-root", str(directory / "director.json"), "--image-root", str(directory / "image.json")]


@pytest.fixture
def bench(tmp_path: Path) -> tuple[Repositories, list[str]]:
    """Running repositories, and the command that makes their Primary in ``tmp_path/made``."""
    repositories = Repositories()
    words = ["primary", "init", str(tmp_path / "made"), "--vehicle", VIN, "--ecu", GATEWAY.ecu, "--offline"]
    words += ["--hardware-id", GATEWAY.hardware_id, "--director-url", repositories.director_url]
    words += ["--image-url", repositories.image_url]
    return repositories, words + roots(tmp_path, repositories.director_root, repositories.image_root)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_primary_whose_init_was_killed(tmp_path: Path, bench: tuple[Repositories, list[str]]) -> None:
    repositories, words = bench
    directory, repeated, keys = tmp_path / "made", [], 0
    with repositories:

        async def update() -> None:
            async with Primary.open(directory / "primary.json") as primary:
                assert (await primary.update_cycle()).outcome is Outcome.UPDATED

        for _number in every_death(lambda: main(words, standalone_mode=False)):
            keys += kept_key(directory) is not None
            repeated.append(died(directory, words))
            asyncio.run(update())
            shutil.rmtree(directory)
    assert sum(repeated) > 30
    assert keys > 3, "some deaths come after the key was made"


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_secondary_whose_init_was_killed(tmp_path: Path) -> None:
    world, directory, repeated = World(), tmp_path / "made", []
    words = [
        "secondary",
        "init",
        str(directory),
        "--vehicle",
        VIN,
        "--ecu",
        BRAKE.ecu,
        "--listen",
        "http://127.0.0.1:0",
    ]
    words += ["--hardware-id", BRAKE.hardware_id]
    words += roots(tmp_path, world.director.files["1.root.json"], world.image.files["1.root.json"])
    for _number in every_death(lambda: main(words, standalone_mode=False)):
        repeated.append(died(directory, words))
        updated(world, directory / "secondary.json")
        with Secondary.open(directory / "secondary.json", wall=world.time) as secondary:
            assert secondary.installed().path == BRAKE.path(1)
        shutil.rmtree(directory)
    assert sum(repeated) > 30


@pytest.fixture
def interrupted(tmp_path: Path, bench: tuple[Repositories, list[str]]) -> list[str]:
    """What a killed ``init`` left in ``tmp_path/made``: everything but the name of the configuration. The command."""
    repositories, words = bench
    repositories.close()
    assert init(words)[0] == 0
    (tmp_path / "made" / "primary.json").rename(tmp_path / "made" / "provisioning.begun")
    return words


@pytest.mark.parametrize(
    ("option", "value", "named"),
    [("--ecu", "other", "ecu"), ("--vehicle", "OTHER", "vehicle"), ("--key-type", "rsa", "ed25519")],
)
def test_the_key_that_was_made_is_for_no_other_ecu(
    tmp_path: Path, interrupted: list[str], option: str, value: str, named: str
) -> None:
    key = kept_key(tmp_path / "made")
    status, output = init([*interrupted, option, value])
    assert (status, named in output) == (2, True)
    assert kept_key(tmp_path / "made") == key
    assert init(interrupted)[0] == 0
    assert kept_key(tmp_path / "made") == key


def test_a_repeated_init_may_correct_the_rest_and_leaves_foreign_files(tmp_path: Path, interrupted: list[str]) -> None:
    (tmp_path / "made" / "notes.txt").write_text("mine")
    status, output = init([*interrupted, "--image-url", "nowhere"])
    assert (status, "is not a server URL" in output) == (2, True)
    assert init([*interrupted, "--image-url", "http://127.0.0.1:1/other"])[0] == 0
    stored = json.loads((tmp_path / "made" / "map.json").read_text())
    assert stored["repositories"]["image"] == ["http://127.0.0.1:1/other"]
    assert (tmp_path / "made" / "notes.txt").read_text() == "mine"
