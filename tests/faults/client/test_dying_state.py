"""Killed at any moment, trusted state holds a whole transaction or none of it, and no counter is given twice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.faults.client.dying import every_death, in_child
from tests.unit.client.test_state import create, persist_all
from twinlock.client.storage.state import TrustedState
from twinlock.testing.simulator.world import World
from twinlock.trust.engine.commands import Persist
from twinlock.trust.limits import DEFAULT_LIMITS
from twinlock.trust.names import DIRECTOR, IMAGE, SNAPSHOT, TARGETS, TIMESTAMP


def test_dying_while_storing(tmp_path: Path) -> None:
    world = World()
    with create(tmp_path, world) as state:
        persist_all(state, world)
    version = world.image.bodies["snapshot"]["version"]
    new = Persist(IMAGE, ((TIMESTAMP, 0, None), (SNAPSHOT, version + 1, b"new"), (TARGETS, version + 1, b"new")))

    def store() -> None:
        with TrustedState.open(tmp_path / "state.db", limits=DEFAULT_LIMITS) as state:
            state.persist(new)

    whole = []
    for _number in every_death(store):
        with TrustedState.open(tmp_path / "state.db", read_only=True, limits=DEFAULT_LIMITS) as state:
            stored = {file.role: file.data == b"new" for file in state.files(IMAGE) if file.role != "root"}
        is_new = TIMESTAMP not in stored
        assert stored[SNAPSHOT] is stored[TARGETS] is is_new
        whole.append(is_new)
        with TrustedState.open(tmp_path / "state.db", limits=DEFAULT_LIMITS) as state:  # and it can be written again
            persist_all(state, world)
    assert False in whole


@pytest.mark.slow
def test_dying_while_a_state_is_made(tmp_path: Path) -> None:
    """Either there is no state, and making it again works, or there is a whole one."""
    world = World()

    def make() -> None:
        if (tmp_path / "state.db").exists():
            TrustedState.open(tmp_path / "state.db", limits=DEFAULT_LIMITS).close()
        create(tmp_path, world).close()

    deaths = 0
    for _number in every_death(make):
        deaths += 1
        if (tmp_path / "state.db").exists():
            with TrustedState.open(tmp_path / "state.db", limits=DEFAULT_LIMITS) as state:
                assert (
                    state.repository(DIRECTOR).root.signed.version == state.repository(IMAGE).root.signed.version == 1
                )
            for path in tmp_path.glob("state.db*"):
                path.unlink()
    assert deaths > 5


def test_dying_while_a_counter_is_reserved(tmp_path: Path) -> None:
    """The counter is written to a file as the report would be sent; no two deaths may leave the same one there."""
    create(tmp_path, World()).close()
    sent = tmp_path / "sent"

    def report() -> None:
        with TrustedState.open(tmp_path / "state.db", limits=DEFAULT_LIMITS) as state:
            counter = state.reserve_counter()
            with sent.open("a") as file:
                file.write(f"{counter}\n")

    for _number in every_death(report):
        pass
    assert in_child(report) == 0
    counters = [int(line) for line in sent.read_text().split()]
    assert len(counters) == len(set(counters)) >= 2
    assert counters == sorted(counters)


WRITER = """
import sys
from pathlib import Path
from twinlock.client.storage.state import TrustedState
from twinlock.trust.limits import DEFAULT_LIMITS
from twinlock.trust.engine.commands import Persist
from twinlock.trust.names import IMAGE, SNAPSHOT, TARGETS
with TrustedState.open(Path(sys.argv[1]), limits=DEFAULT_LIMITS) as state:
    for number in range(1, 100_000):
        body = f"{number} ".encode() * 2000
        state.persist(Persist(IMAGE, ((SNAPSHOT, number, body), (TARGETS, number, body))))
        print(number, flush=True)
"""


@pytest.mark.slow
def test_killed_inside_sqlite_at_random_moments(tmp_path: Path) -> None:
    """A writer stores pairs as fast as it can and is killed; what it had acknowledged is there, and no pair is torn."""
    create(tmp_path, World()).close()
    for number in range(12):
        process = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path / "state.db")], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        first = process.stdout.readline()  # it has begun
        time.sleep(0.003 * number)
        os.kill(process.pid, signal.SIGKILL)
        acknowledged = int(([first.strip(), *process.stdout.read().split()])[-1])
        process.stdout.close()
        assert process.wait() == -signal.SIGKILL
        with TrustedState.open(tmp_path / "state.db", limits=DEFAULT_LIMITS) as state:
            stored = {file.role: file for file in state.files(IMAGE)}
        assert stored[SNAPSHOT].version == stored[TARGETS].version >= acknowledged
        assert stored[SNAPSHOT].data == stored[TARGETS].data == f"{stored[TARGETS].version} ".encode() * 2000
