"""A Primary, from the outside: open it from its configuration, run cycles, look at it, close it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from twinlock.client.results import CycleResult
from twinlock.trust.names import EcuId

Progress = Callable[[str, int, int], None]
"""Called as an image arrives: its path, the bytes so far, and the bytes in all."""


class Primary:
    """A vehicle's Primary. Not safe for several threads; one cycle at a time."""

    @classmethod
    def open(cls, config: Path, *, wall: Callable[[], datetime] | None = None) -> Primary:
        """Open the Primary configured in ``config`` (a ``primary.json``); ``wall`` replaces the system clock."""
        raise NotImplementedError

    async def update_cycle(self, *, progress: Progress | None = None) -> CycleResult:
        """Run the seven steps of Uptane 2.1.0 5.4.2 once. Refusals and faults are in the result, not raised."""
        raise NotImplementedError

    def describe(self) -> dict[str, Any]:
        """The vehicle description that ``twinlock director register`` reads."""
        raise NotImplementedError

    def installed(self) -> Mapping[EcuId, Mapping[str, Any]]:
        """What every ECU runs, as far as known here."""
        raise NotImplementedError

    async def close(self) -> None:
        """Release the state and all connections."""

    async def __aenter__(self) -> Primary:
        return self

    async def __aexit__(self, *_exception: object) -> None:
        await self.close()
