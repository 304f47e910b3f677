"""What happened, in rows that are only ever added: manifests, reports, events, decisions, audit.

Belongs here: writing and reading those rows. Does not belong here: judging anything, or rows that change
(``inventory.py``). All functions take a connection whose transaction the caller owns.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, func, insert, or_, select, update

from twinlock.director import schema
from twinlock.director.intake import Findings
from twinlock.director.records import DecisionRecord, Event, ManifestRecord, Order, Plan
from twinlock.trust.names import EcuId, TargetPath, VehicleId
from twinlock.trust.reports import EcuReport

_M = schema.manifests.c
_R = schema.reports.c
_D = schema.decisions.c

# Anybody can send nonsense to a vehicle's address. What is kept of it is bounded, per vehicle and day.
MAX_REFUSED_PER_DAY = 256
MAX_REFUSED_BYTES = 65_536


def record_audit(
    connection: Connection,
    *,
    actor: str,
    action: str,
    now: datetime,
    vehicle: str | None = None,
    detail: Mapping[str, Any] | None = None,
) -> None:
    """Note who did what."""
    connection.execute(
        insert(schema.audit).values(at=now, actor=actor, action=action, vehicle=vehicle, detail=dict(detail or {}))
    )


def read_audit(connection: Connection, *, vehicle: str | None = None, limit: int = 100) -> list[dict[str, Any]]:
    """Who did what, newest first."""
    query = select(schema.audit).order_by(schema.audit.c.number.desc()).limit(limit)
    if vehicle is not None:
        query = query.where(schema.audit.c.vehicle == vehicle)
    return [dict(row) for row in connection.execute(query).mappings()]


def insert_refused(
    connection: Connection, vehicle: str, data: bytes, refusal: Mapping[str, Any], now: datetime
) -> bool:
    """Keep a refused manifest with its verdict; say whether it was kept.

    The same bytes are kept once, long ones only in part, and no more than a bounded number a day.
    """
    digest = hashlib.sha256(data).hexdigest()
    recent = select(func.count()).where(
        _M.vehicle == vehicle, _M.accepted.is_(False), _M.received_at > now - timedelta(days=1)
    )
    known = select(_M.number).where(_M.vehicle == vehicle, _M.digest == digest, _M.accepted.is_(False)).limit(1)
    if connection.execute(known).first() or connection.execute(recent).scalar_one() >= MAX_REFUSED_PER_DAY:
        return False
    row = {"vehicle": vehicle, "received_at": now, "digest": digest, "accepted": False, "refusal": dict(refusal)}
    connection.execute(insert(schema.manifests).values(**row, data=data[:MAX_REFUSED_BYTES]))
    return True


def insert_accepted(connection: Connection, vehicle: str, data: bytes, findings: Findings, now: datetime) -> int:
    """Keep an accepted manifest, its reports and events, and point the ECUs at them; returns its number.

    Raises: IntegrityError if a counter or nonce was taken meanwhile.
    """
    digest = hashlib.sha256(data).hexdigest()
    row = {"vehicle": vehicle, "received_at": now, "digest": digest, "data": data, "accepted": True}
    inserted = connection.execute(insert(schema.manifests).values(**row)).inserted_primary_key
    assert inserted is not None
    number = int(inserted[0])
    for ecu, report in findings.reports.items():
        _insert_report(connection, number, ecu, report, findings)
    _insert_events(connection, vehicle, number, findings.events, now)
    connection.execute(
        update(schema.vehicles)
        .where(schema.vehicles.c.vehicle == vehicle)
        .values(last_manifest=number, last_manifest_at=now, revision=schema.vehicles.c.revision + 1)
    )
    return number


def find_seen_nonces(connection: Connection, reports: Iterable[EcuReport]) -> frozenset[tuple[EcuId, str]]:
    """Which of the nonces in ``reports`` the same ECU used before."""
    wanted = [(_R.ecu == report.ecu) & (_R.nonce == report.nonce) for report in reports if report.nonce is not None]
    if not wanted:
        return frozenset()
    query = select(_R.ecu, _R.nonce).where(or_(*wanted))
    return frozenset((EcuId(row.ecu), str(row.nonce)) for row in connection.execute(query))


def list_manifests(connection: Connection, vehicle: str, limit: int) -> tuple[ManifestRecord, ...]:
    """What a vehicle sent, newest first."""
    query = select(schema.manifests).where(_M.vehicle == vehicle).order_by(_M.number.desc()).limit(limit)
    return tuple(
        ManifestRecord(number=row.number, received_at=row.received_at, data=row.data, refusal=row.refusal)
        for row in connection.execute(query)
    )


def list_events(connection: Connection, vehicle: str, limit: int) -> tuple[tuple[datetime, Event], ...]:
    """What accepted manifests showed that people should see, newest first, each with its time."""
    table = schema.events
    query = select(table).where(table.c.vehicle == vehicle).order_by(table.c.number.desc()).limit(limit)
    return tuple(
        (row.at, Event(kind=row.kind, ecu=EcuId(row.ecu), detail=row.detail)) for row in connection.execute(query)
    )


def insert_decision(
    connection: Connection,
    plan: Plan,
    *,
    entries: Mapping[str, Any],
    correlation_id: str,
    manifest: int | None,
    versions: Mapping[str, int],
    now: datetime,
) -> int:
    """Keep a plan with all that explains it; returns its number."""
    shown = plan.as_json()
    result = connection.execute(
        insert(schema.decisions).values(
            vehicle=plan.vehicle,
            made_at=now,
            outcome=plan.outcome,
            orders=shown["orders"],
            entries=dict(entries),
            reasons=shown["reasons"],
            correlation_id=correlation_id,
            manifest=manifest,
            versions=dict(versions),
        )
    )
    assert result.inserted_primary_key is not None
    return int(result.inserted_primary_key[0])


def list_decisions(connection: Connection, vehicle: str, limit: int) -> tuple[DecisionRecord, ...]:
    """What was decided for a vehicle, newest first."""
    query = select(schema.decisions).where(_D.vehicle == vehicle).order_by(_D.number.desc()).limit(limit)
    return tuple(_decision(row) for row in connection.execute(query))


def _decision(row: Any) -> DecisionRecord:
    orders = tuple(
        Order(
            ecu=EcuId(order["ecu"]),
            path=TargetPath(order["path"]),
            label=order["label"],
            release_counter=order["releaseCounter"],
            moved=order["moved"],
        )
        for order in row.orders
    )
    return DecisionRecord(
        number=row.number,
        made_at=row.made_at,
        plan=Plan(vehicle=VehicleId(row.vehicle), outcome=row.outcome, orders=orders, reasons=tuple(row.reasons)),
        entries=row.entries,
        correlation_id=row.correlation_id,
        manifest=row.manifest,
        versions=row.versions,
    )


def _insert_report(connection: Connection, manifest: int, ecu: EcuId, report: EcuReport, findings: Findings) -> None:
    installed = findings.installed[ecu]
    result = connection.execute(
        insert(schema.reports).values(
            manifest=manifest,
            ecu=ecu,
            reported_time=report.time,
            counter=report.counter,
            nonce=report.nonce,
            path=installed.path,
            length=installed.length,
            hashes=dict(installed.hashes),
            release_counter=installed.release_counter,
            attack=report.attack,
            detail=report.detail,
        )
    )
    assert result.inserted_primary_key is not None
    newest: dict[str, Any] = {"last_report": int(result.inserted_primary_key[0])}
    if report.counter is not None:
        newest["highest_counter"] = report.counter
    connection.execute(update(schema.ecus).where(schema.ecus.c.ecu == ecu).values(**newest))


def _insert_events(connection: Connection, vehicle: str, manifest: int, events: Iterable[Event], now: datetime) -> None:
    for event in events:
        row = {"vehicle": vehicle, "manifest": manifest, "at": now}
        connection.execute(insert(schema.events).values(**row, ecu=event.ecu, kind=event.kind, detail=event.detail))
