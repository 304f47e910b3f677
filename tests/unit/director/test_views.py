"""The JSON of what the Director shows: members, names and order are those that programs read."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from twinlock.cli.shared.json_form import json_value
from twinlock.director.devices.certificates import Certificate
from twinlock.director.devices.events import DeviceEvent
from twinlock.director.devices.telemetry import Telemetry
from twinlock.director.model.records import Plan, PlannedImage
from twinlock.director.status.fleet import VehicleState
from twinlock.director.ways_out.key_changes import KeyChange
from twinlock.io.files.records import plain, to_record
from twinlock.trust.names import EcuId, TargetPath, VehicleId

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
TOLD = "2026-01-02T03:04:05Z"
ORDER = PlannedImage(ecu=EcuId("e"), path=TargetPath("p"), label="l 1", release_counter=None, moved=True)
ORDER_JSON = {"ecu": "e", "path": "p", "label": "l 1", "releaseCounter": None, "moved": True}


@pytest.mark.parametrize(
    ("view", "expected"),
    [
        (
            Plan(vehicle=VehicleId("V"), outcome="ordered", orders=(ORDER,), reasons=("r",)),
            {"vehicle": "V", "outcome": "ordered", "orders": [ORDER_JSON], "reasons": ["r"]},
        ),
        (VehicleState(state="ok", reasons=("r",)), {"state": "ok", "reasons": ["r"]}),
        (
            Telemetry(kind="network", received_at=NOW, value={"local_ipv4": 1.5}),
            {"kind": "network", "receivedAt": TOLD, "value": {"local_ipv4": 1.5}},
        ),
        (
            DeviceEvent(id="i", kind="k", version=0, device_time=NOW, detail={"ecu_x": 1}),
            {"id": "i", "kind": "k", "version": 0, "deviceTime": TOLD, "receivedAt": None, "detail": {"ecu_x": 1}},
        ),
        (
            Certificate(kind="single", name="V", serial="1", fingerprint="f", issued_at=NOW, not_after=NOW, actor="a"),
            {
                "kind": "single",
                "name": "V",
                "serial": "1",
                "fingerprint": "f",
                "issuedAt": TOLD,
                "notAfter": TOLD,
                "actor": "a",
                "revokedAt": None,
            },
        ),
        (
            KeyChange(
                number=1,
                vehicle=VehicleId("V"),
                ecu=EcuId("e"),
                new_ecu=EcuId("n"),
                fingerprint="f",
                expires=NOW,
                actor="a",
                confirmed_by=None,
            ),
            {
                "number": 1,
                "vehicle": "V",
                "ecu": "e",
                "newEcu": "n",
                "fingerprint": "f",
                "expires": TOLD,
                "actor": "a",
                "confirmedBy": None,
                "applied": False,
            },
        ),
    ],
)
def test_a_view_has_one_json_form(view: Any, expected: dict[str, Any]) -> None:
    assert json.dumps(json_value(view)) == json.dumps(expected)


def test_an_order_is_kept_and_read_alike() -> None:
    assert json.dumps(plain(ORDER)) == json.dumps(ORDER_JSON)
    assert to_record([ORDER_JSON], "decision 1", tuple[PlannedImage, ...]) == (ORDER,)
