"""What ECUs were delivered with and whose their serials are, by the factory's record or an operator; never by a vehicle.

    {"VIN1": {"ecu-gw": {"filename": "factory.bin", "length": 9, "hashes": {"sha256": "..."}}, "ecu-brake": {}}}

An ECU without a file name is only declared to be that vehicle's. The caller owns the transaction.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from sqlalchemy import Connection, delete, insert, select

from twinlock.director.errors.operator import DeliveredElsewhereError
from twinlock.director.inventory import schema
from twinlock.director.inventory.history import record_audit
from twinlock.director.ways_out.retirement import declare_owner
from twinlock.trust.errors.metadata import LimitError
from twinlock.trust.limits import DEFAULT_LIMITS
from twinlock.trust.model.ecu import InstalledImage
from twinlock.trust.names import EcuId, TargetPath, VehicleId, identifier, target_path
from twinlock.trust.wire.json.cursor import Node
from twinlock.trust.wire.json.parser import parse_json

MAX_BYTES = 64_000_000  # a hundred thousand vehicles
MAX_VEHICLES = 1_000_000
_WHAT = "delivery record"
_D, _E = schema.delivered_software.c, schema.ecus.c

Delivery = Mapping[VehicleId, Mapping[EcuId, InstalledImage | None]]


def read_delivery(data: bytes) -> Delivery:
    """Read a factory's record. Raises: MalformedError, LimitError, UnsafePathError."""
    if len(data) > MAX_BYTES:
        raise LimitError(what=f"{_WHAT} in bytes", value=len(data), limit=MAX_BYTES)
    node = Node(parse_json(data, _WHAT, max_values=None), _WHAT, "$")
    return {
        VehicleId(identifier(vehicle)): {
            EcuId(identifier(ecu)): _image(item) for ecu, item in ecus.members(DEFAULT_LIMITS.ecus)
        }
        for vehicle, ecus in node.members(MAX_VEHICLES)
    }


def declare_delivery(connection: Connection, delivery: Delivery, *, actor: str, now: datetime) -> None:
    """Note what each ECU was delivered with, in place of what was declared before, and whose it is.

    Raises: DeliveredElsewhereError, before anything is noted, for an ECU that is or was another vehicle's and was not released.
    """
    for vehicle, ecus in delivery.items():
        _check_not_elsewhere(connection, vehicle, ecus)
    for vehicle, ecus in delivery.items():
        for ecu, image in ecus.items():
            declare_owner(connection, ecu, vehicle, actor=actor, now=now)
            connection.execute(delete(schema.delivered_software).where(_D.vehicle == vehicle, _D.ecu == ecu))
            if image is not None:
                row = {"vehicle": vehicle, "ecu": ecu, "path": image.path, "length": image.length}
                row |= {"hashes": dict(image.hashes), "declared_at": now, "actor": actor}
                connection.execute(insert(schema.delivered_software).values(**row))
        detail = {"ecus": sorted(ecus)}
        record_audit(connection, actor=actor, action="declare-delivery", vehicle=vehicle, detail=detail, now=now)


def _check_not_elsewhere(connection: Connection, vehicle: VehicleId, ecus: Iterable[EcuId]) -> None:
    query = select(_E.ecu, _E.vehicle).where(_E.ecu.in_(list(ecus)), _E.vehicle != vehicle, _E.released_at.is_(None))
    row = connection.execute(query.order_by(_E.ecu)).first()
    if row is not None:
        raise DeliveredElsewhereError(ecu=row.ecu, vehicle=vehicle, owner=row.vehicle)


def _image(node: Node) -> InstalledImage | None:
    if not node.has("filename"):
        return None
    return InstalledImage(
        path=TargetPath(target_path(node.get("filename").text())),
        length=node.get("length").integer(0),
        hashes=node.get("hashes").hashes(DEFAULT_LIMITS.hashes),
    )
