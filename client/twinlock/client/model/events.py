"""An event of the evidence, as the state stores it and as ``--json`` shows it."""

from __future__ import annotations

from typing import Any, NamedTuple

from twinlock.trust.errors.base import Kind
from twinlock.trust.model.evidence import Evidence
from twinlock.trust.text.times import format_time, parse_time


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


def decode_event(stored: dict[str, Any]) -> StoredEvent:
    """The inverse of ``encode_event``."""
    evidence = Evidence(
        kind=Kind(stored["kind"]),
        first=parse_time(stored["first"]),
        last=parse_time(stored["last"]),
        occurrences=stored["count"],
        **{name: stored[name] for name in ("id", "code", "attack", "clause", "detail", "step")},
        latest=stored.get("latest", ""),
    )
    return StoredEvent(evidence, stored["told"], stored["carried"], stored["accepted"], stored.get("unproven", False))


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
