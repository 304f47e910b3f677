"""The checks of a vehicle version manifest against the inventory: Uptane 2.1.0 5.3.2.1 steps 1, 3 and 4.

Pure: what was sent, what the inventory holds and the time go in; what it shows, or a refusal, comes out. ``reception.py``
reads and writes the inventory; ``planning.py`` decides what to install.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from twinlock.director.errors import ManifestVehicleError
from twinlock.director.manifests.codes import kind_of
from twinlock.director.records import (
    AKTUALIZR_WIRE,
    ATTACK,
    FAILURE,
    NOTICE,
    REFUSAL,
    EcuRecord,
    Event,
    LastReport,
    VehicleRecord,
)
from twinlock.director.software import same_image
from twinlock.trust.errors.images import UnknownEcuError
from twinlock.trust.errors.reports import (
    DuplicateReportError,
    MissingEcuError,
    ReportReplayError,
    ReportSignatureError,
    ReportTimeError,
)
from twinlock.trust.model.targets import ImageEntry
from twinlock.trust.names import EcuId
from twinlock.trust.reports import (
    NO_TIME,
    EcuReport,
    InstallationReport,
    SignedManifest,
    SignedReport,
    verify_manifest,
    verify_report,
)
from twinlock.trust.state import InstalledImage
from twinlock.trust.wire.aktualizr.reports import is_nothing

_FUTURE = timedelta(minutes=5)  # clocks of vehicles and servers differ by seconds, not minutes
_PAST = timedelta(days=30)  # a Secondary that slept keeps its last verified time until its Primary tells it a new one


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestPolicy:
    """What times in reports are plausible: up to ``future`` ahead of the Director's clock and ``past`` behind it.

    An ECU fresh from the factory may not know the time before it has talked to anybody, so its first report may be as
    old as it likes (which is then noted as an event); from its second on, both bounds hold.
    """

    future: timedelta = _FUTURE
    past: timedelta = _PAST


@dataclass(frozen=True, slots=True, kw_only=True)
class Knowledge:
    """What the Director knows beside the vehicle's own rows.

    ``nonces`` are those in this manifest that were seen before, by ECU; ``images`` is what the Director knows of the
    image that each ECU reports (absent: nothing). ``complete`` False: the Image repository could not be asked, so what
    is not known may well be listed.
    """

    nonces: frozenset[tuple[EcuId, str]] = frozenset()
    images: Mapping[EcuId, ImageEntry] = field(default_factory=dict)
    complete: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedReports:
    """What a manifest proves by itself: the fresh reports that their ECUs signed, and what became of the others.

    Counters in ``reports`` are as they are stored: with the ECU's ``counter_base``. ``missing`` are the ECUs that were
    expected to report and of which no report counts.
    """

    reports: Mapping[EcuId, EcuReport]
    missing: tuple[EcuId, ...]
    events: tuple[Event, ...]
    installation: InstallationReport | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What an acceptable manifest shows: the reports that count, the ECUs that are missing, and what people should see.

    ``failed`` is the correlation id of an order of which the Primary says that its installation failed.
    """

    reports: Mapping[EcuId, EcuReport]
    installed: Mapping[EcuId, InstalledImage]
    events: tuple[Event, ...]
    missing: tuple[EcuId, ...] = ()
    failed: str | None = None


def judge_manifest(
    manifest: SignedManifest,
    record: VehicleRecord,
    *,
    now: datetime,
    address: str | None = None,
    knowledge: Knowledge = Knowledge(),
    policy: ManifestPolicy = ManifestPolicy(),
) -> Findings:
    """``verify_reports`` and ``conclude`` in one. Raises: as ``verify_reports``."""
    verified = verify_reports(manifest, record, now=now, address=address, seen_nonces=knowledge.nonces, policy=policy)
    return conclude(verified, record, knowledge)


def verify_reports(
    manifest: SignedManifest,
    record: VehicleRecord,
    *,
    now: datetime,
    address: str | None = None,
    seen_nonces: frozenset[tuple[EcuId, str]] = frozenset(),
    policy: ManifestPolicy = ManifestPolicy(),
) -> VerifiedReports:
    """Decide whether ``manifest`` is what this vehicle, as the inventory knows it, says now.

    ``address`` is the vehicle whose URL it came to, if any. ``record`` is the vehicle that the manifest names. A manifest
    without a sound report of its Primary is refused as a whole. Of every other ECU a false report counts as a missing one
    and is evidence; a missing one drops that ECU's part only (docs/POUF.md gives the reason).
    Raises: ManifestVehicleError, UnknownEcuError, ReportSignatureError, DuplicateReportError, MissingEcuError,
    ReportTimeError, ReportReplayError.
    """
    # Step 1: the signed part says whose manifest this is, and the address must not say otherwise. Where a profile has no
    # names of vehicles, the address alone says it, and the Primary's key has to fit.
    named = address if manifest.vehicle is None else manifest.vehicle
    if named != record.vehicle or address not in (None, named):
        raise ManifestVehicleError(offered=named or "(none named)", expected=address or record.vehicle)
    _check_primary(manifest, record)
    reports, events = _check_reports(manifest, record, now=now, seen_nonces=seen_nonces, policy=policy)
    absent = record.ecus.keys() - reports.keys()
    if record.primary in absent:
        raise MissingEcuError(vehicle=record.vehicle, missing=tuple(sorted(absent)))
    missing = tuple(sorted(ecu for ecu in absent if record.ecus[ecu].out_of_order_since is None))
    timed = [report for report in reports.values() if not _has_no_time(report, record)]
    return VerifiedReports(
        reports=reports,
        missing=missing,
        events=(
            *events,
            *_membership_events(reports, missing, record),
            *(event for report in timed for event in _time_events(report, now, policy)),
        ),
        installation=manifest.installation,
    )


def conclude(verified: VerifiedReports, record: VehicleRecord, knowledge: Knowledge = Knowledge()) -> Findings:
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
                for event in _events(report, record.ecus[ecu], knowledge)
            ),
            *(() if outcome is None else _outcome_events(outcome, record)),
        ),
        missing=verified.missing,
        failed=outcome.correlation_id if outcome is not None and not outcome.result.success else None,
    )


def _check_primary(manifest: SignedManifest, record: VehicleRecord) -> None:
    """The manifest is the registered Primary's, and signed with its key."""
    sender = record.ecus.get(manifest.primary)
    if sender is None:
        raise UnknownEcuError(vehicle=record.vehicle, ecu=manifest.primary)
    if not sender.primary:
        reason = f"{manifest.primary} is a Secondary; the Primary is {record.primary}"
        raise ReportSignatureError(what="manifest", ecu=manifest.primary, reason=reason)
    verify_manifest(manifest, sender.key)


def _check_reports(
    manifest: SignedManifest,
    record: VehicleRecord,
    *,
    now: datetime,
    seen_nonces: frozenset[tuple[EcuId, str]],
    policy: ManifestPolicy,
) -> tuple[dict[EcuId, EcuReport], list[Event]]:
    """The reports that count, by ECU, and an event for each of the others. Raises: what is wrong with the Primary's."""
    found: dict[EcuId, EcuReport] = {}
    events: list[Event] = []
    by_ecu: dict[EcuId, list[SignedReport]] = {}
    for signed in manifest.reports:
        by_ecu.setdefault(signed.report.ecu, []).append(signed)
    for ecu, offered in by_ecu.items():
        try:
            report = _check_signed_once(offered, ecu, record)
            if not _has_no_time(report, record):
                _check_time(report, record.reports.get(ecu), now, policy)
            _check_fresh(report, record.ecus[ecu], seen_nonces)
        except UnknownEcuError as error:
            events.append(Event(kind=REFUSAL, code=error.code, ecu=ecu, detail=str(error)))
        except (ReportSignatureError, DuplicateReportError, ReportTimeError, ReportReplayError) as error:
            if ecu == record.primary:
                raise
            events.append(Event(kind=ATTACK, code=error.code, ecu=ecu, detail=str(error), data=error.as_json()))
        else:
            found[ecu] = report
    return found, events


def _check_signed_once(offered: list[SignedReport], ecu: EcuId, record: VehicleRecord) -> EcuReport:
    """The one report of an ECU in the inventory, signed with its own key."""
    known = record.ecus.get(ecu)
    if known is None:
        raise UnknownEcuError(vehicle=record.vehicle, ecu=ecu)
    if len(offered) > 1:
        raise DuplicateReportError(vehicle=record.vehicle, ecu=ecu)
    return _with_base(verify_report(offered[0], known.key), known.counter_base)


def _membership_events(
    reports: Mapping[EcuId, EcuReport], missing: tuple[EcuId, ...], record: VehicleRecord
) -> Iterator[Event]:
    """An ECU that begins to be missing, and one that is there again."""
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
                detail=f"{ecu} reports again; it was away since {_text(since)}",
            )


def _with_base(report: EcuReport, base: int) -> EcuReport:
    """The report with the counter that is stored: an ECU with a new key may count from 1 again."""
    return report if report.counter is None else report._replace(counter=report.counter + base)


def _check_time(report: EcuReport, last: LastReport | None, now: datetime, policy: ManifestPolicy) -> None:
    latest = now + policy.future
    earliest = report.time if last is None else max(now - policy.past, min(last.time, latest))
    if not earliest <= report.time <= latest:
        raise ReportTimeError(
            ecu=report.ecu, reported=_text(report.time), earliest=_text(earliest), latest=_text(latest)
        )


def _check_fresh(report: EcuReport, ecu: EcuRecord, seen_nonces: frozenset[tuple[EcuId, str]]) -> None:
    if report.counter is None:
        _check_covered(report, ecu)
    elif ecu.highest_counter is not None and report.counter <= ecu.highest_counter:
        raise ReportReplayError(
            ecu=report.ecu, field="counter", offered=str(report.counter), last=str(ecu.highest_counter)
        )
    if report.nonce is not None and (report.ecu, report.nonce) in seen_nonces:
        raise ReportReplayError(ecu=report.ecu, field="nonce", offered=report.nonce, last=report.nonce)


def _check_covered(report: EcuReport, ecu: EcuRecord) -> None:
    """A profile may give Secondaries no counter. That of the Primary, which signs the whole, then stands for theirs."""
    if ecu.primary:
        seen = "none" if ecu.highest_counter is None else str(ecu.highest_counter)
        raise ReportReplayError(ecu=report.ecu, field="counter", offered="(none)", last=seen)


def _has_no_time(report: EcuReport, record: VehicleRecord) -> bool:
    """Whether the report says that it knows no time, as all of this client do; our own profile has no such word."""
    return record.wire == AKTUALIZR_WIRE and report.time == NO_TIME


def _installed(report: EcuReport, entry: ImageEntry | None) -> InstalledImage:
    """What is installed, with the release counter that its entry states; the ECU's own word counts where none does."""
    installed = report.installed
    if entry is None or not same_image(installed, entry) or entry.release_counter is None:
        return installed
    return InstalledImage(
        path=installed.path,
        length=installed.length,
        hashes=installed.hashes,
        release_counter=entry.release_counter,
    )


def _time_events(report: EcuReport, now: datetime, policy: ManifestPolicy) -> list[Event]:
    if report.time >= now - policy.past:
        return []
    return [
        Event(kind=NOTICE, code="old-time", ecu=report.ecu, detail=f"it knows no later time than {_text(report.time)}")
    ]


def _events(report: EcuReport, ecu: EcuRecord, knowledge: Knowledge) -> list[Event]:
    found = []
    if report.attack:
        found.append(_reported(report))
    elif report.detail:
        found.append(Event(kind=NOTICE, code="detail", ecu=report.ecu, detail=report.detail))
    entry = knowledge.images.get(report.ecu)
    if entry is None or not same_image(report.installed, entry):
        if not knowledge.complete or is_nothing(report.installed):
            return found
        detail = f"{report.installed.path}, as installed, is not what the Image repository ever listed"
        found.append(Event(kind=NOTICE, code="unlisted-image", ecu=report.ecu, detail=detail))
    elif entry.hardware_ids is not None and ecu.hardware_id not in entry.hardware_ids:
        detail = f"{report.installed.path} is for {', '.join(sorted(entry.hardware_ids))}, not {ecu.hardware_id}"
        found.append(Event(kind=NOTICE, code="wrong-hardware", ecu=report.ecu, detail=detail))
    return found


def _reported(report: EcuReport) -> Event:
    """What an ECU reported in its member ``attack``: the code of what it met, which older clients write for all kinds."""
    detail = f"{report.attack}: {report.detail}"
    return Event(kind=kind_of(report.attack), code=report.attack, ecu=report.ecu, detail=detail)


def _outcome_events(outcome: InstallationReport, record: VehicleRecord) -> list[Event]:
    """A failed installation: of each ECU that failed, or of the whole where it failed before any ECU was reached."""
    failed = {ecu: result for ecu, result in outcome.ecus.items() if not result.success and ecu in record.ecus}
    if not failed and not outcome.result.success:
        failed = {record.primary: outcome.result}
    return [
        Event(
            kind=FAILURE,
            code="install-failed",
            ecu=ecu,
            detail=f"{result.code}: {result.description} (order {outcome.correlation_id or 'without an id'})",
        )
        for ecu, result in failed.items()
    ]


def _text(time: datetime) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")
