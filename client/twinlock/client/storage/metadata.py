"""Stored metadata: the files that the engine accepted, its proofs of them, and the floors that outlive them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from twinlock.client.storage.database import SCHEMA_VERSION, Database, bytes_column, number_column, text_column
from twinlock.trust.engine.anchor import follow_stored_roots, prove_top_level
from twinlock.trust.engine.commands import Persist
from twinlock.trust.engine.restore import restore_repository
from twinlock.trust.errors.base import RefusalError
from twinlock.trust.errors.local import StorageError
from twinlock.trust.limits import Limits
from twinlock.trust.model.base import NOTHING
from twinlock.trust.names import ROOT, RepositoryName, RoleName
from twinlock.trust.state.floors import Floor
from twinlock.trust.state.stored_floor import decode_floor, encode_floor
from twinlock.trust.state.trusted import TrustedRepository
from twinlock.trust.wire.profile import WireProfile
from twinlock.trust.wire.tuf.metadata import TUF

RepositoryProfiles: TypeAlias = Mapping[RepositoryName, WireProfile]
"""The profiles of repositories; any that is not named is in ``tuf``."""


# Not a backup: its counters are old, and its reports would be refused as replays.
_WAY_OUT = (
    "run `twinlock primary recover` or `twinlock secondary recover` on this ECU, which keeps what can be verified"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredFile:
    """One metadata file of one repository, as ``Persist`` gave it."""

    role: RoleName
    version: int
    data: bytes


class MetadataStore:
    """The metadata half of an open state file. Use it from one thread at a time."""

    def __init__(
        self,
        database: Database,
        wires: RepositoryProfiles = NOTHING,
        *,
        limits: Limits,
        proven: bool = True,
        anchor: Mapping[RepositoryName, bytes] | None = None,
    ) -> None:
        """``limits`` are those that this ECU verifies by: what it accepted under them it reads again under them.

        With ``proven`` False no stored proof is used: every signature is counted again.

        With an ``anchor``, the Roots that are read-only, stored Roots count only where a chain from it leads to them, and
        stored proofs never: this process counts the signatures of each stored file once, and remembers its own proofs.
        """
        self._database = database
        self._wires = wires
        self._limits = limits
        self._proven = proven
        self._anchor = anchor
        self._newest: dict[RepositoryName, StoredFile] = {}
        self._counted: dict[RepositoryName, dict[RoleName, bytes]] = {}
        self._refused: list[RefusalError] = []

    def persist(self, command: Persist) -> None:
        """Carry out the engine's command: all of its files, proofs and floors, or none. Raises: StorageError."""
        with self._database.transaction("store verified metadata in") as connection:
            _store_files(connection, command)
            _store_floors(connection, command.repository, command.floors)
        if self._anchor is not None:
            self._remember(command)

    def take_refused(self) -> list[RefusalError]:
        """The refusals of stored Roots since the last call; each such Root is discarded and fetched again."""
        refused, self._refused = self._refused, []
        return refused

    def files(self, repository: RepositoryName) -> list[StoredFile]:
        """Every stored file of ``repository``: all Roots in order, and the last of each other role."""
        rows = self._database.rows(
            "SELECT role, version, data FROM metadata WHERE repository = ? ORDER BY role, version", (repository,)
        )
        return [
            StoredFile(role=RoleName(text_column(role)), version=number_column(version), data=bytes_column(data))
            for role, version, data in rows
        ]

    def repository(self, name: RepositoryName) -> TrustedRepository:
        """What of ``name`` is trusted, verified again from its newest Root, or proven to have been under it.

        Raises: StorageError if no Root of it is stored or in the anchor, or a floor is damaged.
        """
        files = self.files(name)
        newest = {file.role: file.data for file in files} | {ROOT: self._newest_root(name, files).data}
        wire, floors, limits = self._wires.get(name, TUF), self.floors(name), self._limits
        if self._anchor is None:
            proofs = self._proofs(name) if self._proven else {}
            return restore_repository(name, newest, wire=wire, proofs=proofs, floors=floors, limits=limits)
        counted = self._counted.setdefault(name, {})
        trusted = restore_repository(name, newest, wire=wire, proofs=dict(counted), floors=floors, limits=limits)
        counted |= prove_top_level(trusted)
        return trusted

    def newest_root(self, name: RepositoryName) -> StoredFile:
        """The newest Root of ``name`` that counts here: the one by which ``repository`` verifies the other files.

        With an anchor it may be in no row: stored Roots were lost, and the anchor holds. Raises: StorageError, as ``repository``.
        """
        return self._newest_root(name, self.files(name))

    def _newest_root(self, name: RepositoryName, files: list[StoredFile]) -> StoredFile:
        if self._anchor is None:
            roots = [file for file in files if file.role == ROOT]
            if not roots:
                raise self._error("read", f"no Root of the repository {name} is stored; provision this ECU with one")
            return roots[-1]  # they are in order of version
        if name not in self._anchor:
            raise self._error("read", f"the trust anchor has no Root of the repository {name}; add one")
        if name not in self._newest:
            self._newest[name] = self._follow_roots(name, self._anchor[name], files)
        return self._newest[name]

    def _follow_roots(self, name: RepositoryName, anchor: bytes, files: list[StoredFile]) -> StoredFile:
        stored = {file.version: file.data for file in files if file.role == ROOT}
        root, refusal = follow_stored_roots(name, anchor, stored, wire=self._wires.get(name, TUF), limits=self._limits)
        if refusal is not None:
            self._refused.append(refusal)
            if self._proven:  # a reader changes nothing
                with self._database.transaction("discard planted Roots in") as connection:
                    query = "DELETE FROM metadata WHERE repository = ? AND role = ? AND version > ?"
                    connection.execute(query, (name, ROOT, root.signed.version))
        return StoredFile(role=ROOT, version=root.signed.version, data=root.data)

    def _remember(self, command: Persist) -> None:
        counted = self._counted.setdefault(command.repository, {})
        for role, version, data in command.files:
            counted.pop(role, None)
            if role == ROOT and data is not None:
                self._newest[command.repository] = StoredFile(role=role, version=version, data=data)
        counted |= command.proofs

    def floors(self, name: RepositoryName) -> dict[RoleName, Floor]:
        """The stored floors of ``name``. Raises: StorageError for one that cannot be read."""
        if self._database.version < SCHEMA_VERSION:
            return {}  # a reader of an older file; a writer migrates it first
        rows = self._database.rows("SELECT role, floor FROM floors WHERE repository = ?", (name,))
        try:
            return {
                RoleName(text_column(role)): decode_floor(bytes_column(floor), f"floor of {name}/{role}")
                for role, floor in rows
            }
        except RefusalError as error:
            raise self._error("read", f"the stored value is damaged ({error}); {_WAY_OUT}") from None

    def migrate(self) -> None:
        """Bring a file of an older version to this one: each stored file that still verifies establishes its floor.

        Raises: StorageError, or the refusal of a stored Root that is not sound; the file is then as it was.
        """
        self._database.migrate(self._fill_floors)

    def _fill_floors(self, connection: sqlite3.Connection) -> None:
        names = [
            RepositoryName(text_column(row[0]))
            for row in connection.execute("SELECT DISTINCT repository FROM metadata")
        ]
        for name in names:
            newest = {file.role: file.data for file in self.files(name)}
            trusted = restore_repository(name, newest, wire=self._wires.get(name, TUF), limits=self._limits)
            _store_floors(connection, name, trusted.floors)

    def _proofs(self, name: RepositoryName) -> dict[RoleName, bytes]:
        rows = self._database.rows("SELECT role, proof FROM proofs WHERE repository = ?", (name,))
        return {RoleName(text_column(role)): bytes_column(proof) for role, proof in rows}

    def repositories(self, names: Iterable[RepositoryName]) -> dict[RepositoryName, TrustedRepository]:
        """``repository`` for each of ``names``."""
        return {name: self.repository(name) for name in names}

    def _error(self, operation: str, reason: str) -> StorageError:
        return StorageError(path=str(self._database.path), operation=operation, reason=reason)


def _store_files(connection: sqlite3.Connection, command: Persist) -> None:
    for role, version, data in command.files:
        if role != ROOT or data is None:
            connection.execute("DELETE FROM metadata WHERE repository = ? AND role = ?", (command.repository, role))
        if data is not None:
            connection.execute(
                "INSERT OR REPLACE INTO metadata VALUES (?, ?, ?, ?)", (command.repository, role, version, data)
            )
        connection.execute("DELETE FROM proofs WHERE repository = ? AND role = ?", (command.repository, role))
    connection.executemany(
        "INSERT OR REPLACE INTO proofs VALUES (?, ?, ?)",
        [(command.repository, role, proof) for role, proof in command.proofs.items()],
    )


def _store_floors(
    connection: sqlite3.Connection, repository: RepositoryName, floors: Mapping[RoleName, Floor | None]
) -> None:
    for role, floor in floors.items():
        if floor is None:
            connection.execute("DELETE FROM floors WHERE repository = ? AND role = ?", (repository, role))
        else:
            row = (repository, role, encode_floor(floor))
            connection.execute("INSERT OR REPLACE INTO floors VALUES (?, ?, ?)", row)
