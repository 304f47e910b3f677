"""What of the Image repository the Director trusts, in its database: files and floors, kept as a client keeps them."""

from __future__ import annotations

from sqlalchemy import Connection, delete, func, insert, select

from twinlock.director import schema
from twinlock.trust.commands import Persist
from twinlock.trust.errors.base import RefusalError
from twinlock.trust.errors.local import StorageError
from twinlock.trust.floors import Floor
from twinlock.trust.names import ROOT, RepositoryName, RoleName
from twinlock.trust.wire.floor import decode_floor, encode_floor

_F = schema.trusted_files.c
_L = schema.trusted_floors.c


def load_files(connection: Connection, repository: RepositoryName) -> dict[RoleName, bytes]:
    """The newest stored file of each role; Root is the highest version that is there."""
    query = select(schema.trusted_files).where(_F.repository == repository).order_by(_F.version)
    return {RoleName(row.role): row.data for row in connection.execute(query)}


def newest_versions(connection: Connection, repository: RepositoryName) -> dict[RoleName, int]:
    """The highest stored version of each role, without reading any file."""
    query = select(_F.role, func.max(_F.version).label("version")).where(_F.repository == repository).group_by(_F.role)
    return {RoleName(row.role): row.version for row in connection.execute(query)}


def load_floors(connection: Connection, repository: RepositoryName) -> dict[RoleName, Floor]:
    """The stored floor of each role. Raises: StorageError for one that cannot be read."""
    query = select(schema.trusted_floors).where(_L.repository == repository)
    try:
        return {
            RoleName(row.role): decode_floor(row.floor, f"{repository}/{row.role}") for row in connection.execute(query)
        }
    except RefusalError as error:
        raise StorageError(
            path="trusted_floors", operation="read", reason=f"a floor is damaged ({error}); restore a backup"
        ) from None


def store_files(connection: Connection, persist: Persist) -> None:
    """Do what the engine asked for, except undo the work of another process that was faster.

    A file never replaces a newer one, and what was judged under an older Root than the newest stored one is left out:
    its floors may have fallen since.
    """
    newest = newest_versions(connection, persist.repository).get(ROOT, 0)
    followed = [version for role, version, data in persist.files if role == ROOT and data is not None]
    judged = [floor.root for role, floor in persist.floors.items() if floor is not None and role != ROOT]
    if any(version <= newest for version in followed) or any(root < newest for root in judged):
        return
    for role, version, data in persist.files:
        _store_file(connection, persist.repository, role, version, data)
    for role, floor in persist.floors.items():
        key = {"repository": persist.repository, "role": role}
        connection.execute(delete(schema.trusted_floors).where(_L.repository == persist.repository, _L.role == role))
        if floor is not None:
            connection.execute(insert(schema.trusted_floors).values(**key, floor=encode_floor(floor)))


def _store_file(
    connection: Connection, repository: RepositoryName, role: RoleName, version: int, data: bytes | None
) -> None:
    if data is None:
        _delete(connection, repository, role)
        return
    newest = select(func.max(_F.version)).where(_F.repository == repository, _F.role == role)
    stored = connection.execute(newest).scalar_one()
    if stored is not None and (stored > version or (role == ROOT and stored == version)):
        return
    if role != ROOT:
        _delete(connection, repository, role)
    row = {"repository": repository, "role": role, "version": version, "data": data}
    connection.execute(insert(schema.trusted_files).values(**row))


def _delete(connection: Connection, repository: RepositoryName, role: RoleName) -> None:
    connection.execute(delete(schema.trusted_files).where(_F.repository == repository, _F.role == role))
