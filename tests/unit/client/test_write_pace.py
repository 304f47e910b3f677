"""What anyone may cause is written at a bounded pace, and neither freshness nor evidence is lost for it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from twinlock.client.ecu.evidence import EvidenceBook
from twinlock.client.model.results import Step
from twinlock.client.secondary.refusal_log import BURST, RefusalLog
from twinlock.client.storage.report_log import BLOCK
from twinlock.client.storage.report_log import BURST as REPORTS
from twinlock.client.storage.state import TrustedState
from twinlock.client.storage.write_pace import WritePace
from twinlock.testing.simulator.world import START, World
from twinlock.trust.errors.metadata import MalformedError, TimeError
from twinlock.trust.limits import DEFAULT_LIMITS
from twinlock.trust.names import DIRECTOR


@pytest.fixture
def path(tmp_path: Path) -> Path:
    roots = {DIRECTOR: World().director.files["1.root.json"]}
    TrustedState.create(tmp_path / "state.db", roots, limits=DEFAULT_LIMITS).close()
    return tmp_path / "state.db"


@pytest.fixture
def state(path: Path) -> Iterator[TrustedState]:
    with TrustedState.open(path, limits=DEFAULT_LIMITS) as state:
        yield state


def test_a_burst_and_then_one_in_each_interval() -> None:
    now = [0.0]
    pace = WritePace(3, 10.0, lambda: now[0])
    assert [pace.take_permit() for _ in range(5)] == [True] * 3 + [False] * 2
    now[0] = 9.0
    assert not pace.take_permit()
    now[0] = 20.0
    assert [pace.take_permit() for _ in range(3)] == [True, True, False]
    now[0] = 1e6
    assert [pace.take_permit() for _ in range(5)] == [True] * 3 + [False] * 2


def test_no_counter_is_used_twice_wherever_the_process_dies(path: Path) -> None:
    used: list[int] = []
    for reports in (1, REPORTS, REPORTS + 5, REPORTS + BLOCK + 5):
        with TrustedState.open(path, limits=DEFAULT_LIMITS) as state:  # closing it writes nothing
            used += [state.reserve_counter(stated=START) for _ in range(reports)]
    assert used[: 1 + REPORTS] == list(range(1, 2 + REPORTS))  # honest numbers of reports are counted one by one
    assert used == sorted(set(used))


def test_a_reset_of_the_counter_ends_a_block(state: TrustedState) -> None:
    before = [state.reserve_counter(stated=START) for _ in range(REPORTS + 3)][-1]
    assert state.reserve_counter(at_least=before + 10_000, stated=START) == before + 10_000
    assert state.reserve_counter(stated=START) == before + 10_001


def test_no_report_states_a_time_that_is_not_stored_or_goes_back(path: Path) -> None:
    stated = START
    with TrustedState.open(path, limits=DEFAULT_LIMITS) as state:
        for second in range(2 * REPORTS):
            time = state.time_to_state(START + timedelta(seconds=second))
            assert timedelta(0) <= START + timedelta(seconds=second) - time < timedelta(seconds=10)
            assert time >= stated
            state.reserve_counter(stated=time)
            assert state.stated_time == time
            stated = time
        late = START + timedelta(days=1)  # an attestation arrived
        assert state.time_to_state(late) == late
        assert state.time_to_state(START - timedelta(days=1)) == START - timedelta(days=1)  # the clock is the caller's


def refusals(state: TrustedState, now: list[float]) -> tuple[RefusalLog, EvidenceBook]:
    book = EvidenceBook(state)
    return RefusalLog(state, book, monotonic=lambda: now[0]), book


def note(log: RefusalLog, reason: str, times: int) -> None:
    for _ in range(times):
        error = MalformedError(what="bundle", json_path="$", reason=reason)
        log.note(error, step=Step.METADATA, verified=None, now=START)


def test_what_is_not_written_is_counted_and_written_when_it_is_due(state: TrustedState) -> None:
    now = [0.0]
    log, book = refusals(state, now)
    note(log, "first", BURST)
    note(log, "later", 500)
    (event,) = book.events()
    assert (event.occurrences, event.latest) == (BURST, "")
    log.flush()
    assert book.events() == (event,)
    now[0] = 61.0
    log.flush()
    (event,) = book.events()
    assert event.occurrences == BURST + 500
    assert "first" in event.detail
    assert "later" in event.latest
    log.flush()
    assert book.events() == (event,)


def test_each_sort_has_a_pace_of_its_own(state: TrustedState) -> None:
    log, book = refusals(state, [0.0])
    note(log, "noise", 100)
    log.note(TimeError(reason="no time"), step=Step.TIME, verified=None, now=START)
    assert {event.code for event in book.events()} == {"malformed", "no-secure-time"}


def test_an_event_after_the_acknowledgement_of_its_sort_is_stored_at_once(state: TrustedState) -> None:
    log, book = refusals(state, [0.0])
    note(log, "noise", 100)
    book.carry(1, book.events())
    book.acknowledge(1, None)
    assert book.events() == ()
    log.acknowledged()
    note(log, "again", 1)
    (event,) = book.events()
    assert event.occurrences == 100 - BURST + 1  # and none of those that waited is lost


def test_a_fact_that_is_stored_already_is_not_written_again(state: TrustedState, path: Path) -> None:
    log = path.with_name("state.db-wal")
    state.store_verified_time(START)
    before = log.stat().st_size
    state.store_verified_time(START)
    assert log.stat().st_size == before
    state.store_verified_time(START + timedelta(seconds=1))
    assert log.stat().st_size > before
