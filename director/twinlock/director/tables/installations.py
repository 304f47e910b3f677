"""The table of what was installed when, and by whose approval."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Index, String, Table

from twinlock.director.tables.columns import (
    Number,
    UtcTime,
    ecu_column,
    image_columns,
    metadata,
    number_column,
    vehicle_column,
)

# What each ECU runs since when, by its reports, and by whose approval: one row for each change, kept forever.
installations = Table(
    "installations",
    metadata,
    number_column(),
    vehicle_column(),
    ecu_column(),
    Column("image", String(64), nullable=False),  # SHA-256 of path, length and hashes
    *image_columns(),
    Column("release_counter", BigInteger),
    Column("reported_at", UtcTime, nullable=False),  # when the first manifest that reports it came
    Column("counter", BigInteger),  # of the report
    Column("decision", Number, ForeignKey("decisions.number")),  # NULL: the Director ordered no such image
    Column("actor", String(128)),
    Column("approved_at", UtcTime),
    Index("installations_by_ecu", "vehicle", "ecu", "number"),
)
