"""An operator's permission to ask once for another certificate with the shared one, for a limited time.

A device that was wiped or replaced has lost its certificate if that came with shared credentials. What is then done is in
``credentials.py``. The caller owns the transaction.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import Column, Connection, insert, select, update

from twinlock.director.errors.operator import ValidityError
from twinlock.director.inventory import schema
from twinlock.director.inventory.history import record_audit
from twinlock.trust.names import VehicleId

MAX_VALID_S = 31 * 86_400
_P = schema.rekey_permissions.c


def allow_certificate(
    connection: Connection, vehicle: VehicleId, *, valid_s: int, actor: str, now: datetime
) -> datetime:
    """Allow it until the time that is returned. Raises: UsageError."""
    if not 0 < valid_s <= MAX_VALID_S:
        raise ValidityError(what="a permission", longest_s=MAX_VALID_S, offered_s=valid_s)
    expires = now + timedelta(seconds=valid_s)
    row = {"vehicle": vehicle, "created_at": now, "expires": expires, "actor": actor}
    connection.execute(insert(schema.rekey_permissions).values(**row))
    detail = {"valid_s": valid_s}
    record_audit(connection, actor=actor, action="allow-certificate", vehicle=vehicle, detail=detail, now=now)
    return expires


def use_for_certificate(connection: Connection, vehicle: VehicleId, now: datetime) -> bool:
    """Use a permission up for a new certificate; False if there is none."""
    return _use(connection, vehicle, _P.certificate_issued_at, now)


def _use(connection: Connection, vehicle: VehicleId, used: Column[datetime], now: datetime) -> bool:
    query = (
        select(_P.number)
        .where(_P.vehicle == vehicle, _P.expires > now, used.is_(None))
        .order_by(_P.number)
        .limit(1)
        .with_for_update()
    )
    number = connection.execute(query).scalar_one_or_none()
    if number is None:
        return False
    connection.execute(update(schema.rekey_permissions).where(_P.number == number).values({used: now}))
    return True
