"""Time: what counts as time, what bounds it, and that no time means no update."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.simulator.world import START, World
from twinlock.client.clock import BUILT, Clock, system_clock
from twinlock.client.config import TimeSettings
from twinlock.client.state import TrustedState
from twinlock.trust.attestation import sign_attestation
from twinlock.trust.errors.metadata import TimeError
from twinlock.trust.errors.reports import AttestationError
from twinlock.trust.names import DIRECTOR

ATTESTED = TimeSettings(source="attested")


class Ticks:
    """A monotonic clock turned by hand, in seconds."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def state(tmp_path: Path, world: World) -> Iterator[TrustedState]:
    with TrustedState.create(tmp_path / "state.db", {DIRECTOR: world.director.files["1.root.json"]}) as state:
        yield state


def attest(world: World, nonce: str, time: datetime = START) -> bytes:
    return sign_attestation(time, (nonce,), world.director.time_key())


def test_the_system_clock_is_the_time_by_default(state: TrustedState) -> None:
    assert Clock(TimeSettings(), state, wall=lambda: START).now() == START
    assert abs(system_clock() - datetime.now(UTC)) < timedelta(seconds=5)


def test_a_clock_that_lost_its_battery_is_no_clock(state: TrustedState) -> None:
    with pytest.raises(TimeError):
        Clock(TimeSettings(), state, wall=lambda: BUILT - timedelta(seconds=1)).now()


def test_without_an_attestation_there_is_no_time(state: TrustedState) -> None:
    with pytest.raises(TimeError):
        Clock(ATTESTED, state, wall=lambda: START).now()


def test_attested_time_runs_on(state: TrustedState, world: World) -> None:
    ticks = Ticks()
    clock = Clock(ATTESTED, state, monotonic=ticks)
    assert clock.accept(attest(world, clock.nonce), state.repository(DIRECTOR).root.signed) == START
    ticks.now = 90.7
    assert clock.now() == START + timedelta(seconds=90)


def test_a_nonce_serves_once(state: TrustedState, world: World) -> None:
    clock = Clock(ATTESTED, state)
    root = state.repository(DIRECTOR).root.signed
    answer = attest(world, clock.nonce)
    clock.accept(answer, root)
    with pytest.raises(AttestationError):
        clock.accept(answer, root)


def test_attested_time_never_goes_back_even_over_a_restart(state: TrustedState, world: World) -> None:
    root = state.repository(DIRECTOR).root.signed
    clock = Clock(ATTESTED, state)
    clock.accept(attest(world, clock.nonce), root)
    restarted = Clock(ATTESTED, state)
    with pytest.raises(AttestationError):
        restarted.accept(attest(world, restarted.nonce, START - timedelta(seconds=1)), root)
    with pytest.raises(TimeError):
        restarted.now()
    restarted.accept(attest(world, restarted.nonce), root)
    assert state.attested == (START, (world.director.time_key().keyid,))


def test_new_keys_of_the_time_source_reset_the_floor(state: TrustedState, world: World) -> None:
    clock = Clock(ATTESTED, state)
    clock.accept(attest(world, clock.nonce, START + timedelta(days=3650)), state.repository(DIRECTOR).root.signed)
    new = world.director.key("time", 2)
    root = world.director.bodies["root"]
    root["custom"]["timeSource"]["keyids"] = [new.keyid]
    root["keys"][new.keyid] = new.public
    world.director.publish_root()
    from twinlock.trust.restore import bootstrap_repository

    rotated = bootstrap_repository(DIRECTOR, world.director.files["2.root.json"]).root.signed
    assert clock.accept(sign_attestation(START, (clock.nonce,), new), rotated) == START


def test_a_clock_far_behind_what_metadata_proves_is_refused(state: TrustedState) -> None:
    clock = Clock(TimeSettings(tolerance_s=60), state, wall=lambda: START)
    clock.check_lag(START + timedelta(seconds=60))
    with pytest.raises(TimeError):
        clock.check_lag(START + timedelta(seconds=61))


def test_a_report_gets_the_last_time_that_was_relied_on(state: TrustedState) -> None:
    clock = Clock(ATTESTED, state, wall=lambda: START)
    assert clock.best_known() == START  # when the factory's Root was signed
    state.store_verified_time(START + timedelta(days=1))
    assert clock.best_known() == START + timedelta(days=1)
