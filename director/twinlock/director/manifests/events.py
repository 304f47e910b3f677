"""What an accepted manifest shows that people should see. None of it decides whether the manifest is accepted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime

from twinlock.director.model.event_codes import kind_of
from twinlock.director.model.judgement import Knowledge, ManifestPolicy
from twinlock.director.model.records import FAILURE, NOTICE, EcuRecord, Event, LastReport, VehicleRecord
from twinlock.director.model.software import is_image, same_image
from twinlock.trust.errors.reports import MissingEcuError
from twinlock.trust.model.ecu import InstalledImage
from twinlock.trust.model.evidence import Evidence
from twinlock.trust.names import EcuId
from twinlock.trust.text.times import format_time
from twinlock.trust.wire.tuf.reports import EcuReport, InstallationReport


def time_events(report: EcuReport, last: LastReport | None, now: datetime, policy: ManifestPolicy) -> list[Event]:
    """An ECU that knows no time but one long past, as one fresh from the factory may, or an earlier one than it knew."""
    if report.time < now - policy.past:
        code, detail = "old-time", f"the latest time that it knows is {format_time(report.time)}"
    elif last is not None and report.time < last.time:
        code = "earlier-time"
        detail = f"its report states {format_time(report.time)}, and the one before it stated {format_time(last.time)}"
    else:
        return []
    return [Event(kind=NOTICE, code=code, ecu=report.ecu, detail=detail)]


def report_events(report: EcuReport, ecu: EcuRecord, knowledge: Knowledge) -> list[Event]:
    """The events that an ECU reports, and what is unusual about the image that it runs."""
    events = [_met(report, evidence) for evidence in report.evidence]
    if report.evidence:
        pass  # ``attack`` and ``detail`` repeat the most severe of it
    elif report.attack:
        events.append(_reported(report))
    elif report.detail:
        events.append(Event(kind=NOTICE, code="detail", ecu=report.ecu, detail=report.detail))
    entry = knowledge.images.get(report.ecu)
    if entry is None or not same_image(report.installed, entry):
        declared = knowledge.delivered.get(report.ecu)
        if not knowledge.complete or knowledge.client.reports_no_image(report.installed):
            return events
        if _is_declared(report.installed, declared):
            return events
        detail = f"{report.installed.path}, as installed, matches no image that the Image repository has listed"
        events.append(Event(kind=NOTICE, code="unlisted-image", ecu=report.ecu, detail=detail))
    elif entry.hardware_ids is not None and ecu.hardware_id not in entry.hardware_ids:
        detail = f"{report.installed.path} is for {', '.join(sorted(entry.hardware_ids))}, not {ecu.hardware_id}"
        events.append(Event(kind=NOTICE, code="wrong-hardware", ecu=report.ecu, detail=detail))
    return events


def _is_declared(installed: InstalledImage, declared: InstalledImage | None) -> bool:
    """Whether an ECU runs what it was delivered with, by the record of the factory or an operator."""
    return declared is not None and is_image(installed, declared.path, declared.length, declared.hashes)


def _reported(report: EcuReport) -> Event:
    """What an ECU reported in its member ``attack``: the code of what it met, which older clients write for all kinds."""
    detail = f"{report.attack}: {report.detail}"
    return Event(kind=kind_of(report.attack), code=report.attack, ecu=report.ecu, detail=detail)


def _met(report: EcuReport, evidence: Evidence) -> Event:
    data = {
        "attack": evidence.attack,
        "clause": evidence.clause,
        "step": evidence.step,
        "first": format_time(evidence.first),
        "last": format_time(evidence.last),
        "count": evidence.occurrences,
        **({"latest": evidence.latest} if evidence.latest else {}),
    }
    return Event(
        kind=evidence.kind.value,
        code=evidence.code,
        ecu=report.ecu,
        detail=evidence.detail,
        evidence=evidence.id,
        data=data,
    )


def outcome_events(outcome: InstallationReport, record: VehicleRecord) -> list[Event]:
    """A failed installation: of each ECU that failed, or of the whole where it failed before any ECU was reached.

    Each holds what the device reported of the whole, with its raw report.
    """
    whole = outcome.result
    data = {
        "correlationId": outcome.correlation_id,
        "code": whole.code,
        "description": whole.description,
        "rawReport": outcome.raw,
    }
    failed = {ecu: result for ecu, result in outcome.ecus.items() if not result.success and ecu in record.ecus}
    if not failed and not outcome.result.success:
        failed = {record.primary: outcome.result}
    return [
        Event(
            kind=FAILURE,
            code="install-failed",
            ecu=ecu,
            detail=f"{result.code}: {result.description} (order {outcome.correlation_id or 'without an id'})",
            data=data,
        )
        for ecu, result in failed.items()
    ]


def membership_events(
    reports: Mapping[EcuId, EcuReport], missing: tuple[EcuId, ...], record: VehicleRecord
) -> Iterator[Event]:
    """An ECU that is missing from now on, and one that reports again."""
    for ecu in missing:
        if record.ecus[ecu].missing_since is None:
            detail = f"the manifest has no valid report of {ecu}; every order that involves it is held until it reports"
            data = {"clause": MissingEcuError.clause}
            yield Event(kind=FAILURE, code=MissingEcuError.code, ecu=ecu, detail=detail, data=data)
    for ecu in sorted(reports):
        known = record.ecus[ecu]
        since = known.out_of_order_since or known.missing_since
        if since is not None:
            yield Event(
                kind=NOTICE,
                code="ecu-returned",
                ecu=ecu,
                detail=f"{ecu} reports again; it was away since {format_time(since)}",
            )
