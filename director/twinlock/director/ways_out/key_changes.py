"""New keys for known ECUs: an operator names the key, and only that key is accepted, once and for a limited time.

A key is named by its fingerprint, the SHA-256 of its material whatever its key id, or by a description of the ECU that holds
it. What vehicles came with and were refused is pending; naming its fingerprint confirms it. The caller owns the transaction.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, update

from twinlock.director.errors.operator import NoSuchEcuError, SamePersonError, UnknownKeyChangeError, ValidityError
from twinlock.director.errors.vehicles import EcuTakenError, KeyChangeError
from twinlock.director.inventory import schema
from twinlock.director.inventory.history import record_audit
from twinlock.director.inventory.vehicles import (
    check_unclaimed,
    claim_ecus,
    key_identity,
    load_active_vehicle,
    load_vehicle,
    lock_vehicle,
    touch_vehicle,
)
from twinlock.director.model.records import EcuRecord
from twinlock.director.model.vehicle_description import read_ecu
from twinlock.director.ways_out.retirement import ecu_rows, end_orders, retire_row
from twinlock.trust.errors.base import UsageError
from twinlock.trust.names import EcuId, HardwareId, VehicleId, Verification, identifier

MAX_VALID_S = 31 * 86_400  # of a permission or a reset
MAX_PENDING = 8  # keys that are kept for one ECU: an operator has to be able to compare them
PENDING_FOR = timedelta(days=30)  # a key that was not sent for so long makes room for others
_C = schema.key_changes.c
_P = schema.pending_keys.c
_E = schema.ecus.c


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyChange:
    """A permission: ``ecu`` may come with the key of that fingerprint, as ``new_ecu``. ``applied``: it did."""

    number: int
    vehicle: VehicleId
    ecu: EcuId
    new_ecu: EcuId
    fingerprint: str
    expires: datetime
    actor: str
    confirmed_by: str | None
    applied: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class NewKey:
    """The key that ``ecu`` is to have: by its fingerprint, or by the description of the ECU that holds it.

    ``new_ecu`` is the serial under which it reports then, None where that stays or is that of the description.
    """

    ecu: EcuId
    fingerprint: str | None = None
    described: EcuRecord | None = None
    new_ecu: EcuId | None = None


def change_key(
    connection: Connection,
    vehicle: VehicleId,
    wanted: NewKey,
    *,
    valid_s: int,
    second_person: bool,
    actor: str,
    now: datetime,
) -> KeyChange:
    """Permit one change to the key named, and apply it at once if the key is known and needs no confirmation.

    For a retired vehicle it is not applied: the ECU may be registered again with that key, in whichever vehicle.
    Raises: NoSuchEcuError, UsageError, KeyChangeError if another ECU has the key or the serial.
    """
    if not 0 < valid_s <= MAX_VALID_S:
        raise ValidityError(what="a permission", longest_s=MAX_VALID_S, offered_s=valid_s)
    lock_vehicle(connection, vehicle)
    record = load_vehicle(connection, vehicle)
    ecu, fingerprint, described = wanted.ecu, wanted.fingerprint, wanted.described
    if ecu not in record.ecus and ecu not in record.retired:
        raise NoSuchEcuError(ecus=(ecu,), vehicle=vehicle)
    named = fingerprint if described is None else key_identity(described.key)
    if named is None:
        raise UsageError(reason="name the new key by its fingerprint, or give the description of the ECU that holds it")
    target = EcuId(identifier(wanted.new_ecu or (described.ecu if described is not None else ecu)))
    _check_free(connection, vehicle, ecu, target, named)
    offered = described.as_json() if described is not None else _pending(connection, vehicle, ecu, named)
    values = {
        "vehicle": vehicle,
        "ecu": ecu,
        "key_identity": named,
        "new_ecu": target,
        "description": offered,
        "created_at": now,
        "expires": now + timedelta(seconds=valid_s),
        "actor": actor,
        "confirmed_by": None if second_person else actor,
    }
    inserted = connection.execute(insert(schema.key_changes).values(**values)).inserted_primary_key
    assert inserted is not None
    detail = {"ecu": ecu, "newEcu": target, "fingerprint": named, "number": int(inserted[0])}
    record_audit(connection, actor=actor, action="change-key", vehicle=vehicle, detail=detail, now=now)
    return _apply_if_ready(connection, _row(connection, int(inserted[0])), actor=actor, now=now)


def confirm_change(connection: Connection, number: int, *, actor: str, now: datetime) -> KeyChange:
    """Confirm a permission as the second person. Raises: UsageError for an unknown or lapsed one, or the same person."""
    row = connection.execute(select(schema.key_changes).where(_C.number == number)).one_or_none()
    if row is None or row.used_at is not None or row.expires <= now:
        raise UnknownKeyChangeError(number=number)
    lock_vehicle(connection, row.vehicle)
    if _person(row.actor) == _person(actor):
        raise SamePersonError(actor=actor, number=number)
    connection.execute(update(schema.key_changes).where(_C.number == number).values(confirmed_by=actor))
    detail = {"number": number, "askedBy": row.actor, "fingerprint": row.key_identity}
    record_audit(connection, actor=actor, action="confirm-key", vehicle=row.vehicle, detail=detail, now=now)
    return _apply_if_ready(connection, _row(connection, number), actor=actor, now=now)


def _person(actor: str) -> str:
    """What two spellings of one person's name have in common."""
    return " ".join(actor.split()).casefold()


def permitted_changes(
    connection: Connection, vehicle: VehicleId, offered: Mapping[EcuId, EcuRecord], now: datetime
) -> dict[EcuId, int]:
    """The numbers of the permissions that admit these ECUs with the keys offered, by ECU; others are absent."""
    query = select(schema.key_changes).where(
        _C.vehicle == vehicle, _C.used_at.is_(None), _C.confirmed_by.is_not(None), _C.expires > now
    )
    permitted: dict[EcuId, int] = {}
    for row in connection.execute(query):
        record = offered.get(EcuId(row.new_ecu))
        if record is not None and key_identity(record.key) == row.key_identity:
            permitted[EcuId(row.new_ecu)] = int(row.number)
    return permitted


def use_changes(connection: Connection, numbers: Iterable[int], now: datetime) -> None:
    """Use permissions up."""
    connection.execute(update(schema.key_changes).where(_C.number.in_(list(numbers))).values(used_at=now))


def note_pending(
    connection: Connection, vehicle: VehicleId, offered: Iterable[EcuRecord], now: datetime, *, authenticated: bool
) -> None:
    """Keep keys that were refused, so that an operator can confirm one by its fingerprint. A bounded number of each ECU.

    Senders that prove nothing fill only free places, and those of others that proved nothing and did not come for
    ``PENDING_FOR``. What a proven sender sent is changed only by a proven one.
    """
    for record in offered:
        this = (_P.vehicle == vehicle, _P.ecu == record.ecu, _P.key_identity == key_identity(record.key))
        known = connection.execute(select(_P.authenticated).where(*this)).scalar_one_or_none()
        if known is not None:
            stated = {"description": record.as_json(), "authenticated": True} if authenticated else {}
            if authenticated or not known:
                connection.execute(update(schema.pending_keys).where(*this).values(last_seen=now, **stated))
            continue
        if not _make_place(connection, vehicle, record.ecu, now, authenticated=authenticated):
            continue
        row: dict[str, Any] = {"vehicle": vehicle, "ecu": record.ecu, "key_identity": key_identity(record.key)}
        row |= {"description": record.as_json(), "first_seen": now, "last_seen": now, "authenticated": authenticated}
        connection.execute(insert(schema.pending_keys).values(**row))


def _make_place(connection: Connection, vehicle: str, ecu: str, now: datetime, *, authenticated: bool) -> bool:
    """Make room for one more key of this ECU, by deleting one that may go if need be; returns whether there is room."""
    query = select(_P.key_identity, _P.last_seen, _P.authenticated).where(_P.vehicle == vehicle, _P.ecu == ecu)
    rows = connection.execute(query.order_by(_P.last_seen)).all()
    if len(rows) < MAX_PENDING:
        return True
    unproven = (row for row in rows if not row.authenticated and (authenticated or row.last_seen < now - PENDING_FOR))
    stale = (row for row in rows if authenticated and row.last_seen < now - PENDING_FOR)
    gone = next(iter((*unproven, *stale)), None)
    if gone is None:
        return False
    this = (_P.vehicle == vehicle, _P.ecu == ecu, _P.key_identity == gone.key_identity)
    connection.execute(delete(schema.pending_keys).where(*this))
    return True


def list_pending(connection: Connection, vehicle: str) -> list[dict[str, Any]]:
    """The refused keys of a vehicle's ECUs, newest first, as plain JSON values."""
    query = select(schema.pending_keys).where(_P.vehicle == vehicle).order_by(_P.last_seen.desc())
    return [
        {
            "ecu": row.ecu,
            "fingerprint": row.key_identity,
            "hardwareId": row.description["hardwareId"],
            "firstSeen": row.first_seen,
            "lastSeen": row.last_seen,
            "authenticated": row.authenticated,
        }
        for row in connection.execute(query)
    ]


def list_changes(connection: Connection, vehicle: str, now: datetime) -> tuple[KeyChange, ...]:
    """The permissions of a vehicle that wait to be confirmed or used."""
    query = select(schema.key_changes).where(_C.vehicle == vehicle, _C.used_at.is_(None), _C.expires > now)
    return tuple(_change(row) for row in connection.execute(query.order_by(_C.number)))


def _apply_if_ready(connection: Connection, row: Row[Any], *, actor: str, now: datetime) -> KeyChange:
    retired = load_vehicle(connection, row.vehicle).retired_at is not None
    if row.confirmed_by is None or row.description is None or retired:
        return _change(row)
    apply_change(connection, row, actor=actor, now=now)
    return replace(_change(row), applied=True)


def apply_change(connection: Connection, row: Row[Any], *, actor: str, now: datetime) -> None:
    """Give the ECU its new key, and its new serial or hardware id if it has another. What it runs is unknown then."""
    vehicle, ecu, target = VehicleId(row.vehicle), EcuId(row.ecu), EcuId(row.new_ecu)
    load_active_vehicle(connection, vehicle)
    old = ecu_rows(connection, vehicle)[ecu]
    _check_free(connection, vehicle, ecu, target, row.key_identity)
    offered = read_ecu(row.description)
    new = replace(
        offered,
        ecu=target,
        hardware_id=HardwareId(offered.hardware_id),
        primary=old.primary_ecu,
        verification=Verification(old.verification) if old.primary_ecu else offered.verification,
    )
    if target != ecu:
        retire_row(connection, old, now)
    if target != ecu or new.hardware_id != old.hardware_id:
        end_orders(connection, vehicle, [ecu], actor=actor, now=now)
    outstanding = schema.outstanding
    connection.execute(delete(outstanding).where(outstanding.c.vehicle == vehicle, outstanding.c.ecu == ecu))
    claim_ecus(connection, vehicle, [new])
    use_changes(connection, [row.number], now)
    connection.execute(delete(schema.pending_keys).where(_P.vehicle == vehicle, _P.ecu.in_([ecu, target])))
    detail = {"ecu": ecu, "newEcu": target, "keys": [old.keyid, new.key.keyid], "number": int(row.number)}
    record_audit(connection, actor=actor, action="replace-key", vehicle=vehicle, detail=detail, now=now)
    touch_vehicle(connection, vehicle)


def _check_free(connection: Connection, vehicle: VehicleId, ecu: EcuId, target: EcuId, fingerprint: str) -> None:
    try:
        check_unclaimed(connection, vehicle, target, fingerprint)
    except EcuTakenError as error:
        raise KeyChangeError(vehicle=vehicle, ecu=ecu, field=error.field, reason=error.reason) from None
    if target != ecu and target in load_vehicle(connection, vehicle).ecus:
        raise KeyChangeError(vehicle=vehicle, ecu=ecu, field="ecu", reason=f"{target} is another ECU of this vehicle")


def _pending(connection: Connection, vehicle: VehicleId, ecu: EcuId, fingerprint: str) -> Any:
    query = select(_P.description).where(_P.vehicle == vehicle, _P.ecu == ecu, _P.key_identity == fingerprint)
    return connection.execute(query).scalar_one_or_none()


def _row(connection: Connection, number: int) -> Row[Any]:
    return connection.execute(select(schema.key_changes).where(_C.number == number)).one()


def _change(row: Row[Any]) -> KeyChange:
    return KeyChange(
        number=int(row.number),
        vehicle=VehicleId(row.vehicle),
        ecu=EcuId(row.ecu),
        new_ecu=EcuId(row.new_ecu),
        fingerprint=row.key_identity,
        expires=row.expires,
        actor=row.actor,
        confirmed_by=row.confirmed_by,
        applied=row.used_at is not None,
    )
