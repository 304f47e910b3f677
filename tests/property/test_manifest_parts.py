"""Junk in one ECU's report, whatever it is, costs no other ECU its report: in both profiles, before and after signatures."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.unit.director.aktualizr_vehicle import AktualizrVehicle
from tests.unit.director.judging import judge_manifest
from tests.unit.director.test_intake import judge, record_of
from tests.unit.director.world import NOW, TestVehicle
from twinlock.director.model.records import AKTUALIZR_PROFILE, VehicleRecord
from twinlock.trust.names import EcuId, VehicleId
from twinlock.trust.wire.aktualizr.reports import decode_manifest

QUICK = settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x7f"), max_size=12)
JUNK: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXT | st.sampled_from(["ecu-gw", "gw-7", "../x", "e\u0301", "0" * 64]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
CAR = TestVehicle("VIN1", {"ecu-gw": "gw-1", "ecu-brake": "hw-7"})
VAN = AktualizrVehicle()


def places(value: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Every place in a JSON value, the whole included."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for step, item in inner for place in places(item, (*path, step)))]


def replaced(value: Any, path: tuple[str | int, ...], put: Any) -> Any:
    """``value`` with ``put`` at ``path``."""
    if not path:
        return put
    copy = value.copy()
    copy[path[0]] = replaced(value[path[0]], path[1:], put)
    return copy


def _native() -> Any:
    return json.loads(CAR.report("ecu-brake"))


@QUICK
@given(st.sampled_from(places(_native())), JUNK, st.booleans())
@example(("signed", "ecuIdentifier"), "ecu-gw", True)
@example((), None, False)
@example(("signatures",), [], True)
def test_junk_in_a_report_of_a_secondary(path: tuple[str | int, ...], junk: Any, first: bool) -> None:
    CAR.counter += 1
    bad, good = json.dumps(replaced(_native(), path, junk)).encode(), CAR.report("ecu-gw")
    findings = judge(CAR.manifest(reports=[bad, good] if first else [good, bad]), record_of(CAR))
    assert findings.reports[EcuId("ecu-gw")].counter == CAR.counter - 1
    assert set(findings.reports) | set(findings.missing) == {"ecu-gw", "ecu-brake"}


@QUICK
@given(st.sampled_from(places(VAN.report("brake-7"))), JUNK)
@example(("signed", "ecu_serial"), "gw-7")
@example((), None)
def test_junk_in_a_report_of_a_secondary_of_aktualizr(path: tuple[str | int, ...], junk: Any) -> None:
    data = VAN.manifest(reports={"brake-7": replaced(VAN.report("brake-7"), path, junk)})
    known = {record.ecu: record for record in VAN.records()}
    record = VehicleRecord(
        vehicle=VehicleId(VAN.vin),
        primary=EcuId("gw-7"),
        ecus=known,
        reports={},
        registered_at=NOW,
        profile=AKTUALIZR_PROFILE,
    )
    findings = judge_manifest(decode_manifest(data), record, now=NOW, address=VAN.vin)
    assert findings.reports[EcuId("gw-7")].counter == VAN.counter
    assert set(findings.reports) | set(findings.missing) == {"gw-7", "brake-7"}
