"""From an older inventory to today's: one step for each version, all of them in one transaction.

A step names the tables and columns that its version brought. It builds them from ``schema.py``, so what a step builds
must never change there: copy the old form of one of these tables into this module before you change it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sqlalchemy import Column, Connection, MetaData, String, Table, select, text, update
from sqlalchemy.schema import CreateColumn

from twinlock.director.inventory import schema
from twinlock.director.inventory.installations import note_installations
from twinlock.director.inventory.schema import SCHEMA_VERSION, schema_version
from twinlock.director.inventory.signing_marks import marks_of_issues, write_marks
from twinlock.director.model.software import fingerprint
from twinlock.director.tables.append_only import append_only_ddl
from twinlock.director.tables.columns import Json, UtcTime, key_column
from twinlock.trust.model.ecu import InstalledImage
from twinlock.trust.names import EcuId

# The kind and the code of version 3 for each kind of event of version 2.
_EVENTS_OF_2 = {
    "detail": "notice",
    "install-failed": "failure",
    "old-time": "notice",
    "unlisted-image": "notice",
    "wrong-hardware": "notice",
}

_PENDING_KEYS_OF_3 = Table(
    "pending_keys",
    MetaData(),
    Column("vehicle", String(128), primary_key=True),
    Column("ecu", String(128), primary_key=True),
    key_column(primary_key=True),
    Column("description", Json, nullable=False),
    Column("first_seen", UtcTime, nullable=False),
    Column("last_seen", UtcTime, nullable=False),
)


def migrate(connection: Connection) -> None:
    """Bring the schema up to date. The transaction has to be a writing one; what is up to date already stays as it is."""
    stored = connection.execute(select(schema_version.c.version).with_for_update()).scalar_one()
    for version in range(stored, SCHEMA_VERSION):
        _STEPS[version](connection)
        connection.execute(update(schema_version).values(version=version + 1))


def _from_1(connection: Connection) -> None:
    """Vehicles that run aktualizr: their profile, ECUs that come and go, what they report, and their certificates."""
    vehicles, ecus = schema.vehicles.c, schema.ecus.c
    for column in (vehicles.profile, vehicles.identified_by, ecus.retired_at, ecus.retired_key):
        _add(connection, column)
    connection.exec_driver_sql("ALTER TABLE ecus ADD COLUMN counter_base BIGINT DEFAULT '0' NOT NULL")
    for column in (ecus.retired_key, schema.audit.c.vehicle):
        _index(connection, column)
    for table in (
        schema.profile_roots,
        schema.telemetry,
        schema.device_events,
        schema.issued_certificates,
        schema.revoked_certificates,
        schema.rekey_permissions,
    ):
        table.create(connection)


def _from_2(connection: Connection) -> None:
    """Counters by key, events that no manifest brought, ways out of every state, retention, floors
    apart from files, and what the Director signed last and ever stated as the time.

    A stored file of the Image repository without a floor establishes its own when it is loaded.
    """
    vehicles, ecus = schema.vehicles.c, schema.ecus.c
    for table in (
        schema.pruning,
        schema.report_counters,
        schema.spent_reports,
        schema.counter_resets,
        schema.key_changes,
        schema.delivered_software,
        schema.serial_owners,
        schema.junk,
        schema.trusted_floors,
        schema.signing_clock,
    ):
        table.create(connection)
    _PENDING_KEYS_OF_3.create(connection)
    for column in (vehicles.retired_at, ecus.released_at, ecus.missing_since, ecus.out_of_order_at):
        _add(connection, column)
    connection.execute(
        text(
            "INSERT INTO report_counters (ecu, key_identity, highest, base) "
            "SELECT ecu, COALESCE(retired_key, key_identity), highest_counter, counter_base FROM ecus"
        )
    )
    key = "(SELECT COALESCE(e.retired_key, e.key_identity) FROM ecus e WHERE e.ecu = old_rows.ecu)"
    _rebuild(connection, schema.reports, {"key_identity": key})
    kinds = " ".join(f"WHEN '{old}' THEN '{kind}'" for old, kind in _EVENTS_OF_2.items())
    _rebuild(
        connection,
        schema.events,
        {"kind": f"CASE kind {kinds} ELSE 'attack' END", "code": "kind", "evidence": "NULL", "data": "NULL"},
    )
    for name in ("highest_counter", "counter_base"):
        connection.exec_driver_sql(f"ALTER TABLE ecus DROP COLUMN {name}")
    for table in (schema.manifests, schema.device_events):
        _drop_triggers(connection, table)
        for statement in append_only_ddl(table, connection.dialect.name, prunable=True):
            connection.exec_driver_sql(statement)
    write_marks(connection, marks_of_issues(connection))


def _from_3(connection: Connection) -> None:
    """Which report an acknowledgement is of. It has none for reports taken before."""
    schema.acknowledged_reports.create(connection)


def _from_4(connection: Connection) -> None:
    """Installations, from the reports that are left; which pending keys came from a proven sender; daily shares."""
    for column in (schema.pending_keys.c.authenticated, schema.vehicles.c.share_used):
        _add(connection, column)
    schema.installations.create(connection)
    reports, manifests = schema.reports.c, schema.manifests.c
    query = (
        select(schema.reports, manifests.vehicle, manifests.received_at).join(schema.manifests).order_by(reports.number)
    )
    newest: dict[tuple[str, str], str] = {}
    changes = []
    for row in connection.execute(query.execution_options(yield_per=1000)):
        digest = fingerprint(row.path, row.length, row.hashes)
        if newest.get((row.vehicle, row.ecu)) != digest:
            newest[(row.vehicle, row.ecu)] = digest
            changes.append(row)
    for row in changes:
        ecu, image = EcuId(row.ecu), InstalledImage(row.path, row.length, row.hashes, row.release_counter)
        note_installations(connection, row.vehicle, {ecu: image}, {ecu: row.counter}, row.received_at)


_STEPS: Mapping[int, Callable[[Connection], None]] = {1: _from_1, 2: _from_2, 3: _from_3, 4: _from_4}


def _add(connection: Connection, column: Column[object]) -> None:
    clause = CreateColumn(column).compile(dialect=connection.dialect)
    connection.exec_driver_sql(f"ALTER TABLE {column.table.name} ADD COLUMN {clause}")


def _index(connection: Connection, column: Column[object]) -> None:
    next(index for index in column.table.indexes if list(index.columns) == [column]).create(connection)


def _rebuild(connection: Connection, table: Table, values: Mapping[str, str]) -> None:
    """Give ``table`` today's form and keep its rows; ``values`` are SQL expressions for columns that changed."""
    run = connection.exec_driver_sql
    run(f"CREATE TEMPORARY TABLE old_rows AS SELECT * FROM {table.name}")  # noqa: S608 - names of ours
    _drop_triggers(connection, table)
    run(f"DROP TABLE {table.name}")
    table.create(connection)
    names = [column.name for column in table.columns]
    chosen = ", ".join(values.get(name, name) for name in names)
    run(f"INSERT INTO {table.name} ({', '.join(names)}) SELECT {chosen} FROM old_rows ORDER BY number")  # noqa: S608 - as above
    run("DROP TABLE old_rows")
    if connection.dialect.name == "postgresql":
        highest = f"GREATEST((SELECT MAX(number) FROM {table.name}), 1)"  # noqa: S608 - as above
        run(f"SELECT setval(pg_get_serial_sequence('{table.name}', 'number'), {highest})")


def _drop_triggers(connection: Connection, table: Table) -> None:
    for operation in ("update", "delete"):
        name = f"{table.name}_no_{operation}"
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql(f"DROP FUNCTION IF EXISTS {name}() CASCADE")
        else:
            connection.exec_driver_sql(f"DROP TRIGGER IF EXISTS {name}")
