"""Trusted state on the disk: metadata as it was served, and the few facts that an ECU must not forget.

Belongs here: what is stored, and that it is stored whole or not at all. Does not belong here: judging metadata (the
engine re-verifies everything it is handed back, or holds it to the proof that it gave with it) and the SQLite file itself (``database.py``).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeAlias

from twinlock.client.database import Database
from twinlock.trust.attestation import Attestation, key_material
from twinlock.trust.clock import time_floor
from twinlock.trust.commands import Persist
from twinlock.trust.errors.base import TwinlockError
from twinlock.trust.errors.local import StorageError
from twinlock.trust.model.base import NOTHING
from twinlock.trust.names import DIRECTOR, ROOT, EcuId, RepositoryName, RoleName
from twinlock.trust.reports import InstallationReport, InstallResult
from twinlock.trust.restore import bootstrap_repository, restore_repository
from twinlock.trust.state import Decision, TrustedRepository
from twinlock.trust.wire.profile import WireProfile
from twinlock.trust.wire.tuf import TUF


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredFile:
    """One metadata file of one repository, byte-identical to what was served."""

    role: RoleName
    version: int
    data: bytes


@dataclass(frozen=True, kw_only=True, slots=True)
class LastRefusal:
    """Why the last cycle did not end well: the error's code, attack, clause and sentence, and where it happened."""

    code: str
    attack: str
    clause: str
    detail: str
    step: str
    time: str

    @classmethod
    def of(cls, error: TwinlockError, *, step: str, now: datetime | None) -> LastRefusal:
        """Describe ``error``. ``now`` is the verified time of the cycle, None where there was none."""
        described = error.as_json()
        return cls(
            code=error.code,
            attack=described.get("attack", "none"),
            clause=described.get("clause", ""),
            detail=str(error),
            step=step,
            time=format_time(now) if now else "",
        )


Wires: TypeAlias = Mapping[RepositoryName, WireProfile]
"""The profiles of repositories; whichever is not named is in ``tuf``."""


class TrustedState:
    """The state of one ECU. Each writing method is one transaction. Close it, or use it as a context manager."""

    def __init__(self, database: Database, wires: Wires = NOTHING, *, proven: bool = True) -> None:
        """With ``proven`` False no stored proof is used: every signature is counted again."""
        self._database = database
        self._wires = wires
        self._proven = proven

    @classmethod
    def create(cls, path: Path, roots: Mapping[RepositoryName, bytes], *, wires: Wires = NOTHING) -> TrustedState:
        """Make the state of a new ECU from the Root files that its factory trusts, one for each repository.

        ``wires`` are the profiles of the repositories that are not in ``tuf``.
        The time at which the Roots were signed is the first time that this ECU knows.
        Raises: StorageError, or what ``bootstrap_repository`` raises for a Root that is not sound; then no file is
        made. Source: Uptane 2.1.0 5.4.1.
        """
        anchors = {name: bootstrap_repository(name, data, wire=wires.get(name, TUF)) for name, data in roots.items()}
        rows = [(name, ROOT, trusted.root.signed.version, trusted.root.data) for name, trusted in anchors.items()]
        state = cls(Database.create(path, rows), wires)
        provisioned = time_floor(anchors.values())
        if provisioned is not None:
            state.store_verified_time(provisioned)
        return state

    @classmethod
    def open(cls, path: Path, *, wires: Wires = NOTHING, read_only: bool = False) -> TrustedState:
        """Open existing state, with the ``wires`` of ``create``; see ``Database.open`` for what it raises.

        Who only reads has everything counted again.
        """
        return cls(Database.open(path, read_only=read_only), wires, proven=not read_only)

    def __enter__(self) -> TrustedState:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Release the file."""
        self._database.close()

    # Metadata

    def persist(self, command: Persist) -> None:
        """Carry out the engine's command: all of its files with their proofs, or none. Raises: StorageError."""
        with self._database.transaction("store verified metadata in") as connection:
            for role, version, data in command.files:
                if role != ROOT or data is None:
                    connection.execute(
                        "DELETE FROM metadata WHERE repository = ? AND role = ?", (command.repository, role)
                    )
                if data is not None:
                    connection.execute(
                        "INSERT OR REPLACE INTO metadata VALUES (?, ?, ?, ?)", (command.repository, role, version, data)
                    )
                connection.execute("DELETE FROM proofs WHERE repository = ? AND role = ?", (command.repository, role))
            connection.executemany(
                "INSERT INTO proofs VALUES (?, ?, ?)",
                [(command.repository, role, proof) for role, proof in command.proofs.items()],
            )

    def files(self, repository: RepositoryName) -> list[StoredFile]:
        """Every stored file of ``repository``: all Roots in order, and the last of each other role."""
        rows = self._database.rows(
            "SELECT role, version, data FROM metadata WHERE repository = ? ORDER BY role, version", (repository,)
        )
        return [
            StoredFile(role=RoleName(_text(role)), version=_number(version), data=_bytes(data))
            for role, version, data in rows
        ]

    def repository(self, name: RepositoryName) -> TrustedRepository:
        """What of ``name`` is trusted, verified again from its newest Root, or proven to have been under it.

        Raises: StorageError if no Root of it is stored.
        """
        newest = {file.role: file.data for file in self.files(name)}  # in order of version, so the newest Root stays
        if ROOT not in newest:
            raise StorageError(
                path=str(self._database.path),
                operation="read",
                reason=f"it holds no Root of the repository {name}; provision this ECU with one",
            )
        proofs = self._proofs(name) if self._proven else {}
        return restore_repository(name, newest, wire=self._wires.get(name, TUF), proofs=proofs)

    def _proofs(self, name: RepositoryName) -> dict[RoleName, bytes]:
        rows = self._database.rows("SELECT role, proof FROM proofs WHERE repository = ?", (name,))
        return {RoleName(_text(role)): _bytes(proof) for role, proof in rows}

    def repositories(self, names: Iterable[RepositoryName]) -> dict[RepositoryName, TrustedRepository]:
        """``repository`` for each of ``names``."""
        return {name: self.repository(name) for name in names}

    # Facts

    def reserve_counter(self) -> int:
        """A report counter that no earlier report has used, even if this process dies now. Starts at 1.

        Source: Uptane 2.1.0 5.4.2.1.2 (a new value in every cycle).
        """
        with self._database.transaction("reserve a report counter in") as connection:
            row = connection.execute("SELECT value FROM facts WHERE name = 'counter'").fetchone()
            counter = int(row[0]) + 1 if row else 1
            connection.execute("INSERT OR REPLACE INTO facts VALUES ('counter', ?)", (str(counter),))
        return counter

    @property
    def attested(self) -> Attestation | None:
        """The last attested time, and the key material that attested it."""
        found = self._fact("attested-time")
        if found:
            return Attestation(parse_time(found["time"]), frozenset(found["material"]))
        return self._attested_by_key_ids()

    def _attested_by_key_ids(self) -> Attestation | None:
        """An attested time that an earlier version of this software stored with key ids in place of key material."""
        found = self._fact("attested")
        if not found:
            return None
        keys = self.repository(DIRECTOR).root.signed.keys
        if not all(keyid in keys for keyid in found["signers"]):
            return None
        return Attestation(
            parse_time(found["time"]), frozenset(key_material(keys[keyid]) for keyid in found["signers"])
        )

    def store_attested(self, time: datetime, material: Iterable[str]) -> None:
        """Remember a verified attestation: the value that it states, never an estimate of the time now."""
        self._store_fact("attested-time", {"time": format_time(time), "material": sorted(material)})

    @property
    def verified_time(self) -> datetime | None:
        """The time of the last cycle that had one: what a report calls the latest verifiable time."""
        found = self._fact("verified-time")
        return parse_time(found) if found else None

    def store_verified_time(self, time: datetime) -> None:
        """Remember the time of a cycle."""
        self._store_fact("verified-time", format_time(time))

    @property
    def refusal(self) -> LastRefusal | None:
        """Why the last cycle failed; None if it ended well."""
        found = self._fact("refusal")
        return LastRefusal(**found) if found else None

    def store_refusal(self, refusal: LastRefusal | None) -> None:
        """Remember how a cycle ended, for this ECU's reports."""
        fields = None if refusal is None else {name: getattr(refusal, name) for name in LastRefusal.__slots__}
        self._store_fact("refusal", fields)

    def store_decision(self, decision: Decision) -> None:
        """Remember what may be installed now, for whoever asks later. Installing always decides afresh."""
        images = [
            {
                "ecu": image.ecu,
                "path": image.entry.path,
                "length": image.entry.length,
                "hashes": dict(image.entry.hashes),
                "repositories": list(image.repositories),
            }
            for image in decision.approved
        ]
        self._store_fact(
            "decision",
            {
                "approved": images,
                "correlationId": decision.correlation_id,
                "time": format_time(decision.now),
                "weaker": list(decision.weaker),
            },
        )

    @property
    def decision(self) -> Mapping[str, Any] | None:
        """The last decision as plain JSON: ``approved``, ``correlationId``, ``time``, ``weaker``."""
        found = self._fact("decision")
        return found if isinstance(found, dict) else None

    # What the Director has to hear

    @property
    def unreported(self) -> InstallationReport | None:
        """How the last order ended, until a Director that wants to know has heard of it."""
        found = self._fact("unreported")
        if not found:
            return None
        ecus = {EcuId(ecu): InstallResult(*result) for ecu, result in found["ecus"].items()}
        return InstallationReport(found["correlationId"], InstallResult(*found["result"]), ecus)

    def store_unreported(self, report: InstallationReport | None) -> None:
        """Keep how an order ended over crashes and broken lines; None when it has been heard."""
        if report is None:
            self._store_fact("unreported", None)
            return
        ecus = {ecu: list(result) for ecu, result in report.ecus.items()}
        fact = {"correlationId": report.correlation_id, "result": list(report.result), "ecus": ecus}
        self._store_fact("unreported", fact)

    # Reports of other ECUs

    def store_report(self, ecu: EcuId, data: bytes) -> None:
        """Keep the last report of a Secondary, tied to its sender (Uptane 2.1.0 5.4.3.6)."""
        with self._database.transaction("store a report in") as connection:
            connection.execute("INSERT OR REPLACE INTO reports VALUES (?, ?)", (ecu, data))

    def reports(self) -> dict[EcuId, bytes]:
        """The last report received from each Secondary."""
        rows = self._database.rows("SELECT ecu, data FROM reports")
        return {EcuId(_text(ecu)): _bytes(data) for ecu, data in rows}

    def _fact(self, name: str) -> Any:
        rows = self._database.rows("SELECT value FROM facts WHERE name = ?", (name,))
        return json.loads(_text(rows[0][0])) if rows else None

    def _store_fact(self, name: str, value: Any) -> None:
        with self._database.transaction(f"store {name} in") as connection:
            connection.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, json.dumps(value)))


def format_time(time: datetime) -> str:
    """UTC with second precision, as metadata writes it."""
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def parse_time(text: str) -> datetime:
    """The inverse of ``format_time``. Raises: ValueError."""
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)


def _text(value: object) -> str:
    assert isinstance(value, str)  # STRICT tables hold no other type
    return value


def _number(value: object) -> int:
    assert isinstance(value, int)
    return value


def _bytes(value: object) -> bytes:
    assert isinstance(value, bytes)
    return value
