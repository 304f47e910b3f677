"""ECU version reports and manifests, made and read in the wire profile of the Director."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from twinlock.client.ecu.clock import Clock
from twinlock.client.ecu.counters import CounterResets
from twinlock.client.ecu.evidence import EvidenceBook
from twinlock.client.ecu.identity import KEY_TYPES
from twinlock.client.storage.metadata import RepositoryProfiles
from twinlock.client.storage.state import TrustedState
from twinlock.trust.errors.base import Kind, RefusalError
from twinlock.trust.errors.local import ProfileError
from twinlock.trust.keys.public_keys import PublicKey, Signer, load_key
from twinlock.trust.limits import Limits
from twinlock.trust.model.ecu import InstalledImage
from twinlock.trust.model.evidence import MAX_EVENTS, Evidence
from twinlock.trust.names import DIRECTOR, EcuId, VehicleId
from twinlock.trust.wire.aktualizr import reports as aktualizr
from twinlock.trust.wire.aktualizr.decode import AKTUALIZR
from twinlock.trust.wire.profile import WireProfile
from twinlock.trust.wire.tuf import reports
from twinlock.trust.wire.tuf.metadata import TUF
from twinlock.trust.wire.tuf.reports import EcuReport, InstallationReport, UnverifiedReport, report_digest


class ReportProfile(Protocol):
    """The reports of one wire profile. What is signed here is what the Director of that profile reads.

    ``key_types`` are those of ``identity.py`` whose signatures it can carry; ``reports_outcomes`` is whether a manifest has
    a place for how an order ended; ``acknowledges`` whether its Director acknowledges evidence in signed metadata.
    """

    key_types: tuple[str, ...]
    reports_outcomes: bool
    acknowledges: bool

    def reporting_key(self, key: PublicKey) -> PublicKey:
        """``key`` under the id that its reports name. Raises: ProfileError for one that cannot sign reports of this profile."""

    def sign_report(self, report: EcuReport, signer: Signer) -> bytes:
        """One ECU's report, signed by it. Raises: ProfileError."""

    def decode_report(self, data: bytes, limits: Limits) -> UnverifiedReport:
        """A report that was not verified yet. Raises: MalformedError, LimitError, UnsafePathError."""

    def sign_manifest(
        self,
        vehicle: VehicleId,
        primary: EcuId,
        signed: Iterable[bytes],
        signer: Signer,
        installation: InstallationReport | None,
    ) -> bytes:
        """All reports, signed by the Primary, and ``installation`` if the profile has a place for outcomes."""


class TufReports:
    """See ``ReportProfile``: the form of ``docs/POUF.md``. How an order ended is in the reports themselves."""

    key_types: tuple[str, ...] = KEY_TYPES
    reports_outcomes = False
    acknowledges = True

    def reporting_key(self, key: PublicKey) -> PublicKey:
        return key

    def sign_report(self, report: EcuReport, signer: Signer) -> bytes:
        return reports.sign_report(report, signer)

    def decode_report(self, data: bytes, limits: Limits) -> UnverifiedReport:
        return reports.decode_report(data, limits)

    def sign_manifest(
        self,
        vehicle: VehicleId,
        primary: EcuId,
        signed: Iterable[bytes],
        signer: Signer,
        installation: InstallationReport | None,
    ) -> bytes:
        del installation
        return reports.sign_manifest(vehicle, primary, signed, signer)


class AktualizrReports:
    """See ``ReportProfile``: the form of ``docs/POUF-aktualizr.md``. It names no vehicle."""

    reports_outcomes = True
    acknowledges = False
    key_types: tuple[str, ...] = tuple(keytype for keytype in KEY_TYPES if keytype != "ecdsa")

    def reporting_key(self, key: PublicKey) -> PublicKey:
        aktualizr.encode_public_key(key)
        return load_key(aktualizr.native_key_id(key), keytype=key.keytype, scheme=key.scheme, public=key.public)

    def sign_report(self, report: EcuReport, signer: Signer) -> bytes:
        return aktualizr.sign_report(report._replace(detail=_all_attacks(report)), signer)

    def decode_report(self, data: bytes, limits: Limits) -> UnverifiedReport:
        return aktualizr.decode_report(data, limits)

    def sign_manifest(
        self,
        vehicle: VehicleId,
        primary: EcuId,
        signed: Iterable[bytes],
        signer: Signer,
        installation: InstallationReport | None,
    ) -> bytes:
        del vehicle
        return aktualizr.sign_manifest(primary, signed, signer, installation=installation)


def _all_attacks(report: EcuReport) -> str:
    """The sentence of the most severe attack, and the codes of the others with how often each was met."""
    others = [event for event in report.evidence if event.kind is Kind.ATTACK][1:]
    codes = ", ".join(f"{event.code} ({event.occurrences})" for event in others)
    return f"{report.detail}; also {codes}" if codes else report.detail


def report_profile(director: WireProfile) -> ReportProfile:
    """The profile of the reports to a Director of that wire profile."""
    return AktualizrReports() if director is AKTUALIZR else TufReports()


def check_reporting_key(wires: RepositoryProfiles, key: PublicKey) -> None:
    """Refuse, before anything runs, an ECU key whose reports the Director's profile cannot carry. Raises: ProfileError."""
    report_profile(wires.get(DIRECTOR, TUF)).reporting_key(key)


def check_key_type(wires: RepositoryProfiles, ecu: str, key_type: str) -> None:
    """``check_reporting_key`` for a key that is not made yet. Raises: ProfileError."""
    director = wires.get(DIRECTOR, TUF)
    known = report_profile(director).key_types
    if key_type not in known:
        reason = f"the ECU key is of type {key_type}, and the Director reads only {' and '.join(known)}"
        raise ProfileError(profile=director.name, what=f"the report of {ecu}", reason=reason)


def make_report(
    ecu: EcuId,
    installed: InstalledImage,
    *,
    state: TrustedState,
    clock: Clock,
    signer: Signer,
    profile: ReportProfile,
    limits: Limits,
) -> bytes:
    """A signed report of what ``ecu`` runs, with a counter that was never used before and all unacknowledged evidence.

    The counter and the time that it states are on the disk before the report exists, so no crash can make two reports share one.
    Evidence for which it has no room waits, and never holds the report back.
    Raises: StorageError, ProfileError; RefusalError for what is not evidence and its reader refuses.
    """
    now = state.time_to_state(clock.reported())
    counter, nonce = CounterResets(state).next_counter(now)
    book = EvidenceBook(state)
    bare = EcuReport(ecu=ecu, installed=installed, time=now, counter=counter, nonce=nonce)
    data, read, carried = _sign_readable(bare, book.events(), profile, signer=signer, limits=limits)
    book.carry(counter, carried)
    if profile.acknowledges:
        book.note_report(counter, report_digest(read.message))
    return data


def _sign_readable(
    bare: EcuReport, events: tuple[Evidence, ...], profile: ReportProfile, *, signer: Signer, limits: Limits
) -> tuple[bytes, UnverifiedReport, tuple[Evidence, ...]]:
    """The report with as many of ``events`` as its reader takes, the most severe first; what is read of it, and those events."""
    carried = events[:MAX_EVENTS]
    while True:
        try:
            data = profile.sign_report(_with_evidence(bare, carried), signer)
            return data, profile.decode_report(data, limits), carried
        except (ProfileError, RefusalError):
            if not carried:
                raise
            carried = carried[: len(carried) // 2]


def _with_evidence(report: EcuReport, events: tuple[Evidence, ...]) -> EcuReport:
    worst = next(iter(events), None)
    if worst is None:
        return report
    attack = worst.code if worst.kind is Kind.ATTACK else ""
    return report._replace(attack=attack, detail=worst.detail, evidence=events)
