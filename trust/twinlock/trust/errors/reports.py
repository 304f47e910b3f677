"""Refusals of reports, manifests and time attestations: Uptane 2.1.0 5.3.2.1 and 5.4.2."""

from __future__ import annotations

from twinlock.trust.errors.base import Attack, RefusalError

MANIFEST_PROCEDURE = "Uptane 2.1.0 5.3.2.1"
"""The clause of the procedure by which a Director judges a manifest and the reports in it."""


class ReportSignatureError(RefusalError):
    """A report or manifest that its ECU's key did not sign."""

    code = "report-signature"
    attack = Attack.SPOOFED_REPORT
    clause = MANIFEST_PROCEDURE
    template = "the {what} of {ecu} is not signed by that ECU's key: {reason}"
    hint = (
        "if the ECU was replaced or has a new key, name it with `twinlock director replace-ecu` or `rekey`, and a Secondary "
        "also to its Primary with `twinlock primary set-secondary`"
    )
    what: str
    ecu: str
    reason: str


class ReportReplayError(RefusalError):
    """A report whose counter or nonce was used before.

    ``field`` is ``counter``, ``nonce``, ``counter-or-nonce`` or ``report``, the whole. ``offered`` and ``last`` are the values of a
    field that has any, and empty otherwise.
    """

    code = "report-replay"
    attack = Attack.REPLAY
    clause = MANIFEST_PROCEDURE
    template = "the report of {ecu} is not new: {reason}"
    hint = "if the ECU lost its storage or was restored from a backup, run `twinlock director reset-counter`"
    ecu: str
    field: str
    reason: str
    offered: str = ""
    last: str = ""


class MissingEcuError(RefusalError):
    """A manifest that omits ECUs which the inventory records."""

    code = "missing-ecu"
    attack = Attack.DROP_REQUEST
    clause = MANIFEST_PROCEDURE
    template = "the manifest of {vehicle} has no report of {missing}"
    hint = "if the Primary is broken, replace it with `twinlock director replace-ecu`"
    vehicle: str
    missing: tuple[str, ...]


class DuplicateReportError(RefusalError):
    """A manifest with two reports of one ECU."""

    code = "duplicate-report"
    attack = Attack.SPOOFED_REPORT
    clause = MANIFEST_PROCEDURE
    template = "the manifest of {vehicle} has more than one report of {ecu}"
    vehicle: str
    ecu: str


class ReportTimeError(RefusalError):
    """A report whose time cannot be right."""

    code = "report-time"
    attack = Attack.REPLAY
    clause = MANIFEST_PROCEDURE
    template = "the report of {ecu} states the time {reported}; it must lie between {earliest} and {latest}"
    ecu: str
    reported: str
    earliest: str
    latest: str


class AttestationError(RefusalError):
    """A time attestation that does not prove a time to this ECU."""

    code = "time-attestation"
    attack = Attack.FREEZE
    clause = "Uptane 2.1.0 5.4.3.1"
    template = "the time attestation is refused: {reason}"
    reason: str


class AttestationKeyError(AttestationError):
    """A time attestation signed only by keys that the known Root does not name: forged, or newer than that Root."""

    code = "time-attestation-key"
    attack = Attack.NONE


class UnsolicitedTimeError(AttestationError):
    """A time attestation that answers none of this ECU's open requests: late, used before, or meant for another ECU."""

    code = "time-unsolicited"
    attack = Attack.NONE
