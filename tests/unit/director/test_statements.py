"""Statements that are compiled once: they bind and read what SQLAlchemy does, and their faults are those of the inventory."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import bindparam, insert, select, update

from twinlock.director.inventory import schema
from twinlock.director.inventory.database import Inventory
from twinlock.director.inventory.statements import Statement
from twinlock.trust.errors.local import ConflictError, StorageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

V, M = schema.vehicles.c, schema.manifests.c
NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
NEW_VEHICLE = Statement(insert(schema.vehicles), "vehicle", "registered_at", "revision", "profile")
NEW_MANIFEST = Statement(
    insert(schema.manifests).returning(M.number), "vehicle", "received_at", "digest", "data", "accepted", "refusal"
)
MANIFESTS = select(schema.manifests).where(M.vehicle == "VIN1").order_by(M.number)


@pytest.fixture
def inventory(tmp_path: Path) -> Iterator[Inventory]:
    with Inventory.connect("sqlite:///inventory.sqlite", directory=tmp_path) as opened:
        opened.create()
        with opened.writing() as connection:
            assert NEW_VEHICLE.run(connection, vehicle="VIN1", registered_at=NOW, revision=0, profile="tuf") == 1
        yield opened


def manifest(**changes: Any) -> dict[str, Any]:
    row = {"vehicle": "VIN1", "received_at": NOW, "digest": "d", "data": b"\x00\xff", "accepted": False}
    return row | {"refusal": {"code": "replay", "to": ["ä", None]}, **changes}


def test_values_of_every_type_are_stored_and_read_as_by_sqlalchemy(inventory: Inventory) -> None:
    with inventory.writing() as connection:
        numbers = [
            NEW_MANIFEST.scalar(connection, **row) for row in (manifest(), manifest(accepted=True, refusal=None))
        ]
        assert numbers == [1, 2]
        usual = connection.execute(MANIFESTS).all()
        rows = Statement(MANIFESTS).rows(connection)
    assert [row._asdict() for row in rows] == [row._asdict() for row in usual]
    assert [type(value) for value in rows[0]] == [type(value) for value in usual[0]]
    assert (rows[0].data, rows[0].refusal, rows[1].accepted) == (b"\x00\xff", manifest()["refusal"], True)


def test_a_statement_without_rows_gives_nothing(inventory: Inventory) -> None:
    read = Statement(select(V.revision).where(V.vehicle == bindparam("vehicle")))
    with inventory.reading() as connection:
        assert (read.first(connection, vehicle="VIN1"), read.scalar(connection, vehicle="VIN1")) == ((0,), 0)
        nothing = [read.rows(connection, vehicle="VIN2"), read.first(connection, vehicle="VIN2")]
        assert [*nothing, read.scalar(connection, vehicle="VIN2")] == [[], None, None]


def test_an_update_tells_how_many_rows_it_matched(inventory: Inventory) -> None:
    change = Statement(
        update(schema.vehicles)
        .where(V.vehicle == bindparam("this"))
        .values(
            revision=V.revision + bindparam("step"), last_manifest_at=bindparam("now", type_=V.last_manifest_at.type)
        )
    )
    with inventory.writing() as connection:
        assert change.run(connection, this="VIN1", step=3, now=NOW) == 1
        assert change.run(connection, this="VIN2", step=3, now=NOW) == 0
        assert connection.execute(select(V.revision, V.last_manifest_at)).all() == [(3, NOW)]


def test_it_is_part_of_the_transaction(inventory: Inventory) -> None:
    with pytest.raises(RuntimeError), inventory.writing() as connection:
        NEW_MANIFEST.scalar(connection, **manifest())
        raise RuntimeError
    with inventory.reading() as connection:
        assert connection.execute(MANIFESTS).all() == []


def test_faults_of_the_driver_are_those_of_the_inventory(inventory: Inventory) -> None:
    with pytest.raises(ConflictError) as conflict, inventory.writing("register a vehicle") as connection:
        NEW_VEHICLE.run(connection, vehicle="VIN1", registered_at=NOW, revision=0, profile="tuf")
    assert str(conflict.value.reason).startswith("could not register a vehicle: UNIQUE constraint failed")
    with pytest.raises(StorageError) as fault, inventory.reading("read a vehicle") as connection:
        NEW_VEHICLE.run(connection, vehicle=object(), registered_at=NOW, revision=0, profile="tuf")
    assert (fault.value.operation, fault.value.path) == ("read a vehicle", inventory.name)


def test_values_that_are_missing_are_a_mistake_of_the_caller(inventory: Inventory) -> None:
    read = Statement(select(V.revision).where(V.vehicle == bindparam("vehicle")))
    with pytest.raises(KeyError, match="vehicle"), inventory.reading() as connection:
        read.rows(connection)
