"""The tables of the inventory, for every database that SQLAlchemy Core speaks to; triggers for SQLite and PostgreSQL.

Belongs here: names, types and constraints. Does not belong here: queries (``inventory.py``, ``history.py``,
``published.py``, ``trusted_files.py``).

Rows of history (manifests, reports, events, decisions, signed metadata, Roots, audit) can be added and read; the
database itself refuses to change or delete them. Source: Uptane 2.1.0 5.3.2.2; Deployment Best Practices on inventories.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    DDL,
    BigInteger,
    Boolean,
    Column,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    event,
)

SCHEMA_VERSION = 3  # a change here needs its step in ``migrations.py``

metadata = MetaData()

# SQLite numbers rows by itself only for a column of type INTEGER; PostgreSQL should not run out at 2**31.
_Number = BigInteger().with_variant(Integer, "sqlite")


class UtcTime(TypeDecorator[datetime]):
    """A UTC time to the second, as RFC 3339 text: sortable, readable, and the same in every database."""

    impl = String(20)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> str | None:
        # Not strftime: it writes the year 1 with one digit, which nobody reads back.
        return None if value is None else f"{value.astimezone(UTC).isoformat()[:19]}Z"

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        return None if value is None else datetime.fromisoformat(value[:-1]).replace(tzinfo=UTC)


class Json(TypeDecorator[Any]):
    """Plain JSON as text with sorted names, so that equal values are equal text in every database."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        return None if value is None else json.dumps(value, sort_keys=True, ensure_ascii=False)

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        return None if value is None else json.loads(value)


def _vehicle(**options: Any) -> Column[Any]:
    return Column("vehicle", String(128), ForeignKey("vehicles.vehicle"), nullable=False, **options)


def _number() -> Column[Any]:
    return Column("number", _Number, primary_key=True, autoincrement=True)


schema_version = Table("schema_version", metadata, Column("version", Integer, primary_key=True))

vehicles = Table(
    "vehicles",
    metadata,
    Column("vehicle", String(128), primary_key=True),
    Column("registered_at", UtcTime, nullable=False),
    # ``revision`` rises with every accepted manifest and every change of assignments.
    Column("last_manifest", _Number),
    Column("last_manifest_at", UtcTime),
    Column("revision", _Number, nullable=False, default=0),
    Column("planned_from", String(64)),  # SHA-256 of what the newest plan was made from
    Column("wire", String(16), nullable=False, server_default="tuf"),  # the profile that the vehicle speaks
    Column("identified_by", String(16)),  # of another profile than ours: how it proves which vehicle it is
)

ecus = Table(
    "ecus",
    metadata,
    Column("ecu", String(128), primary_key=True),
    _vehicle(index=True),
    Column("hardware_id", String(128), nullable=False),
    Column("primary_ecu", Boolean, nullable=False),
    Column("verification", String(16), nullable=False),
    Column("keyid", String(128), nullable=False),
    Column("keytype", String(64), nullable=False),
    Column("scheme", String(64), nullable=False),
    Column("public", Text, nullable=False),
    Column("key_identity", String(64), nullable=False, unique=True),  # SHA-256 of the key material
    Column("last_report", _Number),
    Column("highest_counter", BigInteger),
    # An ECU that left its vehicle keeps its row, because history names it; but others may come to have its key.
    # ``key_identity`` is then a placeholder, and ``retired_key`` is what it was.
    Column("retired_at", UtcTime),
    Column("retired_key", String(64), index=True),
    # Added to the counter of every report: an ECU with a new key counts from 1 again, and what is stored still rises.
    Column("counter_base", BigInteger, nullable=False, server_default="0"),
)

enrolment_tokens = Table(
    "enrolment_tokens",
    metadata,
    _number(),
    Column("vehicle", String(128), nullable=False, index=True),  # not registered yet, so no foreign key
    Column("digest", String(64), nullable=False, unique=True),
    Column("created_at", UtcTime, nullable=False),
    Column("expires", UtcTime, nullable=False),
    Column("used_for", String(64)),  # SHA-256 of the description it registered
)

manifests = Table(
    "manifests",
    metadata,
    _number(),
    _vehicle(index=True),
    Column("received_at", UtcTime, nullable=False),
    Column("digest", String(64), nullable=False),
    Column("data", LargeBinary, nullable=False),
    Column("accepted", Boolean, nullable=False),
    Column("refusal", Json),
    Index("manifests_by_digest", "vehicle", "digest"),
)

# The two constraints are the last line against a replay: the database holds a counter or nonce of an ECU only once.
reports = Table(
    "reports",
    metadata,
    _number(),
    Column("manifest", _Number, ForeignKey("manifests.number"), nullable=False, index=True),
    Column("ecu", String(128), ForeignKey("ecus.ecu"), nullable=False, index=True),
    Column("reported_time", UtcTime, nullable=False),
    Column("counter", BigInteger),
    Column("nonce", String(256)),
    Column("path", Text, nullable=False),
    Column("length", BigInteger, nullable=False),
    Column("hashes", Json, nullable=False),
    Column("release_counter", BigInteger),
    Column("attack", Text, nullable=False),
    Column("detail", Text, nullable=False),
    UniqueConstraint("ecu", "counter", name="one_report_per_counter"),
    UniqueConstraint("ecu", "nonce", name="one_report_per_nonce"),
)

events = Table(
    "events",
    metadata,
    _number(),
    _vehicle(index=True),
    Column("manifest", _Number, ForeignKey("manifests.number"), nullable=False),
    Column("ecu", String(128), nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("kind", String(32), nullable=False),
    Column("detail", Text, nullable=False),
)

assignments = Table(
    "assignments",
    metadata,
    Column("ecu", String(128), ForeignKey("ecus.ecu"), primary_key=True),
    _vehicle(index=True),
    Column("path", Text, nullable=False),
    Column("assigned_at", UtcTime, nullable=False),
    Column("actor", String(128), nullable=False),
)

decisions = Table(
    "decisions",
    metadata,
    _number(),
    _vehicle(index=True),
    Column("made_at", UtcTime, nullable=False),
    Column("outcome", String(16), nullable=False),
    Column("orders", Json, nullable=False),  # Plan.orders
    Column("entries", Json, nullable=False),  # what Director Targets list for them
    Column("reasons", Json, nullable=False),
    Column("correlation_id", String(128), nullable=False),
    Column("manifest", _Number, ForeignKey("manifests.number")),
    Column("versions", Json, nullable=False),
)

# What was ordered and has not been confirmed by a manifest since. Withdrawn orders may still be installing.
outstanding = Table(
    "outstanding",
    metadata,
    _vehicle(primary_key=True),
    Column("ecu", String(128), ForeignKey("ecus.ecu"), primary_key=True),
    Column("image", String(64), primary_key=True),  # SHA-256 of path, length and hashes
    Column("path", Text, nullable=False),
    Column("length", BigInteger, nullable=False),
    Column("hashes", Json, nullable=False),
    Column("withdrawn", Boolean, nullable=False),
)

# Every image that was ever ordered or reported while the Image repository listed it: what an installed image is, and
# what it needs, stays known after its entry is gone.
known_images = Table(
    "known_images",
    metadata,
    Column("image", String(64), primary_key=True),
    Column("path", Text, nullable=False, index=True),
    Column("entry", Json, nullable=False),
    Column("seen_at", UtcTime, nullable=False),
)

signed_metadata = Table(
    "signed_metadata",
    metadata,
    _vehicle(primary_key=True),
    Column("role", String(16), primary_key=True),
    Column("version", BigInteger, primary_key=True, autoincrement=False),
    Column("data", LargeBinary, nullable=False),
)

issues = Table(
    "issues",
    metadata,
    _number(),
    _vehicle(index=True),
    Column("decision", _Number, ForeignKey("decisions.number"), nullable=False),
    Column("root", BigInteger, nullable=False),
    Column("targets", BigInteger, nullable=False),
    Column("snapshot", BigInteger, nullable=False),
    Column("timestamp", BigInteger, nullable=False),
    Column("issued_at", UtcTime, nullable=False),
    Column("expires", UtcTime, nullable=False),
)

roots = Table(
    "roots",
    metadata,
    Column("version", BigInteger, primary_key=True, autoincrement=False),
    Column("data", LargeBinary, nullable=False),
    Column("published_at", UtcTime, nullable=False),
)

# The Director's own trust in the Image repository, as a client keeps it.
trusted_files = Table(
    "trusted_files",
    metadata,
    Column("repository", String(128), primary_key=True),
    Column("role", String(512), primary_key=True),
    Column("version", BigInteger, primary_key=True, autoincrement=False),
    Column("data", LargeBinary, nullable=False),
)

# The past of the signing clock: the time of the last signature, and the highest time that was ever stated.
signing_clock = Table(
    "signing_clock",
    metadata,
    Column("name", String(16), primary_key=True),
    Column("at", UtcTime, nullable=False),
)

# The Director's Roots in other wire profiles than TUF: the same content under the same version.
wire_roots = Table(
    "wire_roots",
    metadata,
    Column("profile", String(16), primary_key=True),
    Column("version", BigInteger, primary_key=True, autoincrement=False),
    Column("data", LargeBinary, nullable=False),
    Column("published_at", UtcTime, nullable=False),
)

# What a vehicle last told about itself beside manifests, as it was sent; nothing of it is signed.
telemetry = Table(
    "telemetry",
    metadata,
    _vehicle(primary_key=True),
    Column("kind", String(32), primary_key=True),
    Column("received_at", UtcTime, nullable=False),
    Column("data", LargeBinary, nullable=False),
)

# What a vehicle told of the progress of its updates; nothing of it is signed. A repetition is the same event.
device_events = Table(
    "device_events",
    metadata,
    _number(),
    _vehicle(index=True),
    Column("event", String(64), nullable=False),
    Column("received_at", UtcTime, nullable=False),
    Column("device_time", UtcTime, nullable=False),
    Column("kind", String(64), nullable=False),
    Column("kind_version", BigInteger, nullable=False),
    Column("detail", Json, nullable=False),
    UniqueConstraint("vehicle", "event", name="one_row_per_device_event"),
)

# Every certificate that the device CA issued; ``kind`` is single (one device), shared (provisioning) or server.
issued_certificates = Table(
    "issued_certificates",
    metadata,
    _number(),
    Column("kind", String(16), nullable=False),
    Column("name", String(128), nullable=False, index=True),  # single: the vehicle, perhaps not registered yet
    Column("serial", String(64), nullable=False, unique=True),
    Column("fingerprint", String(64), nullable=False, unique=True),  # SHA-256 of the DER form
    Column("issued_at", UtcTime, nullable=False),
    Column("not_after", UtcTime, nullable=False),
    Column("actor", String(128), nullable=False),
)

revoked_certificates = Table(
    "revoked_certificates",
    metadata,
    Column("fingerprint", String(64), primary_key=True),
    Column("revoked_at", UtcTime, nullable=False),
    Column("actor", String(128), nullable=False),
)

# An operator's word that a vehicle may come once with other keys, and once for another certificate.
rekey_permissions = Table(
    "rekey_permissions",
    metadata,
    _number(),
    Column("vehicle", String(128), nullable=False, index=True),  # may have a certificate without being registered
    Column("created_at", UtcTime, nullable=False),
    Column("expires", UtcTime, nullable=False),
    Column("actor", String(128), nullable=False),
    Column("keys_changed_at", UtcTime),
    Column("certificate_issued_at", UtcTime),
)

audit = Table(
    "audit",
    metadata,
    _number(),
    Column("at", UtcTime, nullable=False),
    Column("actor", String(128), nullable=False),
    Column("action", String(64), nullable=False),
    Column("vehicle", String(128), index=True),
    Column("detail", Json, nullable=False),
)

APPEND_ONLY = (
    manifests,
    reports,
    events,
    decisions,
    known_images,
    signed_metadata,
    issues,
    roots,
    wire_roots,
    device_events,
    issued_certificates,
    revoked_certificates,
    audit,
)


def _ddl(text: str) -> DDL:
    return DDL(text.replace("%", "%%"))  # type: ignore[no-untyped-call]


def _append_only(table: Table) -> None:
    for operation in ("UPDATE", "DELETE"):
        name = f"{table.name}_no_{operation.lower()}"
        message = f"{table.name} is append-only"
        sqlite = _ddl(
            f"CREATE TRIGGER {name} BEFORE {operation} ON {table.name} BEGIN SELECT RAISE(ABORT, '{message}'); END",
        )
        event.listen(table, "after_create", sqlite.execute_if(dialect="sqlite"))
        postgresql = _ddl(
            f"CREATE FUNCTION {name}() RETURNS trigger AS $$ BEGIN RAISE EXCEPTION '{message}'; END $$ "
            f"LANGUAGE plpgsql; "
            f"CREATE TRIGGER {name} BEFORE {operation} ON {table.name} FOR EACH ROW EXECUTE FUNCTION {name}()",
        )
        event.listen(table, "after_create", postgresql.execute_if(dialect="postgresql"))


for _table in APPEND_ONLY:
    _append_only(_table)
