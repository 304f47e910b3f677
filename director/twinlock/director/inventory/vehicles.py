"""Vehicles and ECUs in the database: Uptane 2.1.0 5.3.2.2.

All functions take a connection whose transaction the caller owns.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, and_, bindparam, func, insert, or_, select, update

from twinlock.director.errors.vehicles import EcuTakenError, RetiredVehicleError, UnknownVehicleError
from twinlock.director.inventory import schema
from twinlock.director.inventory.statements import Statement
from twinlock.director.model.records import (
    TUF_PROFILE,
    CounterReset,
    EcuRecord,
    LastReport,
    VehicleRecord,
    VehicleSummary,
)
from twinlock.trust.keys.public_keys import PublicKey, load_key
from twinlock.trust.model.ecu import InstalledImage
from twinlock.trust.names import EcuId, HardwareId, TargetPath, VehicleId, Verification
from twinlock.trust.text.times import format_time
from twinlock.trust.wire.tuf.attestation import key_material

_E = schema.ecus.c
_V = schema.vehicles.c
_R = schema.reports.c
_C = schema.report_counters.c
_A = schema.acknowledged_reports.c
_S = schema.counter_resets.c

_MARKS = Statement(select(_V.revision, _V.planned_from, _V.last_manifest).where(_V.vehicle == bindparam("vehicle")))
_LOCK = Statement(select(_V.revision, _V.last_manifest).where(_V.vehicle == bindparam("vehicle")).with_for_update())
_PROFILE = Statement(select(_V.profile).where(_V.vehicle == bindparam("vehicle")))
_VEHICLE = Statement(select(schema.vehicles).where(_V.vehicle == bindparam("vehicle")))
# Each ECU with how far its present key has counted, and its newest report; those of a retired one are not asked for.
_ECUS = Statement(
    select(
        schema.ecus,
        *(_C.highest, _C.base, _C.evidence_counter, _A.digest),
        *(_R.reported_time, _R.path, _R.length, _R.hashes, _R.release_counter, _R.attack, _R.detail, _R.manifest),
    )
    .outerjoin(schema.report_counters, and_(_C.ecu == _E.ecu, _C.key_identity == _E.key_identity))
    .outerjoin(schema.acknowledged_reports, and_(_A.ecu == _E.ecu, _A.key_identity == _E.key_identity))
    .outerjoin(schema.reports, _R.number == _E.last_report)
    .where(_E.vehicle == bindparam("vehicle"))
    .order_by(_E.ecu)
)
_RESETS = Statement(
    select(_S.number, _S.ecu, _S.nonce, _S.expires)
    .join(schema.ecus, and_(_E.ecu == _S.ecu, _E.key_identity == _S.key_identity))
    .where(_S.vehicle == bindparam("vehicle"), _E.vehicle == bindparam("vehicle"), _S.used_at.is_(None))
    .order_by(_S.number)
)


class Marks(NamedTuple):
    """What shows that a vehicle changed: its ``revision`` for all that a plan is made from, and its newest accepted manifest.

    ``planned_from`` is the digest of what its newest plan was made from.
    """

    revision: int
    last_manifest: int | None
    planned_from: str | None


def lock_vehicle(connection: Connection, vehicle: str) -> int:
    """Hold the vehicle's row until the transaction ends, and return its revision. Raises: UnknownVehicleError.

    With SQLite the whole write transaction is exclusive already; with PostgreSQL this row is what serialises.
    """
    return _lock(connection, vehicle)[0]


def is_unchanged(connection: Connection, vehicle: str, marks: Marks) -> bool:
    """As ``lock_vehicle``; whether the vehicle is as it was when ``marks`` were read. Raises: UnknownVehicleError."""
    return _lock(connection, vehicle) == marks[:2]


def _lock(connection: Connection, vehicle: str) -> tuple[int, int | None]:
    row = _LOCK.first(connection, vehicle=vehicle)
    if row is None:
        raise UnknownVehicleError(vehicle=vehicle)
    return int(row.revision), row.last_manifest


def read_marks(connection: Connection, vehicle: str) -> Marks:
    """The vehicle's marks as of this reading. Raises: UnknownVehicleError."""
    row = _MARKS.first(connection, vehicle=vehicle)
    if row is None:
        raise UnknownVehicleError(vehicle=vehicle)
    return Marks(int(row.revision), row.last_manifest, row.planned_from)


def read_profile(connection: Connection, vehicle: str) -> str:
    """The name of the profile of a vehicle's client. Raises: UnknownVehicleError."""
    profile = _PROFILE.scalar(connection, vehicle=vehicle)
    if profile is None:
        raise UnknownVehicleError(vehicle=vehicle)
    return str(profile)


def touch_vehicle(connection: Connection, vehicle: str) -> None:
    """Record that something about the vehicle changed, so that a new plan is made."""
    connection.execute(update(schema.vehicles).where(_V.vehicle == vehicle).values(revision=_V.revision + 1))


def load_vehicle(connection: Connection, vehicle: str) -> VehicleRecord:
    """One vehicle with all of its ECUs and no other's; those that are retired are only named. Raises: UnknownVehicleError.

    Source: Uptane 2.1.0 5.3.2.1 step 2.
    """
    row = _VEHICLE.first(connection, vehicle=vehicle)
    if row is None:
        raise UnknownVehicleError(vehicle=vehicle)
    rows = _ECUS.rows(connection, vehicle=vehicle)
    active = [item for item in rows if item.retired_at is None]
    resets = {
        item.ecu: CounterReset(number=int(item.number), nonce=item.nonce, expires=item.expires)
        for item in _RESETS.rows(connection, vehicle=vehicle)  # of several, the newest
    }
    records = {EcuId(item.ecu): _ecu(item, resets.get(item.ecu)) for item in active}
    return VehicleRecord(
        vehicle=VehicleId(row.vehicle),
        primary=next((ecu for ecu, record in records.items() if record.primary), EcuId("")),
        ecus=records,
        reports={EcuId(item.ecu): _report(item) for item in active if item.manifest is not None},
        registered_at=row.registered_at,
        last_manifest_at=row.last_manifest_at,
        share_used=row.share_used,
        profile=row.profile,
        identified_by=row.identified_by,
        retired={EcuId(item.ecu): item.retired_at for item in rows if item.retired_at is not None},
        retired_at=row.retired_at,
    )


def load_active_vehicle(connection: Connection, vehicle: str) -> VehicleRecord:
    """As ``load_vehicle``. Raises: RetiredVehicleError, UnknownVehicleError."""
    record = load_vehicle(connection, vehicle)
    check_active(record)
    return record


def check_active(record: VehicleRecord) -> None:
    """Check that a vehicle is in service. Raises: RetiredVehicleError."""
    if record.retired_at is not None:
        raise RetiredVehicleError(vehicle=record.vehicle, since=format_time(record.retired_at))


def find_vehicle(connection: Connection, vehicle: str) -> VehicleRecord | None:
    """The vehicle as it is registered; None also for a retired one whose ECUs were released: its id is free then."""
    try:
        registered = load_vehicle(connection, vehicle)
    except UnknownVehicleError:
        return None
    return registered if registered.ecus else None


def list_vehicles(connection: Connection) -> tuple[VehicleSummary, ...]:
    """All vehicles by id, one line each."""
    counted = (
        select(_E.vehicle, func.count().label("ecus"), func.min(_E.ecu).filter(_E.primary_ecu).label("primary_ecu"))
        .where(_E.retired_at.is_(None))
        .group_by(_E.vehicle)
        .subquery()
    )
    assigned = (
        select(schema.assignments.c.vehicle, func.count().label("assignments"))
        .group_by(schema.assignments.c.vehicle)
        .subquery()
    )
    query = (
        select(schema.vehicles, counted.c.ecus, counted.c.primary_ecu, assigned.c.assignments)
        .outerjoin(counted, counted.c.vehicle == _V.vehicle)
        .outerjoin(assigned, assigned.c.vehicle == _V.vehicle)
        .order_by(_V.vehicle)
    )
    return tuple(
        VehicleSummary(
            vehicle=VehicleId(row.vehicle),
            primary=EcuId(row.primary_ecu or ""),
            ecus=row.ecus or 0,
            registered_at=row.registered_at,
            last_manifest_at=row.last_manifest_at,
            assignments=row.assignments or 0,
            profile=row.profile,
            retired_at=row.retired_at,
        )
        for row in connection.execute(query)
    )


def list_names(connection: Connection, profile: str) -> tuple[VehicleId, ...]:
    """The vehicles of a wire profile by id, without those that are retired."""
    query = select(_V.vehicle).where(_V.profile == profile, _V.retired_at.is_(None)).order_by(_V.vehicle)
    return tuple(VehicleId(vehicle) for vehicle in connection.execute(query).scalars())


def find_ecu_owners(connection: Connection, ecus: Iterable[str]) -> dict[EcuId, VehicleId]:
    """Which of ``ecus`` are or were some vehicle's, and whose: by the factory's record, or by registration.

    A serial that an operator released has no owner.
    """
    wanted = list(ecus)
    query = select(_E.ecu, _E.vehicle).where(_E.ecu.in_(wanted), _E.released_at.is_(None))
    declared = select(schema.serial_owners).where(schema.serial_owners.c.ecu.in_(wanted))
    registered = {EcuId(row.ecu): VehicleId(row.vehicle) for row in connection.execute(query)}
    return {**{EcuId(row.ecu): VehicleId(row.vehicle) for row in connection.execute(declared)}, **registered}


def find_key_owners(connection: Connection, keys: Iterable[PublicKey]) -> dict[str, EcuId]:
    """Which of ``keys`` are some ECU's already or were a retired one's, by key id as given."""
    by_identity = {key_identity(key): key.keyid for key in keys}
    held = find_held_identities(connection, by_identity, retired=True)
    return {by_identity[identity]: ecu for identity, ecu in held.items()}


def find_held_identities(
    connection: Connection, identities: Iterable[str], *, retired: bool = False
) -> dict[str, EcuId]:
    """Which keys, by SHA-256 of their material, are some ECU's now, or with ``retired`` were one's that was not released."""
    held = func.coalesce(_E.retired_key, _E.key_identity).label("held")
    wanted = list(identities)
    query = select(_E.ecu, held).where(or_(_E.key_identity.in_(wanted), _E.retired_key.in_(wanted)))
    query = query.where(_E.released_at.is_(None) if retired else _E.retired_at.is_(None))
    query = query.order_by(_E.retired_at.is_(None))  # of several, the one that has it now
    return {row.held: EcuId(row.ecu) for row in connection.execute(query)}


def check_unclaimed(connection: Connection, vehicle: VehicleId, ecu: EcuId, identity: str) -> None:
    """Check that no other vehicle has ``ecu``, and no other ECU the key ``identity``, nor had it and was not released since.

    Raises: EcuTakenError.
    """
    owner = find_ecu_owners(connection, [ecu]).get(ecu, vehicle)
    if owner != vehicle:
        raise EcuTakenError(vehicle=vehicle, field="ecu", reason=f"the ECU {ecu} is registered in {owner}")
    holder = find_held_identities(connection, [identity], retired=True).get(identity)
    if holder not in (None, ecu):
        raise EcuTakenError(vehicle=vehicle, field="key", reason=f"the key is that of the ECU {holder}")


def insert_vehicle(
    connection: Connection,
    vehicle: VehicleId,
    ecus: Iterable[EcuRecord],
    now: datetime,
    *,
    profile: str = TUF_PROFILE,
    identified_by: str | None = None,
) -> None:
    """Add a vehicle with its ECUs. Raises: IntegrityError where an id or key is taken."""
    row = {"vehicle": vehicle, "registered_at": now, "revision": 0, "profile": profile, "identified_by": identified_by}
    revived = update(schema.vehicles).where(_V.vehicle == vehicle, _V.retired_at.is_not(None))
    values = {"retired_at": None, "profile": profile, "identified_by": identified_by}
    if not connection.execute(revived.values(**values)).rowcount:
        connection.execute(insert(schema.vehicles), row)
    claim_ecus(connection, vehicle, ecus)


def claim_ecus(connection: Connection, vehicle: VehicleId, ecus: Iterable[EcuRecord]) -> None:
    """Make ECUs part of a vehicle as they are described; what each runs is unknown until it reports.

    The caller has made sure that none is another vehicle's. Raises: IntegrityError where a key is taken.
    """
    rows = {record.ecu: _ecu_row(vehicle, record) for record in ecus}
    known = set(connection.execute(select(_E.ecu).where(_E.ecu.in_(list(rows)))).scalars())
    for ecu in known:
        names = ("last_report", "retired_at", "retired_key", "released_at", "missing_since", "out_of_order_at")
        fresh = rows[ecu] | dict.fromkeys(names)
        connection.execute(update(schema.ecus).where(_E.ecu == ecu).values(**fresh))
    new = [row for ecu, row in rows.items() if ecu not in known]
    if new:
        connection.execute(insert(schema.ecus), new)


def _ecu_row(vehicle: VehicleId, record: EcuRecord) -> dict[str, Any]:
    return {
        "ecu": record.ecu,
        "vehicle": vehicle,
        "hardware_id": record.hardware_id,
        "primary_ecu": record.primary,
        "verification": record.verification.value,
        "keyid": record.key.keyid,
        "keytype": record.key.keytype,
        "scheme": record.key.scheme,
        "public": record.key.public,
        "key_identity": key_identity(record.key),
    }


def key_identity(key: PublicKey) -> str:
    """SHA-256 of the key material, whatever its key id is: the fingerprint that operators compare."""
    return key_material(key)


def _ecu(row: Any, reset: CounterReset | None) -> EcuRecord:
    return EcuRecord(
        ecu=EcuId(row.ecu),
        hardware_id=HardwareId(row.hardware_id),
        key=load_key(row.keyid, keytype=row.keytype, scheme=row.scheme, public=row.public),
        primary=row.primary_ecu,
        verification=Verification(row.verification),
        counter_base=row.base or 0,
        highest_counter=row.highest,
        evidence_counter=row.evidence_counter,
        evidence_digest=row.digest,
        reset=reset,
        missing_since=row.missing_since,
        out_of_order_since=row.out_of_order_at,
    )


def _report(row: Any) -> LastReport:
    return LastReport(
        installed=InstalledImage(
            path=TargetPath(row.path),
            length=row.length,
            hashes=row.hashes,
            release_counter=row.release_counter,
        ),
        time=row.reported_time,
        counter=row.highest,
        attack=row.attack,
        detail=row.detail,
        manifest=row.manifest,
    )
