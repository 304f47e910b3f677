"""The status of an ECU that may be running: what it is, what it runs, how its last cycle went. Read-only."""

from __future__ import annotations

from typing import Any

from twinlock.client.ecu.config import EcuSettings, PrimaryConfig, SecondaryConfig
from twinlock.client.ecu.evidence import EvidenceBook
from twinlock.client.ecu.reports import report_profile
from twinlock.client.install.ab_slots import SlotInstaller
from twinlock.client.model.events import event_as_json
from twinlock.client.model.results import image_as_json
from twinlock.client.storage.state import TrustedState
from twinlock.trust.errors.base import TwinlockError
from twinlock.trust.names import DIRECTOR, EcuId, Verification
from twinlock.trust.wire.tuf.metadata import TUF
from twinlock.trust.wire.tuf.reports import verify_report


def inspect_primary(config: PrimaryConfig) -> dict[str, Any]:
    """The status of a vehicle, as its Primary has it: ``vehicle``, ``primary``, ``ecus``, ``lastRefusal``, ``lastDecision``, ``evidence``.

    Each of ``ecus`` has ``ecu``, ``hardwareId``, ``verification``, ``address``, and ``installed`` (None if it never
    reported). Raises: StorageError.
    """
    with _open(config) as state:
        reports = state.reports()
        own = {**_described(config), "verification": Verification.FULL.value, "address": None}
        others = [
            {
                "ecu": item.ecu.ecu,
                "hardwareId": item.ecu.hardware_id,
                "verification": item.verification.value,
                "address": item.address,
                "installed": _reported(config, item.ecu.ecu, reports),
            }
            for item in config.secondaries
        ]
        return {
            "vehicle": config.vehicle,
            "primary": config.ecu.ecu,
            "ecus": [own, *others],
            **_history(state),
        }


def inspect_secondary(config: SecondaryConfig) -> dict[str, Any]:
    """The status of a Secondary: ``ecu``, ``hardwareId``, ``verification``, ``listen``, ``installed``, and how
    its last verification went. Raises: StorageError."""
    with _open(config) as state:
        return {
            "vehicle": config.vehicle,
            **_described(config),
            "verification": config.verification.value,
            "listen": config.listen,
            **_history(state),
        }


def _open(config: EcuSettings) -> TrustedState:
    return TrustedState.open(
        config.state, wires=config.wires, anchor=config.anchor, limits=config.limits, read_only=True
    )


def _described(config: EcuSettings) -> dict[str, Any]:
    return {
        "ecu": config.ecu.ecu,
        "hardwareId": config.ecu.hardware_id,
        "installed": image_as_json(SlotInstaller(config.slots, config.ecu.ecu).installed()),
    }


def _history(state: TrustedState) -> dict[str, Any]:
    refusal = state.refusal
    return {
        "lastRefusal": None if refusal is None else refusal.as_json(),
        "lastDecision": state.decision,
        "evidence": [event_as_json(event) for event in EvidenceBook(state).events()],
    }


def _reported(config: PrimaryConfig, ecu: EcuId, reports: dict[EcuId, bytes]) -> dict[str, Any] | None:
    keys = {item.ecu.ecu: item.key for item in config.secondaries}
    if ecu not in reports:
        return None
    try:
        profile = report_profile(config.wires.get(DIRECTOR, TUF))
        report = profile.decode_report(reports[ecu], config.limits)
        return image_as_json(verify_report(report, profile.reporting_key(keys[ecu])).installed)
    except TwinlockError:
        return None
