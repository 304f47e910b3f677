"""Evidence in the reports of the ``tuf`` profile: the member ``evidence``, both ways."""

from __future__ import annotations

from typing import Any

from twinlock.trust.errors.base import Kind
from twinlock.trust.model.evidence import MAX_EVENT_DETAIL_BYTES, MAX_EVENT_WORD, MAX_EVENTS, Evidence
from twinlock.trust.text.network_form import network_form, start_of
from twinlock.trust.text.times import format_time
from twinlock.trust.wire.json.cursor import MAX_INTEGER, Node

_KINDS = {kind.value: kind for kind in Kind}
_WORDS = ("id", "code", "attack", "clause", "step")


def encode_evidence(event: Evidence) -> dict[str, Any]:
    """``event`` as a report states it, each value within the bounds of ``decode_evidence``: what is written here can be read."""
    words = {name: network_form(getattr(event, name))[:MAX_EVENT_WORD] for name in _WORDS}
    detail, latest = start_of(event.detail, MAX_EVENT_DETAIL_BYTES), start_of(event.latest, MAX_EVENT_DETAIL_BYTES)
    return words | {
        "kind": event.kind.value,
        "detail": detail,
        **({"latest": latest} if latest not in ("", detail) else {}),
        "first": format_time(event.first),
        "last": format_time(max(event.first, event.last)),
        "count": min(max(event.occurrences, 1), MAX_INTEGER),
    }


def decode_evidence(node: Node) -> tuple[Evidence, ...]:
    """The events in the member at ``node``. Raises: MalformedError, LimitError for more than ``MAX_EVENTS``."""
    events = tuple(_event(item) for item in node.items(MAX_EVENTS))
    if len({event.id for event in events}) != len(events):
        node.fail("two events have the same id")
    return events


def _event(node: Node) -> Evidence:
    words = {name: node.get(name).text() for name in _WORDS}
    for name, word in words.items():
        if len(word) > MAX_EVENT_WORD:
            node.get(name).fail(f"at most {MAX_EVENT_WORD} characters are allowed")
    kind = _KINDS.get(node.get("kind").text())
    if kind is None:
        node.get("kind").fail(f"one of {', '.join(_KINDS)} is required")
    detail, latest = _sentence(node.get("detail")), _sentence(node.get("latest")) if node.has("latest") else ""
    first, last = node.get("first").time(), node.get("last").time()
    if last < first:
        node.get("last").fail("it lies before first")
    count = node.get("count").integer(1)
    return Evidence(kind=kind, detail=detail, first=first, last=last, occurrences=count, latest=latest, **words)


def _sentence(node: Node) -> str:
    text = node.text()
    if len(text.encode()) > MAX_EVENT_DETAIL_BYTES:
        node.fail(f"at most {MAX_EVENT_DETAIL_BYTES} bytes are allowed")
    return text
