"""Tables of the ways out of a state: counters by key, resets, new keys, what an ECU was delivered with."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, String, Table, Text

from twinlock.director.tables.columns import Json, UtcTime, metadata, number_column, vehicle_column

# How far each key of each ECU has counted. Rows are never deleted and ``highest`` never falls, also when an old part comes
# back. ``base`` is added to every counter that the ECU sends: after a reset it counts on from ``highest``.
report_counters = Table(
    "report_counters",
    metadata,
    Column("ecu", String(128), ForeignKey("ecus.ecu"), primary_key=True),
    Column("key_identity", String(64), primary_key=True),
    Column("highest", BigInteger),
    Column("base", BigInteger, nullable=False),
    Column("evidence_counter", BigInteger),  # as sent: the newest report with evidence, which Targets acknowledge
)

# Of each key the newest report with evidence, by SHA-256 of what was signed: Targets name it with ``evidence_counter``.
acknowledged_reports = Table(
    "acknowledged_reports",
    metadata,
    Column("ecu", String(128), ForeignKey("ecus.ecu"), primary_key=True),
    Column("key_identity", String(64), primary_key=True),
    Column("digest", String(64), nullable=False),
)

# The reports of ECUs whose counter was reset, by SHA-256 of what was signed: none of them counts a second time.
spent_reports = Table(
    "spent_reports",
    metadata,
    Column("ecu", String(128), ForeignKey("ecus.ecu"), primary_key=True),
    Column("digest", String(64), primary_key=True),
)

# An operator's permission to count from the start once. ``nonce`` is signed into Targets; the next report carries it.
counter_resets = Table(
    "counter_resets",
    metadata,
    number_column(),
    vehicle_column(index=True),
    Column("ecu", String(128), ForeignKey("ecus.ecu"), nullable=False),
    Column("key_identity", String(64), nullable=False),
    Column("nonce", String(64), nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("expires", UtcTime, nullable=False),
    Column("actor", String(128), nullable=False),
    Column("confirmed_by", String(128)),
    Column("used_at", UtcTime),
)

# An operator's permission that one ECU comes once with the key named, perhaps as other hardware or under another serial.
key_changes = Table(
    "key_changes",
    metadata,
    number_column(),
    vehicle_column(index=True),
    Column("ecu", String(128), ForeignKey("ecus.ecu"), nullable=False),
    Column("key_identity", String(64), nullable=False),
    Column("new_ecu", String(128), nullable=False),
    Column("description", Json),  # the ECU as the operator described it; without one the vehicle has to send it
    Column("created_at", UtcTime, nullable=False),
    Column("expires", UtcTime, nullable=False),
    Column("actor", String(128), nullable=False),
    Column("confirmed_by", String(128)),
    Column("used_at", UtcTime),
)

# Keys that vehicles came with and that were refused: an operator confirms one by its fingerprint.
pending_keys = Table(
    "pending_keys",
    metadata,
    Column("vehicle", String(128), primary_key=True),
    Column("ecu", String(128), primary_key=True),
    Column("key_identity", String(64), primary_key=True),
    Column("description", Json, nullable=False),
    Column("first_seen", UtcTime, nullable=False),
    Column("last_seen", UtcTime, nullable=False),
)

# Whose a serial is, by the factory's record or an operator: no other vehicle can register it.
serial_owners = Table(
    "serial_owners",
    metadata,
    Column("ecu", String(128), primary_key=True),
    Column("vehicle", String(128), nullable=False),  # may not be registered yet
    Column("declared_at", UtcTime, nullable=False),
    Column("actor", String(128), nullable=False),
)

# The software that ECUs are delivered with, declared by an operator and never by a vehicle.
delivered_software = Table(
    "delivered_software",
    metadata,
    Column("vehicle", String(128), primary_key=True),  # may not be registered yet
    Column("ecu", String(128), primary_key=True),
    Column("path", Text, nullable=False),
    Column("length", BigInteger, nullable=False),
    Column("hashes", Json, nullable=False),
    Column("declared_at", UtcTime, nullable=False),
    Column("actor", String(128), nullable=False),
)

# An operator's permission to ask once for another certificate. ``keys_changed_at`` is of before version 3.
rekey_permissions = Table(
    "rekey_permissions",
    metadata,
    number_column(),
    Column("vehicle", String(128), nullable=False, index=True),  # may have a certificate without being registered
    Column("created_at", UtcTime, nullable=False),
    Column("expires", UtcTime, nullable=False),
    Column("actor", String(128), nullable=False),
    Column("keys_changed_at", UtcTime),
    Column("certificate_issued_at", UtcTime),
)
