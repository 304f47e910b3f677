"""The trusted state of one ECU: verified metadata (``storage/metadata.py``), and the few facts that it must not forget."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from twinlock.client.database import Database
from twinlock.client.storage.anchor import load_anchor
from twinlock.client.storage.metadata import MetadataStore, StoredFile, Wires
from twinlock.trust.attestation import Attestation, key_material
from twinlock.trust.clock import time_floor
from twinlock.trust.commands import Persist
from twinlock.trust.errors.base import RefusalError, TwinlockError
from twinlock.trust.model.base import NOTHING
from twinlock.trust.names import DIRECTOR, ROOT, EcuId, RepositoryName
from twinlock.trust.reports import InstallationReport, InstallResult
from twinlock.trust.restore import bootstrap_repository
from twinlock.trust.state import Decision, TrustedRepository
from twinlock.trust.wire.tuf import TUF


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


class TrustedState:
    """The state of one ECU. Each writing method is one transaction. Close it, or use it as a context manager."""

    def __init__(
        self,
        database: Database,
        wires: Wires = NOTHING,
        *,
        proven: bool = True,
        anchor: Mapping[RepositoryName, bytes] | None = None,
    ) -> None:
        """See ``MetadataStore`` for ``proven`` and ``anchor``."""
        self._database = database
        self._metadata = MetadataStore(database, wires, proven=proven, anchor=anchor)

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
    def open(
        cls, path: Path, *, wires: Wires = NOTHING, anchor: Path | None = None, read_only: bool = False
    ) -> TrustedState:
        """Open existing state, with the ``wires`` of ``create``; see ``Database.open`` for what it raises.

        State of an older version is migrated. For a reader every signature is counted again. ``anchor`` is a directory
        of read-only Root files (``storage/anchor.py``): then no stored Root or proof counts by itself.
        Raises: also StorageError for an anchor that cannot be read.
        """
        roots = None if anchor is None else load_anchor(anchor)
        state = cls(Database.open(path, read_only=read_only), wires, proven=not read_only, anchor=roots)
        try:
            if not read_only:
                state._metadata.migrate()
        except BaseException:
            state.close()
            raise
        return state

    def __enter__(self) -> TrustedState:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Release the file."""
        self._database.close()

    # Metadata

    def persist(self, command: Persist) -> None:
        """See ``MetadataStore.persist``."""
        self._metadata.persist(command)

    def files(self, repository: RepositoryName) -> list[StoredFile]:
        """See ``MetadataStore.files``."""
        return self._metadata.files(repository)

    def repository(self, name: RepositoryName) -> TrustedRepository:
        """See ``MetadataStore.repository``."""
        return self._metadata.repository(name)

    def take_refused(self) -> list[RefusalError]:
        """See ``MetadataStore.take_refused``."""
        return self._metadata.take_refused()

    def repositories(self, names: Iterable[RepositoryName]) -> dict[RepositoryName, TrustedRepository]:
        """See ``MetadataStore.repositories``."""
        return self._metadata.repositories(names)

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


def _bytes(value: object) -> bytes:
    assert isinstance(value, bytes)
    return value
