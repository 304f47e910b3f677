"""Taking vehicles into the inventory, by an operator or by the vehicle itself with a one-time token."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy import Connection, insert, select, update

from twinlock.director.errors.operator import ValidityError
from twinlock.director.errors.vehicles import (
    DescriptionError,
    EcuKeyChangedError,
    EcuTakenError,
    EnrolmentTokenError,
    RegistrationError,
)
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
    touch_vehicle,
)
from twinlock.director.model.records import VehicleRecord
from twinlock.director.model.vehicle_description import VehicleDescription, read_vehicle_id
from twinlock.director.ways_out.key_changes import permitted_changes, use_changes
from twinlock.director.ways_out.known_serials import BY_VEHICLE, claim_keys
from twinlock.trust.names import VehicleId

_TOKEN_BYTES = 32
_MAX_VALID_S = 366 * 86_400
_T = schema.enrolment_tokens.c


def register_vehicle(
    connection: Connection, description: VehicleDescription, *, second_person: bool, actor: str, now: datetime
) -> bool:
    """Add a vehicle; True if it is new, False if precisely this is registered already.

    Raises: RegistrationError if the inventory holds something else under one of its ids or keys; SecondPersonError where a
    second person has to confirm the other key of a known serial, EcuKeyChangedError where the vehicle itself comes with it.
    Source: Uptane 2.1.0 5.3.2.2 (identifiers are unique).
    """
    registered = find_vehicle(connection, description.vehicle)
    if registered is None:
        _check_free(connection, description)
        ecus = description.ecus.values()
        claim_keys(connection, description.vehicle, ecus, second_person=second_person, actor=actor, now=now)
        insert_vehicle(connection, description.vehicle, ecus, now)
        detail = {"ecus": sorted(description.ecus), "description": description.digest}
        record_audit(connection, actor=actor, action="register", vehicle=description.vehicle, detail=detail, now=now)
        return True
    check_active(registered)
    if _described(registered).digest != description.digest:
        _replace_keys(connection, registered, description, actor=actor, now=now)
    return False


def _replace_keys(
    connection: Connection,
    registered: VehicleRecord,
    description: VehicleDescription,
    *,
    actor: str,
    now: datetime,
) -> None:
    """Replace the keys of ECUs by those in the description that an operator permitted; nothing else in it may differ.

    Raises: EcuKeyChangedError, RegistrationError.
    """
    changed = {
        ecu: record
        for ecu, record in description.ecus.items()
        if ecu in registered.ecus and key_identity(record.key) != key_identity(registered.ecus[ecu].key)
    }
    permitted = permitted_changes(connection, description.vehicle, changed, now)
    kept = {ecu: replace(registered.ecus[ecu], key=description.ecus[ecu].key) for ecu in changed}
    same = VehicleDescription(vehicle=description.vehicle, primary=registered.primary, ecus={**registered.ecus, **kept})
    if not changed or same.digest != description.digest:
        reason = "the vehicle is registered already, with other ECUs or hardware"
        raise RegistrationError(vehicle=description.vehicle, field="vehicle", reason=reason)
    strange = tuple(sorted(changed.keys() - permitted.keys()))
    if strange:
        raise EcuKeyChangedError(vehicle=description.vehicle, ecus=strange)
    claim_ecus(connection, description.vehicle, kept.values())
    use_changes(connection, permitted.values(), now)
    detail = {"ecus": sorted(changed)}
    record_audit(connection, actor=actor, action="replace-key", vehicle=description.vehicle, detail=detail, now=now)
    touch_vehicle(connection, description.vehicle)


def create_token(connection: Connection, vehicle: str, *, valid_s: int, actor: str, now: datetime) -> str:
    """Make a one-time token for ``vehicle``. Only its hash is stored.

    Raises: UsageError, UnsafePathError, RegistrationError; RetiredVehicleError, because it could register nothing.
    """
    if not 0 < valid_s <= _MAX_VALID_S:
        raise ValidityError(what="a token", longest_s=_MAX_VALID_S, offered_s=valid_s)
    registered = find_vehicle(connection, vehicle)
    if registered is not None:
        check_active(registered)
    token = secrets.token_urlsafe(_TOKEN_BYTES)
    connection.execute(
        insert(schema.enrolment_tokens).values(
            vehicle=read_vehicle_id(vehicle),
            digest=_digest(token),
            created_at=now,
            expires=now + timedelta(seconds=valid_s),
        ),
    )
    record_audit(connection, actor=actor, action="token", vehicle=vehicle, detail={"validS": valid_s}, now=now)
    return token


def enrol_vehicle(
    connection: Connection,
    vehicle: str,
    token: str,
    description: VehicleDescription,
    *,
    second_person: bool,
    now: datetime,
) -> bool:
    """Register with a token and use it up. A repetition of the same request is answered like the first.

    Raises: EnrolmentTokenError, RegistrationError.
    """
    row = _find_token(connection, vehicle, token)
    if row is None or row.expires <= now or row.used_for not in (None, description.digest):
        raise EnrolmentTokenError(vehicle=vehicle)
    if description.vehicle != vehicle:
        raise DescriptionError(vehicle=vehicle, field="vehicle", reason=f"the description is of {description.vehicle}")
    new = register_vehicle(connection, description, second_person=second_person, actor=BY_VEHICLE, now=now)
    connection.execute(
        update(schema.enrolment_tokens).where(_T.number == row.number).values(used_for=description.digest)
    )
    return new


def _find_token(connection: Connection, vehicle: str, token: str):  # type: ignore[no-untyped-def]
    """The row of this token, if it is this vehicle's. Every token of the vehicle is compared, in constant time."""
    digest, match = _digest(token), None
    query = select(schema.enrolment_tokens).where(_T.vehicle == vehicle).with_for_update()
    for row in connection.execute(query):
        if hmac.compare_digest(row.digest, digest):
            match = row
    return match


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode(errors="replace")).hexdigest()


def _check_free(connection: Connection, description: VehicleDescription) -> None:
    for ecu, vehicle in sorted(find_ecu_owners(connection, description.ecus).items()):
        if vehicle != description.vehicle:
            reason = f"the ECU {ecu} is registered in {vehicle}"
            raise EcuTakenError(vehicle=description.vehicle, field="ecus", reason=reason)
    keys = [record.key for record in description.ecus.values()]
    for keyid, ecu in sorted(find_key_owners(connection, keys).items()):
        reason = f"the key {keyid} is that of the ECU {ecu}"
        raise EcuTakenError(vehicle=description.vehicle, field="ecus", reason=reason)


def _described(record: VehicleRecord) -> VehicleDescription:
    return VehicleDescription(vehicle=VehicleId(record.vehicle), primary=record.primary, ecus=record.ecus)
