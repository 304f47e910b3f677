"""Text that another party wrote, before it is shown, logged or reported."""

from __future__ import annotations

from twinlock.trust.text.printable import printable


def sanitize(value: object, limit: int) -> str:
    """Text of another party made safe to show: on one line, escaped, at most ``limit`` characters."""
    return printable(" ".join(str(value).split())[:limit])[:limit]
