"""A Secondary that an operator adds to a registered vehicle. The caller owns the transaction."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection

from twinlock.director.errors.vehicles import RegistrationError
from twinlock.director.inventory.history import record_audit
from twinlock.director.inventory.vehicles import (
    check_unclaimed,
    claim_ecus,
    key_identity,
    load_active_vehicle,
    lock_vehicle,
    touch_vehicle,
)
from twinlock.director.model.records import EcuRecord
from twinlock.director.ways_out.known_serials import claim_keys
from twinlock.trust.names import VehicleId


def add_ecu(
    connection: Connection,
    vehicle: VehicleId,
    described: EcuRecord,
    *,
    second_person: bool,
    actor: str,
    now: datetime,
) -> None:
    """Make the ECU part of the vehicle. Its software is unknown until it reports.

    Raises: RegistrationError if the vehicle has it, EcuTakenError if its serial or key is another's, SecondPersonError.
    """
    lock_vehicle(connection, vehicle)
    record = load_active_vehicle(connection, vehicle)
    if described.ecu in record.ecus:
        reason = f"{described.ecu} is one of its ECUs already"
        raise RegistrationError(vehicle=vehicle, field="ecu", reason=reason)
    check_unclaimed(connection, vehicle, described.ecu, key_identity(described.key))
    claim_keys(connection, vehicle, [described], second_person=second_person, actor=actor, now=now)
    claim_ecus(connection, vehicle, [described])
    detail = {"ecu": described.ecu, "hardwareId": described.hardware_id, "key": described.key.keyid}
    record_audit(connection, actor=actor, action="add-ecu", vehicle=vehicle, detail=detail, now=now)
    touch_vehicle(connection, vehicle)
