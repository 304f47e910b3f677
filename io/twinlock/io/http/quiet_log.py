"""A log that a stranger cannot fill: a bounded number of lines per interval, and then a count of those omitted."""

from __future__ import annotations

import json
import logging
import time

_LINES, _SECONDS = 20, 10.0


class QuietLog:
    """Structured lines about events that strangers cause at will, such as refused connections."""

    def __init__(self, logger: logging.Logger, *, lines: int = _LINES, seconds: float = _SECONDS) -> None:
        self._logger = logger
        self._lines = lines
        self._seconds = seconds
        self._since = time.monotonic()
        self._written = 0
        self._left_out = 0

    def line(self, event: str, **facts: object) -> None:
        """Write one line, unless too many were written just now; the next one then states how many are missing."""
        now = time.monotonic()
        if now - self._since > self._seconds:
            self._since, self._written = now, 0
        if self._written >= self._lines:
            self._left_out += 1
            return
        self._written += 1
        missing = {"left_out": self._left_out} if self._left_out else {}
        self._left_out = 0
        self._logger.warning("%s", json.dumps({"event": event, **facts, **missing}))
