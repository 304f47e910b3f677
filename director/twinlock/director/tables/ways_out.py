"""Tables of the ways out of a state: counters by key, resets, new keys, what an ECU was delivered with."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, String, Table, false

from twinlock.director.tables.columns import (
    Json,
    UtcTime,
    actor_column,
    any_vehicle_column,
    confirmed_columns,
    ecu_column,
    image_columns,
    key_column,
    metadata,
    number_column,
    permission_columns,
    vehicle_column,
)

# How far each key of each ECU has counted. Rows are never deleted and ``highest`` never falls, also when an old part comes
# back. ``base`` is added to every counter that the ECU sends: after a reset it counts on from ``highest``.
report_counters = Table(
    "report_counters",
    metadata,
    ecu_column(primary_key=True),
    key_column(primary_key=True),
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
    ecu_column(primary_key=True),
    Column("digest", String(64), primary_key=True),
)

# An operator's permission to count from the start once. ``nonce`` is signed into Targets; the next report carries it.
counter_resets = Table(
    "counter_resets",
    metadata,
    number_column(),
    vehicle_column(index=True),
    ecu_column(),
    key_column(),
    Column("nonce", String(64), nullable=False),
    *confirmed_columns(),
)

# An operator's permission that one ECU comes once with the key named, perhaps as other hardware or under another serial.
key_changes = Table(
    "key_changes",
    metadata,
    number_column(),
    vehicle_column(index=True),
    ecu_column(),
    key_column(),
    Column("new_ecu", String(128), nullable=False),
    Column("description", Json),  # the ECU as the operator described it; without one the vehicle has to send it
    *confirmed_columns(),
)

# Keys that vehicles came with and that were refused: an operator confirms one by its fingerprint.
pending_keys = Table(
    "pending_keys",
    metadata,
    Column("vehicle", String(128), primary_key=True),
    Column("ecu", String(128), primary_key=True),
    key_column(primary_key=True),
    Column("description", Json, nullable=False),
    Column("first_seen", UtcTime, nullable=False),
    Column("last_seen", UtcTime, nullable=False),
    # Whether a sender that proved to be this vehicle came with it: those displace keys of senders that proved nothing.
    Column("authenticated", Boolean, nullable=False, server_default=false()),
)

# Whose a serial is, by the factory's record or an operator: no other vehicle can register it.
serial_owners = Table(
    "serial_owners",
    metadata,
    Column("ecu", String(128), primary_key=True),
    any_vehicle_column(),  # may not be registered yet
    Column("declared_at", UtcTime, nullable=False),
    actor_column(),
)

# The software that ECUs are delivered with, declared by an operator and never by a vehicle.
delivered_software = Table(
    "delivered_software",
    metadata,
    any_vehicle_column(primary_key=True),  # may not be registered yet
    Column("ecu", String(128), primary_key=True),
    *image_columns(),
    Column("declared_at", UtcTime, nullable=False),
    actor_column(),
)

# An operator's permission to ask once for another certificate. ``keys_changed_at`` is of before version 3.
rekey_permissions = Table(
    "rekey_permissions",
    metadata,
    number_column(),
    any_vehicle_column(index=True),  # may have a certificate without being registered
    *permission_columns(),
    Column("keys_changed_at", UtcTime),
    Column("certificate_issued_at", UtcTime),
)
