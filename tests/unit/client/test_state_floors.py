"""Floors in trusted state: stored with their files in one transaction, kept without them, and made by migration."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from twinlock.client.storage.database import SCHEMA_VERSION
from twinlock.client.storage.state import TrustedState
from twinlock.testing.simulator.world import World
from twinlock.trust.engine.commands import Answer, Command, Fetch, Persist, drive
from twinlock.trust.engine.refresh import refresh_repository
from twinlock.trust.errors.local import StorageError
from twinlock.trust.errors.metadata import RollbackError
from twinlock.trust.limits import DEFAULT_LIMITS
from twinlock.trust.names import DIRECTOR, IMAGE, ROOT, SNAPSHOT, TARGETS, TIMESTAMP, RoleName
from twinlock.trust.state.floors import Floor
from twinlock.trust.state.stored_floor import encode_floor

ALL = {ROOT, TIMESTAMP, SNAPSHOT, TARGETS}


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def path(tmp_path: Path, world: World) -> Path:
    """The state of a vehicle that has refreshed both repositories, the Image repository over a rotated Root."""
    roots = {name: world.repositories[name].files["1.root.json"] for name in (DIRECTOR, IMAGE)}
    world.image.publish_root()
    with TrustedState.create(tmp_path / "state.db", roots, limits=DEFAULT_LIMITS) as state:
        for name in (DIRECTOR, IMAGE):
            refresh(state, world, name)
    return tmp_path / "state.db"


def refresh(state: TrustedState, world: World, name: str) -> None:
    def answer(command: Command) -> Answer:
        if isinstance(command, Fetch):
            return world.repositories[name].serve(command)
        if isinstance(command, Persist):
            state.persist(command)
        return None

    trusted = state.repository(DIRECTOR if name == DIRECTOR else IMAGE)
    drive(refresh_repository(trusted, world.now), answer)


def floors(path: Path, name: str = IMAGE) -> dict[RoleName, Floor]:
    with TrustedState.open(path, limits=DEFAULT_LIMITS) as state:
        return dict(state.repository(IMAGE if name == IMAGE else DIRECTOR).floors)


def make_old(path: Path) -> None:
    """Turn the file into one of version 1, with proofs of the form that version 1 had."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("DROP TABLE floors")
        connection.execute("UPDATE proofs SET proof = zeroblob(32)")
        connection.execute("PRAGMA user_version = 1")
    connection.close()


def test_floors_survive_their_files(path: Path, world: World) -> None:
    before = floors(path)
    assert set(before) == ALL
    with TrustedState.open(path, limits=DEFAULT_LIMITS) as state:
        state.persist(Persist(IMAGE, tuple((role, 0, None) for role in (TIMESTAMP, SNAPSHOT, TARGETS))))
        assert state.repository(IMAGE).timestamp is None
    assert floors(path) == before
    world.image.bodies["timestamp"]["version"] = 1
    world.image.put("timestamp")
    with TrustedState.open(path, limits=DEFAULT_LIMITS) as state, pytest.raises(RollbackError) as caught:
        refresh(state, world, IMAGE)
    assert (caught.value.role, caught.value.trusted) == (TIMESTAMP, before[TIMESTAMP].version)


def test_a_floor_is_stored_with_its_file_or_not_at_all(path: Path) -> None:
    before = floors(path)
    unstorable: bytes = "a string where bytes belong"  # type: ignore[assignment]
    with TrustedState.open(path, limits=DEFAULT_LIMITS) as state:
        files = state.files(IMAGE)
        changed = {TIMESTAMP: None, SNAPSHOT: before[SNAPSHOT]._replace(version=99)}
        with pytest.raises(StorageError):
            state.persist(Persist(IMAGE, ((TARGETS, 9, b"{}"), (SNAPSHOT, 9, unstorable)), {}, changed))
        assert state.files(IMAGE) == files
    assert floors(path) == before
    with TrustedState.open(path, limits=DEFAULT_LIMITS) as state:
        state.persist(Persist(IMAGE, ((TIMESTAMP, 0, None),), {}, {TIMESTAMP: None}))
    assert floors(path) == {role: floor for role, floor in before.items() if role != TIMESTAMP}
    assert set(floors(path, DIRECTOR)) == ALL


@pytest.mark.parametrize("damaged", [b"", b"{}", b"\xff", b"[]"])
def test_a_damaged_floor_is_an_error_and_no_lower_floor(path: Path, damaged: bytes) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE floors SET floor = ? WHERE role = 'snapshot' AND repository = 'image'", (damaged,))
    connection.close()
    with TrustedState.open(path, limits=DEFAULT_LIMITS) as state:
        with pytest.raises(StorageError) as caught:
            state.repository(IMAGE)
        assert "floor of image/snapshot" in caught.value.reason
        assert state.repository(DIRECTOR).timestamp is not None


def test_state_of_version_1_gets_its_floors_from_its_files(path: Path, world: World) -> None:
    before = {name: floors(path, name) for name in (DIRECTOR, IMAGE)}
    with TrustedState.open(path, limits=DEFAULT_LIMITS) as state:
        state.reserve_counter()
    make_old(path)
    with TrustedState.open(path, read_only=True, limits=DEFAULT_LIMITS) as state:  # a reader changes nothing
        assert set(state.repository(IMAGE).floors) == ALL
    with closing(sqlite3.connect(path)) as connection, connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (1,)
    connection.close()
    after = {name: floors(path, name) for name in (DIRECTOR, IMAGE)}
    for name in (DIRECTOR, IMAGE):
        assert {role: encode_floor(floor._replace(root=0)) for role, floor in after[name].items()} == {
            role: encode_floor(floor._replace(root=0)) for role, floor in before[name].items()
        }
    with closing(sqlite3.connect(path)) as connection, connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)
        assert connection.execute("SELECT count(*) FROM floors").fetchone() == (8,)
        assert connection.execute("SELECT count(*) FROM proofs").fetchone() == (0,)
    connection.close()
    with TrustedState.open(path, limits=DEFAULT_LIMITS) as state:
        assert state.reserve_counter() == 2
        # And the floors hold though every file is lost now.
        state.persist(Persist(IMAGE, tuple((role, 0, None) for role in (TIMESTAMP, SNAPSHOT, TARGETS))))
        world.image.publish("targets")
        refresh(state, world, IMAGE)
        world.image.rewind_all(1)
        with pytest.raises(RollbackError):
            refresh(state, world, IMAGE)


def test_a_migration_that_fails_leaves_the_old_file(path: Path) -> None:
    make_old(path)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE floors (x)")  # in its way
    connection.close()
    with pytest.raises(StorageError):
        TrustedState.open(path, limits=DEFAULT_LIMITS)
    with closing(sqlite3.connect(path)) as connection, connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (1,)
        assert connection.execute("SELECT count(*) FROM proofs").fetchone() == (6,)
        connection.execute("DROP TABLE floors")
    connection.close()
    assert set(floors(path)) == ALL


def test_a_damaged_floor_names_the_way_out_and_no_backup(path: Path) -> None:
    """What a backup would bring back are counters of the past, and then every report is a replay."""
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE floors SET floor = ? WHERE role = 'targets'", (b"{",))
    connection.close()
    with TrustedState.open(path, limits=DEFAULT_LIMITS) as state, pytest.raises(StorageError) as caught:
        state.repository(IMAGE)
    assert "primary recover" in caught.value.reason
    assert "secondary recover" in caught.value.reason
    assert "backup" not in caught.value.reason
