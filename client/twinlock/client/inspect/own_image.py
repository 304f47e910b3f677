"""What the ECUs of a vehicle run, for people: as measured here, or as a verified report stated it."""

from __future__ import annotations

from collections.abc import Mapping

from twinlock.client.ecu.config import EcuSettings
from twinlock.client.ecu.identity import load_identity
from twinlock.client.ecu.reports import report_profile
from twinlock.client.install.ab_slots import SlotInstaller
from twinlock.client.storage.state import TrustedState
from twinlock.trust.errors.base import TwinlockError
from twinlock.trust.keys.public_keys import PublicKey
from twinlock.trust.model.ecu import InstalledImage
from twinlock.trust.names import DIRECTOR, EcuId
from twinlock.trust.wire.tuf.metadata import TUF
from twinlock.trust.wire.tuf.reports import verify_report


def own_image(config: EcuSettings, state: TrustedState) -> InstalledImage | None:
    """What this ECU runs. Only its program can ask a product's own installer: then as its last report stated it, None without one.

    Raises: StorageError.
    """
    if not state.has_own_installer:
        return SlotInstaller(config.slots, config.ecu.ecu).installed()
    return reported_image(config, config.ecu.ecu, load_identity(config.key).public_key, state.reports())


def reported_image(
    config: EcuSettings, ecu: EcuId, key: PublicKey, reports: Mapping[EcuId, bytes]
) -> InstalledImage | None:
    """What the last report of ``ecu`` stated; None without one that verifies."""
    if ecu not in reports:
        return None
    try:
        profile = report_profile(config.wires.get(DIRECTOR, TUF))
        report = profile.decode_report(reports[ecu], config.limits)
        return verify_report(report, profile.reporting_key(key)).installed
    except TwinlockError:
        return None
