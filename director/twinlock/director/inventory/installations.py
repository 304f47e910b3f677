"""What was installed when, and who approved it: one row each time that an ECU reports another image than before.

The rows outlive the manifests that they were read from. All functions take a connection whose transaction the caller owns.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Connection, bindparam, func, insert, select

from twinlock.director.errors.operator import NoSuchEcuError
from twinlock.director.inventory import schema
from twinlock.director.inventory.statements import Statement
from twinlock.director.model.records import InstallationRecord, VehicleRecord
from twinlock.director.model.software import fingerprint
from twinlock.trust.model.ecu import InstalledImage
from twinlock.trust.names import EcuId, TargetPath, VehicleId

_I, _D, _A = schema.installations.c, schema.decisions.c, schema.audit.c
MAX_PER_DAY = 48  # changes of one ECU
_DECISIONS_READ = 50  # how far back the order of a new image is looked for

_NEWEST = Statement(
    select(_I.ecu, _I.image).where(
        _I.number.in_(select(func.max(_I.number)).where(_I.vehicle == bindparam("vehicle")).group_by(_I.ecu))
    )
)
_DELIVERED = Statement(
    select(schema.delivered_software).where(schema.delivered_software.c.vehicle == bindparam("vehicle"))
)


class Approval(NamedTuple):
    """The order that an installation carries out. All None: the Director ordered no such image."""

    decision: int | None = None
    actor: str | None = None
    approved_at: datetime | None = None


def note_installations(
    connection: Connection,
    vehicle: str,
    installed: Mapping[EcuId, InstalledImage],
    counters: Mapping[EcuId, int | None],
    now: datetime,
) -> tuple[EcuId, ...]:
    """Keep what ECUs of ``vehicle`` run since ``now``, where that is not what they ran before; ``counters`` of their reports.

    Of one ECU at most ``MAX_PER_DAY`` changes a day are kept, since a Primary's key could report without end. Returns the
    ECUs whose change was left out; what they run then is kept with the first report of the next day.
    """
    before = {row.ecu: row.image for row in _NEWEST.rows(connection, vehicle=vehicle)}
    left_out = []
    for ecu, image in installed.items():
        digest = fingerprint(image.path, image.length, image.hashes)
        if before.get(ecu) == digest:
            continue
        if _is_full(connection, vehicle, ecu, now):
            left_out.append(ecu)
        else:
            row = {"vehicle": vehicle, "ecu": ecu, "image": digest, "reported_at": now, "counter": counters[ecu]}
            row |= {"path": image.path, "length": image.length, "hashes": dict(image.hashes)}
            row |= {"release_counter": image.release_counter}
            row |= find_approval(connection, vehicle, ecu, image, now)._asdict()
            connection.execute(insert(schema.installations).values(**row))
    return tuple(left_out)


def find_approval(connection: Connection, vehicle: str, ecu: str, image: InstalledImage, now: datetime) -> Approval:
    """The order of exactly ``image`` for ``ecu`` by ``now``, and the assignment that led to it.

    Of decisions one after the other that order the same the first one counts. An image that was ordered because another one
    needs it is approved by the assignment that was the vehicle's newest then.
    """
    query = select(_D.number, _D.made_at, _D.orders, _D.entries).where(_D.vehicle == vehicle, _D.made_at <= now)
    first = None
    for decision in connection.execute(query.order_by(_D.number.desc()).limit(_DECISIONS_READ)):
        if _orders(decision, ecu, image):
            first = decision
        elif first is not None:
            break
    if first is None:
        return Approval()
    assigned = select(_A.actor, _A.at, _A.detail).where(
        _A.vehicle == vehicle, _A.action == "assign", _A.at <= first.made_at
    )
    rows = connection.execute(assigned.order_by(_A.number.desc()).limit(_DECISIONS_READ)).all()
    direct = (row for row in rows if row.detail.get(ecu) == image.path)
    row = next(direct, rows[0] if rows else None)
    return Approval(first.number) if row is None else Approval(first.number, row.actor, row.at)


def _orders(decision: Any, ecu: str, image: InstalledImage) -> bool:
    """Whether a decision has these bytes under this name for the ECU."""
    entry = decision.entries.get(image.path, {})
    same = entry.get("length") == image.length and entry.get("hashes") == dict(image.hashes)
    return same and any((order["ecu"], order["path"]) == (ecu, image.path) for order in decision.orders)


def _is_full(connection: Connection, vehicle: str, ecu: str, now: datetime) -> bool:
    today = (_I.vehicle == vehicle, _I.ecu == ecu, _I.reported_at > now - timedelta(days=1))
    count = select(func.count()).select_from(schema.installations).where(*today)
    return int(connection.execute(count).scalar_one()) >= MAX_PER_DAY


def list_installations(
    connection: Connection, vehicle: str, *, ecus: Collection[str] = (), since: datetime | None = None, limit: int
) -> tuple[InstallationRecord, ...]:
    """What ran on the ECUs of ``vehicle`` at ``since`` or later, newest first, each with when the next one was reported."""
    wanted = [_I.ecu.in_(list(ecus))] if ecus else []
    query = select(schema.installations).where(_I.vehicle == vehicle, *wanted).order_by(_I.number.desc())
    replaced: dict[str, datetime] = {}
    installations = []
    for row in connection.execute(query):
        until = replaced.get(row.ecu)
        replaced[row.ecu] = row.reported_at
        if since is None or until is None or until >= since:
            installations.append(_installation(row, until))
        if len(installations) == limit:
            break
    return tuple(installations)


def check_known_in(connection: Connection, record: VehicleRecord, ecus: Iterable[str]) -> None:
    """Check that each of ``ecus`` is or was in the vehicle of ``record``. Raises: NoSuchEcuError."""
    for ecu in ecus:
        query = select(_I.number).where(_I.vehicle == record.vehicle, _I.ecu == ecu).limit(1)
        if not (ecu in record.ecus or ecu in record.retired or connection.execute(query).first()):
            raise NoSuchEcuError(ecus=(ecu,), vehicle=record.vehicle)


def _installation(row: Any, until: datetime | None) -> InstallationRecord:
    return InstallationRecord(
        vehicle=VehicleId(row.vehicle),
        ecu=EcuId(row.ecu),
        path=TargetPath(row.path),
        length=row.length,
        hashes=row.hashes,
        release_counter=row.release_counter,
        reported_at=row.reported_at,
        replaced_at=until,
        counter=row.counter,
        decision=row.decision,
        actor=row.actor,
        approved_at=row.approved_at,
    )


def load_delivered(connection: Connection, vehicle: str) -> dict[EcuId, InstalledImage]:
    """What the ECUs of a vehicle were delivered with, as far as that was declared."""
    return {
        EcuId(row.ecu): InstalledImage(path=TargetPath(row.path), length=row.length, hashes=row.hashes)
        for row in _DELIVERED.rows(connection, vehicle=vehicle)
    }
