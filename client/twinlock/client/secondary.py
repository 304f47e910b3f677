"""A Secondary, from the outside: what its Primary may hand it, each checked here again before it counts."""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from twinlock.trust.model.targets import ImageEntry
from twinlock.trust.state import InstalledImage


class Secondary:
    """One Secondary ECU. It trusts its Primary for nothing but delivery. One event loop."""

    @classmethod
    def open(cls, config: Path, *, wall: Callable[[], datetime] | None = None) -> Secondary:
        """Open the Secondary configured in ``config`` (a ``secondary.json``); ``wall`` replaces the system clock."""
        raise NotImplementedError

    def identity(self) -> dict[str, Any]:
        """Who this is: ``ecu``, ``hardwareId``, ``verification``, ``keyid``, ``key``, ``timeNonce``."""
        raise NotImplementedError

    def accept_time(self, attestation: bytes) -> datetime:
        """Check a signed time attestation and take the time from it."""
        raise NotImplementedError

    def accept_metadata(self, bundle: bytes) -> ImageEntry | None:
        """Verify a bundle of metadata; the image this ECU wants now, None if it has what it should have."""
        raise NotImplementedError

    async def accept_image(self, path: str, chunks: AsyncIterable[bytes]) -> InstalledImage:
        """Take the wanted image, verify it while it streams in, and install it."""
        raise NotImplementedError

    def report(self) -> bytes:
        """A fresh signed ECU version report."""
        raise NotImplementedError

    def installed(self) -> InstalledImage:
        """What this ECU runs."""
        raise NotImplementedError

    def close(self) -> None:
        """Release the state."""
