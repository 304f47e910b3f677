"""What of the Image repository the Director trusts, in its database: files and floors, kept as a client keeps them."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import Connection, bindparam, delete, func, insert, select

from twinlock.director.inventory import schema
from twinlock.director.inventory.statements import Statement
from twinlock.trust.engine.commands import Persist
from twinlock.trust.errors.base import RefusalError
from twinlock.trust.errors.local import StorageError
from twinlock.trust.limits import DEFAULT_LIMITS
from twinlock.trust.names import ROOT, SNAPSHOT, TOP_LEVEL, RepositoryName, RoleName
from twinlock.trust.state.floors import Floor, Floors, lower_floors, root_signers
from twinlock.trust.state.stored_floor import decode_floor, encode_floor
from twinlock.trust.wire.tuf.metadata import TUF

_F = schema.trusted_files.c
_L = schema.trusted_floors.c
_VERSIONS = Statement(
    select(_F.role, func.max(_F.version).label("version"))
    .where(_F.repository == bindparam("repository"))
    .group_by(_F.role)
)


def load_files(connection: Connection, repository: RepositoryName) -> dict[RoleName, bytes]:
    """The newest stored file of each role; Root is the highest version that is there."""
    query = select(schema.trusted_files).where(_F.repository == repository).order_by(_F.version)
    return {RoleName(row.role): row.data for row in connection.execute(query)}


def newest_versions(connection: Connection, repository: RepositoryName) -> dict[RoleName, int]:
    """The highest stored version of each role, without reading any file."""
    return {RoleName(row.role): row.version for row in _VERSIONS.rows(connection, repository=repository)}


def trusted_keys(connection: Connection, repository: RepositoryName) -> frozenset[bytes]:
    """The keys of every stored Root, whatever their role, by identity (``PublicKey.identity``)."""
    query = select(_F.data).where(_F.repository == repository, _F.role == ROOT)
    roots = [TUF.decode_root(data, ROOT, DEFAULT_LIMITS).signed for data in connection.execute(query).scalars()]
    return frozenset(key.identity for root in roots for key in root.keys.values())


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
    its floors may have fallen since. A floor never replaces a higher one, and ``lower_floors`` alone decides which of the
    stored ones fall with a new Root: another process may have raised them since this one read them.
    """
    newest = newest_versions(connection, persist.repository).get(ROOT, 0)
    followed = {version: data for role, version, data in persist.files if role == ROOT and data is not None}
    judged = [floor.root for role, floor in persist.floors.items() if floor is not None and role != ROOT]
    if any(version <= newest for version in followed) or any(root < newest for root in judged):
        return
    stored = load_floors(connection, persist.repository)
    fallen = _fallen(stored, followed)
    offered = {role: floor for role, floor in persist.floors.items() if floor is not None}
    behind = {role for role, floor in offered.items() if role not in fallen and _is_behind(role, floor, stored)}
    for role, version, data in persist.files:
        if data is None and role != ROOT and not _may_drop(role, stored, fallen):
            continue
        if role not in behind:
            _store_file(connection, persist.repository, role, version, data)
    for role in fallen:
        _delete(connection, persist.repository, role)
        _store_floor(connection, persist.repository, role, None)
    for role in offered.keys() - behind:
        _store_floor(connection, persist.repository, role, offered[role])


def _fallen(stored: Floors, followed: Mapping[int, bytes]) -> frozenset[RoleName]:
    """The roles whose stored floor falls with the Roots that are followed now, link by link."""
    left = stored
    for version, data in sorted(followed.items()):
        root = TUF.decode_root(data, ROOT, DEFAULT_LIMITS).signed
        judged = {role: floor for role, floor in left.items() if floor.root < version}
        kept = lower_floors(judged, root_signers(root))
        left = {role: floor for role, floor in left.items() if role not in judged or role in kept}
    return frozenset(stored.keys() - left.keys())


def _may_drop(role: RoleName, stored: Floors, fallen: frozenset[RoleName]) -> bool:
    """Whether a file goes: its stored floor fell or there is none, or it is a delegated one and that of Snapshot fell."""
    return role in fallen or role not in stored or (role not in TOP_LEVEL and SNAPSHOT in fallen)


def _is_behind(role: RoleName, floor: Floor, stored: Floors) -> bool:
    """Whether the stored floor is a later one: higher, of a newer Root, or of other content under the same version.

    A delegated role that has other keys now may count from the start; only a current view brings such a floor.
    """
    known = stored.get(role)
    if known is None:
        return False
    if role not in TOP_LEVEL and known.material.get(role) != floor.material.get(role):
        return False
    other = known.version == floor.version and known.content != floor.content
    return known.root > floor.root or known.version > floor.version or other


def _store_floor(connection: Connection, repository: RepositoryName, role: RoleName, floor: Floor | None) -> None:
    connection.execute(delete(schema.trusted_floors).where(_L.repository == repository, _L.role == role))
    if floor is not None:
        row = {"repository": repository, "role": role, "floor": encode_floor(floor)}
        connection.execute(insert(schema.trusted_floors).values(**row))


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
