"""A Secondary that an operator adds to a registered vehicle. The caller owns the transaction."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection

from twinlock.director.errors.vehicles import EcuTakenError, RegistrationError
from twinlock.director.inventory.history import record_audit
from twinlock.director.inventory.vehicles import (
    claim_ecus,
    find_ecu_owners,
    find_held_identities,
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
    owner = find_ecu_owners(connection, [described.ecu]).get(described.ecu, vehicle)
    if owner != vehicle:
        raise EcuTakenError(vehicle=vehicle, field="ecu", reason=f"the ECU {described.ecu} is registered in {owner}")
    identity = key_identity(described.key)
    holder = find_held_identities(connection, [identity], retired=True).get(identity)
    if holder not in (None, described.ecu):
        raise EcuTakenError(vehicle=vehicle, field="key", reason=f"its key is that of the ECU {holder}")
    claim_keys(connection, vehicle, [described], second_person=second_person, actor=actor, now=now)
    claim_ecus(connection, vehicle, [described])
    detail = {"ecu": described.ecu, "hardwareId": described.hardware_id, "key": described.key.keyid}
    record_audit(connection, actor=actor, action="add-ecu", vehicle=vehicle, detail=detail, now=now)
    touch_vehicle(connection, vehicle)
