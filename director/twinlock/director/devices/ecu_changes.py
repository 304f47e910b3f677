"""Which ECUs a vehicle with aktualizr has: the first registration, and every change after it.

The client sends the whole list again whenever it changed. ECUs that are missing from it leave the vehicle but not its
history; new ones join; one that comes back with the key it had is what it was. Other keys for known ECUs are refused
unless an operator named just that key (``ways_out.key_changes``). Every change is audited. The caller owns the transaction.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, Row, func, select, update

from twinlock.director.devices.registration import Registration
from twinlock.director.errors.vehicles import DailyLimitError, EcuKeyChangedError, EcuTakenError, RegistrationError
from twinlock.director.inventory import schema
from twinlock.director.inventory.history import record_audit
from twinlock.director.inventory.vehicles import (
    check_active,
    claim_ecus,
    find_ecu_owners,
    find_key_owners,
    find_vehicle,
    insert_vehicle,
    key_identity,
    lock_vehicle,
    touch_vehicle,
)
from twinlock.director.model.records import AKTUALIZR_PROFILE, EcuRecord, VehicleRecord
from twinlock.director.ways_out.key_changes import permitted_changes, use_changes
from twinlock.director.ways_out.known_serials import BY_VEHICLE, claim_keys
from twinlock.director.ways_out.retirement import end_orders, retire_row
from twinlock.trust.names import EcuId, VehicleId

CHANGE: Final = "change-ecus"
MAX_CHANGES_PER_DAY = 48

_E = schema.ecus.c
_A = schema.audit.c


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What a registration changed. ``new``: the vehicle was unknown.

    ``altered`` are ECUs that stay and have another hardware id, or are the Primary now or no more.
    """

    new: bool = False
    added: tuple[EcuId, ...] = ()
    retired: tuple[EcuId, ...] = ()
    returned: tuple[EcuId, ...] = ()
    rekeyed: tuple[EcuId, ...] = ()
    altered: tuple[EcuId, ...] = ()

    @property
    def nothing(self) -> bool:
        """Whether exactly this was registered already."""
        return self == Change()

    def as_json(self) -> dict[str, list[str]]:
        """The ECUs by what became of them, without what is empty."""
        names = ("added", "retired", "returned", "rekeyed", "altered")
        changes = {name: list(getattr(self, name)) for name in names}
        return {name: ecus for name, ecus in changes.items() if ecus}


def apply_registration(
    connection: Connection,
    vehicle: VehicleId,
    offered: Registration,
    *,
    identified_by: str,
    second_person: bool,
    actor: str = BY_VEHICLE,
    now: datetime,
) -> Change:
    """Register ``vehicle``, or change which ECUs it has; the same list again changes nothing.

    ``actor`` is who registers, for the audit: the vehicle itself, or an operator.

    Raises: RegistrationError, EcuTakenError, EcuKeyChangedError, SecondPersonError, DailyLimitError.
    Source: Uptane 2.1.0 5.3.2.2.
    """
    record = find_vehicle(connection, vehicle)
    if record is None:
        _check_free(connection, vehicle, offered, leaving=())
        ecus = offered.ecus.values()
        claim_keys(connection, vehicle, ecus, second_person=second_person, actor=actor, now=now)
        return _register(connection, vehicle, offered, identified_by, actor=actor, now=now)
    lock_vehicle(connection, vehicle)
    check_active(record)
    if record.profile != AKTUALIZR_PROFILE:
        reason = "the vehicle is registered already, as one that does not run aktualizr"
        raise RegistrationError(vehicle=vehicle, field="vehicle", reason=reason)
    rows = {EcuId(row.ecu): row for row in connection.execute(select(schema.ecus).where(_E.vehicle == vehicle))}
    change = _compare(rows, offered)
    if change.nothing:
        return change
    _check_pace(connection, vehicle, now)
    _check_free(connection, vehicle, offered, leaving=change.retired)
    permitted = permitted_changes(connection, vehicle, offered.ecus, now)
    strange = tuple(ecu for ecu in change.rekeyed if ecu not in permitted)
    if strange:
        raise EcuKeyChangedError(vehicle=vehicle, ecus=strange)
    joining = [offered.ecus[ecu] for ecu in change.added]
    claim_keys(connection, vehicle, joining, second_person=second_person, actor=actor, now=now)
    use_changes(connection, [permitted[ecu] for ecu in change.rekeyed], now)
    _apply(connection, record, rows, offered, change, actor=actor, now=now)
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
    ecus = offered.ecus.values()
    insert_vehicle(connection, vehicle, ecus, now, profile=AKTUALIZR_PROFILE, identified_by=identified_by)
    change = Change(new=True, added=tuple(sorted(offered.ecus)))
    detail = {"ecus": sorted(offered.ecus), "wire": AKTUALIZR_PROFILE, "identifiedBy": identified_by}
    record_audit(connection, actor=actor, action="register", vehicle=vehicle, detail=detail, now=now)
    return change


def _check_pace(connection: Connection, vehicle: VehicleId, now: datetime) -> None:
    """Each change leaves rows that are kept forever; a device that cannot make up its mind must not fill the disk."""
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
        retire_row(connection, rows[ecu], now)
    for ecu in sorted({*change.returned, *change.rekeyed, *change.altered}):
        _write(connection, offered.ecus[ecu], rekeyed=ecu in change.rekeyed)
    if change.added:
        claim_ecus(connection, vehicle, [offered.ecus[ecu] for ecu in change.added])
    other_hardware = {ecu for ecu in change.altered if rows[ecu].hardware_id != offered.ecus[ecu].hardware_id}
    end_orders(connection, vehicle, {*change.retired, *other_hardware}, actor=actor, now=now)
    detail: dict[str, Any] = {**change.as_json(), "primary": offered.primary}
    if change.rekeyed:
        detail["keys"] = {ecu: [rows[ecu].keyid, offered.ecus[ecu].key.keyid] for ecu in change.rekeyed}
    if change.altered:
        detail["hardware"] = {ecu: [rows[ecu].hardware_id, offered.ecus[ecu].hardware_id] for ecu in change.altered}
    record_audit(connection, actor=actor, action=CHANGE, vehicle=vehicle, detail=detail, now=now)
    touch_vehicle(connection, vehicle)


def _write(connection: Connection, record: EcuRecord, *, rekeyed: bool) -> None:
    """Make a known ECU what the vehicle states now, and part of the vehicle. With another key its software is unknown."""
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
            released_at=None,
            **fresh,
        )
    )
