"""The status of an ECU that may be running: what it is, what it runs, how its last cycle went. Read-only."""

from __future__ import annotations

from typing import Any

from twinlock.client.ecu.config import EcuSettings, PrimaryConfig, SecondaryConfig
from twinlock.client.ecu.disk_space import open_to_read
from twinlock.client.ecu.evidence import EvidenceBook
from twinlock.client.inspect.own_image import own_image, reported_image
from twinlock.client.model.events import event_as_json
from twinlock.client.model.results import image_as_json
from twinlock.client.storage.state import TrustedState
from twinlock.trust.model.ecu import InstalledImage
from twinlock.trust.names import Verification


def inspect_primary(config: PrimaryConfig) -> dict[str, Any]:
    """The status of a vehicle, as its Primary has it: ``vehicle``, ``primary``, ``ecus``, ``lastRefusal``, ``lastDecision``, ``evidence``.

    Each of ``ecus`` has ``ecu``, ``hardwareId``, ``verification``, ``address``, and ``installed`` (None if it never
    reported; see ``own_image`` for the Primary itself). Raises: StorageError.
    """
    with open_to_read(config) as state:
        reports = state.reports()
        own = {**_described(config, state), "verification": Verification.FULL.value, "address": None}
        others = [
            {
                "ecu": item.ecu.ecu,
                "hardwareId": item.ecu.hardware_id,
                "verification": item.verification.value,
                "address": item.address,
                "installed": _as_json(reported_image(config, item.ecu.ecu, item.key, reports)),
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
    """The status of a Secondary: ``ecu``, ``hardwareId``, ``verification``, ``listen``, ``installed`` (None if only its
    own installer knows), and how its last verification went. Raises: StorageError."""
    with open_to_read(config) as state:
        return {
            "vehicle": config.vehicle,
            **_described(config, state),
            "verification": config.verification.value,
            "listen": config.listen,
            **_history(state),
        }


def _described(config: EcuSettings, state: TrustedState) -> dict[str, Any]:
    return {
        "ecu": config.ecu.ecu,
        "hardwareId": config.ecu.hardware_id,
        "installed": _as_json(own_image(config, state)),
    }


def _as_json(image: InstalledImage | None) -> dict[str, Any] | None:
    return None if image is None else image_as_json(image)


def _history(state: TrustedState) -> dict[str, Any]:
    refusal = state.refusal
    return {
        "lastRefusal": None if refusal is None else refusal.as_json(),
        "lastDecision": state.decision,
        "evidence": [event_as_json(event) for event in EvidenceBook(state).events()],
    }
