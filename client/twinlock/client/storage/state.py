"""The trusted state of one ECU: verified metadata (``storage/metadata.py``), and the few facts that it must not forget."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from twinlock.client.model.events import StoredEvent, decode_events, encode_event
from twinlock.client.storage.anchor import load_anchor
from twinlock.client.storage.database import Database, bytes_column, text_column
from twinlock.client.storage.metadata import MetadataStore, RepositoryProfiles, StoredFile
from twinlock.client.storage.records import BegunBundle, CounterAfterReset, LastRefusal
from twinlock.client.storage.report_log import ReportLog
from twinlock.trust.engine.commands import Persist
from twinlock.trust.engine.restore import bootstrap_repository
from twinlock.trust.engine.time_floor import time_floor
from twinlock.trust.errors.base import Kind, RefusalError
from twinlock.trust.keys.public_keys import PublicKey
from twinlock.trust.limits import Limits
from twinlock.trust.model.base import NOTHING
from twinlock.trust.model.targets import ImageEntry
from twinlock.trust.names import DIRECTOR, ROOT, EcuId, RepositoryName, RoleName
from twinlock.trust.state.floors import Floor
from twinlock.trust.state.trusted import Decision, TrustedRepository
from twinlock.trust.text.times import format_time, parse_time
from twinlock.trust.wire.tuf.attestation import Attestation, key_material
from twinlock.trust.wire.tuf.metadata import TUF
from twinlock.trust.wire.tuf.reports import InstallationReport, InstallResult

T = TypeVar("T")


class TrustedState:
    """The state of one ECU. Each writing method is one transaction. Close it, or use it as a context manager."""

    def __init__(
        self,
        database: Database,
        wires: RepositoryProfiles = NOTHING,
        *,
        limits: Limits,
        proven: bool = True,
        anchor: Mapping[RepositoryName, bytes] | None = None,
    ) -> None:
        """See ``MetadataStore`` for ``limits``, ``proven`` and ``anchor``."""
        self._database = database
        self._reports = ReportLog(database)
        self._metadata = MetadataStore(database, wires, limits=limits, proven=proven, anchor=anchor)

    @classmethod
    def create(
        cls, path: Path, roots: Mapping[RepositoryName, bytes], *, limits: Limits, wires: RepositoryProfiles = NOTHING
    ) -> TrustedState:
        """Make the state of a new ECU from the Root files that its factory trusts, one for each repository.

        ``wires`` are the profiles of the repositories that are not in ``tuf``.
        The time at which the Roots were signed is the first time that this ECU knows.
        Raises: StorageError, or what ``bootstrap_repository`` raises for a Root that is not sound; then no file is
        made. Source: Uptane 2.1.0 5.4.1.
        """
        anchors = {
            name: bootstrap_repository(name, data, wire=wires.get(name, TUF), limits=limits)
            for name, data in roots.items()
        }
        rows = [(name, ROOT, trusted.root.signed.version, trusted.root.data) for name, trusted in anchors.items()]
        state = cls(Database.create(path, rows), wires, limits=limits)
        try:
            provisioned = time_floor(anchors.values())
            if provisioned is not None:
                state.store_verified_time(provisioned)
        except BaseException:
            state.close()
            raise
        return state

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        limits: Limits,
        wires: RepositoryProfiles = NOTHING,
        anchor: Path | None = None,
        read_only: bool = False,
    ) -> TrustedState:
        """Open existing state, with the ``wires`` of ``create``; see ``Database.open`` for what it raises.

        ``limits`` are those provisioned. State of an older version is migrated. For a reader every signature is counted again. ``anchor`` is a directory
        of read-only Root files (``storage/anchor.py``): then no stored Root or proof counts by itself.
        Raises: also StorageError for an anchor that cannot be read.
        """
        roots = None if anchor is None else load_anchor(anchor, limits)
        state = cls(Database.open(path, read_only=read_only), wires, limits=limits, proven=not read_only, anchor=roots)
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

    def newest_root(self, name: RepositoryName) -> StoredFile:
        """See ``MetadataStore.newest_root``."""
        return self._metadata.newest_root(name)

    def repository(self, name: RepositoryName) -> TrustedRepository:
        """See ``MetadataStore.repository``."""
        return self._metadata.repository(name)

    def floors(self, name: RepositoryName) -> Mapping[RoleName, Floor]:
        """See ``MetadataStore.floors``."""
        return self._metadata.floors(name)

    def take_refused(self) -> list[RefusalError]:
        """See ``MetadataStore.take_refused``."""
        return self._metadata.take_refused()

    def repositories(self, names: Iterable[RepositoryName]) -> dict[RepositoryName, TrustedRepository]:
        """See ``MetadataStore.repositories``."""
        return self._metadata.repositories(names)

    # Facts

    def reserve_counter(self, at_least: int = 1, *, stated: datetime | None = None, most: int | None = None) -> int:
        """A report counter that no earlier report has used, even if this process dies now. Starts at 1, or ``at_least``.

        ``stated`` is the time that the report will state, kept with its counter. A stored counter of ``most`` or more is
        ignored, and ``at_least`` used.

        Source: Uptane 2.1.0 5.4.2.1.2 (a new value in every cycle).
        """
        return self._reports.reserve_counter(at_least, stated=stated, most=most)

    def time_to_state(self, now: datetime) -> datetime:
        """See ``ReportLog.time_to_state``."""
        return self._reports.time_to_state(now)

    @property
    def stated_time(self) -> datetime | None:
        """The time that the last report stated; None before the first."""
        return self._reports.stated_time

    @property
    def attested(self) -> Attestation | None:
        """The last attested time, and the key material that attested it."""
        fact = self._fact("attested-time")
        if fact:
            return Attestation(parse_time(fact["time"]), frozenset(fact["material"]))
        return self._attested_by_key_ids()

    def _attested_by_key_ids(self) -> Attestation | None:
        """An attested time that an earlier version of this software stored with key ids in place of key material."""
        fact = self._fact("attested")
        if not fact:
            return None
        keys = self.repository(DIRECTOR).root.signed.keys
        if not all(keyid in keys for keyid in fact["signers"]):
            return None
        return Attestation(parse_time(fact["time"]), frozenset(key_material(keys[keyid]) for keyid in fact["signers"]))

    def store_attested(self, time: datetime, material: Iterable[str]) -> None:
        """Remember a verified attestation: the value that it states, never an estimate of the time now."""
        self._store_fact("attested-time", {"time": format_time(time), "material": sorted(material)})

    @property
    def verified_time(self) -> datetime | None:
        """The time of the last cycle that had a time; None also where it is damaged."""
        return self._optional("verified-time", parse_time)

    def store_verified_time(self, time: datetime) -> None:
        """Remember the time of a cycle."""
        self._store_fact("verified-time", format_time(time))

    @property
    def refusal(self) -> LastRefusal | None:
        """Why the last cycle failed; None if it ended well."""
        fact = self._fact("refusal")
        return LastRefusal(**{"kind": Kind.REFUSAL.value, **fact}) if fact else None

    def store_refusal(self, refusal: LastRefusal | None) -> None:
        """Remember how a cycle ended, for this ECU's reports."""
        fields = None if refusal is None else {name: getattr(refusal, name) for name in LastRefusal.__slots__}
        self._store_fact("refusal", fields)

    def store_decision(self, decision: Decision) -> None:
        """Store what may be installed now, for display only. Installing decides again."""
        images = [
            {
                "ecu": image.ecu,
                "path": image.entry.path,
                "length": image.entry.length,
                "hashes": dict(image.entry.hashes),
                "repositories": list(image.repositories),
                "validUntil": format_time(image.valid_until),
            }
            for image in decision.approved
        ]
        self._store_fact(
            "decision",
            {
                "approved": images,
                "correlationId": decision.correlation_id,
                "time": format_time(decision.now),
                "weaker": list(decision.missing_guarantees),
            },
        )

    @property
    def decision(self) -> Mapping[str, Any] | None:
        """The last decision as plain JSON: ``approved``, ``correlationId``, ``time``, ``weaker``."""
        fact = self._fact("decision")
        return fact if isinstance(fact, dict) else None

    @property
    def release_counter(self) -> int | None:
        """The release counter of the image that this ECU installed last; None if none is known."""
        counter: int | None = self._fact("release-counter")
        return counter

    def store_release_counter(self, counter: int) -> None:
        """Keep it apart from the slots, so that losing their record lowers nothing."""
        self._store_fact("release-counter", counter)

    @property
    def begun(self) -> BegunBundle | None:
        """The bundle that was begun and has not ended."""
        fact = self._fact("begun")
        if not fact:
            return None
        images = {EcuId(ecu): ImageEntry(*image) for ecu, image in fact["images"].items()}
        return BegunBundle(images, parse_time(fact["deadline"]))

    def store_begun(self, begun: BegunBundle | None) -> None:
        """Record, before the first write, that a bundle is begun; None when it has ended."""
        images = {} if begun is None else {ecu: list(entry[:4]) for ecu, entry in begun.images.items()}
        self._store_fact("begun", begun and {"images": images, "deadline": format_time(begun.deadline)})

    @property
    def provisioned_as(self) -> Mapping[str, str] | None:
        """Who this ECU was made as, by member of its configuration; None if an earlier version of this software made it."""
        names: Mapping[str, str] | None = self._fact("provisioned-as")
        return names

    def store_provisioned_as(self, names: Mapping[str, str]) -> None:
        """Store who this ECU is."""
        self._store_fact("provisioned-as", dict(names))

    @property
    def has_own_installer(self) -> bool:
        """Whether this ECU runs with a product's own installer, and not with the built-in slots."""
        return bool(self._fact("own-installer"))

    def store_own_installer(self, *, own: bool) -> None:
        """Store with which installer this ECU runs."""
        self._store_fact("own-installer", own)

    # What the Director must receive

    def events(self) -> list[StoredEvent]:
        """The evidence that no Director has acknowledged, in the order in which it was met. See ``decode_events`` for damaged ones."""
        try:
            return decode_events(self._fact("evidence") or [])
        except json.JSONDecodeError:
            return decode_events([None])

    def store_events(self, events: Iterable[StoredEvent]) -> None:
        """Replace all evidence by ``events``."""
        self._store_fact("evidence", [encode_event(event) for event in events])

    @property
    def reported(self) -> list[tuple[int, str]]:
        """The newest reports that carried evidence: the counter of each, and the SHA-256 of what was signed."""
        return self._reports.remembered

    def store_reported(self, reports: Iterable[tuple[int, str]]) -> None:
        """See ``ReportLog.remember``."""
        self._reports.remember(reports)

    @property
    def unreported(self) -> InstallationReport | None:
        """How the last order ended, until a Director that asks for outcomes has received it."""
        return self._optional("unreported", _installation_report)

    def store_unreported(self, report: InstallationReport | None) -> None:
        """Store how an order ended across crashes and broken connections; None once the Director has received it."""
        if report is None:
            self._store_fact("unreported", None)
            return
        ecus = {ecu: list(result) for ecu, result in report.ecus.items()}
        fact = {"correlationId": report.correlation_id, "result": list(report.result), "ecus": ecus}
        self._store_fact("unreported", fact)

    @property
    def counter_reset(self) -> str | None:
        """The nonce of the Director that reports must carry, if any."""
        return self._optional("counter-reset", _reset_nonce)

    def store_counter_reset(self, nonce: str | None) -> None:
        """Store the nonce to send, or that there is none."""
        self._store_fact("counter-reset", {"nonce": nonce})

    # Reports of other ECUs

    def counter_of(self, ecu: EcuId, key: PublicKey) -> int | None:
        """The highest report counter of ``ecu`` under ``key``; None if there was none."""
        counter: int | None = self._fact(_counter_name(ecu, key))
        return counter

    def store_counter_of(self, ecu: EcuId, key: PublicKey, counter: int) -> None:
        """Store it, also while another key reports for ``ecu``."""
        self._store_fact(_counter_name(ecu, key), counter)

    def counter_after_reset(self, ecu: EcuId, key: PublicKey) -> CounterAfterReset | None:
        """The counter of ``ecu`` since its Director reset it below ``counter_of``; None if there was no reset."""
        fact = self._fact(f"reset-{_counter_name(ecu, key)}")
        return CounterAfterReset(*fact) if fact else None

    def store_counter_after_reset(self, ecu: EcuId, key: PublicKey, counter: CounterAfterReset) -> None:
        """Store it; ``counter_of`` is unchanged."""
        self._store_fact(f"reset-{_counter_name(ecu, key)}", list(counter))

    def store_report(self, ecu: EcuId, data: bytes) -> None:
        """Keep the last report of a Secondary, tied to its sender (Uptane 2.1.0 5.4.3.6)."""
        with self._database.transaction("store a report in") as connection:
            connection.execute("INSERT OR REPLACE INTO reports VALUES (?, ?)", (ecu, data))

    def reports(self) -> dict[EcuId, bytes]:
        """The last report received from each Secondary."""
        rows = self._database.rows("SELECT ecu, data FROM reports")
        return {EcuId(text_column(ecu)): bytes_column(data) for ecu, data in rows}

    def _fact(self, name: str) -> Any:
        rows = self._database.rows("SELECT value FROM facts WHERE name = ?", (name,))
        return json.loads(text_column(rows[0][0])) if rows else None

    def _optional(self, name: str, read: Callable[[Any], T | None]) -> T | None:
        """What ``read`` makes of a fact that an ECU can do without: None where it is missing or damaged."""
        try:
            fact = self._fact(name)
            return read(fact) if fact else None
        except (AttributeError, KeyError, TypeError, ValueError):
            return None

    def _store_fact(self, name: str, value: Any) -> None:
        """Store it unless that is what is stored: a message that changes nothing, from anyone, wears nothing out."""
        rows = self._database.rows("SELECT value FROM facts WHERE name = ?", (name,))
        if rows and rows[0][0] == json.dumps(value):
            return
        with self._database.transaction(f"store {name} in") as connection:
            connection.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, json.dumps(value)))


def _installation_report(fact: Any) -> InstallationReport:
    ecus = {EcuId(ecu): InstallResult(*result) for ecu, result in fact["ecus"].items()}
    return InstallationReport(fact["correlationId"], InstallResult(*fact["result"]), ecus)


def _reset_nonce(fact: Any) -> str | None:
    nonce = fact["nonce"]  # an earlier version of this software stored the version of the Targets, too
    return nonce if nonce is None or bytes.fromhex(nonce).hex() == nonce else None


def _counter_name(ecu: EcuId, key: PublicKey) -> str:
    return f"counter-of {ecu} {key_material(key)}"
