"""The published Roots of a Director in the inventory: every one of each chain, kept forever, and the newest of all as one value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Table, bindparam, insert, select
from sqlalchemy.exc import IntegrityError
from tuf.api.metadata import Metadata, Root

from twinlock.director.inventory import schema
from twinlock.director.inventory.statements import Statement
from twinlock.director.model.profiles import Profiles
from twinlock.trust.errors.local import ConflictError

_R, _P = schema.roots.c, schema.profile_roots.c
_NEWEST = Statement(select(_R.data).order_by(_R.version.desc()).limit(1))
_NUMBERED = Statement(select(_R.data).where(_R.version == bindparam("version")))
_NEWEST_TRANSLATED = Statement(
    select(_P.data).where(_P.profile == bindparam("profile")).order_by(_P.version.desc()).limit(1)
)
_TRANSLATED = Statement(select(_P.data).where(_P.profile == bindparam("profile"), _P.version == bindparam("version")))


@dataclass(frozen=True, slots=True)
class PublishedRoots:
    """The newest Root file of each chain: ours, and the translated ones by profile (None: none yet)."""

    current: bytes
    translated: Mapping[str, bytes | None]

    @property
    def version(self) -> int:
        """The number of our newest Root."""
        return int(self.signed().version)

    def signed(self) -> Root:
        """What our newest Root states, as a copy of its own."""
        return Metadata[Root].from_bytes(self.current).signed


def read_root(connection: Connection, version: int | None = None) -> bytes | None:
    """A Root file of ours, the newest where no version is asked for; None if there is none."""
    if version is None:
        return _NEWEST.scalar(connection)
    return _NUMBERED.scalar(connection, version=version)


def read_translated_root(connection: Connection, profile: str, version: int | None = None) -> bytes | None:
    """The same of the chain of another profile."""
    if version is None:
        return _NEWEST_TRANSLATED.scalar(connection, profile=profile)
    return _TRANSLATED.scalar(connection, profile=profile, version=version)


def insert_root(connection: Connection, data: bytes, now: datetime) -> int:
    """Publish a Root; returns its version. Raises: ConflictError if another process published that version."""
    version = Metadata[Root].from_bytes(data).signed.version
    _insert(connection, schema.roots, {"version": version, "data": data, "published_at": now})
    return version


def insert_translated_root(connection: Connection, profile: str, data: bytes, now: datetime, *, version: int) -> None:
    """Publish a Root of the chain of another profile. Raises: as ``insert_root``."""
    row = {"profile": profile, "version": version, "data": data, "published_at": now}
    _insert(connection, schema.profile_roots, row)


def read_published_roots(connection: Connection, profiles: Profiles) -> PublishedRoots | None:
    """The newest Roots; None before the first."""
    current = read_root(connection)
    translated = {each.name: each.read(connection) for each in profiles.translations}
    return None if current is None else PublishedRoots(current, translated)


def _insert(connection: Connection, table: Table, row: dict[str, Any]) -> None:
    try:
        connection.execute(insert(table).values(**row))
    except IntegrityError:
        raise ConflictError(what="the Director's Root", reason=f"version {row['version']} exists already") from None
