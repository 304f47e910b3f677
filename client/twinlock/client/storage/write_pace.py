"""How often what anyone may cause is written to the disk: flash wears out, and a sender needs no key to send."""

from __future__ import annotations

import time
from collections.abc import Callable


class WritePace:
    """Permits ``burst`` writes at once, and after them one in each ``interval_s``. ``monotonic`` is replaced in tests."""

    def __init__(self, burst: int, interval_s: float, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._burst = burst
        self._interval_s = interval_s
        self._monotonic = monotonic
        self._permits = float(burst)
        self._counted_at = monotonic()

    def take_permit(self) -> bool:
        """Use up a permit for one write, if there is one; returns whether there was."""
        now = self._monotonic()
        self._permits = min(self._permits + (now - self._counted_at) / self._interval_s, self._burst)
        self._counted_at = now
        if self._permits < 1:
            return False
        self._permits -= 1
        return True
