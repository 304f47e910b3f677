"""The checks of a vehicle version manifest against the inventory: Uptane 2.1.0 5.3.2.1 steps 1, 3 and 4.

Pure: what was sent, what the inventory holds and the time go in; what it shows, or a refusal, comes out. ``intake.py``
reads and writes the inventory; ``planning/plan.py`` decides what to install.
"""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from twinlock.director.errors.vehicles import ManifestVehicleError
from twinlock.director.manifests.events import membership_events, outcome_events, report_events, time_events
from twinlock.director.manifests.offered import (
    check_signed_once,
    false_report_event,
    false_twins,
    reports_by_ecu,
    unreadable_event,
)
from twinlock.director.model.judgement import (
    NOTHING_KNOWN,
    USUAL_POLICY,
    Findings,
    Knowledge,
    ManifestPolicy,
    VerifiedReports,
)
from twinlock.director.model.records import (
    REFUSAL,
    CounterReset,
    EcuRecord,
    Event,
    LastReport,
    VehicleRecord,
)
from twinlock.director.model.software import is_image, same_image
from twinlock.trust.errors.images import UnknownEcuError
from twinlock.trust.errors.reports import (
    MANIFEST_PROCEDURE,
    DuplicateReportError,
    MissingEcuError,
    ReportReplayError,
    ReportSignatureError,
    ReportTimeError,
)
from twinlock.trust.model.ecu import InstalledImage
from twinlock.trust.model.targets import ImageEntry
from twinlock.trust.names import EcuId
from twinlock.trust.text.times import format_time
from twinlock.trust.wire.tuf.reports import (
    NO_TIME,
    EcuReport,
    UnverifiedManifest,
    UnverifiedReport,
    report_digest,
    verify_manifest,
)


def verify_reports(
    manifest: UnverifiedManifest,
    record: VehicleRecord,
    *,
    now: datetime,
    address: str | None = None,
    knowledge: Knowledge = NOTHING_KNOWN,
    policy: ManifestPolicy = USUAL_POLICY,
) -> VerifiedReports:
    """Decide whether ``manifest`` is what this vehicle, as the inventory knows it, reports now.

    ``address`` is the vehicle whose URL it came to, if any. ``record`` is the vehicle that the manifest names. A manifest
    without a sound report of its Primary is refused as a whole. Of every other ECU a false or unreadable report counts as a
    missing one and is evidence; a missing one drops that ECU's part only (docs/POUF.md gives the reason).
    Raises: ManifestVehicleError, UnknownEcuError, ReportSignatureError, DuplicateReportError, MissingEcuError,
    ReportTimeError, ReportReplayError; what makes the Primary's report unreadable.
    """
    # Step 1: the signed part names the vehicle, and the address must not name another one. Where a profile has no
    # names of vehicles, the address alone names it, and the Primary's key has to fit.
    named = address if manifest.vehicle is None else manifest.vehicle
    if named != record.vehicle or address not in (None, named):
        raise ManifestVehicleError(offered=named or "(none named)", expected=address or record.vehicle)
    _check_primary(manifest, record)
    checked = _check_reports(manifest, record, now=now, knowledge=knowledge, policy=policy)
    reports = {ecu: item.report for ecu, item in checked.sound.items()}
    absent = record.ecus.keys() - reports.keys()
    if record.primary in absent:
        raise MissingEcuError(vehicle=record.vehicle, missing=tuple(sorted(absent)))
    missing = tuple(sorted(ecu for ecu in absent if record.ecus[ecu].out_of_order_since is None))
    timed = [report for report in reports.values() if not _has_no_time(report, knowledge)]
    return VerifiedReports(
        reports=reports,
        missing=missing,
        events=(
            *checked.events,
            *membership_events(reports, missing, record),
            *(event for report in timed for event in time_events(report, record.reports.get(report.ecu), now, policy)),
        ),
        resets={ecu: item.reset for ecu, item in checked.sound.items() if item.reset is not None},
        counters={ecu: item.sent for ecu, item in checked.sound.items() if item.sent is not None},
        signed={ecu: item.signed for ecu, item in checked.sound.items()},
        digests={ecu: item.digest for ecu, item in checked.sound.items() if item.digest is not None},
        installation=manifest.installation,
    )


def conclude(verified: VerifiedReports, record: VehicleRecord, knowledge: Knowledge = NOTHING_KNOWN) -> Findings:
    """What verified reports show in the light of what is known of the images that they name."""
    outcome = verified.installation
    return Findings(
        reports=verified.reports,
        installed={ecu: _installed(report, knowledge.images.get(ecu)) for ecu, report in verified.reports.items()},
        events=(
            *verified.events,
            *(
                event
                for ecu, report in verified.reports.items()
                for event in report_events(report, record.ecus[ecu], knowledge)
            ),
            *(() if outcome is None else outcome_events(outcome, record)),
        ),
        verified=verified,
        missing=verified.missing,
        failed=outcome.correlation_id if outcome is not None and not outcome.result.success else None,
    )


def changes_plan(findings: Findings, record: VehicleRecord) -> bool:
    """Whether a manifest shows anything of which a plan or signed Targets depend and that ``record`` did not hold before.

    Most manifests repeat what the one before them stated, under a later counter and time.
    """
    verified = findings.verified
    if verified.resets or any(report.evidence for report in findings.reports.values()):
        return True
    return any(_is_changed(known, findings, record) for known in record.ecus.values())


def _is_changed(known: EcuRecord, findings: Findings, record: VehicleRecord) -> bool:
    """Whether more or other software of an ECU is known, or less, or its report states another failure."""
    report, last = findings.reports.get(known.ecu), record.reports.get(known.ecu)
    if report is None:
        return known.out_of_order_since is None and known.missing_since is None
    if last is None or known.missing_since is not None or known.out_of_order_since is not None:
        return True
    installed, before = findings.installed[known.ecu], last.installed
    if (
        not is_image(installed, before.path, before.length, before.hashes)
        or installed.release_counter != before.release_counter
    ):
        return True
    return (report.attack, report.detail) != (last.attack, last.detail)


def _check_primary(manifest: UnverifiedManifest, record: VehicleRecord) -> None:
    """The manifest is the registered Primary's, and signed with its key."""
    sender = record.ecus.get(manifest.primary)
    if sender is None:
        raise UnknownEcuError(vehicle=record.vehicle, ecu=manifest.primary, clause=MANIFEST_PROCEDURE)
    if not sender.primary:
        reason = f"{manifest.primary} is a Secondary; the Primary is {record.primary}"
        raise ReportSignatureError(what="manifest", ecu=manifest.primary, reason=reason)
    verify_manifest(manifest, sender.key)


class _Sound(NamedTuple):
    """A report that counts, with its counter as it is stored and as it was sent."""

    report: EcuReport
    sent: int | None
    reset: int | None
    digest: str | None
    signed: str = ""


class _Checked(NamedTuple):
    """The reports that count, by ECU, and an event for each of the others."""

    sound: dict[EcuId, _Sound]
    events: list[Event]


def _check_reports(
    manifest: UnverifiedManifest,
    record: VehicleRecord,
    *,
    now: datetime,
    knowledge: Knowledge,
    policy: ManifestPolicy,
) -> _Checked:
    """Judge each report by itself. Raises: what is wrong with the Primary's."""
    checked = _Checked({}, [])
    for ecu, offered in reports_by_ecu(manifest).items():
        try:
            sound = _check_offered(offered, ecu, record, now=now, knowledge=knowledge, policy=policy)
        except UnknownEcuError as error:
            checked.events.append(Event(kind=REFUSAL, code="unregistered-ecu", ecu=ecu, detail=str(error)))
        except (ReportSignatureError, DuplicateReportError, ReportTimeError, ReportReplayError) as error:
            if ecu == record.primary:
                raise
            checked.events.append(false_report_event(ecu, error))
        else:
            checked.sound[ecu] = sound
            checked.events.extend(false_report_event(ecu, error) for error in false_twins(offered, record.ecus[ecu]))
    for part in manifest.unreadable:
        if part.ecu == record.primary and record.primary not in checked.sound:
            raise part.error
        checked.events.append(unreadable_event(part, record))
    return checked


def _check_offered(
    offered: list[UnverifiedReport],
    ecu: EcuId,
    record: VehicleRecord,
    *,
    now: datetime,
    knowledge: Knowledge,
    policy: ManifestPolicy,
) -> _Sound:
    """The one report of an ECU that counts."""
    signed = check_signed_once(offered, ecu, record)
    report = signed.report
    if not _has_no_time(report, knowledge):
        _check_time(report, record.reports.get(ecu), now, policy)
    sound = _check_fresh(report, record, knowledge, now)
    known = record.ecus[ecu]
    kept = knowledge.client.echoes_nonces and (known.counter_base > 0 or known.reset is not None)
    digest = report_digest(signed.message)
    return sound._replace(digest=digest if kept else None, signed=digest)


def _check_time(report: EcuReport, last: LastReport | None, now: datetime, policy: ManifestPolicy) -> None:
    """Refuse a time that is not plausible. A report with a counter may state an earlier time than the last one: the counter alone shows that it is new."""
    latest = now + policy.future
    earliest = report.time if last is None else now - policy.past
    if last is not None and report.counter is None:
        earliest = max(earliest, min(last.time, latest))
    if not earliest <= report.time <= latest:
        raise ReportTimeError(
            ecu=report.ecu,
            reported=format_time(report.time),
            earliest=format_time(earliest),
            latest=format_time(latest),
        )


def _check_fresh(report: EcuReport, record: VehicleRecord, knowledge: Knowledge, now: datetime) -> _Sound:
    """The report with the counter that is stored: above every one that this key of this ECU used before."""
    ecu = record.ecus[report.ecu]
    if report.ecu in knowledge.spent:
        raise ReportReplayError(ecu=report.ecu, field="report", reason="the same report was counted before")
    if report.nonce is not None and (report.ecu, report.nonce) in knowledge.nonces:
        reason = f"its nonce {report.nonce} was used before"
        raise ReportReplayError(ecu=report.ecu, field="nonce", reason=reason, offered=report.nonce, last=report.nonce)
    if report.counter is None:
        _check_covered(report, ecu)
        return _Sound(report, None, None, None)
    stored, highest = report.counter + ecu.counter_base, ecu.highest_counter
    reset = _reset_for(report, ecu, knowledge, now)
    if reset is not None and highest is not None:
        # Counting goes on from the highest; no stored counter ever falls.
        return _Sound(report._replace(counter=report.counter + highest), report.counter, reset.number, None)
    if highest is not None and stored <= highest:
        reason = f"its counter is {stored}, and the last one was {highest}"
        raise ReportReplayError(ecu=report.ecu, field="counter", reason=reason, offered=str(stored), last=str(highest))
    return _Sound(report._replace(counter=stored), report.counter, None, None)


def _reset_for(report: EcuReport, ecu: EcuRecord, knowledge: Knowledge, now: datetime) -> CounterReset | None:
    """The permission under which this report starts its counter again, if it has one and needs it.

    Where a client cannot carry the nonce, the next report that would be too low uses the permission up.
    """
    reset = ecu.reset
    if reset is None or reset.expires <= now or ecu.highest_counter is None or report.counter is None:
        return None
    if report.nonce == reset.nonce:
        return reset
    unable = not knowledge.client.echoes_nonces and report.counter + ecu.counter_base <= ecu.highest_counter
    return reset if unable else None


def _check_covered(report: EcuReport, ecu: EcuRecord) -> None:
    """A profile may give Secondaries no counter. The counter of the Primary, which signs the whole, then counts for theirs."""
    if ecu.primary:
        reason = "a Primary's report needs a counter, and this one has none"
        last = "" if ecu.highest_counter is None else str(ecu.highest_counter)
        raise ReportReplayError(ecu=report.ecu, field="counter", reason=reason, last=last)


def _has_no_time(report: EcuReport, knowledge: Knowledge) -> bool:
    """Whether the report states that the ECU knows no time, where its client may state that."""
    return knowledge.client.may_lack_time and report.time == NO_TIME


def _installed(report: EcuReport, entry: ImageEntry | None) -> InstalledImage:
    """What is installed, with the release counter that its entry states; what the ECU reports counts where none does."""
    installed = report.installed
    if entry is None or not same_image(installed, entry) or entry.release_counter is None:
        return installed
    return InstalledImage(
        path=installed.path,
        length=installed.length,
        hashes=installed.hashes,
        release_counter=entry.release_counter,
    )
