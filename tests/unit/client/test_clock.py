"""Time: what counts as time, what bounds it, and that no time means no update."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from twinlock.client.ecu.clock import BUILT, OPEN_QUESTIONS, Clock, boot_clock, system_clock
from twinlock.client.ecu.config import TimeSettings
from twinlock.client.storage.state import TrustedState
from twinlock.testing.simulator.world import START, World
from twinlock.trust.engine.restore import bootstrap_repository
from twinlock.trust.errors.base import Attack, RefusalError
from twinlock.trust.errors.metadata import TimeError
from twinlock.trust.errors.reports import AttestationError, UnsolicitedTimeError
from twinlock.trust.limits import DEFAULT_LIMITS
from twinlock.trust.model.root import Root
from twinlock.trust.names import DIRECTOR
from twinlock.trust.text.times import format_time
from twinlock.trust.wire.tuf.attestation import Attestation, key_material, sign_attestation

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
    with TrustedState.create(
        tmp_path / "state.db", {DIRECTOR: world.director.files["1.root.json"]}, limits=DEFAULT_LIMITS
    ) as state:
        yield state


def attest(world: World, nonce: str, at: datetime = START) -> bytes:
    return sign_attestation(at, (nonce,), world.director.time_key())


def test_the_system_clock_is_the_time_by_default(state: TrustedState) -> None:
    assert Clock(TimeSettings(), state, wall=lambda: START, limits=DEFAULT_LIMITS).now() == START
    assert abs(system_clock() - datetime.now(UTC)) < timedelta(seconds=5)


def test_a_clock_that_lost_its_battery_is_no_clock(state: TrustedState) -> None:
    with pytest.raises(TimeError):
        Clock(TimeSettings(), state, wall=lambda: BUILT - timedelta(seconds=1), limits=DEFAULT_LIMITS).now()


def test_without_an_attestation_there_is_no_time(state: TrustedState) -> None:
    with pytest.raises(TimeError):
        Clock(ATTESTED, state, wall=lambda: START, limits=DEFAULT_LIMITS).now()


def root_of(state: TrustedState) -> Root:
    return state.repository(DIRECTOR).root.signed


def test_attested_time_runs_on_from_the_question(state: TrustedState, world: World) -> None:
    """An answer that is held back for a while must not slow the clock by that while."""
    ticks = Ticks()
    clock = Clock(ATTESTED, state, monotonic=ticks, limits=DEFAULT_LIMITS)
    answer = attest(world, clock.ask())
    ticks.now = 40.0
    assert clock.accept(answer, root_of(state)) == START
    assert clock.now() == START + timedelta(seconds=40)
    ticks.now = 90.7
    assert clock.now() == START + timedelta(seconds=90)
    assert state.attested is not None
    assert state.attested.time == START  # the value that was attested, and no estimate


def test_a_question_is_never_asked_twice_and_its_answer_counts_once(state: TrustedState, world: World) -> None:
    clock = Clock(ATTESTED, state, limits=DEFAULT_LIMITS)
    nonce = clock.ask()
    unanswered, open_now = attest(world, nonce), attest(world, clock.ask())
    with pytest.raises(UnsolicitedTimeError):
        clock.accept(unanswered, root_of(state))
    clock.accept(open_now, root_of(state))
    with pytest.raises(UnsolicitedTimeError) as caught:
        clock.accept(open_now, root_of(state))
    assert caught.value.attack is Attack.NONE
    assert len({nonce, *(clock.ask() for _ in range(20))}) == 21


def test_an_answer_counts_within_seconds_of_its_question(state: TrustedState, world: World) -> None:
    ticks = Ticks()
    clock = Clock(TimeSettings(source="attested", answer_within_s=30), state, monotonic=ticks, limits=DEFAULT_LIMITS)
    answer = attest(world, clock.ask())
    ticks.now = 30.1
    with pytest.raises(AttestationError) as caught:
        clock.accept(answer, root_of(state))
    assert "within 30 s" in caught.value.reason
    ticks.now = 29.0  # and the question is closed, whatever the clock says later
    with pytest.raises(AttestationError):
        clock.accept(answer, root_of(state))
    assert state.attested is None
    assert clock.accept(attest(world, clock.ask()), root_of(state)) == START


def test_a_question_dies_with_the_process(state: TrustedState, world: World) -> None:
    answer = attest(world, Clock(ATTESTED, state, limits=DEFAULT_LIMITS).ask())
    with pytest.raises(AttestationError):
        Clock(ATTESTED, state, limits=DEFAULT_LIMITS).accept(answer, root_of(state))


def test_a_refused_answer_closes_no_question_and_changes_nothing(state: TrustedState, world: World) -> None:
    clock = Clock(ATTESTED, state, limits=DEFAULT_LIMITS)
    answer = attest(world, clock.ask())
    for bad in (b"{", attest(world, "00" * 16), attest(world, "00" * 16).replace(b"2030", b"2031")):
        with pytest.raises(RefusalError):
            clock.accept(bad, root_of(state))
    assert state.attested is None
    assert clock.accept(answer, root_of(state)) == START


def test_no_number_of_requests_closes_a_question(state: TrustedState, world: World) -> None:
    ticks = Ticks()
    clock = Clock(ATTESTED, state, monotonic=ticks, limits=DEFAULT_LIMITS)
    answer = attest(world, clock.question())
    asked = set()
    for _ in range(600):
        ticks.now += 0.1
        asked.add(clock.question())
    assert len(asked) == OPEN_QUESTIONS
    assert ticks.now <= 60.0 + 1e-6
    ticks.now = 60.0
    assert clock.accept(answer, root_of(state)) == START
    assert clock.now() == START + timedelta(seconds=60)
    ticks.now = 200.0
    assert clock.question() not in asked


def test_an_answer_to_an_earlier_question_sets_no_clock_back(state: TrustedState, world: World) -> None:
    ticks = Ticks()
    clock = Clock(ATTESTED, state, monotonic=ticks, limits=DEFAULT_LIMITS)
    early = attest(world, clock.question())
    ticks.now = 20.0
    clock.accept(attest(world, clock.question(), START + timedelta(seconds=20)), root_of(state))
    with pytest.raises(AttestationError) as caught:
        clock.accept(early, root_of(state))
    assert caught.value.attack is Attack.FREEZE
    assert clock.now() == START + timedelta(seconds=20)


def test_the_clock_counts_the_time_in_suspend() -> None:
    assert boot_clock() == pytest.approx(time.clock_gettime(time.CLOCK_BOOTTIME), abs=5)


def test_attested_time_never_goes_back_even_over_a_restart(state: TrustedState, world: World) -> None:
    root = root_of(state)
    clock = Clock(ATTESTED, state, limits=DEFAULT_LIMITS)
    clock.accept(attest(world, clock.ask()), root)
    restarted = Clock(ATTESTED, state, limits=DEFAULT_LIMITS)
    with pytest.raises(AttestationError):
        restarted.accept(attest(world, restarted.ask(), START - timedelta(seconds=1)), root)
    with pytest.raises(TimeError):
        restarted.now()
    restarted.accept(attest(world, restarted.ask()), root)
    assert state.attested == Attestation(START, frozenset({key_material(world.director.time_key().public_key)}))


def test_a_time_stored_by_key_ids_is_still_a_floor(state: TrustedState, world: World) -> None:
    """What the version before this one stored."""
    key = world.director.time_key()
    state._store_fact("attested", {"time": format_time(START), "signers": [key.keyid]})
    assert state.attested == Attestation(START, frozenset({key_material(key.public_key)}))
    state._store_fact("attested", {"time": format_time(START), "signers": ["gone"]})
    assert state.attested is None


def test_new_keys_of_the_time_source_reset_the_floor(state: TrustedState, world: World) -> None:
    clock = Clock(ATTESTED, state, limits=DEFAULT_LIMITS)
    clock.accept(attest(world, clock.ask(), START + timedelta(days=3650)), root_of(state))
    new = world.director.key("time", 2)
    root = world.director.bodies["root"]
    root["custom"]["timeSource"]["keyids"] = [new.keyid]
    root["keys"][new.keyid] = new.public
    world.director.publish_root()
    rotated = bootstrap_repository(DIRECTOR, world.director.files["2.root.json"]).root.signed
    assert clock.accept(sign_attestation(START, (clock.ask(),), new), rotated) == START


def test_a_clock_far_behind_what_metadata_proves_is_refused(state: TrustedState) -> None:
    clock = Clock(TimeSettings(tolerance_s=60), state, wall=lambda: START, limits=DEFAULT_LIMITS)
    clock.check_lag(START + timedelta(seconds=60))
    with pytest.raises(TimeError):
        clock.check_lag(START + timedelta(seconds=61))


def test_a_report_gets_the_last_time_that_was_relied_on(state: TrustedState) -> None:
    clock = Clock(ATTESTED, state, wall=lambda: START, limits=DEFAULT_LIMITS)
    assert clock.best_known() == START  # when the factory's Root was signed
    state.store_verified_time(START + timedelta(days=1))
    assert clock.best_known() == START + timedelta(days=1)
