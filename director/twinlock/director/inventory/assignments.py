"""What the operator wants: one image for one ECU, until it is withdrawn. Every change is audited.

All functions take a connection whose transaction the caller owns.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from sqlalchemy import Connection, bindparam, delete, insert, select

from twinlock.director.inventory import schema
from twinlock.director.inventory.history import record_audit
from twinlock.director.inventory.statements import Statement
from twinlock.director.inventory.vehicles import touch_vehicle
from twinlock.director.model.records import Assignment
from twinlock.trust.names import EcuId, TargetPath

_A = schema.assignments.c
_ASSIGNED = Statement(select(schema.assignments).where(_A.vehicle == bindparam("vehicle")).order_by(_A.ecu))


def load_assignments(connection: Connection, vehicle: str) -> tuple[Assignment, ...]:
    """The assignments of a vehicle, by ECU."""
    return tuple(
        Assignment(ecu=EcuId(row.ecu), path=TargetPath(row.path), assigned_at=row.assigned_at, actor=row.actor)
        for row in _ASSIGNED.rows(connection, vehicle=vehicle)
    )


def put_assignments(
    connection: Connection, vehicle: str, images: Mapping[EcuId, TargetPath], *, actor: str, now: datetime
) -> None:
    """Assign images to ECUs, in place of what was assigned to them."""
    connection.execute(delete(schema.assignments).where(_A.vehicle == vehicle, _A.ecu.in_(list(images))))
    rows = [
        {"ecu": ecu, "vehicle": vehicle, "path": path, "assigned_at": now, "actor": actor}
        for ecu, path in images.items()
    ]
    connection.execute(insert(schema.assignments), rows)
    record_audit(
        connection,
        actor=actor,
        action="assign",
        vehicle=vehicle,
        detail={str(ecu): path for ecu, path in images.items()},
        now=now,
    )
    touch_vehicle(connection, vehicle)


def drop_assignments(connection: Connection, vehicle: str, ecus: Iterable[EcuId], *, actor: str, now: datetime) -> None:
    """Withdraw the assignments of these ECUs."""
    gone = sorted(ecus)
    connection.execute(delete(schema.assignments).where(_A.vehicle == vehicle, _A.ecu.in_(gone)))
    record_audit(connection, actor=actor, action="unassign", vehicle=vehicle, detail={"ecus": gone}, now=now)
    touch_vehicle(connection, vehicle)
