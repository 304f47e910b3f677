"""An Image repository that stalls: probes and the vehicles that need nothing of it are answered all the same."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from time import monotonic
from typing import Any

import aiohttp
import pytest

from tests.unit.director.test_slow_repository import SlowRepository
from tests.unit.director.world import TestVehicle, at
from twinlock.director.api.device_api import director_application
from twinlock.director.catalogue import waiting
from twinlock.director.director import Director
from twinlock.repository.serving import probe
from twinlock.repository.serving.http import serving
from twinlock.trust.errors.local import TransportError
from twinlock.trust.names import HardwareId, TargetPath

PROBES = 12
BRAKE = (TargetPath("brake/1.0.bin"), HardwareId("hw-7"))


@pytest.fixture
def slow(fleet: Director, monkeypatch: pytest.MonkeyPatch) -> Iterator[SlowRepository]:
    """The Image repository stalls, and every view of it is too old."""
    monkeypatch.setattr(waiting, "PATIENCE_S", 0.2)
    monkeypatch.setattr(probe, "WAIT_S", 0.2)
    fleet._clock = lambda: at(minutes=10)
    repository = SlowRepository(fleet)
    yield repository
    repository.go.set()


async def _get(session: aiohttp.ClientSession, url: str) -> tuple[int, dict[str, Any] | None]:
    async with session.get(url) as response:
        body = await response.read()
        return response.status, await response.json() if body[:1] == b"{" else None


def test_probes_take_no_thread_from_vehicles(fleet: Director, car: TestVehicle, slow: SlowRepository) -> None:
    async def main() -> None:
        async with serving(director_application(fleet)) as server, aiohttp.ClientSession() as session:
            probes = [asyncio.create_task(_get(session, f"{server.url}/readyz")) for _ in range(PROBES)]
            await asyncio.to_thread(slow.asked.wait, 30)
            # What a vehicle needs of the Director alone comes while the Image repository stalls.
            status, _ = await _get(session, f"{server.url}/vehicles/VIN1/metadata/1.root.json")
            assert status == 200
            assert not slow.go.is_set()
            found = [await item for item in probes]
            assert {status for status, _ in found} == {503}
            assert all(body is not None and body["code"] == "not-ready" for _, body in found)
            assert (await _get(session, f"{server.url}/livez"))[0] == 200
            slow.go.set()

    asyncio.run(main())


def test_a_probe_gives_the_last_verdict_while_the_next_one_takes_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "HELD_S", 0.0)
    monkeypatch.setattr(probe, "WAIT_S", 0.05)
    go, judged = threading.Event(), []
    go.set()

    def judge() -> None:
        judged.append(monotonic())
        go.wait(30)

    async def main() -> None:
        asked = probe.Probe(judge)
        await asked.answer()
        go.clear()
        for _ in range(5):
            await asked.answer()
        assert len(judged) == 2  # one judgement is under way, however many ask
        go.set()
        asked.close()

    asyncio.run(main())


def test_others_go_on_with_the_last_view_while_one_waits(fleet: Director, slow: SlowRepository) -> None:
    keeper = fleet._catalogues
    before = keeper._current
    first = threading.Thread(target=lambda: keeper.current(at(minutes=10)))
    first.start()
    try:
        assert slow.asked.wait(30)
        for _ in range(3):
            assert keeper.current(at(minutes=10)) is before
            assert keeper.second_time(at(minutes=10)) is None
            keeper.save()
        assert not slow.go.is_set()
    finally:
        slow.go.set()
        first.join()
    assert keeper.current(at(minutes=10)) is not before


def test_a_director_that_just_started_uses_what_is_stored_while_one_waits(
    fleet: Director, slow: SlowRepository
) -> None:
    keeper = fleet._catalogues
    keeper._current = None
    first = threading.Thread(target=lambda: keeper.current(at(minutes=10)))
    first.start()
    try:
        assert slow.asked.wait(30)
        assert keeper.current(at(minutes=10)).versions["timestamp"] == 1
        assert not slow.go.is_set()
    finally:
        slow.go.set()
        first.join()


def test_a_look_up_that_waits_for_a_file_holds_up_no_other_look_up(fleet: Director, slow: SlowRepository) -> None:
    catalogue = fleet._catalogues._current
    assert catalogue is not None
    catalogue._found.clear()
    other = threading.Thread(target=lambda: catalogue._waiting.ask(lambda: slow("1.acme.json", 9)))

    def holding() -> None:
        with catalogue._lock:
            other.start()
            other.join()

    first = threading.Thread(target=holding)
    first.start()
    try:
        assert slow.asked.wait(30)
        with pytest.raises(TransportError) as caught:
            catalogue.find(*BRAKE)
        assert "late" in caught.value.reason
    finally:
        slow.go.set()
        first.join()
    assert catalogue.find(*BRAKE) is not None


def test_a_file_that_did_not_come_in_time_is_not_asked_for_again_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "PATIENCE_S", -1.0)
    asked = waiting.Waiting()

    def fail() -> bytes:
        raise TransportError(url="x", reason="no answer")

    with pytest.raises(TransportError):
        asked.ask(fail)
    assert asked.is_away
    assert asked.ask(lambda: b"it answers again") == b"it answers again"
    assert not asked.is_away
