"""The interface of an installer. ``ab_slots.py`` has the built-in one; a product supplies its own for other hardware."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from twinlock.trust.model.ecu import InstalledImage
from twinlock.trust.model.targets import ImageEntry

Precondition = Callable[[ImageEntry], "str | None"]
"""Why ``entry`` cannot be installed now (not parked, battery low), or None if it can. Uptane 2.1.0 5.4.3.5."""


class Installer(Protocol):
    """Puts a verified image into operation on one ECU.

    Methods block. The cycle of a Primary and the server of a Secondary call them in a worker thread, one at a time.
    """

    def installed(self) -> InstalledImage:
        """What the ECU runs, read from the ECU itself and not from memory. Raises: StorageError."""

    def install(self, entry: ImageEntry, source: Path) -> InstalledImage:
        """Install ``source``, which was verified as ``entry`` and is verified again on the way.

        After any failure and any crash the ECU runs either what it ran before, or ``entry``, whole.
        Raises: PreconditionError, ReleaseCounterError, LengthError, DigestError, StorageError.
        """

    def rollback(self) -> InstalledImage:
        """Go back to the image that ran before. Raises: StorageError when there is none."""
