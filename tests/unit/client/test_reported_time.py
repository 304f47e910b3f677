"""The time that reports state: never less than before, so that no honest reset looks like a replay."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from tests.unit.client.test_clock import Ticks, attest
from twinlock.client.ecu.clock import Clock
from twinlock.client.ecu.config import TimeSettings
from twinlock.client.ecu.reports import TufReports, make_report
from twinlock.client.storage.state import TrustedState
from twinlock.testing.simulator.keys import make_key
from twinlock.testing.simulator.world import START, World
from twinlock.trust.limits import DEFAULT_LIMITS
from twinlock.trust.model.ecu import InstalledImage
from twinlock.trust.names import DIRECTOR, EcuId, TargetPath

FACTORY = InstalledImage(TargetPath("factory"), 0, {"sha256": "a" * 64})
MINUTE = timedelta(minutes=1)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    root = World().director.files["1.root.json"]
    TrustedState.create(tmp_path / "state.db", {DIRECTOR: root}, limits=DEFAULT_LIMITS).close()
    return tmp_path / "state.db"


def stated(state: TrustedState, clock: Clock) -> datetime:
    data = make_report(
        EcuId("ecu-gw"),
        FACTORY,
        state=state,
        clock=clock,
        signer=make_key("gateway"),
        profile=TufReports(),
        limits=DEFAULT_LIMITS,
    )
    return TufReports().decode_report(data, DEFAULT_LIMITS).report.time


def test_after_a_reset_an_ecu_with_attested_time_states_what_it_stated_last(path: Path) -> None:
    world, ticks = World(), Ticks()
    with TrustedState.open(path, limits=DEFAULT_LIMITS) as state:
        clock = Clock(TimeSettings(source="attested"), state, limits=DEFAULT_LIMITS, monotonic=ticks)
        clock.accept(attest(world, clock.ask()), state.repository(DIRECTOR).root.signed)
        state.store_verified_time(clock.now())
        ticks.now = 60.0  # the images arrive
        assert stated(state, clock) == START + MINUTE
    with TrustedState.open(path, limits=DEFAULT_LIMITS) as state:
        clock = Clock(TimeSettings(source="attested"), state, limits=DEFAULT_LIMITS, monotonic=Ticks())
        assert stated(state, clock) == START + MINUTE
        clock.accept(attest(world, clock.ask(), START + 2 * MINUTE), state.repository(DIRECTOR).root.signed)
        assert stated(state, clock) == START + 2 * MINUTE


def test_a_false_time_that_was_stated_holds_only_until_the_clock_is_right(path: Path) -> None:
    wall = [START + timedelta(days=3650)]
    with TrustedState.open(path, limits=DEFAULT_LIMITS) as state:
        clock = Clock(TimeSettings(), state, limits=DEFAULT_LIMITS, wall=lambda: wall[0])
        assert stated(state, clock) == START + timedelta(days=3650)
        wall[0] = START
        assert stated(state, clock) == START
        wall[0] = START - MINUTE  # a second source set it by a little
        assert stated(state, clock) == START
