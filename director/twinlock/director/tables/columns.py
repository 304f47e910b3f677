"""Column types that every table of the inventory shares, for every database that SQLAlchemy Core speaks to."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Dialect,
    ForeignKey,
    Integer,
    MetaData,
    String,
    Text,
    TypeDecorator,
)

from twinlock.trust.text.times import format_time, parse_time

metadata = MetaData()
_ID = 128  # characters of an identifier or of who did something

# SQLite numbers rows by itself only for a column of type INTEGER; PostgreSQL should not run out at 2**31.
Number = BigInteger().with_variant(Integer, "sqlite")


class UtcTime(TypeDecorator[datetime]):
    """A UTC time to the second, as RFC 3339 text: sortable, readable, and the same in every database."""

    impl = String(20)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> str | None:
        return None if value is None else format_time(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        return None if value is None else parse_time(value)


class Json(TypeDecorator[Any]):
    """Plain JSON as text with sorted names, so that equal values are equal text in every database."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        return None if value is None else json.dumps(value, sort_keys=True, ensure_ascii=False)

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        return None if value is None else json.loads(value)


def vehicle_column(**options: Any) -> Column[Any]:
    """The registered vehicle that a row is about."""
    return Column("vehicle", String(_ID), ForeignKey("vehicles.vehicle"), nullable=False, **options)


def any_vehicle_column(**options: Any) -> Column[Any]:
    """The vehicle that a row is about, which may not be registered."""
    return Column("vehicle", String(_ID), nullable=False, **options)


def ecu_column(**options: Any) -> Column[Any]:
    """The ECU of the inventory that a row is about."""
    return Column("ecu", String(_ID), ForeignKey("ecus.ecu"), nullable=False, **options)


def key_column(**options: Any) -> Column[Any]:
    """A key, by the SHA-256 of its material."""
    return Column("key_identity", String(64), nullable=False, **options)


def actor_column() -> Column[Any]:
    """The name that a person gave for the audit."""
    return Column("actor", String(_ID), nullable=False)


def image_columns() -> tuple[Column[Any], ...]:
    """An image by its name, length and hashes."""
    return (
        Column("path", Text, nullable=False),
        Column("length", BigInteger, nullable=False),
        Column("hashes", Json, nullable=False),
    )


def permission_columns() -> tuple[Column[Any], ...]:
    """Since when and until when something is permitted, and by whom."""
    return (
        Column("created_at", UtcTime, nullable=False),
        Column("expires", UtcTime, nullable=False),
        actor_column(),
    )


def confirmed_columns() -> tuple[Column[Any], ...]:
    """A permission that a second person may have to confirm, and that is used once."""
    return (*permission_columns(), Column("confirmed_by", String(_ID)), Column("used_at", UtcTime))


def number_column() -> Column[Any]:
    """A number that the database gives each row."""
    return Column("number", Number, primary_key=True, autoincrement=True)
