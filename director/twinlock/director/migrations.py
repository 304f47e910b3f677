"""From an older inventory to today's: one step for each version, all of them in one transaction.

Belongs here: changes of the schema and of rows that it needs. Does not belong here: what the schema is (``schema.py``).

A step names the tables and columns that its version brought. It builds them from ``schema.py``, so what a step builds
must never change there: whoever changes one of these tables later writes the old form down here first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sqlalchemy import Column, Connection, select, update
from sqlalchemy.schema import CreateColumn

from twinlock.director import schema
from twinlock.director.schema import SCHEMA_VERSION, schema_version
from twinlock.director.signing.marks import marks_of_issues, write_marks


def migrate(connection: Connection) -> None:
    """Bring the schema up to date. The transaction has to be a writing one; what is up to date already stays as it is."""
    found = connection.execute(select(schema_version.c.version).with_for_update()).scalar_one()
    for version in range(found, SCHEMA_VERSION):
        _STEPS[version](connection)
        connection.execute(update(schema_version).values(version=version + 1))


def _from_1(connection: Connection) -> None:
    """Vehicles that run aktualizr: their wire, ECUs that come and go, what they tell, and their certificates."""
    vehicles, ecus = schema.vehicles.c, schema.ecus.c
    for column in (vehicles.wire, vehicles.identified_by, ecus.retired_at, ecus.retired_key, ecus.counter_base):
        _add(connection, column)
    for column in (ecus.retired_key, schema.audit.c.vehicle):
        _index(connection, column)
    for table in (
        schema.wire_roots,
        schema.telemetry,
        schema.device_events,
        schema.issued_certificates,
        schema.revoked_certificates,
        schema.rekey_permissions,
    ):
        table.create(connection)


def _from_2(connection: Connection) -> None:
    """What the Director signed last, and what it ever stated as the time."""
    schema.signing_clock.create(connection)
    write_marks(connection, marks_of_issues(connection))


_STEPS: Mapping[int, Callable[[Connection], None]] = {1: _from_1, 2: _from_2}


def _add(connection: Connection, column: Column[object]) -> None:
    clause = CreateColumn(column).compile(dialect=connection.dialect)
    connection.exec_driver_sql(f"ALTER TABLE {column.table.name} ADD COLUMN {clause}")


def _index(connection: Connection, column: Column[object]) -> None:
    next(index for index in column.table.indexes if list(index.columns) == [column]).create(connection)
