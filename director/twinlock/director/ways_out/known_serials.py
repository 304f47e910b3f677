"""Serials that were registered before and come with other keys: a change of a key, by whatever command they come.

Where a second person confirms keys, that holds for an ECU that was retired or released before it was registered again
too. The caller owns the transaction.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import Connection, select

from twinlock.director.errors.vehicles import EcuKeyChangedError, SecondPersonError
from twinlock.director.inventory import schema
from twinlock.director.inventory.history import record_audit
from twinlock.director.inventory.vehicles import key_identity
from twinlock.director.model.records import EcuRecord
from twinlock.director.ways_out.key_changes import use_changes
from twinlock.trust.names import EcuId, VehicleId

BY_VEHICLE = "vehicle"
_C = schema.key_changes.c
_E = schema.ecus.c


def claim_keys(
    connection: Connection,
    vehicle: VehicleId,
    offered: Iterable[EcuRecord],
    *,
    second_person: bool,
    actor: str,
    now: datetime,
) -> None:
    """Use up the permissions of ECUs that join ``vehicle`` under known serials with other keys, and note each in the audit.

    Raises: SecondPersonError with ``second_person`` where that key was not confirmed; EcuKeyChangedError where the
    vehicle itself (the actor ``BY_VEHICLE``) comes with it.
    """
    joining = {record.ecu: record for record in offered}
    rows = connection.execute(select(schema.ecus).where(_E.ecu.in_(list(joining)))).all()
    changed = {
        EcuId(row.ecu): [row.keyid, joining[EcuId(row.ecu)].key.keyid]
        for row in rows
        if (row.retired_key or row.key_identity) != key_identity(joining[EcuId(row.ecu)].key)
    }
    if not changed:
        return
    permitted = _confirmed(connection, [joining[ecu] for ecu in changed], now)
    strange = tuple(sorted(changed.keys() - permitted.keys()))
    if strange and second_person:
        refusal = EcuKeyChangedError if actor == BY_VEHICLE else SecondPersonError
        raise refusal(vehicle=vehicle, ecus=strange)
    use_changes(connection, permitted.values(), now)
    detail = {"ecus": sorted(changed), "keys": changed, "numbers": sorted(permitted.values())}
    record_audit(connection, actor=actor, action="replace-key", vehicle=vehicle, detail=detail, now=now)


def _confirmed(connection: Connection, offered: Iterable[EcuRecord], now: datetime) -> dict[EcuId, int]:
    """The numbers of the confirmed permissions for these keys. Which vehicle the ECU was in then does not matter."""
    keys = {record.ecu: key_identity(record.key) for record in offered}
    query = select(schema.key_changes).where(
        _C.new_ecu.in_(list(keys)), _C.used_at.is_(None), _C.confirmed_by.is_not(None), _C.expires > now
    )
    return {
        EcuId(row.new_ecu): int(row.number)
        for row in connection.execute(query)
        if keys[EcuId(row.new_ecu)] == row.key_identity
    }
