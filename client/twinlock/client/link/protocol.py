"""How a Primary reaches a Secondary, whatever the bus. HTTP is one way (``http.py``); others can follow."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from twinlock.client.storage.bundle import Bundle
from twinlock.trust.model.targets import ImageEntry


class SecondaryLink(Protocol):
    """One Secondary, from its Primary's side. No answer is trusted; reports are signed by the ECU.

    Every method raises TransportError when the ECU cannot be reached or does not answer, SecondaryTimeoutError when it
    answers too slowly, and SecondaryRefusedError when it refuses.
    """

    async def identity(self) -> Mapping[str, Any]:
        """The identity of the ECU: ``ecu``, ``hardwareId``, ``verification``, ``keyid``, ``key``, ``timeNonce`` (or None).

        Two more save bytes: ``roots``, the newest Root of each repository, and ``bundleBytes``, the largest bundle the ECU accepts.
        """

    async def send_time(self, attestation: bytes) -> None:
        """Send a signed time attestation: Uptane 2.1.0 5.4.2.5."""

    async def send_metadata(self, bundle: Bundle) -> bool:
        """Send metadata; returns whether the ECU now wants an image: Uptane 2.1.0 5.4.2.6."""

    async def send_image(self, entry: ImageEntry, source: Path) -> None:
        """Stream the verified file of ``entry``; returns when the ECU has installed it: Uptane 2.1.0 5.4.2.7."""

    async def report(self) -> bytes:
        """A fresh ECU version report, signed by the ECU: Uptane 2.1.0 5.4.3.6."""

    async def close(self) -> None:
        """Close the connection."""
