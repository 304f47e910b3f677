"""The events of vehicles by ECU and code: no ECU's own words hide what another one met.

An ECU whose key was stolen may report as much as it likes. So what it repeats is one line with a count, attacks come first,
and every ECU has its first line before any has its second.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, func, or_, select

from twinlock.director.inventory import schema
from twinlock.director.model.records import ATTACK, FAILURE, NOTICE, REFUSAL
from twinlock.trust.text.times import format_time

_SEVEREST_FIRST = (ATTACK, FAILURE, REFUSAL, NOTICE)
_E, _U = schema.events.c, schema.ecus.c


@dataclass(frozen=True, slots=True, kw_only=True)
class EventSummary:
    """All events of one code on one ECU (None: the whole vehicle); ``newest`` and ``detail`` are those of the newest."""

    kind: str
    code: str
    ecu: str | None
    count: int
    newest: datetime
    detail: str

    def sentence(self, vehicle: str) -> str:
        """What happened where, and how often if more than once."""
        often = f" ({self.count} events, the newest at {format_time(self.newest)})" if self.count > 1 else ""
        return f"{self.code} on {self.ecu or vehicle}{often}: {self.detail}"


def summarize_events(
    connection: Connection,
    *,
    vehicle: str | None = None,
    since: datetime | None = None,
    kinds: Collection[str] = _SEVEREST_FIRST,
    codes: Collection[str] = (),
) -> Mapping[str, tuple[EventSummary, ...]]:
    """Events of ``kinds``, or with ``codes``, by vehicle: attacks before failures, refusals and notices, the Primary before other ECUs."""
    where: list[ColumnElement[bool]] = [or_(_E.kind.in_(kinds), _E.code.in_(codes))]
    where += [] if vehicle is None else [_E.vehicle == vehicle]
    where += [] if since is None else [_E.at > since]
    same = (_E.vehicle, _E.kind, _E.code, _E.ecu)
    alike = (
        select(func.max(_E.number).label("number"), func.count().label("occurrences"))
        .where(*where)
        .group_by(*same)
        .subquery()
    )
    found: dict[str, list[EventSummary]] = {}
    newest = (
        select(schema.events, alike.c.occurrences).join(alike, alike.c.number == _E.number).order_by(_E.number.desc())
    )
    for row in connection.execute(newest):
        found.setdefault(row.vehicle, []).append(_summary(row))
    primaries = _primaries(connection, vehicle)
    return {name: _ranked(events, primaries.get(name)) for name, events in found.items()}


def _summary(row: Any) -> EventSummary:
    return EventSummary(
        kind=row.kind, code=row.code, ecu=row.ecu, count=row.occurrences, newest=row.at, detail=row.detail
    )


def _primaries(connection: Connection, vehicle: str | None) -> dict[str, str]:
    query = select(_U.vehicle, _U.ecu).where(_U.primary_ecu.is_(True), _U.retired_at.is_(None))
    query = query if vehicle is None else query.where(_U.vehicle == vehicle)
    return {row.vehicle: row.ecu for row in connection.execute(query)}


def _ranked(events: list[EventSummary], primary: str | None) -> tuple[EventSummary, ...]:
    """``events``, which come newest first, in the order in which people should see them."""
    seen: Counter[tuple[str, str | None]] = Counter()
    ranked = []
    for event in events:
        turn = seen[event.kind, event.ecu]
        seen[event.kind, event.ecu] += 1
        ranked.append((_SEVEREST_FIRST.index(event.kind), turn, event.ecu not in (None, primary), event))
    return tuple(event for *_, event in sorted(ranked, key=lambda item: item[:3]))
