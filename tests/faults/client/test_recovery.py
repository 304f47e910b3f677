"""A damaged state file: what can be proven of it is kept, no counter begins at zero, and no older file gets in afterwards."""

from __future__ import annotations

import asyncio
import json
import shutil
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.faults.client.dying import every_death
from tests.unit.client.vehicle import roots
from twinlock.cli.main import main
from twinlock.client.ecu.config import load_secondary
from twinlock.client.ecu.provision import EcuPlan, provision_secondary
from twinlock.client.ecu.recovery import check_damaged, recover_state
from twinlock.client.model.errors import NotDamagedError, RootInUseError, UnrecoverableError
from twinlock.client.secondary.secondary import Secondary
from twinlock.client.storage.bundle import Bundle
from twinlock.client.storage.database import bytes_column
from twinlock.client.storage.state import TrustedState
from twinlock.testing.simulator.director import DirectorSimulator
from twinlock.testing.simulator.repository import RepositorySimulator
from twinlock.testing.simulator.world import BRAKE, VIN, World
from twinlock.trust.errors.base import RefusalError, UsageError
from twinlock.trust.errors.local import StorageError
from twinlock.trust.errors.metadata import RollbackError
from twinlock.trust.errors.usage import GivenRootError
from twinlock.trust.names import DIRECTOR, IMAGE
from twinlock.trust.state.stored_floor import decode_floor
from twinlock.trust.wire.tuf.reports import decode_report


def bundle(world: World) -> bytes:
    return Bundle({DIRECTOR: world.director.files, IMAGE: world.image.files}).encode()


def updated(world: World, config: Path) -> None:
    with Secondary.open(config, wall=world.time) as secondary:
        entry = secondary.accept_metadata(bundle(world))
        assert entry is not None

        async def chunks() -> AsyncIterator[bytes]:
            yield BRAKE.image(world.releases)

        asyncio.run(secondary.accept_image(entry.path, chunks()))
        secondary.report()


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def config(tmp_path: Path, world: World) -> Path:
    plan = EcuPlan(vehicle=VIN, ecu=BRAKE.ecu, hardware_id=BRAKE.hardware_id)
    provision_secondary(tmp_path / "s", plan, roots(world), verification="full", listen="http://127.0.0.1:0")
    return tmp_path / "s" / "secondary.json"


def damage(config: Path, *tables: str) -> None:
    """Overwrite the pages of these tables, as a worn-out flash does; the file no longer passes for whole."""
    path = config.parent / "state.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    overwrite(path, *tables)


def overwrite(path: Path, *tables: str) -> None:
    """Overwrite the pages of these tables in the file itself, whatever its log has."""
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro&immutable=1", uri=True)) as connection:
        (size,) = connection.execute("PRAGMA page_size").fetchone()
        pages = [
            page
            for table in tables
            for (page,) in connection.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (table,))
        ]
    data = bytearray(path.read_bytes())
    for page in pages:
        data[(page - 1) * size : page * size] = b"\xff" * size
    path.write_bytes(data)


@pytest.mark.parametrize("lost", ["facts", "floors", "reports"])
def test_what_can_be_read_is_kept_and_nothing_older_gets_in(world: World, config: Path, lost: str) -> None:
    updated(world, config)
    old = bundle(world)
    world.release()
    updated(world, config)
    damage(config, lost)
    with pytest.raises(StorageError):
        Secondary.open(config, wall=world.time)

    settings = load_secondary(config)
    check_damaged(settings)
    found = recover_state(settings, {}, None, world.now)
    assert found.damaged is not None
    assert found.damaged.exists()
    assert found.release_counter == 2
    assert found.versions[DIRECTOR]["targets"] == world.director.bodies["targets"]["version"]
    with Secondary.open(config, wall=world.time) as secondary:
        assert decode_report(secondary.report()).report.counter == int(world.now.timestamp()) + 1
        with pytest.raises(RollbackError):
            secondary.accept_metadata(old)
    world.pass_time(hours=1)
    world.release()
    updated(world, config)
    assert load_secondary(config).state.exists()


def test_where_nothing_can_be_read_the_operator_brings_the_anchor_and_the_counter(world: World, config: Path) -> None:
    updated(world, config)
    (config.parent / "state.db").write_bytes(b"\x00" * 4096)
    (config.parent / "slots" / "active.json").unlink()
    settings = load_secondary(config)
    with pytest.raises(UnrecoverableError) as caught:
        recover_state(settings, {}, None, world.now)
    assert (caught.value.missing, caught.value.option) == ("Root of director", "--director-root")
    given = {DIRECTOR: world.director.files["1.root.json"], IMAGE: world.image.files["1.root.json"]}
    with pytest.raises(UnrecoverableError) as caught:
        recover_state(settings, given, None, world.now)
    assert caught.value.option == "--release-counter"
    assert (config.parent / "state.db").read_bytes() == b"\x00" * 4096
    assert recover_state(settings, given, 1, world.now).release_counter == 1
    world.now += timedelta(hours=1)
    world.release()
    updated(world, config)


def test_the_command_leaves_a_state_that_is_not_damaged_alone(world: World, config: Path) -> None:
    updated(world, config)
    runner, directory = CliRunner(), str(config.parent)
    before = (config.parent / "state.db").read_bytes()
    refused = runner.invoke(main, ["secondary", "recover", directory])
    assert refused.exit_code == 2
    assert (config.parent / "state.db").read_bytes() == before
    damage(config, "facts")
    done = runner.invoke(main, ["secondary", "recover", directory, "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["releaseCounter"] == 1
    with Secondary.open(config, wall=world.time) as secondary:
        assert secondary.installed().path == BRAKE.path(1)


def lose(config: Path) -> None:
    for path in config.parent.glob("state.db*"):
        path.unlink()


def test_a_lost_state_file_names_the_way_out_and_it_leads_out(world: World, config: Path, tmp_path: Path) -> None:
    updated(world, config)
    lose(config)
    with pytest.raises(StorageError) as caught:
        Secondary.open(config, wall=world.time)
    assert "secondary recover" in caught.value.reason
    runner, directory = CliRunner(), str(config.parent)
    refused = runner.invoke(main, ["secondary", "recover", directory])
    assert refused.exit_code == 2
    assert "--director-root" in refused.output
    options = []
    for name in (DIRECTOR, IMAGE):
        path = tmp_path / f"{name}.json"
        path.write_bytes(world.repositories[name].files["1.root.json"])
        options += [f"--{name}-root", str(path)]
    done = runner.invoke(main, ["secondary", "recover", directory, *options, "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["damaged"] is None
    assert json.loads(done.stdout)["releaseCounter"] == 1  # of the slot's record
    world.pass_time(hours=1)
    world.release()
    updated(world, config)


def test_the_roots_of_an_anchor_need_not_be_given(world: World, config: Path) -> None:
    anchor = config.parent / "anchor"
    anchor.mkdir()
    for name in (DIRECTOR, IMAGE):
        (anchor / f"{name}.root.json").write_bytes(world.repositories[name].files["1.root.json"])
    config.write_text(json.dumps(json.loads(config.read_text()) | {"anchor": str(anchor)}))
    updated(world, config)
    lose(config)
    done = CliRunner().invoke(main, ["secondary", "recover", str(config.parent)])
    assert done.exit_code == 0, done.output
    world.pass_time(hours=1)
    world.release()
    updated(world, config)


def test_roots_that_an_operator_confused_are_refused_before_anything_is_written(world: World, config: Path) -> None:
    updated(world, config)
    damage(config, "metadata")
    before = (config.parent / "state.db").read_bytes()
    given = {DIRECTOR: world.director.files["1.root.json"], IMAGE: world.image.files["1.root.json"]}
    with pytest.raises(GivenRootError):
        recover_state(load_secondary(config), {DIRECTOR: given[DIRECTOR], IMAGE: given[DIRECTOR]}, 0, world.now)
    assert (config.parent / "state.db").read_bytes() == before
    recover_state(load_secondary(config), given, 0, world.now)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_recovery_that_was_killed_can_be_repeated_and_loses_nothing(world: World, config: Path) -> None:
    """The rows that only the log has are the newest: a recovery that read the file without its log would lower a floor."""
    updated(world, config)
    old = bundle(world)
    writer = Secondary.open(
        config, wall=world.time
    )  # the log is merged when the last connection closes, and this one stays
    world.release()
    entry = writer.accept_metadata(bundle(world))
    assert entry is not None
    place, first = config.parent, config.parent.with_name("first")
    shutil.copytree(place, first)
    assert (first / "state.db-wal").stat().st_size > 0
    writer.close()
    overwrite(first / "state.db", "reports")  # an empty table, so that every other row can be read

    def again() -> None:
        shutil.rmtree(place)
        shutil.copytree(first, place)

    again()
    for _number in every_death(lambda: recover_state(load_secondary(config), {}, None, world.now)):
        if (place / "state.db").exists() and _usable(config):
            assert CliRunner().invoke(main, ["secondary", "recover", str(place)]).exit_code == 2
        else:
            assert recover_state(load_secondary(config), {}, None, world.now).damaged is not None
            assert [path.name for path in place.iterdir() if "recover" in path.name] == []
        with Secondary.open(config, wall=world.time) as secondary, pytest.raises(RollbackError):
            secondary.accept_metadata(old)
        again()


def _usable(config: Path) -> bool:
    try:
        check_damaged(load_secondary(config))
    except NotDamagedError:
        return True
    return False


def stranger(world: World, name: str) -> bytes:
    """A Root that is sound, and another repository's."""
    if name == DIRECTOR:
        return DirectorSimulator(world.keys, world.time, VIN, f"other-{name}").files["1.root.json"]
    return RepositorySimulator(f"other-{name}", world.keys, world.time).files["1.root.json"]


@pytest.fixture
def mistaken(world: World, config: Path) -> tuple[Path, bytes]:
    """An ECU whose metadata were lost and that was recovered with other repositories' Roots, and what it had accepted before."""
    updated(world, config)
    old = bundle(world)
    world.release()
    updated(world, config)
    damage(config, "metadata")
    wrong = {name: stranger(world, name) for name in (DIRECTOR, IMAGE)}
    recover_state(load_secondary(config), wrong, None, world.now)
    world.pass_time(hours=1)
    with Secondary.open(config, wall=world.time) as secondary, pytest.raises(RefusalError):
        secondary.accept_metadata(bundle(world))
    return config, old


def kept(config: Path) -> tuple[int | None, dict[str, dict[str, int]]]:
    """The release counter and the version of each floor, as they are stored."""
    settings = load_secondary(config)
    with TrustedState.open(settings.state, limits=settings.limits, read_only=True) as state:
        rows = state._database.rows("SELECT repository, role, floor FROM floors")
        floors: dict[str, dict[str, int]] = {DIRECTOR: {}, IMAGE: {}}
        for repository, role, floor in rows:
            floors[str(repository)][str(role)] = decode_floor(bytes_column(floor), "floor").version
        return state.release_counter, floors


def test_a_recovery_with_wrong_roots_is_corrected_and_no_floor_falls(
    world: World, mistaken: tuple[Path, bytes]
) -> None:
    config, old = mistaken
    before = kept(config)
    assert before[0] == 2
    assert before[1][DIRECTOR]["targets"] > 1
    options = []
    for name in (DIRECTOR, IMAGE):
        path = config.parent / f"{name}-root.json"
        path.write_bytes(world.repositories[name].files["1.root.json"])
        options += [f"--{name}-root", str(path)]
    words = ["secondary", "recover", str(config.parent), *options]
    refused = CliRunner().invoke(main, words)
    assert (refused.exit_code, "--again" in refused.output) == (2, True)
    done = CliRunner().invoke(main, [*words, "--again", "--json"])
    assert done.exit_code == 0, done.output
    shown = json.loads(done.stdout)
    assert (shown["releaseCounter"], shown["damaged"]) == (2, str(config.parent / "state.db.damaged-2"))
    assert (config.parent / "state.db.damaged-1").exists()
    assert kept(config) == before
    with Secondary.open(config, wall=world.time) as secondary, pytest.raises(RollbackError):
        secondary.accept_metadata(old)
    world.release()
    updated(world, config)
    for again in ([*words, "--again"], [*words[:3], "--again", *options[:2]]):
        used = CliRunner().invoke(main, again)
        assert (used.exit_code, "error[root-in-use]" in used.output) == (2, True)


def test_roots_that_no_recovery_was_given_are_not_replaced(world: World, config: Path) -> None:
    settings, wrong = load_secondary(config), {IMAGE: stranger(world, IMAGE)}
    for roots_given, error in ((wrong, RootInUseError), ({}, UsageError)):
        with pytest.raises(error):
            recover_state(settings, roots_given, 1, world.now, again=True)
    updated(world, config)
    damage(config, "facts")
    recover_state(settings, {}, None, world.now)
    with pytest.raises(RootInUseError) as caught:
        recover_state(settings, wrong, None, world.now, again=True)
    assert caught.value.reason == "no recovery was given this Root"


def test_one_wrong_root_of_two_is_corrected_and_the_other_repository_stays(world: World, config: Path) -> None:
    updated(world, config)
    settings = load_secondary(config)
    settings.state.write_bytes(b"damaged")
    given = {name: world.repositories[name].files["1.root.json"] for name in (DIRECTOR, IMAGE)}
    recover_state(settings, {**given, IMAGE: stranger(world, IMAGE)}, None, world.now)
    found = recover_state(settings, {IMAGE: given[IMAGE]}, None, world.now, again=True)
    assert set(found.versions) == {DIRECTOR, IMAGE}
    assert found.release_counter == 1
    world.pass_time(hours=1)
    world.release()
    updated(world, config)
