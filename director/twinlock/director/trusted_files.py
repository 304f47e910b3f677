"""The files of the Image repository that the Director trusts, in its database, kept as a client keeps them.

Belongs here: loading and storing bytes that the trust engine verified. Does not belong here: verifying.
"""

from __future__ import annotations

from sqlalchemy import Connection, delete, func, insert, select

from twinlock.director import schema
from twinlock.trust.commands import Persist
from twinlock.trust.names import ROOT, RepositoryName, RoleName

_F = schema.trusted_files.c


def load_files(connection: Connection, repository: RepositoryName) -> dict[RoleName, bytes]:
    """The newest stored file of each role; Root is the highest version that is there."""
    query = select(schema.trusted_files).where(_F.repository == repository).order_by(_F.version)
    return {RoleName(row.role): row.data for row in connection.execute(query)}


def newest_versions(connection: Connection, repository: RepositoryName) -> dict[RoleName, int]:
    """The highest stored version of each role, without reading any file."""
    query = select(_F.role, func.max(_F.version).label("version")).where(_F.repository == repository).group_by(_F.role)
    return {RoleName(row.role): row.version for row in connection.execute(query)}


def store_files(connection: Connection, persist: Persist) -> None:
    """Do what the engine asked for, except replace a file by an older one: another process may have been faster."""
    for role, version, data in persist.files:
        if data is None:
            _delete(connection, persist.repository, role)
            continue
        newest = select(func.max(_F.version)).where(_F.repository == persist.repository, _F.role == role)
        stored = connection.execute(newest).scalar_one()
        if stored is not None and stored >= version:
            continue
        if role != ROOT:
            _delete(connection, persist.repository, role)
        row = {"repository": persist.repository, "role": role, "version": version, "data": data}
        connection.execute(insert(schema.trusted_files).values(**row))


def _delete(connection: Connection, repository: RepositoryName, role: RoleName) -> None:
    connection.execute(delete(schema.trusted_files).where(_F.repository == repository, _F.role == role))
