"""A product's installer and precondition behind the boundary of ``model/party_faults.py``.

Source: Uptane 2.1.0 5.4.3.6 (every failure ends in a report).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from twinlock.client.install.installer import Installer, Precondition
from twinlock.client.model.errors import InstallerError
from twinlock.client.model.party_faults import party_faults
from twinlock.trust.model.ecu import InstalledImage
from twinlock.trust.model.targets import ImageEntry
from twinlock.trust.names import EcuId


class GuardedInstaller:
    """A product's ``Installer`` behind the boundary: it raises nothing but a ``TwinlockError``."""

    def __init__(self, installer: Installer, ecu: EcuId) -> None:
        self._installer = installer
        self._ecu = ecu

    def installed(self) -> InstalledImage:
        """See ``Installer.installed``. Raises: InstallerError."""
        return self._call("report what is installed", self._installer.installed)

    def install(self, entry: ImageEntry, source: Path) -> InstalledImage:
        """See ``Installer.install``. Raises: InstallerError, also where it returns another image than ``entry``."""

        def install() -> InstalledImage:
            image = self._installer.install(entry, source)
            if isinstance(image, InstalledImage):
                _check_same(image, entry)
            return image

        return self._call(f"install {entry.path}", install)

    def rollback(self) -> InstalledImage:
        """See ``Installer.rollback``. Raises: InstallerError."""
        return self._call("roll back", self._installer.rollback)

    def _call(self, step: str, method: Callable[[], InstalledImage]) -> InstalledImage:
        with party_faults(InstallerError, "installer", self._ecu, step):
            image = method()
            if not isinstance(image, InstalledImage):
                raise TypeError(f"expected an InstalledImage, got {type(image).__name__}")
            return image


def _check_same(image: InstalledImage, entry: ImageEntry) -> None:
    """Check that ``image`` is the approved ``entry``; its release counter may be unknown. Raises: ValueError."""
    common = image.hashes.keys() & entry.hashes.keys()
    pairs = {"name": (image.path, entry.path), "length": (image.length, entry.length)}
    pairs |= {name: (image.hashes[name], entry.hashes[name]) for name in sorted(common)}
    for what, (returned, approved) in pairs.items():
        if returned != approved:
            raise ValueError(f"it returned an image of another {what}: {returned}, not {approved}")
    if not common:
        raise ValueError("it returned an image without a hash that the approved entry has")


def guarded_precondition(precondition: Precondition | None, ecu: EcuId) -> Precondition | None:
    """``precondition`` behind the boundary. If it raises, nothing is installed."""
    if precondition is None:
        return None

    def ask(entry: ImageEntry) -> str | None:
        with party_faults(InstallerError, "precondition", ecu, f"judge {entry.path}"):
            return precondition(entry)

    return ask
