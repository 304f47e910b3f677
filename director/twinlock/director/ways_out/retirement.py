"""Vehicles and ECUs that leave: out of order, retired, released for others, and active again.

A row of an ECU is never deleted, because history names it. All functions take a connection whose transaction the caller owns.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, select, update

from twinlock.director.errors.operator import (
    EcusReleasedError,
    NoSuchEcuError,
    NotRetiredError,
    PrimaryNeededError,
    UnknownSerialError,
)
from twinlock.director.errors.vehicles import RegistrationError, UnknownVehicleError
from twinlock.director.inventory import schema
from twinlock.director.inventory.assignments import drop_assignments, load_assignments
from twinlock.director.inventory.history import record_audit
from twinlock.director.inventory.vehicles import find_held_identities, load_vehicle, lock_vehicle, touch_vehicle
from twinlock.trust.names import EcuId, VehicleId

_E = schema.ecus.c
_V = schema.vehicles.c
_S = schema.serial_owners.c


def declare_out_of_order(
    connection: Connection, vehicle: VehicleId, ecus: Iterable[EcuId], *, actor: str, now: datetime
) -> None:
    """Expect no report of these ECUs until they report again. Raises: NoSuchEcuError, UsageError for the Primary."""
    lock_vehicle(connection, vehicle)
    record = load_vehicle(connection, vehicle)
    named = sorted(set(ecus))
    for ecu in named:
        if ecu not in record.ecus:
            raise NoSuchEcuError(ecus=(ecu,), vehicle=vehicle)
        if ecu == record.primary:
            raise PrimaryNeededError(vehicle=vehicle, ecu=ecu)
    values = {"out_of_order_at": now, "missing_since": None}
    connection.execute(update(schema.ecus).where(_E.ecu.in_(named)).values(**values))
    record_audit(connection, actor=actor, action="out-of-order", vehicle=vehicle, detail={"ecus": named}, now=now)
    touch_vehicle(connection, vehicle)


def retire_ecus(
    connection: Connection,
    vehicle: VehicleId,
    ecus: Iterable[EcuId],
    *,
    release: bool,
    actor: str,
    now: datetime,
) -> None:
    """Remove ECUs from their vehicle; with ``release`` their serials and keys are free for any vehicle.

    ECUs that are retired already may be released. Raises: NoSuchEcuError, UsageError for the Primary.
    """
    lock_vehicle(connection, vehicle)
    rows, named = ecu_rows(connection, vehicle), sorted(set(ecus))
    for ecu in named:
        if ecu not in rows or (rows[ecu].retired_at is not None and not release):
            raise NoSuchEcuError(ecus=(ecu,), vehicle=vehicle)
        if rows[ecu].primary_ecu:
            raise PrimaryNeededError(vehicle=vehicle, ecu=ecu)
    named = [ecu for ecu in named if rows[ecu].released_at is None]  # the others left long ago, and are released
    if not named:
        return
    for ecu in named:
        retire_row(connection, rows[ecu], now, release=release)
    end_orders(connection, vehicle, named, actor=actor, now=now)
    detail = {"ecus": named, "released": release}
    record_audit(connection, actor=actor, action="retire-ecu", vehicle=vehicle, detail=detail, now=now)
    touch_vehicle(connection, vehicle)


def retire_vehicle(connection: Connection, vehicle: VehicleId, *, release: bool, actor: str, now: datetime) -> None:
    """Retire a vehicle: it gets no metadata and its reports are refused. With ``release`` its ECUs are free for others.

    Repeating it changes nothing and leaves no row in the audit.
    """
    lock_vehicle(connection, vehicle)
    rows = ecu_rows(connection, vehicle)
    retired_at = connection.execute(select(_V.retired_at).where(_V.vehicle == vehicle)).scalar_one()
    if retired_at is not None and not (release and any(row.released_at is None for row in rows.values())):
        return
    if retired_at is None:
        connection.execute(update(schema.vehicles).where(_V.vehicle == vehicle).values(retired_at=now))
    if release:
        for row in rows.values():
            retire_row(connection, row, now, release=True)
    end_orders(connection, vehicle, sorted(rows), actor=actor, now=now)
    detail = {"ecus": sorted(rows), "released": release}
    record_audit(connection, actor=actor, action="retire", vehicle=vehicle, detail=detail, now=now)
    touch_vehicle(connection, vehicle)


def reactivate_vehicle(connection: Connection, vehicle: VehicleId, *, actor: str, now: datetime) -> None:
    """Take a retired vehicle into service again. Raises: UsageError if it is active, or its ECUs were released."""
    lock_vehicle(connection, vehicle)
    retired_at = connection.execute(select(_V.retired_at).where(_V.vehicle == vehicle)).scalar_one()
    if retired_at is None:
        raise NotRetiredError(vehicle=vehicle)
    if not load_vehicle(connection, vehicle).primary:
        raise EcusReleasedError(vehicle=vehicle)
    connection.execute(update(schema.vehicles).where(_V.vehicle == vehicle).values(retired_at=None))
    record_audit(connection, actor=actor, action="reactivate", vehicle=vehicle, detail={}, now=now)
    touch_vehicle(connection, vehicle)


def reactivate_ecus(
    connection: Connection, vehicle: VehicleId, ecus: Iterable[EcuId], *, actor: str, now: datetime
) -> None:
    """Make retired ECUs, or those out of order, part of their vehicle again, with the key and the counter they had.

    Raises: NoSuchEcuError, RegistrationError if another ECU has its key now.
    """
    lock_vehicle(connection, vehicle)
    rows, named = ecu_rows(connection, vehicle), sorted(set(ecus))
    for ecu in named:
        row = rows.get(ecu)
        if row is None or row.released_at is not None:
            raise NoSuchEcuError(ecus=(ecu,), vehicle=vehicle)
        values: dict[str, Any] = {"out_of_order_at": None}
        if row.retired_at is not None:
            held = find_held_identities(connection, [row.retired_key])
            if held:
                reason = f"the key of {ecu} is that of the ECU {held[row.retired_key]} now"
                raise RegistrationError(vehicle=vehicle, field="ecus", reason=reason)
            values |= {"retired_at": None, "retired_key": None, "key_identity": row.retired_key}
        connection.execute(update(schema.ecus).where(_E.ecu == ecu).values(**values))
    record_audit(connection, actor=actor, action="reactivate-ecu", vehicle=vehicle, detail={"ecus": named}, now=now)
    touch_vehicle(connection, vehicle)


def release_serial(
    connection: Connection, ecu: EcuId, *, owner: VehicleId | None, actor: str, now: datetime
) -> VehicleId | None:
    """Free a serial that the wrong vehicle registered, and return which that was; only ``owner`` may then register it.

    ``owner`` may be a vehicle that has yet to register. Raises: UnknownSerialError if no vehicle ever registered it;
    PrimaryNeededError for a Primary.
    """
    row = connection.execute(select(schema.ecus).where(_E.ecu == ecu)).one_or_none()
    if row is None or (row.released_at is not None and owner is None):
        raise UnknownSerialError(ecu=ecu)
    if owner is not None:
        declare_owner(connection, ecu, owner, actor=actor, now=now)
    if row.released_at is not None or row.vehicle == owner:
        detail = {"ecu": ecu, "owner": owner}
        record_audit(connection, actor=actor, action="release-serial", vehicle=owner, detail=detail, now=now)
        return None
    holder = VehicleId(row.vehicle)
    lock_vehicle(connection, holder)
    if row.primary_ecu:
        raise PrimaryNeededError(vehicle=holder, ecu=ecu)
    retire_row(connection, row, now, release=True)
    end_orders(connection, holder, [ecu], actor=actor, now=now)
    detail = {"ecu": ecu, "owner": owner}
    record_audit(connection, actor=actor, action="release-serial", vehicle=holder, detail=detail, now=now)
    touch_vehicle(connection, holder)
    return holder


def declare_owner(connection: Connection, ecu: EcuId, vehicle: VehicleId, *, actor: str, now: datetime) -> None:
    """Record, on behalf of the factory or an operator, the vehicle of a serial: no other one can register it."""
    connection.execute(delete(schema.serial_owners).where(_S.ecu == ecu))
    row = {"ecu": ecu, "vehicle": vehicle, "declared_at": now, "actor": actor}
    connection.execute(schema.serial_owners.insert().values(**row))


def ecu_rows(connection: Connection, vehicle: str) -> dict[EcuId, Row[Any]]:
    """Every row of a vehicle's ECUs, also of those that left. Raises: UnknownVehicleError."""
    query = select(schema.ecus).where(_E.vehicle == vehicle)
    rows = {EcuId(row.ecu): row for row in connection.execute(query)}
    known = select(_V.vehicle).where(_V.vehicle == vehicle)
    if not rows and connection.execute(known).first() is None:
        raise UnknownVehicleError(vehicle=vehicle)
    return rows


def retire_row(connection: Connection, row: Row[Any], now: datetime, *, release: bool = False) -> None:
    """Take an ECU out of its vehicle. Its key is free for another ECU of the same vehicle, or of any if released."""
    placeholder = hashlib.sha256(f"retired {row.ecu}".encode()).hexdigest()
    values: dict[str, Any] = {"primary_ecu": False, "missing_since": None, "out_of_order_at": None}
    if row.retired_at is None:
        values |= {"retired_at": now, "retired_key": row.key_identity, "key_identity": placeholder}
    if release:
        values |= {"released_at": now}
    connection.execute(update(schema.ecus).where(_E.ecu == row.ecu).values(**values))


def end_orders(connection: Connection, vehicle: VehicleId, gone: Iterable[EcuId], *, actor: str, now: datetime) -> None:
    """End what was requested for an ECU that left, or that is other hardware now."""
    ecus = set(gone)
    if not ecus:
        return
    assigned = [item.ecu for item in load_assignments(connection, vehicle) if item.ecu in ecus]
    if assigned:
        drop_assignments(connection, vehicle, assigned, actor=actor, now=now)
    table = schema.outstanding
    connection.execute(delete(table).where(table.c.vehicle == vehicle, table.c.ecu.in_(sorted(ecus))))
