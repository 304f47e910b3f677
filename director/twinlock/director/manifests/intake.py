"""The steps of accepting a manifest: read the inventory, judge, look images up, and store in one short transaction.

The checks are in ``judge.py``, the rows in ``inventory/history.py``. Nothing is fetched before signatures verified, and nothing
while a transaction is open.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from datetime import datetime

from twinlock.director.catalogue.catalogue import CatalogueKeeper
from twinlock.director.errors.vehicles import DailyLimitError, UnknownVehicleError
from twinlock.director.inventory.counters import find_spent
from twinlock.director.inventory.database import Inventory
from twinlock.director.inventory.history import (
    find_seen_nonces,
    insert_accepted,
    insert_refused,
    record_limit,
)
from twinlock.director.inventory.installations import load_delivered
from twinlock.director.inventory.junk import count_junk
from twinlock.director.inventory.signed_files import recall_images, remember_images, settle_outstanding
from twinlock.director.inventory.vehicles import (
    Marks,
    is_unchanged,
    load_active_vehicle,
    load_vehicle,
    lock_vehicle,
    read_marks,
    read_profile,
)
from twinlock.director.manifests.daily_share import use_share
from twinlock.director.manifests.judge import changes_plan, conclude, verify_reports
from twinlock.director.manifests.offered import find_candidates
from twinlock.director.manifests.senders import content_digest, is_news_of
from twinlock.director.model.judgement import Findings, Knowledge, ManifestPolicy, VerifiedReports
from twinlock.director.model.profiles import Profiles
from twinlock.director.model.records import Acceptance, VehicleRecord
from twinlock.director.model.software import same_image
from twinlock.trust.errors.base import RefusalError, TwinlockError
from twinlock.trust.errors.local import ConflictError
from twinlock.trust.errors.reports import ReportReplayError
from twinlock.trust.model.targets import ImageEntry
from twinlock.trust.wire.tuf.reports import UnverifiedManifest, report_digest

_ATTEMPTS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reading:
    """The inventory as it was read: the vehicle, and what is known of the manifest's content."""

    record: VehicleRecord
    marks: Marks
    knowledge: Knowledge


class ManifestIntake:
    """Judges manifests against one inventory."""

    def __init__(
        self, database: Inventory, catalogues: CatalogueKeeper, policy: ManifestPolicy, profiles: Profiles
    ) -> None:
        self._database = database
        self._catalogues = catalogues
        self._policy = policy
        self._profiles = profiles

    def receive(self, data: bytes, *, address: str | None, authenticated: bool = False, now: datetime) -> Acceptance:
        """Accept a manifest, or store it as refused. ``address`` is the vehicle whose URL it came to.

        What is not proven to be news of the vehicle is only counted: neither an ``authenticated`` sender brought it, nor
        did the vehicle sign it after everything that it sent before.

        Of two that repeat a counter or nonce, however close together, at most one is accepted.
        Raises: RefusalError of every kind, DailyLimitError, UnknownVehicleError, StorageError.
        Source: Uptane 2.1.0 5.3.2.1 steps 1 to 4.
        """
        vehicle, manifest = address, None
        try:
            manifest = self._decode(data, address)
            vehicle = address or manifest.vehicle
            assert vehicle is not None, "without an address it was read in the profile that names the vehicle"
            return self._accept(manifest, data, vehicle, now)
        except RefusalError as error:
            proven = authenticated or (manifest is not None and self._is_news(manifest, vehicle or ""))
            digest = content_digest(manifest) if manifest is not None else hashlib.sha256(data).hexdigest()
            if (
                not (proven and self._keep_refused(vehicle or "", data, error, now, digest=digest))
                and not authenticated
            ):
                self._count_junk(vehicle or "", error, data, now)
            raise
        except DailyLimitError as error:
            record_limit(self._database, error, now)
            raise
        except UnknownVehicleError as error:
            self._count_junk(vehicle or "", error, data, now)
            raise

    def _is_news(self, manifest: UnverifiedManifest, vehicle: str) -> bool:
        """Whether the vehicle signed it after everything that counted, whatever else is wrong with it."""
        with self._database.reading() as connection:
            return is_news_of(manifest, load_vehicle(connection, vehicle))

    def _decode(self, data: bytes, address: str | None) -> UnverifiedManifest:
        """Read a manifest in the vehicle's profile; without an address, in the one whose manifests name their vehicle."""
        if address is None:
            return self._profiles.authored.decode_manifest(data)
        with self._database.reading() as connection:
            profile = self._profiles.named(read_profile(connection, address))
        return profile.decode_manifest(data)

    def _accept(self, manifest: UnverifiedManifest, data: bytes, vehicle: str, now: datetime) -> Acceptance:
        """Judge from one reading, look images up, and store it if the vehicle is still as it was read."""
        for _ in range(_ATTEMPTS):
            reading = self._read(manifest, vehicle)
            verified = verify_reports(
                manifest,
                reading.record,
                now=now,
                address=vehicle,
                knowledge=reading.knowledge,
                policy=self._policy,
            )
            share = use_share(reading.record, len(data), self._policy.daily_bytes, now)
            # Only signed reports send the Director to the Image repository, and no transaction waits for it.
            knowledge = self._look_up(verified, reading, now)
            findings = conclude(verified, reading.record, knowledge)
            number = self._store(
                data, reading, findings, knowledge, digest=content_digest(manifest), share=share, now=now
            )
            if number is not None:
                self._catalogues.save()
                return Acceptance(
                    manifest=number, vehicle=reading.record.vehicle, received_at=now, events=findings.events
                )
        raise ConflictError(
            what=f"the vehicle {vehicle}", reason="its manifest could not be stored between two changes"
        )

    def _read(self, manifest: UnverifiedManifest, vehicle: str) -> _Reading:
        """Everything that judging needs, as of one moment."""
        with self._database.reading() as connection:
            record = load_active_vehicle(connection, vehicle)
            offered = find_candidates(manifest, record)
            reports = [signed.report for signed in offered]
            digests = [(signed.report.ecu, report_digest(signed.message)) for signed in offered]
            return _Reading(
                record=record,
                marks=read_marks(connection, vehicle),
                knowledge=Knowledge(
                    nonces=find_seen_nonces(connection, reports),
                    spent=find_spent(connection, digests),
                    delivered=load_delivered(connection, vehicle),
                    images=recall_images(connection, {report.ecu: report.installed for report in reports}),
                    client=self._profiles.of(record).client,
                ),
            )

    def _look_up(self, verified: VerifiedReports, reading: _Reading, now: datetime) -> Knowledge:
        """What the Image repository lists, as far as it can be asked: accepting reports does not depend on it."""
        images = dict(reading.knowledge.images)
        try:
            catalogue = self._catalogues.current(now)
        except TwinlockError:
            return replace(reading.knowledge, complete=False)
        for ecu, report in verified.reports.items():
            try:
                entry = catalogue.find(report.installed.path, reading.record.ecus[ecu].hardware_id)
            except TwinlockError:
                continue  # a fault of that entry is not one of this manifest
            if entry is not None and same_image(report.installed, entry):
                images[ecu] = entry
        return replace(reading.knowledge, images=images)

    def _store(
        self,
        data: bytes,
        reading: _Reading,
        findings: Findings,
        knowledge: Knowledge,
        *,
        digest: str,
        share: int,
        now: datetime,
    ) -> int | None:
        """The manifest's number; None if the vehicle changed since it was read, for instance by the same manifest."""
        vehicle = reading.record.vehicle
        try:
            with self._database.writing("store a manifest") as connection:
                if not is_unchanged(connection, vehicle, reading.marks):
                    return None
                settled = settle_outstanding(connection, vehicle, findings)
                remembered = remember_images(connection, _reported(findings, knowledge), now)
                changed = settled or remembered or changes_plan(findings, reading.record)
                number = insert_accepted(
                    connection, vehicle, data, findings, now, digest=digest, share=share, changed=changed
                )
        except ConflictError:
            # The database holds each counter and nonce once. Two writers can only get here past the row lock.
            ecu = reading.record.primary
            reason = "another manifest used the same counter or nonce first"
            raise ReportReplayError(ecu=ecu, field="counter-or-nonce", reason=reason) from None
        return number

    def _keep_refused(self, vehicle: str, data: bytes, error: RefusalError, now: datetime, *, digest: str) -> bool:
        """Whether it is part of the history now: not where it was before, or where its code has filled its share."""
        with self._database.writing("store a refused manifest") as connection:
            try:
                lock_vehicle(connection, vehicle)
            except UnknownVehicleError:
                return False
            return insert_refused(connection, vehicle, data, error.as_json(), now, digest=digest)

    def _count_junk(self, vehicle: str, error: TwinlockError, data: bytes, now: datetime) -> None:
        with self._database.writing("count junk") as connection:
            count_junk(connection, vehicle, error.code, data, now)


def _reported(findings: Findings, knowledge: Knowledge) -> list[ImageEntry]:
    return [entry for ecu, entry in knowledge.images.items() if ecu in findings.installed]
