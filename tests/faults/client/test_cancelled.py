"""A caller that gives up a cycle or a request while an installation runs: the installation ends first, and only then the locks go."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.unit.client.test_secondary import Make, bundle, make, pieces, wanting, world
from tests.unit.client.test_slots import ECU, NEW, NEWER, OLD, image
from twinlock.client import Primary
from twinlock.client.install.ab_slots import SlotInstaller
from twinlock.client.model.cancellation import in_thread, to_its_end
from twinlock.client.model.results import Outcome
from twinlock.client.primary.cycle import UpdateCycle
from twinlock.testing import Repositories, TestVehicle
from twinlock.testing.simulator.world import BRAKE, World
from twinlock.trust.errors.base import UsageError
from twinlock.trust.errors.images import ReleaseCounterError
from twinlock.trust.errors.local import StorageError
from twinlock.trust.errors.metadata import RollbackError
from twinlock.trust.model.targets import ImageEntry

__all__ = ["make", "world"]  # fixtures


class Gate:
    """A precondition that keeps the first installation until ``open``, and no later one."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self.open = threading.Event()

    def __call__(self, _entry: ImageEntry) -> None:
        if not self.reached.is_set():
            self.reached.set()
            assert self.open.wait(20)


@pytest.fixture
def gate() -> Iterator[Gate]:
    made = Gate()
    yield made
    made.open.set()


async def begun(gate: Gate) -> None:
    """Wait until the installation is inside its precondition."""
    assert await asyncio.to_thread(gate.reached.wait, 20)


async def stays(task: asyncio.Task[object]) -> None:
    """``task`` was cancelled and has not ended."""
    for _ in range(2):  # a second cancellation, such as of a caller that loses patience, changes nothing
        task.cancel()
        await asyncio.sleep(0.05)
        assert not task.done()


def test_a_cancelled_cycle_ends_after_its_installation_and_no_other_runs_meanwhile(tmp_path: Path, gate: Gate) -> None:
    async def scenario(primary: Primary, repositories: Repositories) -> None:
        cycle: asyncio.Task[object] = asyncio.create_task(primary.update_cycle())
        await begun(gate)
        await stays(cycle)
        with pytest.raises(UsageError):
            await primary.update_cycle()
        gate.open.set()
        with pytest.raises(asyncio.CancelledError):
            await cycle
        state = primary._services.state
        assert (runs(primary), state.release_counter, state.begun) == ("gateway/gateway-1.bin", 1, None)
        repositories.release()
        assert (await primary.update_cycle()).outcome is Outcome.UPDATED
        assert runs(primary) == "gateway/gateway-2.bin"

    on_a_bench(tmp_path, gate, scenario)


def test_a_cycle_that_timed_out_is_a_timeout_to_its_caller(tmp_path: Path, gate: Gate) -> None:
    async def scenario(primary: Primary, _repositories: Repositories) -> None:
        asyncio.get_running_loop().call_later(1.0, gate.open.set)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.8):
                await primary.update_cycle()
        assert gate.open.is_set()

    on_a_bench(tmp_path, gate, scenario)


def test_a_cancelled_completion_of_a_begun_bundle_is_recorded(tmp_path: Path, gate: Gate) -> None:
    async def scenario(primary: Primary, _repositories: Repositories) -> None:
        services = primary._services
        cycle = UpdateCycle(services)
        decision = await cycle._verify(services.clock.now())
        await cycle._download(decision)
        services.approvals.begin(decision.approved)  # and here the power went
        again: asyncio.Task[object] = asyncio.create_task(primary.update_cycle())
        await begun(gate)
        await stays(again)
        gate.open.set()
        with pytest.raises(asyncio.CancelledError):
            await again
        assert (runs(primary), services.state.begun) == ("gateway/gateway-1.bin", None)

    on_a_bench(tmp_path, gate, scenario)


def test_what_a_cancelled_cycle_refused_is_in_the_next_report(tmp_path: Path, gate: Gate) -> None:
    async def scenario(primary: Primary, repositories: Repositories) -> None:
        cycle = UpdateCycle(primary._services)
        running: asyncio.Task[object] = asyncio.create_task(cycle.run())
        await begun(gate)
        cycle.notices.append(RollbackError(repository="image", role="targets", trusted=2, offered=1))
        await stays(running)
        gate.open.set()
        with pytest.raises(asyncio.CancelledError):
            await running
        evidence = primary._services.evidence
        assert [event.code for event in evidence.events()] == [RollbackError.code]
        assert evidence.has_news
        assert (await primary.update_cycle()).outcome is Outcome.UP_TO_DATE
        assert not evidence.has_news

    on_a_bench(tmp_path, gate, scenario)


def test_a_disk_that_fails_a_cancelled_cycle_ends_it_all_the_same(
    tmp_path: Path, gate: Gate, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise StorageError(path="state.db", operation="write", reason="broken")

    async def scenario(primary: Primary, _repositories: Repositories) -> None:
        cycle = UpdateCycle(primary._services)
        running: asyncio.Task[object] = asyncio.create_task(cycle.run())
        await begun(gate)
        cycle.notices.append(RollbackError(repository="image", role="targets", trusted=2, offered=1))
        monkeypatch.setattr(type(primary._services.evidence), "note", broken)
        await stays(running)
        gate.open.set()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert StorageError in [record.exc_info and record.exc_info[0] for record in caplog.records]

    on_a_bench(tmp_path, gate, scenario)


def test_a_cancelled_request_of_a_secondary_ends_after_its_installation(make: Make, world: World, gate: Gate) -> None:
    secondary, entry = wanting(make, world, precondition=gate)

    async def scenario() -> None:
        request: asyncio.Task[object] = asyncio.create_task(secondary.accept_image(entry.path, pieces(BRAKE.image(1))))
        await begun(gate)
        await stays(request)
        world.release()
        with pytest.raises(UsageError):
            secondary.accept_metadata(bundle(world))
        gate.open.set()
        with pytest.raises(asyncio.CancelledError):
            await request

    asyncio.run(scenario())
    assert (secondary.installed().path, secondary._state.begun) == (entry.path, None)
    assert list(secondary.config.staging.iterdir()) == []


def test_two_installers_of_the_same_slots_take_turns_and_the_late_one_sees_what_runs(
    tmp_path: Path, gate: Gate
) -> None:
    slots = SlotInstaller.provision(tmp_path / "slots", ECU, *image(tmp_path, OLD, 1))
    slow = SlotInstaller(slots.directory, ECU, gate)
    with ThreadPoolExecutor(1) as pool:
        late = pool.submit(slow.install, *image(tmp_path, NEW, 2))
        assert gate.reached.wait(20)
        slots.install(*image(tmp_path, NEWER, 3))
        gate.open.set()
        with pytest.raises(ReleaseCounterError):
            late.result()
    assert slots.path.read_bytes() == NEWER


def test_a_late_installer_never_writes_the_slot_that_runs(tmp_path: Path, gate: Gate) -> None:
    slots = SlotInstaller.provision(tmp_path / "slots", ECU, *image(tmp_path, OLD, 1))
    slow = SlotInstaller(slots.directory, ECU, gate)
    with ThreadPoolExecutor(1) as pool:
        late = pool.submit(slow.install, *image(tmp_path, NEW, 3))
        assert gate.reached.wait(20)
        slots.install(*image(tmp_path, NEWER, 3))
        running = slots.path
        gate.open.set()
        late.result()
    assert running.read_bytes() == NEWER
    assert slots.path.read_bytes() == NEW


@pytest.mark.parametrize("method", [SlotInstaller.rollback, SlotInstaller.drop_half_written])
def test_nothing_changes_the_slots_while_one_is_written(
    tmp_path: Path, method: Callable[[SlotInstaller], object]
) -> None:
    slots = SlotInstaller.provision(tmp_path / "slots", ECU, *image(tmp_path, OLD, 1))
    slots.install(*image(tmp_path, NEW, 2))
    entry, source = image(tmp_path, NEWER, 3)
    halves = Halves(source)
    with ThreadPoolExecutor(2) as pool:
        writing = pool.submit(slots.install, entry, halves)  # type: ignore[arg-type]
        assert halves.half.wait(20)
        other = pool.submit(method, SlotInstaller(slots.directory, ECU))
        halves.rest.wait(0.2)
        assert not other.done()
        halves.rest.set()
        writing.result()
        other.result()
    assert {path.name for path in slots.directory.iterdir()} == {"active.json", "slot-a", "slot-b"}
    assert slots.installed().path != "unknown"


class Halves:
    """A source whose second half can be read only after ``rest``."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.half = threading.Event()
        self.rest = threading.Event()

    def open(self, mode: str) -> Halves:
        self._file = self._path.open(mode)
        return self

    def __enter__(self) -> Halves:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def read(self, size: int) -> bytes:
        chunk: bytes = self._file.read(min(size, 50_000))
        if self._file.tell() > 50_000:
            self.half.set()
            assert self.rest.wait(20)
        return chunk


def test_what_raises_in_a_thread_is_raised_and_a_cancellation_comes_first() -> None:
    async def scenario() -> None:
        with pytest.raises(ValueError, match="abc"):
            await in_thread(int, "abc")
        gate = Gate()

        def fail() -> None:
            gate(None)  # type: ignore[arg-type]
            raise ValueError

        task: asyncio.Task[object] = asyncio.create_task(in_thread(fail))
        await begun(gate)
        await stays(task)
        gate.open.set()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(scenario())


def test_work_that_is_cancelled_itself_is_cancelled() -> None:
    async def scenario() -> None:
        work = asyncio.ensure_future(asyncio.sleep(60))
        asyncio.get_running_loop().call_soon(work.cancel)
        with pytest.raises(asyncio.CancelledError):
            await to_its_end(work)

    asyncio.run(scenario())


def runs(primary: Primary) -> str:
    (installed,) = primary.installed().values()
    return installed.path


def on_a_bench(directory: Path, gate: Gate, scenario: Callable[[Primary, Repositories], Awaitable[None]]) -> None:
    """Run ``scenario`` with a vehicle of one ECU for which release 1 waits, and whose first installation waits for ``gate``."""

    async def run(vehicle: TestVehicle) -> None:
        async with vehicle.open() as primary:
            await scenario(primary, vehicle.repositories)

    with Repositories() as repositories:
        asyncio.run(run(TestVehicle(repositories, directory / "gw", precondition=gate)))
