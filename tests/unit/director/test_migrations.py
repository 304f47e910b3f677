"""An inventory of an older version is brought up to date when it is opened: wholly, once, and without losing a row."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest

from tests.unit.director.world import TestVehicle
from twinlock.director.director import Director
from twinlock.director.inventory import migrations, schema
from twinlock.director.inventory.database import Inventory
from twinlock.trust.errors.local import StorageError
from twinlock.trust.errors.reports import ReportReplayError

OLD = {version: (Path(__file__).parent / f"schema-{version}.sql").read_text() for version in (1, 2, 3, 4)}
# What versions 1 and 2 kept elsewhere, or under another name.
MOVED = """
UPDATE ecus SET highest_counter = (
    SELECT c.highest FROM current.report_counters c WHERE c.ecu = ecus.ecu AND c.key_identity = ecus.key_identity
);
INSERT INTO events (number, vehicle, manifest, ecu, at, kind, detail)
    SELECT number, vehicle, manifest, ecu, at, CASE WHEN kind = 'attack' THEN 'attack' ELSE code END, detail
    FROM current.events;
"""


def columns(connection: sqlite3.Connection, table: str) -> list[str]:
    return [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]


def tables(connection: sqlite3.Connection) -> list[str]:
    return [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")]


def shape(path: Path) -> dict[str, object]:
    """Everything about the tables that a database enforces: columns, keys, indexes, triggers."""
    with closing(sqlite3.connect(path)) as connection, connection:
        found: dict[str, object] = {
            name: sorted(row[1:] for row in connection.execute(f"PRAGMA table_info({name})"))
            for name in tables(connection)
        }
        query = "SELECT name, sql FROM sqlite_master WHERE type IN ('index', 'trigger') ORDER BY name"
        found[""] = connection.execute(query).fetchall()
    return found


def make_old(path: Path, version: int) -> None:
    """Put the rows of a current inventory into one of schema ``version``."""
    aside = path.with_name("current.sqlite")
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    path.rename(aside)
    for name in (f"{path.name}-wal", f"{path.name}-shm"):
        path.with_name(name).unlink(missing_ok=True)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executescript(OLD[version])
        connection.execute("DELETE FROM schema_version")
        connection.execute("ATTACH ? AS current", (str(aside),))
        for table in tables(connection):
            query = f"PRAGMA current.table_info({table})"
            kept = {row[1] for row in connection.execute(query)} & set(columns(connection, table))
            names = ", ".join(sorted(kept))
            if table != "events" or version > 2:
                connection.execute(f"INSERT INTO {table} ({names}) SELECT {names} FROM current.{table}")
        if version < 3:
            connection.executescript(MOVED)
        connection.execute("UPDATE schema_version SET version = ?", (version,))


def version_of(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection, connection:
        found = connection.execute("SELECT version FROM schema_version").fetchall()
    assert len(found) == 1
    return int(found[0][0])


@pytest.fixture(params=[1, 2, 3, 4])
def old(fleet: Director, car: TestVehicle, request: pytest.FixtureRequest) -> Director:
    """A Director, closed, whose inventory is of an old schema and has rows."""
    fleet.receive_manifest(car.manifest(attack="freeze"))
    fleet.assign("VIN1", {"ecu-gw": "gw/1.4.bin"})
    fleet.issue("VIN1")
    fleet.close()
    make_old(fleet.path / "inventory.sqlite", request.param)
    return fleet


def test_opening_an_old_inventory_brings_it_up_to_date(old: Director, car: TestVehicle) -> None:
    path = old.path / "inventory.sqlite"
    assert version_of(path) < schema.SCHEMA_VERSION
    assert "installations" not in shape(path)
    with Director.open(old.path, clock=old._clock) as opened:
        record = opened.vehicle("VIN1")
        assert record.profile == "tuf"
        assert record.retired == {}
        assert {item.counter_base for item in record.ecus.values()} == {0}
        assert {item.counter for item in record.reports.values()} == {2}
        assert {item.highest_counter for item in record.ecus.values()} == {2}
        events = [event for _, event in opened.events("VIN1")]
        assert {event.kind for event in events if event.ecu == "ecu-gw"} == {"attack"}
        with pytest.raises(ReportReplayError):
            opened.receive_manifest(opened.manifests("VIN1")[0].data)
        assert [item.path for item in opened.assignments("VIN1")] == ["gw/1.4.bin"]
        assert len(opened.manifests("VIN1")) == 2
        assert [(item.ecu, item.path, item.counter) for item in opened.installations("VIN1")] == [
            ("ecu-brake", "brake/1.0.bin", 1),
            ("ecu-gw", "gw/1.3.bin", 1),
        ]
        assert [item["code"] for item in opened.junk("VIN1")] == ["report-replay"]
        assert opened.metadata("VIN1", "1.targets.json") is not None
        opened.receive_manifest(car.manifest())
        assert opened.vehicles()[0].profile == "tuf"
    assert version_of(path) == schema.SCHEMA_VERSION


def test_it_is_then_as_if_it_had_been_made_today(old: Director, tmp_path: Path) -> None:
    Director.open(old.path).close()
    with Inventory.connect("sqlite:///new.sqlite", directory=tmp_path) as database:
        database.create()
    assert shape(old.path / "inventory.sqlite") == shape(tmp_path / "new.sqlite")


def test_what_is_cut_off_leaves_the_old_inventory_and_is_done_again(old: Director) -> None:
    path = old.path / "inventory.sqlite"
    before, version = shape(path), version_of(path)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE installations (x)")  # in the way of the last step
    with pytest.raises(StorageError):
        Director.open(old.path)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("DROP TABLE installations")
    assert shape(path) == before
    assert version_of(path) == version
    Director.open(old.path).close()
    assert version_of(path) == schema.SCHEMA_VERSION


def test_of_several_that_open_it_at_once_one_does_the_work(old: Director) -> None:
    failed: list[Exception] = []
    together = threading.Barrier(4)

    def open_it() -> None:
        try:
            together.wait()
            Director.open(old.path).close()
        except Exception as error:  # noqa: BLE001 - shown by the assertion below
            failed.append(error)

    threads = [threading.Thread(target=open_it) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    assert version_of(old.path / "inventory.sqlite") == schema.SCHEMA_VERSION


def test_what_is_up_to_date_is_left_alone(old: Director) -> None:
    Director.open(old.path).close()
    with Inventory.connect("sqlite:///inventory.sqlite", directory=old.path) as database:
        before = shape(old.path / "inventory.sqlite")
        with database.writing() as connection:
            migrations.migrate(connection)
    assert shape(old.path / "inventory.sqlite") == before
