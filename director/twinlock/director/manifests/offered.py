"""The reports that a manifest offers of each ECU: which of them its key signed, and the evidence that the others leave."""

from __future__ import annotations

from twinlock.director.model.records import ATTACK, EcuRecord, Event, VehicleRecord
from twinlock.trust.errors.base import RefusalError
from twinlock.trust.errors.images import UnknownEcuError
from twinlock.trust.errors.reports import MANIFEST_PROCEDURE, DuplicateReportError, ReportSignatureError
from twinlock.trust.names import EcuId
from twinlock.trust.wire.tuf.reports import UnreadablePart, UnverifiedManifest, UnverifiedReport, verify_report


def reports_by_ecu(manifest: UnverifiedManifest) -> dict[EcuId, list[UnverifiedReport]]:
    """The reports in a manifest by the ECU that each names."""
    by_ecu: dict[EcuId, list[UnverifiedReport]] = {}
    for signed in manifest.reports:
        by_ecu.setdefault(signed.report.ecu, []).append(signed)
    return by_ecu


def find_candidates(manifest: UnverifiedManifest, record: VehicleRecord) -> list[UnverifiedReport]:
    """The reports worth looking up: where several name one ECU, only those that its key signed."""
    candidates: list[UnverifiedReport] = []
    for ecu, offered in reports_by_ecu(manifest).items():
        known = record.ecus.get(ecu)
        candidates += offered if len(offered) == 1 or known is None else _signed_by(known, offered)
    return candidates


def check_signed_once(offered: list[UnverifiedReport], ecu: EcuId, record: VehicleRecord) -> UnverifiedReport:
    """The one report of an ECU in the inventory that its own key signed; what others wrote in its name is not one.

    Raises: UnknownEcuError, DuplicateReportError, ReportSignatureError.
    """
    known = record.ecus.get(ecu)
    if known is None:
        raise UnknownEcuError(vehicle=record.vehicle, ecu=ecu, clause=MANIFEST_PROCEDURE)
    genuine = _signed_by(known, offered)
    if len(genuine) > 1:
        raise DuplicateReportError(vehicle=record.vehicle, ecu=ecu)
    if not genuine:
        verify_report(offered[0], known.key)
    return genuine[0]


def _signed_by(known: EcuRecord, offered: list[UnverifiedReport]) -> list[UnverifiedReport]:
    return [signed for signed in offered if _signature_fault(signed, known) is None]


def false_twins(offered: list[UnverifiedReport], known: EcuRecord) -> list[ReportSignatureError]:
    """What is wrong with the reports in an ECU's name that its key did not sign."""
    faults = [_signature_fault(signed, known) for signed in offered] if len(offered) > 1 else []
    return [fault for fault in faults if fault is not None]


def _signature_fault(signed: UnverifiedReport, known: EcuRecord) -> ReportSignatureError | None:
    try:
        verify_report(signed, known.key)
    except ReportSignatureError as error:
        return error
    return None


def false_report_event(ecu: EcuId, error: RefusalError) -> Event:
    """The evidence that a report which is refused leaves."""
    return Event(kind=ATTACK, code=error.code, ecu=ecu, detail=str(error), data=error.as_json())


def unreadable_event(part: UnreadablePart, record: VehicleRecord) -> Event:
    """A part that cannot be read; of an ECU that is not part of the vehicle only the sentence names it."""
    ecu = part.ecu if part.ecu in record.ecus else None
    detail = f"it was dropped: {part.error}" if part.ecu is None or ecu else f"dropped, named {part.ecu}: {part.error}"
    return Event(kind=part.error.kind.value, code=part.error.code, ecu=ecu, detail=detail, data=part.error.as_json())
