"""The tables of the inventory: names, types and constraints. Queries are in the modules that own the rows.

Rows of history (manifests, reports, events, decisions, signed metadata, Roots, audit) can be added and read; the
database itself refuses to change them, and deletes only what a retention period ends (``PRUNABLE``). Source: Uptane 2.1.0
5.3.2.2; Deployment Best Practices on inventories.
"""

from __future__ import annotations

from sqlalchemy import (
    DDL,
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    UniqueConstraint,
    event,
)

from twinlock.director.tables.append_only import append_only_ddl, pruning
from twinlock.director.tables.columns import (
    Json,
    Number,
    UtcTime,
    actor_column,
    any_vehicle_column,
    ecu_column,
    image_columns,
    key_column,
    metadata,
    number_column,
    vehicle_column,
)
from twinlock.director.tables.installations import installations
from twinlock.director.tables.ways_out import (
    acknowledged_reports,
    counter_resets,
    delivered_software,
    key_changes,
    pending_keys,
    rekey_permissions,
    report_counters,
    serial_owners,
    spent_reports,
)

__all__ = [
    "acknowledged_reports",
    "counter_resets",
    "delivered_software",
    "installations",
    "key_changes",
    "metadata",
    "pending_keys",
    "pruning",
    "rekey_permissions",
    "report_counters",
    "serial_owners",
    "spent_reports",
]

SCHEMA_VERSION = 5  # a change here needs its step in ``migrations.py``

schema_version = Table("schema_version", metadata, Column("version", Integer, primary_key=True))

vehicles = Table(
    "vehicles",
    metadata,
    Column("vehicle", String(128), primary_key=True),
    Column("registered_at", UtcTime, nullable=False),
    # ``revision`` rises with everything that a plan is made from: assignments, and manifests that show anything new.
    Column("last_manifest", Number),
    Column("last_manifest_at", UtcTime),
    Column("share_used", BigInteger, nullable=False, server_default="0"),  # bytes of the daily share, as of then
    Column("revision", Number, nullable=False, default=0),
    Column("planned_from", String(64)),  # SHA-256 of what the newest plan was made from
    Column("wire", String(16), key="profile", nullable=False, server_default="tuf"),  # of the vehicle's client
    Column("identified_by", String(16)),  # of another profile than ours: how it proves which vehicle it is
    Column("retired_at", UtcTime),  # an operator retired it: it keeps its history and gets no metadata
)

ecus = Table(
    "ecus",
    metadata,
    Column("ecu", String(128), primary_key=True),
    vehicle_column(index=True),
    Column("hardware_id", String(128), nullable=False),
    Column("primary_ecu", Boolean, nullable=False),
    Column("verification", String(16), nullable=False),
    Column("keyid", String(128), nullable=False),
    Column("keytype", String(64), nullable=False),
    Column("scheme", String(64), nullable=False),
    Column("public", Text, nullable=False),
    key_column(unique=True),  # SHA-256 of the key material
    Column("last_report", Number),  # NULL where its key never reported
    # An ECU that left its vehicle keeps its row, because history names it; but others may come to have its key.
    # ``key_identity`` is then a placeholder, and ``retired_key`` is what it was.
    Column("retired_at", UtcTime),
    Column("retired_key", String(64), index=True),
    Column("released_at", UtcTime),  # an operator freed the serial and the key of a retired ECU for any vehicle
    Column("missing_since", UtcTime),  # left out of the newest accepted manifest, so its software is unknown
    Column("out_of_order_at", UtcTime),  # an operator declared it out of order: no report is expected
)

enrolment_tokens = Table(
    "enrolment_tokens",
    metadata,
    number_column(),
    any_vehicle_column(index=True),  # not registered yet, so no foreign key
    Column("digest", String(64), nullable=False, unique=True),
    Column("created_at", UtcTime, nullable=False),
    Column("expires", UtcTime, nullable=False),
    Column("used_for", String(64)),  # SHA-256 of the description it registered
)

manifests = Table(
    "manifests",
    metadata,
    number_column(),
    vehicle_column(index=True),
    Column("received_at", UtcTime, nullable=False),
    Column("digest", String(64), nullable=False),
    Column("data", LargeBinary, nullable=False),
    Column("accepted", Boolean, nullable=False),
    Column("refusal", Json),
    Index("manifests_by_digest", "vehicle", "digest"),
)

# The two constraints are the last line against a replay: the database holds a counter or nonce of a key only once.
reports = Table(
    "reports",
    metadata,
    number_column(),
    Column("manifest", Number, ForeignKey("manifests.number"), nullable=False, index=True),
    ecu_column(index=True),
    key_column(),
    Column("reported_time", UtcTime, nullable=False),
    Column("counter", BigInteger),
    Column("nonce", String(256)),
    *image_columns(),
    Column("release_counter", BigInteger),
    Column("attack", Text, nullable=False),
    Column("detail", Text, nullable=False),
    UniqueConstraint("ecu", "key_identity", "counter", name="one_report_per_key_and_counter"),
    UniqueConstraint("ecu", "key_identity", "nonce", name="one_report_per_key_and_nonce"),
)

# What people should see: attacks, refusals, failures and notices, from manifests and from whatever else was refused.
events = Table(
    "events",
    metadata,
    number_column(),
    any_vehicle_column(index=True),  # perhaps refused before it was registered
    Column("manifest", Number, ForeignKey("manifests.number"), index=True),
    Column("ecu", String(128)),
    Column("at", UtcTime, nullable=False),
    Column("kind", String(16), nullable=False),  # attack, refusal, failure or notice
    Column("code", String(64), nullable=False),
    Column("detail", Text, nullable=False),
    Column("evidence", String(64)),  # the ECU's own id of a piece of evidence; the newest row is its latest state
    Column("data", Json),  # the whole of it: a refusal, a piece of evidence, an installation report
)

# What senders that prove nothing sent to a vehicle's address, counted by kind and day with the first and last sample.
junk = Table(
    "junk",
    metadata,
    any_vehicle_column(primary_key=True),  # empty: no registered vehicle
    Column("code", String(64), primary_key=True),
    Column("day", String(10), primary_key=True),
    Column("count", BigInteger, nullable=False),
    Column("first_at", UtcTime, nullable=False),
    Column("last_at", UtcTime, nullable=False),
    Column("first_sample", LargeBinary, nullable=False),
    Column("last_sample", LargeBinary, nullable=False),
)

assignments = Table(
    "assignments",
    metadata,
    ecu_column(primary_key=True),
    vehicle_column(index=True),
    Column("path", Text, nullable=False),
    Column("assigned_at", UtcTime, nullable=False),
    actor_column(),
)

decisions = Table(
    "decisions",
    metadata,
    number_column(),
    vehicle_column(index=True),
    Column("made_at", UtcTime, nullable=False),
    Column("outcome", String(16), nullable=False),
    Column("orders", Json, nullable=False),  # Plan.orders
    Column("entries", Json, nullable=False),  # what Director Targets list for them
    Column("reasons", Json, nullable=False),
    Column("correlation_id", String(128), nullable=False),
    Column("manifest", Number, ForeignKey("manifests.number")),
    Column("versions", Json, nullable=False),
)

# What was ordered and has not been confirmed by a manifest since. Withdrawn orders may still be installing.
outstanding = Table(
    "outstanding",
    metadata,
    vehicle_column(primary_key=True),
    ecu_column(primary_key=True),
    Column("image", String(64), primary_key=True),  # SHA-256 of path, length and hashes
    *image_columns(),
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
    vehicle_column(primary_key=True),
    Column("role", String(16), primary_key=True),
    Column("version", BigInteger, primary_key=True, autoincrement=False),
    Column("data", LargeBinary, nullable=False),
)

issues = Table(
    "issues",
    metadata,
    number_column(),
    vehicle_column(index=True),
    Column("decision", Number, ForeignKey("decisions.number"), nullable=False),
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

# What the roles of the Image repository may not fall below; they outlive the files.
trusted_floors = Table(
    "trusted_floors",
    metadata,
    Column("repository", String(128), primary_key=True),
    Column("role", String(512), primary_key=True),
    Column("floor", LargeBinary, nullable=False),
)

# The past of the signing clock: the time of the last signature, and the highest time that was ever stated.
signing_clock = Table(
    "signing_clock",
    metadata,
    Column("name", String(16), primary_key=True),
    Column("at", UtcTime, nullable=False),
)

# The Director's Roots in other wire profiles than TUF: the same content under a version of that profile's chain.
profile_roots = Table(
    "wire_roots",
    metadata,
    Column("profile", String(16), primary_key=True),
    Column("version", BigInteger, primary_key=True, autoincrement=False),
    Column("data", LargeBinary, nullable=False),
    Column("published_at", UtcTime, nullable=False),
)

# What a vehicle last reported of itself in addition to manifests, as it was sent; nothing of it is signed.
telemetry = Table(
    "telemetry",
    metadata,
    vehicle_column(primary_key=True),
    Column("kind", String(32), primary_key=True),
    Column("received_at", UtcTime, nullable=False),
    Column("data", LargeBinary, nullable=False),
)

# The progress of updates that a vehicle reported; nothing of it is signed. A repetition is the same event.
device_events = Table(
    "device_events",
    metadata,
    number_column(),
    vehicle_column(index=True),
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
    number_column(),
    Column("kind", String(16), nullable=False),
    Column("name", String(128), nullable=False, index=True),  # single: the vehicle, perhaps not registered yet
    Column("serial", String(64), nullable=False, unique=True),
    Column("fingerprint", String(64), nullable=False, unique=True),  # SHA-256 of the DER form
    Column("issued_at", UtcTime, nullable=False),
    Column("not_after", UtcTime, nullable=False),
    actor_column(),
)

revoked_certificates = Table(
    "revoked_certificates",
    metadata,
    Column("fingerprint", String(64), primary_key=True),
    Column("revoked_at", UtcTime, nullable=False),
    actor_column(),
)

audit = Table(
    "audit",
    metadata,
    number_column(),
    Column("at", UtcTime, nullable=False),
    actor_column(),
    Column("action", String(64), nullable=False),
    Column("vehicle", String(128), index=True),
    Column("detail", Json, nullable=False),
)

APPEND_ONLY = (
    manifests,
    reports,
    events,
    decisions,
    installations,
    known_images,
    signed_metadata,
    issues,
    roots,
    profile_roots,
    device_events,
    issued_certificates,
    revoked_certificates,
    audit,
)


# History that a retention period may end. Everything else in APPEND_ONLY is kept.
PRUNABLE = (manifests, reports, events, device_events)


def _ddl(text: str) -> DDL:
    return DDL(text.replace("%", "%%"))  # type: ignore[no-untyped-call]


for _table in APPEND_ONLY:
    for _dialect in ("sqlite", "postgresql"):
        for _statement in append_only_ddl(_table, _dialect, prunable=_table in PRUNABLE):
            event.listen(_table, "after_create", _ddl(_statement).execute_if(dialect=_dialect))
