"""The progress of updates that a vehicle with aktualizr reports: ``POST /events``, in rows that are only added.

    [{"id": "<uuid>", "deviceTime": "2026-11-22T17:43:41Z", "eventType": {"id": "EcuDownloadStarted", "version": 0},
      "event": {"correlationId": ..., "ecu": ..., "success": true}}, ...]

The client sends a batch again until it was taken, so an event is known by its id. None of it is signed, and nothing
is decided by it: what counts is the manifest. The caller owns the transaction.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, func, insert, select

from twinlock.director.devices.unsigned import parse_unsigned
from twinlock.director.errors.vehicles import DailyLimitError
from twinlock.director.inventory import schema
from twinlock.director.inventory.vehicles import lock_vehicle
from twinlock.trust.errors.images import EndlessDataError
from twinlock.trust.errors.metadata import LimitError, MalformedError
from twinlock.trust.names import VehicleId
from twinlock.trust.wire.json.cursor import Node

log = logging.getLogger("twinlock.director.devices.events")

MAX_BYTES = 131_072  # some hundred events; the client halves a batch that is refused as too large
MAX_PER_DAY = 10_000  # an update of a hundred ECUs gives four hundred; rows are kept forever
_MAX_BATCH = 1_000
_MAX_VALUES = 32_768  # thirty of each event of the largest batch; an event has a dozen
_MAX_ID = 64
_WHAT = "events"
_E = schema.device_events.c


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceEvent:
    """One event. ``detail`` is the client's own words: plain JSON."""

    id: str
    kind: str
    version: int
    device_time: datetime
    received_at: datetime | None = None
    detail: Mapping[str, Any]


def read_events(data: bytes) -> tuple[DeviceEvent, ...]:
    """Read a batch, each event once. A malformed event does not refuse the others; a batch of nothing else is refused.

    Raises: EndlessDataError, MalformedError, LimitError.
    """
    if len(data) > MAX_BYTES:
        raise EndlessDataError(what=_WHAT, limit_bytes=MAX_BYTES)
    try:
        node = Node(parse_unsigned(data, _WHAT, max_values=_MAX_VALUES), _WHAT, "$")
        items = node.items(_MAX_BATCH)
    except LimitError:
        # Refused like one with too many bytes, so that the client sends less at once.
        raise EndlessDataError(what=_WHAT, limit_bytes=MAX_BYTES) from None
    events: dict[str, DeviceEvent] = {}
    refused: list[MalformedError | LimitError] = []
    for item in items:
        try:
            event = _event(item)
        except (MalformedError, LimitError) as error:
            refused.append(error)
            continue
        events.setdefault(event.id, event)
    if refused and not events:
        raise refused[0]
    for reason in refused:
        log.warning("an event of a batch was dropped: %s", reason)
    return tuple(events.values())


def store_events(connection: Connection, vehicle: VehicleId, events: Iterable[DeviceEvent], now: datetime) -> int:
    """Keep those that are new, and return how many. Raises: UnknownVehicleError, DailyLimitError."""
    lock_vehicle(connection, vehicle)
    by_id = {event.id: event for event in events}
    known = select(_E.event).where(_E.vehicle == vehicle, _E.event.in_(list(by_id)))
    for event in connection.execute(known).scalars():
        del by_id[event]
    recent = select(func.count()).where(_E.vehicle == vehicle, _E.received_at > now - timedelta(days=1))
    if connection.execute(recent).scalar_one() + len(by_id) > MAX_PER_DAY:
        raise DailyLimitError(vehicle=vehicle, what="events", limit=MAX_PER_DAY)
    rows = [
        {
            "vehicle": vehicle,
            "event": event.id,
            "received_at": now,
            "device_time": event.device_time,
            "kind": event.kind,
            "kind_version": event.version,
            "detail": dict(event.detail),
        }
        for event in by_id.values()
    ]
    if rows:
        connection.execute(insert(schema.device_events), rows)
    return len(rows)


def list_device_events(connection: Connection, vehicle: str, limit: int) -> tuple[DeviceEvent, ...]:
    """What the vehicle reported, newest first in the order in which it arrived."""
    query = select(schema.device_events).where(_E.vehicle == vehicle).order_by(_E.number.desc()).limit(limit)
    return tuple(
        DeviceEvent(
            id=row.event,
            kind=row.kind,
            version=row.kind_version,
            device_time=row.device_time,
            detail=row.detail,
            received_at=row.received_at,
        )
        for row in connection.execute(query)
    )


def _event(node: Node) -> DeviceEvent:
    kind = node.get("eventType")
    return DeviceEvent(
        id=_short(node.get("id")),
        kind=_short(kind.get("id")),
        version=kind.get("version").integer(0),
        device_time=node.get("deviceTime").time(),
        detail=node.get("event").shallow(),
    )


def _short(node: Node) -> str:
    text = node.text()
    if not 0 < len(text) <= _MAX_ID:
        node.fail(f"a text of 1 to {_MAX_ID} characters is required")
    return text
