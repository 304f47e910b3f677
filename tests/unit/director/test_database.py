"""Closing the inventory: no connection outlives it, whichever thread is using one."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, select

from twinlock.director.director import Director
from twinlock.director.inventory import schema
from twinlock.director.inventory.database import Inventory
from twinlock.trust.errors.local import StorageError


@pytest.fixture
def database(director: Director) -> Iterator[Inventory]:
    with Inventory.connect("sqlite:///inventory.sqlite", directory=director.path) as database:
        yield database


def of_driver(connection: Connection) -> Any:
    return connection.connection.dbapi_connection


def is_open(driver: Any) -> bool:
    try:
        driver.execute("SELECT 1").close()
    except sqlite3.ProgrammingError:
        return False
    return True


@pytest.mark.parametrize("transaction", ["reading", "writing"])
def test_a_connection_that_a_thread_is_using_is_closed_when_its_transaction_ends(
    database: Inventory, transaction: str
) -> None:
    began, closed = threading.Event(), threading.Event()
    seen: list[Any] = []

    def work() -> None:
        with getattr(database, transaction)() as connection:
            seen.append(of_driver(connection))
            began.set()
            closed.wait(30)
            seen.append(connection.execute(select(schema.schema_version.c.version)).scalar_one())

    thread = threading.Thread(target=work)
    with database.reading() as idle:
        kept = of_driver(idle)
        thread.start()
        began.wait(30)
    database.close()
    assert (is_open(kept), is_open(seen[0])) == (False, True)
    closed.set()
    thread.join()
    driver, version = seen
    assert version == schema.SCHEMA_VERSION, "what had begun was not cut off"
    assert not is_open(driver)


def test_after_closing_no_transaction_begins(database: Inventory) -> None:
    database.close()
    for transaction in (database.reading, database.writing):
        with pytest.raises(StorageError) as caught, transaction("look"):
            pass
        assert (caught.value.operation, caught.value.reason) == ("look", "the inventory was closed")
    database.close()


def test_a_director_that_was_closed_opens_no_connection_again(director: Director) -> None:
    director.close()
    with pytest.raises(StorageError):
        director.vehicles()


def test_a_file_that_is_no_database_leaves_no_connection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "inventory.sqlite").write_bytes(b"not a database" * 100)
    made: list[sqlite3.Connection] = []
    connect = sqlite3.connect

    def noted(*args: Any, **options: Any) -> sqlite3.Connection:
        made.append(connect(*args, **options))
        return made[-1]

    monkeypatch.setattr("sqlite3.dbapi2.connect", noted)
    with (
        Inventory.connect("sqlite:///inventory.sqlite", directory=tmp_path) as database,
        pytest.raises(StorageError),
        database.reading(),
    ):
        pass
    assert made
    assert not any(is_open(item) for item in made)
