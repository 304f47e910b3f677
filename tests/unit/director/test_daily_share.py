"""The daily share of a vehicle's manifests: used by what comes, free again as time passes, whatever the clock does."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.director.world import NOW
from twinlock.director.errors.operator import SettingError
from twinlock.director.errors.vehicles import DailyLimitError
from twinlock.director.manifests.daily_share import use_share
from twinlock.director.model.records import VehicleRecord
from twinlock.director.model.settings import Settings
from twinlock.trust.limits import DEFAULT_LIMITS
from twinlock.trust.names import EcuId, VehicleId

SHARE = 1_000
RECORD = VehicleRecord(vehicle=VehicleId("VIN1"), primary=EcuId("gw"), ecus={}, registered_at=NOW)


@given(st.lists(st.tuples(st.integers(0, 40_000), st.integers(1, 600)), max_size=60))
def test_never_more_at_once_and_never_twice_as_much_in_a_day(sent: list[tuple[int, int]]) -> None:
    record, now, accepted = RECORD, NOW, []
    for seconds, size in sent:
        now += timedelta(seconds=seconds)
        try:
            used = use_share(record, size, SHARE, now)
        except DailyLimitError:
            continue
        record = replace(record, last_manifest_at=now, share_used=used)
        accepted.append((now, size))
        day = sum(size for at, size in accepted if at > now - timedelta(days=1))
        moment = sum(size for at, size in accepted if at == now)
        assert moment <= SHARE
        assert day <= 2 * SHARE


def test_a_whole_share_is_free_again_after_a_day_and_a_clock_set_back_frees_nothing() -> None:
    full = replace(RECORD, last_manifest_at=NOW, share_used=SHARE)
    assert use_share(full, SHARE, SHARE, NOW + timedelta(days=1)) == SHARE
    for earlier in (timedelta(0), timedelta(days=1)):
        with pytest.raises(DailyLimitError) as caught:
            use_share(full, 1, SHARE, NOW - earlier)
        assert (caught.value.vehicle, caught.value.limit) == ("VIN1", SHARE)


def test_a_share_holds_one_manifest_at_least() -> None:
    Settings(manifest_bytes_per_day=DEFAULT_LIMITS.report_bytes)
    with pytest.raises(SettingError, match="one manifest may be as large"):
        Settings(manifest_bytes_per_day=DEFAULT_LIMITS.report_bytes - 1)
