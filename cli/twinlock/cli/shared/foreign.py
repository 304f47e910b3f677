"""Text that came from outside, as it may be printed: it writes no control sequence to a terminal and forges no row."""

from __future__ import annotations

import json

MAX_CHARACTERS = 300


def foreign(value: object, limit: int = MAX_CHARACTERS) -> str:
    """``value`` as one printable line of at most ``limit`` characters; what is not text is shown as JSON."""
    from twinlock.trust.text.printable import printable

    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str, sort_keys=True)
    line = printable(text)
    return line if len(line) <= limit else f"{line[: limit - 3]}..."
