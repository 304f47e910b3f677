"""What happened, in rows that are only ever added: manifests, reports, events, decisions, audit.

Functions take a connection whose transaction the caller owns, but for ``record_limit``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from difflib import get_close_matches
from typing import Any

from sqlalchemy import Connection, Integer, bindparam, func, insert, or_, select, update

from twinlock.director.errors.operator import UnknownActionError
from twinlock.director.errors.vehicles import DailyLimitError
from twinlock.director.inventory import schema
from twinlock.director.inventory.counters import (
    count_on,
    find_repeated_resets,
    note_evidence,
    note_resets,
    raise_counter,
)
from twinlock.director.inventory.database import Inventory
from twinlock.director.inventory.installations import MAX_PER_DAY, note_installations
from twinlock.director.inventory.statements import Statement
from twinlock.director.model.actions import ACTIONS, Action
from twinlock.director.model.judgement import Findings
from twinlock.director.model.records import DecisionRecord, Event, ManifestRecord, Plan, PlannedImage
from twinlock.director.tables.columns import UtcTime
from twinlock.io.files.records import plain, to_record
from twinlock.trust.errors.base import TwinlockError
from twinlock.trust.names import EcuId, VehicleId
from twinlock.trust.wire.tuf.reports import EcuReport

_M = schema.manifests.c
_R = schema.reports.c
_D = schema.decisions.c
_E = schema.ecus.c
_V = schema.events.c

LIMIT_CODE = DailyLimitError.code  # of the events by which a vehicle is known to send too much
OPERATOR = "operator"  # who did something, where no name was given
STANDING_CODES = frozenset({"unlisted-image", "unregistered-ecu", "wrong-hardware", "old-time", "detail"})

# A vehicle that the Director refuses sends the same every day. What is kept of it is bounded, per vehicle, day
# and code, so that many refusals of one kind leave room for the first of another.
_DAY = timedelta(days=1)
MAX_REFUSED_PER_CODE = 32
MAX_REFUSED_BYTES = 65_536

_NEW_MANIFEST = Statement(
    insert(schema.manifests).returning(_M.number), "vehicle", "received_at", "digest", "data", "accepted"
)
_NEW_REPORT = Statement(
    insert(schema.reports).returning(_R.number),
    *("manifest", "ecu", "key_identity", "reported_time", "counter", "nonce", "path", "length", "hashes"),
    *("release_counter", "attack", "detail"),
)
_KEYS = Statement(select(_E.ecu, _E.key_identity).where(_E.vehicle == bindparam("vehicle")))
_REPORTED = Statement(
    update(schema.ecus)
    .where(_E.ecu == bindparam("this_ecu"))
    .values(last_report=bindparam("report"), missing_since=None, out_of_order_at=None)
)
_ACCEPTED = Statement(
    update(schema.vehicles)
    .where(schema.vehicles.c.vehicle == bindparam("this_vehicle"))
    .values(
        last_manifest=bindparam("number"),
        last_manifest_at=bindparam("now", type_=UtcTime),
        share_used=bindparam("share"),
        revision=schema.vehicles.c.revision + bindparam("step", type_=Integer),
    )
)
_ALIKE = (
    _V.vehicle == bindparam("vehicle"),
    _V.code == bindparam("code"),
    _V.ecu.is_not_distinct_from(bindparam("ecu")),
)
_KNOWN_TODAY = Statement(
    select(_V.number).where(*_ALIKE, _V.detail == bindparam("detail"), _V.at > bindparam("since")).limit(1)
)
_NEWEST_EVIDENCE = Statement(
    select(_V.detail, _V.data).where(*_ALIKE, _V.evidence == bindparam("evidence")).order_by(_V.number.desc()).limit(1)
)
_DECIDED = Statement(
    select(schema.decisions)
    .where(_D.vehicle == bindparam("vehicle"))
    .order_by(_D.number.desc())
    .limit(bindparam("limit"))
)


def record_audit(
    connection: Connection,
    *,
    actor: str,
    action: Action,
    now: datetime,
    vehicle: str | None = None,
    detail: Mapping[str, Any] | None = None,
) -> None:
    """Record who did what."""
    row = {"at": now, "actor": actor, "action": action, "vehicle": vehicle, "detail": dict(detail or {})}
    connection.execute(insert(schema.audit), row)


def read_audit(
    connection: Connection, *, limit: int = 100, since: datetime | None = None, **equal: str | None
) -> list[dict[str, Any]]:
    """Who did what, newest first; ``equal`` are columns (``vehicle``, ``actor``, ``action``) with the value that they must have.

    Raises: UnknownActionError.
    """
    action = equal.get("action")
    if action is not None and action not in ACTIONS:
        raise UnknownActionError(action=action, near=tuple(get_close_matches(action, ACTIONS, n=8, cutoff=0.0)))
    columns = schema.audit.c
    query = select(schema.audit).order_by(columns.number.desc()).limit(limit)
    query = query.where(*(columns[name] == value for name, value in equal.items() if value is not None))
    if since is not None:
        query = query.where(columns.at >= since)
    return [dict(row) for row in connection.execute(query).mappings()]


def insert_refused(
    connection: Connection, vehicle: str, data: bytes, refusal: Mapping[str, Any], now: datetime, *, digest: str
) -> bool:
    """Keep a refused manifest with its verdict; return whether it was kept.

    ``digest`` is that of its content (see ``senders.content_digest``). Refused content is kept once, long content
    only in part, and of each code no more than a bounded number a day.
    """
    known = select(_M.number).where(_M.vehicle == vehicle, _M.digest == digest, _M.accepted.is_(False)).limit(1)
    if connection.execute(known).first() or _refused_today(connection, vehicle, refusal["code"], now):
        return False
    row = {"vehicle": vehicle, "received_at": now, "digest": digest, "accepted": False, "refusal": dict(refusal)}
    connection.execute(insert(schema.manifests).values(**row, data=data[:MAX_REFUSED_BYTES]))
    return True


def _refused_today(connection: Connection, vehicle: str, code: str, now: datetime) -> bool:
    """Whether this code has filled its share of the day's refused manifests."""
    today = (_M.vehicle == vehicle, _M.accepted.is_(False), _M.received_at > now - _DAY)
    kept = [refusal["code"] for refusal in connection.execute(select(_M.refusal).where(*today)).scalars()]
    return kept.count(code) >= MAX_REFUSED_PER_CODE


def insert_accepted(
    connection: Connection,
    vehicle: str,
    data: bytes,
    findings: Findings,
    now: datetime,
    *,
    digest: str,
    share: int,
    changed: bool,
) -> int:
    """Keep an accepted manifest, its reports and events, and point the ECUs at them; returns its number.

    ``share`` is how much of the vehicle's daily share is used with it, in bytes; ``changed`` whether a new plan has to be
    made, because the manifest shows anything that the one before it did not.

    ECUs that are missing from it are marked as such from ``now`` on, those that report are no longer.

    Raises: IntegrityError if a counter or nonce was taken meanwhile.
    """
    row = {"vehicle": vehicle, "received_at": now, "digest": digest, "data": data, "accepted": True}
    number = int(_NEW_MANIFEST.rows(connection, **row)[0].number)
    keys = {row.ecu: row.key_identity for row in _KEYS.rows(connection, vehicle=vehicle)}
    repeated = find_repeated_resets(connection, findings.reports.values())
    for ecu, report in findings.reports.items():
        nonce = (
            None if (ecu, report.nonce) in repeated else report.nonce
        )  # each is stored once, with the report that it counted for
        _insert_report(connection, number, report, findings, key=keys[ecu], nonce=nonce)
    counters = {ecu: report.counter for ecu, report in findings.reports.items()}
    for ecu in note_installations(connection, vehicle, findings.installed, counters, now):
        full = DailyLimitError(vehicle=vehicle, what=f"changes of what {ecu} runs", limit=MAX_PER_DAY)
        record_refusal(connection, vehicle, full, now)
    note_resets(connection, findings.verified, now)
    if findings.missing:
        gone = (_E.ecu.in_(findings.missing), _E.missing_since.is_(None))
        connection.execute(update(schema.ecus).where(_E.vehicle == vehicle, *gone).values(missing_since=now))
    record_events(connection, vehicle, findings.events, now, manifest=number)
    _ACCEPTED.run(connection, this_vehicle=vehicle, number=number, now=now, share=share, step=int(changed))
    return number


def find_seen_nonces(connection: Connection, reports: Iterable[EcuReport]) -> frozenset[tuple[EcuId, str]]:
    """Which of the nonces in ``reports`` the same ECU used before, and may not repeat."""
    reports = tuple(reports)
    wanted = [(_R.ecu == report.ecu) & (_R.nonce == report.nonce) for report in reports if report.nonce is not None]
    if not wanted:
        return frozenset()
    query = select(_R.ecu, _R.nonce).where(or_(*wanted))
    seen = frozenset((EcuId(row.ecu), str(row.nonce)) for row in connection.execute(query))
    return seen - find_repeated_resets(connection, reports)


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
    return tuple((row.at, _event(row)) for row in connection.execute(query))


def record_events(
    connection: Connection,
    vehicle: str,
    events: Iterable[Event],
    now: datetime,
    *,
    manifest: int | None = None,
) -> None:
    """Keep what people should see. What persists from manifest to manifest is kept once a day, a piece of evidence as often as the ECU added to it."""
    for event in events:
        if not _is_known(connection, vehicle, event, now):
            row = {"vehicle": vehicle, "manifest": manifest, "at": now, "evidence": event.evidence}
            row |= {"kind": event.kind, "code": event.code, "ecu": event.ecu, "detail": event.detail}
            connection.execute(insert(schema.events).values(**row, data=event.data))


def is_refusal_recorded(connection: Connection, vehicle: str, error: TwinlockError, now: datetime) -> bool:
    """Whether the same was kept by ``record_refusal`` less than a day ago."""
    alike = (_V.vehicle == vehicle, _V.code == error.code, _V.at > now - _DAY, _V.detail == str(error))
    return connection.execute(select(_V.number).where(*alike).limit(1)).first() is not None


def record_refusal(connection: Connection, vehicle: str, error: TwinlockError, now: datetime) -> None:
    """Keep what was refused from an authenticated vehicle outside its manifests: the same once a day, each code in bounds."""
    if is_refusal_recorded(connection, vehicle, error, now):
        return
    event = Event(kind=error.kind.value, code=error.code, ecu=None, detail=str(error), data=error.as_json())
    recent = select(func.count()).where(
        _V.vehicle == vehicle, _V.code == event.code, _V.at > now - _DAY, _V.manifest.is_(None)
    )
    if connection.execute(recent).scalar_one() < MAX_REFUSED_PER_CODE:
        record_events(connection, vehicle, [event], now)


def record_limit(database: Inventory, error: DailyLimitError, now: datetime) -> None:
    """Note in a vehicle's history that it sends too much, in a transaction of its own.

    Once a day: what comes without end must not cost a transaction each time.
    """
    with database.reading() as connection:
        known = is_refusal_recorded(connection, error.vehicle, error, now)
    if not known:
        with database.writing("note a limit") as connection:
            record_refusal(connection, error.vehicle, error, now)


def _is_known(connection: Connection, vehicle: str, event: Event, now: datetime) -> bool:
    values = {"vehicle": vehicle, "code": event.code, "ecu": event.ecu}
    if event.evidence is not None:
        known = _NEWEST_EVIDENCE.first(connection, evidence=event.evidence, **values)
        # It is acknowledged as it is now, so what was added to it has to be kept.
        return known is not None and (known.detail, known.data) == (event.detail, event.data)
    if event.code not in STANDING_CODES:
        return False
    return _KNOWN_TODAY.first(connection, since=now - _DAY, detail=event.detail, **values) is not None


def _event(row: Any) -> Event:
    return Event(
        kind=row.kind,
        code=row.code,
        ecu=None if row.ecu is None else EcuId(row.ecu),
        detail=row.detail,
        evidence=row.evidence,
        data=row.data,
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
    result = connection.execute(
        insert(schema.decisions).values(
            vehicle=plan.vehicle,
            made_at=now,
            outcome=plan.outcome,
            orders=[plain(order) for order in plan.orders],
            entries=dict(entries),
            reasons=list(plan.reasons),
            correlation_id=correlation_id,
            manifest=manifest,
            versions=dict(versions),
        )
    )
    assert result.inserted_primary_key is not None
    return int(result.inserted_primary_key[0])


def list_decisions(connection: Connection, vehicle: str, limit: int) -> tuple[DecisionRecord, ...]:
    """What was decided for a vehicle, newest first."""
    return tuple(_decision(row) for row in _DECIDED.rows(connection, vehicle=vehicle, limit=limit))


def _decision(row: Any) -> DecisionRecord:
    orders = to_record(row.orders, f"decision {row.number}", tuple[PlannedImage, ...])
    return DecisionRecord(
        number=row.number,
        made_at=row.made_at,
        plan=Plan(vehicle=VehicleId(row.vehicle), outcome=row.outcome, orders=orders, reasons=tuple(row.reasons)),
        entries=row.entries,
        correlation_id=row.correlation_id,
        manifest=row.manifest,
        versions=row.versions,
    )


def _insert_report(
    connection: Connection, manifest: int, report: EcuReport, findings: Findings, *, key: str, nonce: str | None
) -> None:
    ecu = report.ecu
    installed = findings.installed[ecu]
    (stored,) = _NEW_REPORT.rows(
        connection,
        manifest=manifest,
        ecu=ecu,
        key_identity=key,
        reported_time=report.time,
        counter=report.counter,
        nonce=nonce,
        path=installed.path,
        length=installed.length,
        hashes=dict(installed.hashes),
        release_counter=installed.release_counter,
        attack=report.attack,
        detail=report.detail,
    )
    _REPORTED.run(connection, this_ecu=ecu, report=stored.number)
    verified = findings.verified
    if report.counter is None:
        return
    if ecu in verified.resets:
        count_on(connection, ecu, key)
    raise_counter(connection, ecu, key, report.counter)
    if report.evidence and ecu in verified.counters:
        note_evidence(connection, ecu, key, counter=verified.counters[ecu], digest=verified.signed[ecu])
