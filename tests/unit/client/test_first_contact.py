"""``primary init`` and ``secondary init`` ask what they can, in both profiles; a refused one leaves nothing behind."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import Result

from tests.unit.client.test_commands import repositories, run, today
from tests.unit.client.test_wire_commands import foreign
from twinlock.testing.servers import Servers
from twinlock.testing.simulator import world as simulated
from twinlock.testing.simulator.keys import KeyPool
from twinlock.testing.simulator.repository import RepositorySimulator
from twinlock.testing.simulator.world import BRAKE, VIN, World

__all__ = ["today"]  # an automatic fixture

Change = Callable[[World, Servers, list[object]], None]


def swap_urls(_world: World, _servers: Servers, options: list[object]) -> None:
    at = [options.index(name) + 1 for name in ("--director-url", "--image-url")]
    options[at[0]], options[at[1]] = options[at[1]], options[at[0]]


def swap_roots(_world: World, _servers: Servers, options: list[object]) -> None:
    at = [options.index(name) + 1 for name in ("--director-root", "--image-root")]
    options[at[0]], options[at[1]] = options[at[1]], options[at[0]]


def one_root(_world: World, _servers: Servers, options: list[object]) -> None:
    options[options.index("--image-root") + 1] = options[options.index("--director-root") + 1]


def other_root(name: str) -> Change:
    def change(world: World, _servers: Servers, options: list[object]) -> None:
        # Another repository of the same form, whose keys are its own.
        other = World(director=world.director.wire.profile.name, image=world.image.wire.profile.name)
        getattr(other, name).rotate("root")
        path = Path(str(options[options.index(f"--{name}-root") + 1]))
        path.write_bytes(getattr(other, name).files["2.root.json"])

    return change


def url(name: str, value: str) -> Change:
    def change(_world: World, servers: Servers, options: list[object]) -> None:
        options[options.index(f"--{name}-url") + 1] = value.replace("BASE", servers.base)

    return change


REFUSED: dict[str, tuple[Change, int, str]] = {
    "swapped addresses": (swap_urls, 2, "check the address"),
    "swapped Roots": (swap_roots, 2, "Root given"),
    "one Root for both": (one_root, 2, "each repository has a Root of its own|names a source of time"),
    "another Director's Root": (other_root("director"), 2, "not signed under that Root|does not serve"),
    "another Image repository's Root": (other_root("image"), 2, "not signed under that Root|does not serve"),
    "no Director there": (url("director", "BASE/elsewhere"), 2, "not this vehicle's URL at a Director"),
    "no Image repository there": (url("image", "BASE/elsewhere"), 2, "does not match the Root given"),
    "a dead Director": (url("director", f"http://127.0.0.1:1/vehicles/{VIN}"), 4, "--offline skips this check"),
    "a dead Image repository": (url("image", "http://127.0.0.1:1"), 4, "--offline skips this check"),
    "another vehicle's address": (url("director", "BASE/vehicles/VIN%2D9"), 2, "the Director's URL of vehicle VIN-9"),
    "an absurd address": (url("image", "htp://images.example"), 2, "not a server URL"),
    "an address with a query": (url("director", "https://gw.example/?key=1"), 2, "not a server URL"),
}
NEVER_ASKED = (
    "another vehicle's address",
    "an absurd address",
    "an address with a query",
    "one Root for both",
    "swapped Roots",
)
"""What is refused with ``--offline`` too."""


@pytest.mark.parametrize("profile", ["tuf", "aktualizr"])
@pytest.mark.parametrize("case", REFUSED)
def test_what_does_not_fit_is_refused_and_leaves_nothing(tmp_path: Path, case: str, profile: str) -> None:
    change, status, said = REFUSED[case]

    async def scenario() -> None:
        async with (repositories if profile == "tuf" else foreign)(tmp_path) as (world, servers, options):
            honest = (tmp_path / "director.json").read_bytes(), (tmp_path / "image.json").read_bytes()
            wrong = list(options)
            change(world, servers, wrong)
            refused = await run("primary", "init", tmp_path / "gw", *wrong)
            assert refused.exit_code == status, refused.output
            assert any(part in refused.output for part in said.split("|")), refused.output
            assert "attack" not in refused.output
            assert not (tmp_path / "gw").exists()
            unasked = await run("primary", "init", tmp_path / "unasked", *wrong, "--offline")
            never = case in NEVER_ASKED
            assert (unasked.exit_code, (tmp_path / "unasked").exists()) == ((2, False) if never else (0, True))
            (tmp_path / "director.json").write_bytes(honest[0])
            (tmp_path / "image.json").write_bytes(honest[1])
            assert (await run("primary", "init", tmp_path / "gw", *options)).exit_code == 0

    asyncio.run(scenario())


@pytest.mark.parametrize("party", ["primary", "secondary"])
def test_an_address_that_serves_another_vehicle_is_refused_whatever_its_form(tmp_path: Path, party: str) -> None:
    """The engine calls such a file a replay; here it is the address that the operator gave."""

    async def scenario() -> None:
        async with repositories(tmp_path) as (world, servers, options):
            world.director.bodies["timestamp"]["custom"] = {"vehicleIdentifier": "VIN-9"}
            world.director.publish("timestamp")
            urls = ("--director-url", servers.director_url, "--image-url", servers.image_url)
            words = (
                ["primary", "init", tmp_path / "brake", *options] if party == "primary" else secondary(tmp_path, *urls)
            )
            refused = await run(*words)
            assert (refused.exit_code, (tmp_path / "brake").exists()) == (2, False), refused.output
            assert "URL of vehicle VIN-9" in refused.output
            assert not {"attack", "replay"} & set(refused.output.split())
            world.director.bodies["timestamp"]["custom"] = {"vehicleIdentifier": VIN}
            world.director.publish("timestamp")
            assert (await run(*words)).exit_code == 0

    asyncio.run(scenario())


def test_a_vehicle_that_its_director_does_not_know_yet_is_made(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with repositories(tmp_path) as (world, _servers, options):
            del world.director.files["timestamp.json"]
            assert (await run("primary", "init", tmp_path / "gw", *options)).exit_code == 0

    asyncio.run(scenario())


def secondary(directory: Path, *more: object) -> list[object]:
    return [
        "secondary", "init", directory / "brake", "--vehicle", VIN, "--ecu", BRAKE.ecu, "--hardware-id",
        BRAKE.hardware_id, "--listen", "unix:link.sock", "--director-root", directory / "director.json",
        "--image-root", directory / "image.json", *more,
    ]  # fmt: skip


def test_a_secondary_asks_where_an_address_is_named_and_does_not_store_it(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with repositories(tmp_path) as (world, servers, options):
            honest = (tmp_path / "director.json").read_bytes()
            other_root("director")(world, servers, options)
            urls = ("--director-url", servers.director_url, "--image-url", servers.image_url)
            refused = await run(*secondary(tmp_path, *urls))
            assert (refused.exit_code, (tmp_path / "brake").exists()) == (2, False)
            (tmp_path / "director.json").write_bytes(honest)
            made = await run(*secondary(tmp_path, *urls))
            assert made.exit_code == 0, made.output
            stored = (tmp_path / "brake" / "secondary.json").read_text() + (tmp_path / "brake" / "map.json").read_text()
            assert servers.base not in stored

    asyncio.run(scenario())


def test_a_secondary_notices_swapped_roots_without_asking(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with repositories(tmp_path) as (_world, _servers, _options):
            director, image = (tmp_path / "director.json").read_bytes(), (tmp_path / "image.json").read_bytes()
            (tmp_path / "director.json").write_bytes(image)
            (tmp_path / "image.json").write_bytes(director)
            refused = await run(*secondary(tmp_path))
            assert (refused.exit_code, (tmp_path / "brake").exists()) == (2, False)
            assert "swap the two files" in refused.output

    asyncio.run(scenario())


def test_a_secondary_notices_another_image_repositorys_root_given_for_the_director(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with repositories(tmp_path) as (_world, _servers, _options):
            other = RepositorySimulator("another", KeyPool(), World().time)
            (tmp_path / "director.json").write_bytes(other.files["1.root.json"])
            refused = await run(*secondary(tmp_path))
            assert (refused.exit_code, (tmp_path / "brake").exists()) == (2, False)
            assert "names no source of time" in " ".join(refused.output.split())

    asyncio.run(scenario())


def test_a_rotated_chain_is_followed_and_an_expired_repository_is_a_warning(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with repositories(tmp_path) as (world, _servers, options):
            for repository in (world.director, world.image):
                repository.rotate("root")
                repository.rotate("timestamp", 3)
            made: Result = await run("primary", "init", tmp_path / "gw", *options, "--json")
            assert (made.exit_code, json.loads(made.stdout)["warnings"]) == (0, []), made.output

    asyncio.run(scenario())


def test_an_expired_repository_is_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulated, "START", simulated.START - timedelta(days=5000))

    async def scenario() -> None:
        async with repositories(tmp_path) as (_world, _servers, options):
            made = await run("primary", "init", tmp_path / "gw", *options, "--json")
            assert made.exit_code == 0, made.output
            director, image = json.loads(made.stdout)["warnings"]
            assert "its newest Root expired" in director
            assert "renew it before vehicles read it" in image

    asyncio.run(scenario())


@pytest.mark.parametrize("broken", ["identity.create_identity", "provision._write_json"])
def test_a_failure_half_way_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    async def scenario() -> None:
        async with repositories(tmp_path) as (_world, _servers, options):
            with monkeypatch.context() as patched:
                patched.setattr(f"twinlock.client.ecu.provision.{broken.partition('.')[2]}", refuse)
                failed = await run("primary", "init", tmp_path / "new" / "gw", *options)
            assert failed.exit_code == 5, failed.output
            assert not (tmp_path / "new").exists()
            assert (await run("primary", "init", tmp_path / "new" / "gw", *options)).exit_code == 0

    asyncio.run(scenario())
