"""Whatever the clock did and whoever is quoted, a report of an ECU is one that its Director takes, in both profiles."""

from __future__ import annotations

import tempfile
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.director.test_intake import judge, record_of
from tests.unit.director.world import NOW, TestVehicle, installed_image
from twinlock.client.ecu.clock import Clock
from twinlock.client.ecu.config import TimeSettings
from twinlock.client.ecu.evidence import EvidenceBook
from twinlock.client.ecu.reports import AktualizrReports, ReportProfile, TufReports, make_report
from twinlock.client.model.errors import SecondaryRefusedError
from twinlock.client.model.results import Step
from twinlock.client.secondary.refusal_log import RefusalLog
from twinlock.client.storage.state import TrustedState
from twinlock.testing.simulator.world import World
from twinlock.trust.errors.base import TwinlockError
from twinlock.trust.errors.metadata import ExpiredError, MalformedError
from twinlock.trust.limits import DEFAULT_LIMITS
from twinlock.trust.model.evidence import MAX_EVENTS
from twinlock.trust.names import DIRECTOR, EcuId

GW, BRAKE = EcuId("ecu-gw"), EcuId("ecu-brake")
ROOT = World().director.files["1.root.json"]
HOURS = st.integers(-90_000, 90_000)
WORD = st.text(max_size=90) | st.sampled_from(["e\u0301", "=\u0338" * 300, "\ud800", "\u1100\u1161" * 90, "x" * 3000])
ERROR = st.one_of(
    st.builds(lambda word: MalformedError(what=word, json_path="$", reason=word), WORD),
    st.builds(lambda word: SecondaryRefusedError(ecu=word, problem=word, attack=word, clause=word, detail=word), WORD),
    st.just(ExpiredError(repository="director", role="root", version=1, expires=NOW, now=NOW)),
)
MET = st.lists(st.tuples(HOURS, ERROR, st.sampled_from(list(Step)), st.booleans()), max_size=30)


@pytest.mark.parametrize("profile", [TufReports(), AktualizrReports()], ids=["tuf", "aktualizr"])
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(met=MET)
def test_every_report_is_taken(profile: ReportProfile, met: list[tuple[int, TwinlockError, Step, bool]]) -> None:
    car, ticks = TestVehicle("VIN1", {GW: "gw-1", BRAKE: "hw-7"}), [0.0]
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "state.db"
        with TrustedState.create(path, {DIRECTOR: ROOT}, limits=DEFAULT_LIMITS) as state:
            book = EvidenceBook(state)
            log = RefusalLog(state, book, monotonic=lambda: ticks[0])
            for hours, error, step, waits in met:
                now = NOW + timedelta(hours=hours)
                if waits:
                    log.note(error, step=step, verified=None, now=now)
                else:
                    book.note(error, step=step.value, now=now)
            ticks[0] = 3600.0
            log.flush()
            clock = Clock(TimeSettings(), state, limits=DEFAULT_LIMITS, wall=lambda: NOW)
            data = make_report(
                BRAKE,
                installed_image("factory.bin"),
                state=state,
                clock=clock,
                signer=car.signers[BRAKE],
                profile=profile,
                limits=DEFAULT_LIMITS,
            )
            events = book.events()
    report = profile.decode_report(data, DEFAULT_LIMITS).report
    if not profile.acknowledges:
        return
    assert sum(event.occurrences for event in report.evidence) == len(met)
    assert len(report.evidence) == len(events) <= MAX_EVENTS
    car.counter = 1
    findings = judge(car.manifest(reports=[data, car.report(GW)]), record_of(car))
    assert findings.reports[BRAKE] == report
