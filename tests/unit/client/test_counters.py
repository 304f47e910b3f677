"""Report counters: by the key that signs, over swaps of parts, and after a reset by the Director."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from twinlock.client.ecu.counters import CounterResets, accept_counter
from twinlock.client.storage.state import TrustedState
from twinlock.testing.simulator.keys import make_key
from twinlock.testing.simulator.world import START, World
from twinlock.trust.errors.base import Attack
from twinlock.trust.errors.reports import ReportReplayError
from twinlock.trust.limits import DEFAULT_LIMITS
from twinlock.trust.model.ecu import InstalledImage
from twinlock.trust.model.targets import Targets
from twinlock.trust.names import DIRECTOR, EcuId, TargetPath
from twinlock.trust.wire.tuf.reports import EcuReport

ECU = EcuId("ecu-brake")
OLD, NEW = make_key("old part").public_key, make_key("new part").public_key
NONCE = "ab" * 16


@pytest.fixture
def state(tmp_path: Path) -> Iterator[TrustedState]:
    world = World()
    with TrustedState.create(
        tmp_path / "state.db", {DIRECTOR: world.director.files["1.root.json"]}, limits=DEFAULT_LIMITS
    ) as state:
        yield state


def report(counter: int | None, nonce: str | None = None) -> EcuReport:
    return EcuReport(ECU, InstalledImage(TargetPath("a"), 0, {"sha256": "a" * 64}), START, counter, nonce)


def targets(version: int, nonce: str | None = None) -> Targets:
    resets = {} if nonce is None else {ECU: nonce}
    return Targets(version, datetime(2031, 1, 1, tzinfo=UTC), None, {}, resets=resets)


def test_a_new_part_begins_at_one_and_the_old_part_goes_on_where_it_was(state: TrustedState) -> None:
    for counter in (1, 7, 9):
        accept_counter(state, OLD, report(counter))
    accept_counter(state, NEW, report(1))
    for again in (9, 3, None):
        with pytest.raises(ReportReplayError) as caught:
            accept_counter(state, OLD, report(again))
        assert (caught.value.attack, caught.value.last) == (Attack.REPLAY, "9")
    accept_counter(state, OLD, report(10))
    with pytest.raises(ReportReplayError):
        accept_counter(state, NEW, report(1))


def test_a_reset_is_answered_until_targets_name_it_no_longer_and_the_counter_rises(state: TrustedState) -> None:
    resets = CounterResets(state)
    assert resets.next_counter(START) == (1, None)
    resets.arm(ECU, targets(5, NONCE))
    assert resets.next_counter(START) == (int(START.timestamp()), NONCE)
    assert resets.next_counter(START) == (int(START.timestamp()) + 1, NONCE)  # the first may have gone to a stranger
    resets.arm(ECU, targets(6, NONCE))
    assert resets.next_counter(START) == (int(START.timestamp()) + 2, NONCE)
    resets.arm(ECU, targets(7, "cd" * 16))
    assert resets.next_counter(START) == (int(START.timestamp()) + 3, "cd" * 16)
    resets.arm(ECU, targets(8))
    assert resets.next_counter(START) == (int(START.timestamp()) + 4, None)


def test_a_reset_that_is_withdrawn_before_it_was_answered_is_not_answered(state: TrustedState) -> None:
    resets = CounterResets(state)
    resets.arm(ECU, targets(5, NONCE))
    resets.arm(ECU, targets(6))
    assert resets.next_counter(START) == (1, None)


def test_a_nonce_that_an_earlier_version_stored_with_its_targets_is_answered(state: TrustedState) -> None:
    state._store_fact("counter-reset", {"nonce": NONCE, "version": 5})
    resets = CounterResets(state)
    assert resets.next_counter(START) == (int(START.timestamp()), NONCE)
    resets.arm(ECU, targets(6))
    assert state._fact("counter-reset") == {"nonce": None}
    assert resets.next_counter(START) == (int(START.timestamp()) + 1, None)


def test_a_reset_of_another_ecu_is_none(state: TrustedState) -> None:
    resets = CounterResets(state)
    resets.arm(EcuId("ecu-gw"), targets(5, NONCE))
    assert resets.next_counter(START) == (1, None)


def test_a_primary_honours_the_reset_that_signed_targets_name_once(state: TrustedState) -> None:
    """A Secondary that stated an absurd counter once was refused for good, though its Director had let it count again."""
    absurd = 2**53 + 5

    def refused(offered: EcuReport, named: str | None = NONCE) -> None:
        with pytest.raises(ReportReplayError):
            accept_counter(state, OLD, offered, lambda: named)

    accept_counter(state, OLD, report(7))
    accept_counter(state, OLD, report(absurd))
    refused(report(100))
    refused(report(100, "cd" * 16))
    refused(report(100, NONCE), named=None)
    accept_counter(state, OLD, report(100, NONCE), lambda: NONCE)
    refused(report(100, NONCE))  # the same again
    refused(report(99, NONCE))  # the nonce is used up
    refused(report(absurd, NONCE))
    refused(report(absurd))
    accept_counter(
        state, OLD, report(101, NONCE), lambda: NONCE
    )  # its ECU repeats it until it has heard that it arrived
    refused(report(101))
    assert state.counter_of(ECU, OLD) == absurd  # it never falls
    accept_counter(state, OLD, report(absurd + 1))


def test_after_a_reset_no_counter_goes_on_from_one_that_damage_made(state: TrustedState) -> None:
    state.reserve_counter(at_least=2**63 - 1)
    resets = CounterResets(state)
    resets.arm(ECU, targets(5, NONCE))
    assert resets.next_counter(START) == (int(START.timestamp()), NONCE)
    assert resets.next_counter(START) == (int(START.timestamp()) + 1, NONCE)
