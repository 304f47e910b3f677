"""Times as the state, the link and ``--json`` write them: UTC, to the second."""

from __future__ import annotations

from datetime import UTC, datetime


def format_time(time: datetime) -> str:
    """UTC with second precision, as metadata writes it."""
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def parse_time(text: str) -> datetime:
    """The inverse of ``format_time``. Raises: ValueError."""
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
