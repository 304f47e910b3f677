"""Which ECUs a vehicle with aktualizr has: the first registration, and every change after it.

The client sends the whole list again whenever it changed. ECUs that are missing from it leave the vehicle but not its
history; new ones join; one that comes back with the key it had is what it was. Other keys for known ECUs are refused
unless an operator allowed it. Every change is audited.

Belongs here: those rules, and the rows they change. Does not belong here: reading the body (``registration.py``) or who
may send it (``identity.py``). The caller owns the transaction.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, delete, func, select, update

from twinlock.director import schema
from twinlock.director.assignments import drop_assignments, load_assignments
from twinlock.director.devices.permissions import use_for_keys
from twinlock.director.devices.registration import Registration
from twinlock.director.errors import (
    DailyLimitError,
    EcuKeyChangedError,
    EcuTakenError,
    RegistrationError,
    UnknownVehicleError,
)
from twinlock.director.history import record_audit
from twinlock.director.manifests.counters import count_on
from twinlock.director.inventory import (
    find_ecu_owners,
    find_key_owners,
    insert_ecus,
    insert_vehicle,
    key_identity,
    load_vehicle,
    lock_vehicle,
    touch_vehicle,
)
from twinlock.director.records import AKTUALIZR_WIRE, EcuRecord, VehicleRecord
from twinlock.trust.names import EcuId, VehicleId

CHANGE = "change-ecus"
MAX_CHANGES_PER_DAY = 48

_E = schema.ecus.c
_A = schema.audit.c


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What a registration changed. ``new`` tells that the vehicle was unknown.

    ``altered`` are ECUs that stay and have another hardware id, or are the Primary now or no more; ``recounted`` are
    those that may count their reports from 1 again with the key that they have.
    """

    new: bool = False
    added: tuple[EcuId, ...] = ()
    retired: tuple[EcuId, ...] = ()
    returned: tuple[EcuId, ...] = ()
    rekeyed: tuple[EcuId, ...] = ()
    altered: tuple[EcuId, ...] = ()
    recounted: tuple[EcuId, ...] = ()

    @property
    def nothing(self) -> bool:
        """Whether the vehicle was registered just so already."""
        return self == Change()

    def as_json(self) -> dict[str, list[str]]:
        """The ECUs by what became of them, without what is empty."""
        names = ("added", "retired", "returned", "rekeyed", "altered", "recounted")
        found = {name: list(getattr(self, name)) for name in names}
        return {name: ecus for name, ecus in found.items() if ecus}


def take_in(
    connection: Connection,
    vehicle: VehicleId,
    offered: Registration,
    *,
    identified_by: str,
    actor: str = "vehicle",
    now: datetime,
) -> Change:
    """Register ``vehicle``, or change which ECUs it has; the same list again changes nothing.

    ``actor`` is who says so, for the audit: the vehicle itself, or an operator.

    Raises: RegistrationError, EcuTakenError, EcuKeyChangedError, DailyLimitError.
    Source: Uptane 2.1.0 5.3.2.2.
    """
    try:
        lock_vehicle(connection, vehicle)
        record = load_vehicle(connection, vehicle)
    except UnknownVehicleError:
        return _register(connection, vehicle, offered, identified_by, actor=actor, now=now)
    if record.wire != AKTUALIZR_WIRE:
        reason = "it is registered already, as a vehicle that does not run aktualizr"
        raise RegistrationError(vehicle=vehicle, field="vehicle", reason=reason)
    rows = {EcuId(row.ecu): row for row in connection.execute(select(schema.ecus).where(_E.vehicle == vehicle))}
    change = _compare(rows, offered)
    if change.nothing:
        return _recount(connection, record, rows, now)
    _check_pace(connection, vehicle, now)
    _check_free(connection, vehicle, offered, leaving=change.retired)
    if change.rekeyed and not use_for_keys(connection, vehicle, now):
        raise EcuKeyChangedError(vehicle=vehicle, ecus=change.rekeyed)
    _apply(connection, record, rows, offered, change, actor=actor, now=now)
    return change


def _recount(connection: Connection, record: VehicleRecord, rows: Mapping[EcuId, Row[Any]], now: datetime) -> Change:
    """The client registers what is registered only if it has lost its storage, and with it how far it had counted.

    That is believed under the same permission as a new key: old reports, sent again, would count as new ones then.
    """
    counting = tuple(sorted(ecu for ecu, item in record.ecus.items() if item.highest_counter is not None))
    if not counting or not use_for_keys(connection, record.vehicle, now):
        return Change()
    for ecu in counting:
        count_on(connection, ecu, rows[ecu].key_identity)
    change = Change(recounted=counting)
    record_audit(connection, actor="vehicle", action=CHANGE, vehicle=record.vehicle, detail=change.as_json(), now=now)
    touch_vehicle(connection, record.vehicle)
    return change


def _register(
    connection: Connection,
    vehicle: VehicleId,
    offered: Registration,
    identified_by: str,
    *,
    actor: str,
    now: datetime,
) -> Change:
    _check_free(connection, vehicle, offered, leaving=())
    ecus = offered.ecus.values()
    insert_vehicle(connection, vehicle, ecus, now, wire=AKTUALIZR_WIRE, identified_by=identified_by)
    change = Change(new=True, added=tuple(sorted(offered.ecus)))
    detail = {"ecus": sorted(offered.ecus), "wire": AKTUALIZR_WIRE, "identifiedBy": identified_by}
    record_audit(connection, actor=actor, action="register", vehicle=vehicle, detail=detail, now=now)
    return change


def _check_pace(connection: Connection, vehicle: VehicleId, now: datetime) -> None:
    """Each change leaves rows that are kept for ever; a device that cannot make up its mind must not fill the disk."""
    recent = select(func.count()).where(_A.vehicle == vehicle, _A.action == CHANGE, _A.at > now - timedelta(days=1))
    if connection.execute(recent).scalar_one() >= MAX_CHANGES_PER_DAY:
        raise DailyLimitError(vehicle=vehicle, what="changes of its ECUs", limit=MAX_CHANGES_PER_DAY)


def _compare(rows: dict[EcuId, Row[Any]], offered: Registration) -> Change:
    known = {ecu: rows[ecu] for ecu in offered.ecus if ecu in rows}
    same_key = {ecu for ecu, row in known.items() if _held_key(row) == key_identity(offered.ecus[ecu].key)}
    return Change(
        added=tuple(sorted(offered.ecus.keys() - rows.keys())),
        retired=tuple(sorted(ecu for ecu in rows.keys() - known.keys() if rows[ecu].retired_at is None)),
        returned=tuple(sorted(ecu for ecu, row in known.items() if row.retired_at is not None)),
        rekeyed=tuple(sorted(known.keys() - same_key)),
        altered=tuple(
            sorted(ecu for ecu, row in known.items() if row.retired_at is None and _altered(row, offered.ecus[ecu]))
        ),
    )


def _held_key(row: Row[Any]) -> str:
    return str(row.retired_key or row.key_identity)


def _altered(row: Row[Any], record: EcuRecord) -> bool:
    return bool(row.hardware_id != record.hardware_id or row.primary_ecu != record.primary)


def _check_free(connection: Connection, vehicle: VehicleId, offered: Registration, *, leaving: Iterable[EcuId]) -> None:
    """No other vehicle has one of these ECUs or keys, and no two ECUs of this one have the same key."""
    for ecu, owner in sorted(find_ecu_owners(connection, offered.ecus).items()):
        if owner != vehicle:
            raise EcuTakenError(vehicle=vehicle, field="ecus", reason=f"the ECU {ecu} is registered in another vehicle")
    by_keyid: dict[str, EcuId] = {record.key.keyid: ecu for ecu, record in offered.ecus.items()}
    holders = find_key_owners(connection, [record.key for record in offered.ecus.values()])
    owners = find_ecu_owners(connection, holders.values())
    for keyid, holder in sorted(holders.items()):
        if owners[holder] != vehicle:
            reason = f"the key {keyid} is that of an ECU of another vehicle"
            raise EcuTakenError(vehicle=vehicle, field="ecus", reason=reason)
        # A key may live on under another serial of its vehicle, but not while the ECU that has it stays.
        if holder in offered.ecus and holder != by_keyid[keyid] and holder not in leaving:
            reason = f"the key {keyid} is that of its ECU {holder}"
            raise RegistrationError(vehicle=vehicle, field="ecus", reason=reason)


def _apply(
    connection: Connection,
    record: VehicleRecord,
    rows: dict[EcuId, Row[Any]],
    offered: Registration,
    change: Change,
    *,
    actor: str,
    now: datetime,
) -> None:
    vehicle = record.vehicle
    for ecu in change.retired:
        _retire(connection, rows[ecu], now)
    for ecu in sorted({*change.returned, *change.rekeyed, *change.altered}):
        _write(connection, offered.ecus[ecu], rekeyed=ecu in change.rekeyed)
    if change.added:
        insert_ecus(connection, vehicle, [offered.ecus[ecu] for ecu in change.added])
    other_hardware = {ecu for ecu in change.altered if rows[ecu].hardware_id != offered.ecus[ecu].hardware_id}
    _end_orders(connection, vehicle, {*change.retired, *other_hardware}, now)
    detail: dict[str, Any] = {**change.as_json(), "primary": offered.primary}
    if change.rekeyed:
        detail["keys"] = {ecu: [rows[ecu].keyid, offered.ecus[ecu].key.keyid] for ecu in change.rekeyed}
    if change.altered:
        detail["hardware"] = {ecu: [rows[ecu].hardware_id, offered.ecus[ecu].hardware_id] for ecu in change.altered}
    record_audit(connection, actor=actor, action=CHANGE, vehicle=vehicle, detail=detail, now=now)
    touch_vehicle(connection, vehicle)


def _retire(connection: Connection, row: Row[Any], now: datetime) -> None:
    """Take an ECU out of its vehicle. Its key is free for another ECU of the same vehicle."""
    placeholder = hashlib.sha256(f"retired {row.ecu}".encode()).hexdigest()
    values = {"retired_at": now, "retired_key": row.key_identity, "key_identity": placeholder, "primary_ecu": False}
    connection.execute(update(schema.ecus).where(_E.ecu == row.ecu).values(**values))


def _write(connection: Connection, record: EcuRecord, *, rekeyed: bool) -> None:
    """Make a known ECU what the vehicle says now, and part of it. With another key its software is unknown."""
    fresh = {"last_report": None, "missing_since": None, "out_of_order_at": None} if rekeyed else {}
    connection.execute(
        update(schema.ecus)
        .where(_E.ecu == record.ecu)
        .values(
            hardware_id=record.hardware_id,
            primary_ecu=record.primary,
            keyid=record.key.keyid,
            keytype=record.key.keytype,
            scheme=record.key.scheme,
            public=record.key.public,
            key_identity=key_identity(record.key),
            retired_at=None,
            retired_key=None,
            **fresh,
        )
    )


def _end_orders(connection: Connection, vehicle: VehicleId, gone: set[EcuId], now: datetime) -> None:
    """What was wanted for an ECU that left, or that is other hardware now, is wanted no more."""
    if not gone:
        return
    assigned = [item.ecu for item in load_assignments(connection, vehicle) if item.ecu in gone]
    if assigned:
        drop_assignments(connection, vehicle, assigned, actor="vehicle", now=now)
    table = schema.outstanding
    connection.execute(delete(table).where(table.c.vehicle == vehicle, table.c.ecu.in_(sorted(gone))))
