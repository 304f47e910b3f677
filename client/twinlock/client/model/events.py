"""An event of the evidence, as the state stores it and as ``--json`` shows it."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from types import NoneType
from typing import Any, NamedTuple

from twinlock.trust.errors.base import Attack, Kind
from twinlock.trust.errors.local import StorageError
from twinlock.trust.model.evidence import Evidence
from twinlock.trust.text.times import format_time, parse_time

_UNKNOWN = datetime(1970, 1, 1, tzinfo=UTC)  # when an event was met that cannot be read


class StoredEvent(NamedTuple):
    """An event and what became of it. ``relayed`` marks one that another party reported, ``unproven`` one that needs no key to cause.

    ``carried`` is the counter of the first report that carries it as it is now, ``accepted`` the version of the Director's
    Timestamp when a Director without acknowledgements accepted that report; None before.
    """

    evidence: Evidence
    relayed: bool
    carried: int | None = None
    accepted: int | None = None
    unproven: bool = False


def encode_event(event: StoredEvent) -> dict[str, Any]:
    """``event`` as the state stores it."""
    return {
        **event_as_json(event.evidence),
        "told": event.relayed,
        "carried": event.carried,
        "accepted": event.accepted,
        "unproven": event.unproven,
    }


def decode_events(stored: Any) -> list[StoredEvent]:
    """The inverse of ``encode_event``, of all that the state stores.

    One event takes the place of all that cannot be read, so that no fault in what is stored ends a report. The ``last`` of an event
    is never before its ``first``: an earlier version of this software stored such after its clock had gone back.
    """
    items = stored if isinstance(stored, list) else [stored]
    found: dict[str, StoredEvent] = {}
    unread = []
    for item in items:
        event = _decode_event(item)
        if event is None or event.evidence.id in found:
            unread.append(item)
        else:
            found[event.evidence.id] = event
    return [*found.values(), *([_left_out(unread)] if unread else [])]


def _decode_event(stored: Any) -> StoredEvent | None:
    try:
        words = {name: _of(str, stored[name]) for name in ("id", "code", "attack", "clause", "detail", "step")}
        first = parse_time(stored["first"])
        evidence = Evidence(
            kind=Kind(stored["kind"]),
            first=first,
            last=max(first, parse_time(stored["last"])),
            occurrences=max(1, _of(int, stored["count"])),
            **words,
            latest=_of(str, stored.get("latest", "")),
        )
        carried, accepted = (_of((int, NoneType), stored[name]) for name in ("carried", "accepted"))
        return StoredEvent(evidence, bool(stored["told"]), carried, accepted, bool(stored.get("unproven", False)))
    except (AttributeError, KeyError, TypeError, ValueError):
        return None


def _of(kind: type | tuple[type, ...], value: Any) -> Any:
    if not isinstance(value, kind):
        raise TypeError(f"{kind} is required, not {value!r}")
    return value


def _left_out(unread: list[Any]) -> StoredEvent:
    """The event that replaces ``unread``, under the same id each time that the same is read."""
    error = StorageError(
        path="the stored evidence", operation="read", reason="events in it are damaged and were left out"
    )
    evidence = Evidence(
        id=hashlib.sha256(json.dumps(unread).encode()).hexdigest()[:16],
        kind=error.kind,
        code=error.code,
        attack=Attack.NONE.value,
        clause="",
        detail=str(error),
        step="report",
        first=_UNKNOWN,
        last=_UNKNOWN,
        occurrences=len(unread),
    )
    return StoredEvent(evidence, relayed=False)


def event_as_json(event: Evidence) -> dict[str, Any]:
    """An event as ``--json`` shows it: ``id``, ``kind``, ``code``, ``attack``, ``clause``, ``detail``, ``latest``, ``step``, ``first``,
    ``last``, ``count``."""
    return {
        "id": event.id,
        "kind": event.kind.value,
        "code": event.code,
        "attack": event.attack,
        "clause": event.clause,
        "detail": event.detail,
        "latest": event.latest,
        "step": event.step,
        "first": format_time(event.first),
        "last": format_time(event.last),
        "count": event.occurrences,
    }
