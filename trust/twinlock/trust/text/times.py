"""Times as metadata, reports, the state and ``--json`` write them: RFC 3339 in UTC, to the second (TUF 1.0.34 4.2)."""

from __future__ import annotations

from datetime import UTC, datetime


def format_time(time: datetime) -> str:
    """``time`` as in ``2026-11-22T19:35:00Z``. Not by strftime, which writes the year 1 with one digit."""
    return f"{time.astimezone(UTC).isoformat()[:19]}Z"


def parse_time(text: str) -> datetime:
    """The inverse of ``format_time``. Raises: ValueError."""
    found = datetime.fromisoformat(text).replace(tzinfo=UTC)
    if format_time(found) != text:
        raise ValueError(f"a time like 2026-11-22T19:35:00Z is required, not {text!r}")
    return found
