"""What signed Director Targets acknowledge of the reports of ECUs: evidence that is stored, and counters that may start again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from twinlock.director.model.records import VehicleRecord

ACKNOWLEDGED, REPORTS, RESETS = "acknowledged", "acknowledgedReports", "resets"


def signed_members(record: VehicleRecord, now: datetime) -> dict[str, Any]:
    """The members of ``custom`` in a vehicle's Targets: counters and digests of reports whose evidence is stored, and armed
    resets.
    """
    acknowledged = {
        ecu: item.evidence_counter for ecu, item in sorted(record.ecus.items()) if item.evidence_counter is not None
    }
    reports = {ecu: record.ecus[ecu].evidence_digest for ecu in acknowledged if record.ecus[ecu].evidence_digest}
    resets = {
        ecu: item.reset.nonce
        for ecu, item in sorted(record.ecus.items())
        if item.reset is not None and item.reset.expires > now
    }
    members: dict[str, Any] = {ACKNOWLEDGED: acknowledged, REPORTS: reports, RESETS: resets}
    return {name: value for name, value in members.items() if value}


def stated_members(targets: bytes) -> Mapping[str, Any]:
    """Those members as Targets of ours state them."""
    custom = json.loads(targets)["signed"].get("custom") or {}
    return {name: custom[name] for name in (ACKNOWLEDGED, REPORTS, RESETS) if name in custom}
