"""Taking in manifests: one transaction that judges, records and takes over what a vehicle reports.

Belongs here: the order of those steps. Does not belong here: the checks (``intake.py``) and the rows (``history.py``).
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection

from twinlock.director.catalogue import Catalogue, CatalogueKeeper
from twinlock.director.database import Database
from twinlock.director.errors import UnknownVehicleError
from twinlock.director.history import find_seen_nonces, insert_accepted, insert_refused
from twinlock.director.intake import Findings, Knowledge, ManifestPolicy, judge_manifest
from twinlock.director.inventory import load_vehicle, lock_vehicle
from twinlock.director.published import recall_images, remember_images, settle_outstanding
from twinlock.director.records import AKTUALIZR_WIRE, Acceptance, VehicleRecord
from twinlock.director.software import same_image
from twinlock.trust.errors.base import RefusalError, TwinlockError
from twinlock.trust.errors.local import ConflictError
from twinlock.trust.errors.reports import ReportReplayError
from twinlock.trust.model.targets import ImageEntry
from twinlock.trust.names import EcuId
from twinlock.trust.reports import SignedManifest, decode_manifest
from twinlock.trust.wire.aktualizr import reports as aktualizr


class Reception:
    """Judges manifests against one inventory."""

    def __init__(self, database: Database, catalogues: CatalogueKeeper, policy: ManifestPolicy) -> None:
        self._database = database
        self._catalogues = catalogues
        self._policy = policy

    def receive(self, data: bytes, *, address: str | None, now: datetime) -> Acceptance:
        """Accept a manifest, or store it as refused. ``address`` is the vehicle whose URL it came to.

        Of two that repeat a counter or nonce, however close together, at most one is accepted.
        Raises: RefusalError of every kind, UnknownVehicleError, StorageError.
        Source: Uptane 2.1.0 5.3.2.1 steps 1 to 4.
        """
        vehicle = address
        try:
            manifest = self._decode(data, address)
            vehicle = address or manifest.vehicle
            assert vehicle is not None, "without an address it was read in the profile that names the vehicle"
            return self._accept(manifest, data, vehicle, now)
        except RefusalError as error:
            if vehicle is not None:
                self._keep_refused(vehicle, data, error, now)
            raise

    def _decode(self, data: bytes, address: str | None) -> SignedManifest:
        """Read a manifest in the profile that the vehicle speaks; one that names its vehicle, without an address."""
        if address is None:
            return decode_manifest(data)
        with self._database.reading() as connection:
            wire = load_vehicle(connection, address).wire
        return aktualizr.decode_manifest(data) if wire == AKTUALIZR_WIRE else decode_manifest(data)

    def _accept(self, manifest: SignedManifest, data: bytes, vehicle: str, now: datetime) -> Acceptance:
        catalogue = self._catalogue(now)
        try:
            with self._database.writing("store a manifest") as connection:
                lock_vehicle(connection, vehicle)
                record = load_vehicle(connection, vehicle)
                knowledge = _knowledge(connection, manifest, record, catalogue)
                findings = judge_manifest(
                    manifest, record, now=now, address=vehicle, knowledge=knowledge, policy=self._policy
                )
                number = insert_accepted(connection, vehicle, data, findings, now)
                settle_outstanding(connection, vehicle, findings)
                remember_images(connection, _reported(findings, knowledge), now)
        except ConflictError:
            # The database holds each counter and nonce once. Two writers can only get here past the row lock.
            ecu = manifest.primary
            raise ReportReplayError(ecu=ecu, field="counter or nonce", offered="(any)", last="(the same)") from None
        return Acceptance(manifest=number, vehicle=record.vehicle, received_at=now, events=findings.events)

    def _keep_refused(self, vehicle: str, data: bytes, error: RefusalError, now: datetime) -> None:
        with self._database.writing("store a refused manifest") as connection:
            try:
                lock_vehicle(connection, vehicle)
            except UnknownVehicleError:
                return
            insert_refused(connection, vehicle, data, error.as_json(), now)

    def _catalogue(self, now: datetime) -> Catalogue | None:
        """The Image repository as far as it can be asked: taking in reports does not depend on it."""
        try:
            return self._catalogues.current(now)
        except TwinlockError:
            return None


def _knowledge(
    connection: Connection, manifest: SignedManifest, record: VehicleRecord, catalogue: Catalogue | None
) -> Knowledge:
    reports = {signed.report.ecu: signed.report for signed in manifest.reports}
    installed = {ecu: report.installed for ecu, report in reports.items()}
    images: dict[EcuId, ImageEntry] = recall_images(connection, installed)
    for ecu, image in installed.items():
        known = record.ecus.get(ecu)
        if catalogue is None or known is None:
            continue
        try:
            entry = catalogue.find(image.path, known.hardware_id)
        except TwinlockError:
            continue  # whatever is wrong with that entry is no fault of this manifest
        if entry is not None and same_image(image, entry):
            images[ecu] = entry
    return Knowledge(
        nonces=find_seen_nonces(connection, reports.values()), images=images, complete=catalogue is not None
    )


def _reported(findings: Findings, knowledge: Knowledge) -> list[ImageEntry]:
    return [entry for ecu, entry in knowledge.images.items() if ecu in findings.installed]
