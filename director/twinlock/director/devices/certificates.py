"""Certificates on record: issued, refused to a second holder, revoked, and an operator's permission to ask for another.

Every certificate leaves a row. A device that was wiped or replaced has lost its certificate if that came with shared
credentials; a permission lets it ask once for another one, for a limited time. The caller owns the transaction.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from twinlock.director.devices.credentials import Credential
from twinlock.director.errors.operator import NoCertificateError, UnknownCertificateError, ValidityError
from twinlock.director.errors.vehicles import DeviceTakenError
from twinlock.director.inventory import schema
from twinlock.director.inventory.history import record_audit
from twinlock.director.ways_out.key_changes import MAX_VALID_S
from twinlock.trust.names import VehicleId
from twinlock.trust.text.times import format_time

SINGLE, SHARED, SERVER = "single", "shared", "server"

_C = schema.issued_certificates.c
_R = schema.revoked_certificates.c
_P = schema.rekey_permissions.c


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """A certificate that was issued. ``kind`` is SINGLE (one vehicle), SHARED (provisioning) or SERVER."""

    kind: str
    name: str
    serial: str
    fingerprint: str
    issued_at: datetime
    not_after: datetime
    actor: str
    revoked_at: datetime | None = None


def admit_first_certificate(connection: Connection, vehicle: VehicleId, now: datetime) -> None:
    """Let a device have a first certificate in this name, or another if an operator permitted that.

    The permission is used up then, and the certificates that it had before are revoked. Raises: DeviceTakenError.
    """
    # Of two that ask for one name at once, the second waits here until the first has its row.
    connection.execute(select(schema.schema_version).with_for_update())
    registered = select(schema.vehicles.c.vehicle).where(schema.vehicles.c.vehicle == vehicle)
    before = list_certificates(connection, name=vehicle, kind=SINGLE)
    if not before and connection.execute(registered).first() is None:
        return
    if not _use_permission(connection, vehicle, now):
        raise DeviceTakenError(vehicle=vehicle)
    for certificate in before:
        if certificate.revoked_at is None:
            _revoke(connection, certificate.fingerprint, "provisioning", now)


def allow_certificate(
    connection: Connection, vehicle: VehicleId, *, valid_s: int, actor: str, now: datetime
) -> datetime:
    """Let ``vehicle`` ask once for another certificate, until the time that is returned. Raises: UsageError."""
    if not 0 < valid_s <= MAX_VALID_S:
        raise ValidityError(what="a permission", longest_s=MAX_VALID_S, offered_s=valid_s)
    expires = now + timedelta(seconds=valid_s)
    row = {"vehicle": vehicle, "created_at": now, "expires": expires, "actor": actor}
    connection.execute(insert(schema.rekey_permissions).values(**row))
    detail = {"valid_s": valid_s}
    record_audit(connection, actor=actor, action="allow-certificate", vehicle=vehicle, detail=detail, now=now)
    return expires


def _use_permission(connection: Connection, vehicle: VehicleId, now: datetime) -> bool:
    """Use a permission up; False if there is none."""
    query = (
        select(_P.number)
        .where(_P.vehicle == vehicle, _P.expires > now, _P.certificate_issued_at.is_(None))
        .order_by(_P.number)
        .limit(1)
        .with_for_update()
    )
    number = connection.execute(query).scalar_one_or_none()
    if number is None:
        return False
    used = update(schema.rekey_permissions).where(_P.number == number)
    connection.execute(used.values(certificate_issued_at=now))
    return True


def note_issued(
    connection: Connection, credential: Credential, *, kind: str, name: str, actor: str, now: datetime
) -> None:
    """Record a certificate, and who asked for it."""
    row = {"kind": kind, "name": name, "serial": credential.serial, "fingerprint": credential.fingerprint}
    not_after = credential.certificate.not_valid_after_utc
    values = {**row, "issued_at": now, "not_after": not_after, "actor": actor}
    connection.execute(insert(schema.issued_certificates).values(**values))
    detail = {**row, "notAfter": format_time(not_after)}
    vehicle = name if kind == SINGLE else None
    record_audit(connection, actor=actor, action="certificate", vehicle=vehicle, detail=detail, now=now)


def revoke(
    connection: Connection, name: str, *, actor: str, reason: str | None = None, now: datetime
) -> tuple[str, ...]:
    """Revoke every certificate of a vehicle, or the one with that fingerprint; returns their fingerprints.

    ``reason`` is for the audit.

    One that another CA issued can be revoked too, by its fingerprint. Raises: UsageError if there is nothing to do.
    """
    fingerprints = revocable(connection, name)
    for fingerprint in fingerprints:
        _revoke(connection, fingerprint, actor, now, reason=reason)
    return fingerprints


def revocable(connection: Connection, name: str) -> tuple[str, ...]:
    """The fingerprints of what ``revoke`` would revoke. Raises: UsageError if there is none."""
    known = [*list_certificates(connection, name=name), *list_certificates(connection, fingerprint=name)]
    fingerprints = tuple(item.fingerprint for item in known if item.revoked_at is None)
    if not known and len(name) == 64 and not set(name) - set("0123456789abcdef") and not is_revoked(connection, name):
        fingerprints = (name,)
    if not fingerprints:
        unknown = not known and not is_revoked(connection, name)
        raise UnknownCertificateError(name=name) if unknown else NoCertificateError(name=name)
    return fingerprints


def is_revoked(connection: Connection, fingerprint: str) -> bool:
    """Whether a certificate was revoked."""
    return connection.execute(select(_R.revoked_at).where(_R.fingerprint == fingerprint)).first() is not None


def kind_of(connection: Connection, fingerprint: str) -> str | None:
    """The kind of a certificate; None for one that this Director did not issue."""
    return connection.execute(select(_C.kind).where(_C.fingerprint == fingerprint)).scalar_one_or_none()


def list_certificates(
    connection: Connection, *, name: str | None = None, kind: str | None = None, fingerprint: str | None = None
) -> tuple[Certificate, ...]:
    """What was issued, newest first."""
    revoked = schema.revoked_certificates
    query = (
        select(schema.issued_certificates, _R.revoked_at)
        .outerjoin(revoked, _R.fingerprint == _C.fingerprint)
        .order_by(_C.number.desc())
    )
    for column, value in ((_C.name, name), (_C.kind, kind), (_C.fingerprint, fingerprint)):
        query = query if value is None else query.where(column == value)
    return tuple(_certificate(row) for row in connection.execute(query))


def _revoke(connection: Connection, fingerprint: str, actor: str, now: datetime, *, reason: str | None = None) -> None:
    row = {"fingerprint": fingerprint, "revoked_at": now, "actor": actor}
    connection.execute(insert(schema.revoked_certificates).values(**row))
    detail = {"fingerprint": fingerprint} if reason is None else {"fingerprint": fingerprint, "reason": reason}
    issued = connection.execute(select(_C.kind, _C.name).where(_C.fingerprint == fingerprint)).first()
    vehicle = issued.name if issued is not None and issued.kind == SINGLE else None
    record_audit(connection, actor=actor, action="revoke-certificate", vehicle=vehicle, detail=detail, now=now)


def _certificate(row: Row[Any]) -> Certificate:
    return Certificate(
        kind=row.kind,
        name=row.name,
        serial=row.serial,
        fingerprint=row.fingerprint,
        issued_at=row.issued_at,
        not_after=row.not_after,
        actor=row.actor,
        revoked_at=row.revoked_at,
    )
