"""The release counter of what an ECU installed holds, also where its installer can read none back and a crash cut the cycle off."""

from __future__ import annotations

import hashlib
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.unit.client.test_state import create, persist_all
from twinlock.client.ecu.release_counter import raise_floor, running_image
from twinlock.client.install.ab_slots import SlotInstaller
from twinlock.client.model.results import Outcome
from twinlock.client.storage.records import BegunBundle
from twinlock.testing import Attacker, Repositories, TestVehicle
from twinlock.testing.simulator.world import GATEWAY, START, World
from twinlock.trust import InstalledImage, target_path
from twinlock.trust.errors.images import ReleaseCounterError
from twinlock.trust.errors.local import StorageError
from twinlock.trust.model.targets import ImageEntry
from twinlock.trust.names import EcuId


class Flash:
    """A product's installer. Name and bytes are read back from flash, which holds no release counter."""

    def __init__(self) -> None:
        self.name, self.data, self.dies, self.fails = "factory.bin", b"", False, False

    def installed(self) -> InstalledImage:
        digest = hashlib.sha256(self.data).hexdigest()
        return InstalledImage(target_path(self.name), len(self.data), {"sha256": digest}, None)

    def install(self, entry: ImageEntry, source: Path) -> InstalledImage:
        self.name, self.data = entry.path, source.read_bytes()
        if self.fails:
            raise StorageError(path="flash", operation="verify", reason="it was switched, and cannot be read back now")
        if self.dies:
            raise KeyboardInterrupt  # as if the power failed: nothing after the installation is run
        return self.installed()

    def rollback(self) -> InstalledImage:
        raise NotImplementedError


@pytest.fixture
def flash() -> Flash:
    return Flash()


def floor(vehicle: TestVehicle) -> str:
    with closing(sqlite3.connect(vehicle.config.parent / "state.db")) as database:
        (value,) = database.execute("SELECT value FROM facts WHERE name = 'release-counter'").fetchone()
    return str(value)


def assert_older_images_are_refused(servers: Repositories, vehicle: TestVehicle, flash: Flash) -> None:
    """The Director's keys alone order the first image; then an honest update succeeds."""
    runs, kept = flash.name, floor(vehicle)
    with Attacker(servers).image_rollback():
        result = vehicle.update()
    assert isinstance(result.error, ReleaseCounterError)
    assert (result.error.offered, result.error.installed) == (1, int(floor(vehicle)))
    assert int(floor(vehicle)) >= int(kept)
    assert flash.name == runs
    servers.release()
    assert vehicle.update().outcome is Outcome.UPDATED
    assert flash.name != runs


def test_an_installer_that_reads_no_counter_back_goes_back_to_no_older_image(tmp_path: Path, flash: Flash) -> None:
    with Repositories() as servers:
        vehicle = TestVehicle(servers, tmp_path / "gateway", installer=flash)
        for _ in range(3):
            servers.release()
            assert vehicle.update().outcome is Outcome.UPDATED
        assert_older_images_are_refused(servers, vehicle, flash)


def test_a_crash_right_after_the_installation_loses_no_counter(tmp_path: Path, flash: Flash) -> None:
    with Repositories() as servers:
        vehicle = TestVehicle(servers, tmp_path / "gateway", installer=flash)
        servers.release()
        vehicle.update()
        servers.release()
        flash.dies = True
        with pytest.raises(KeyboardInterrupt):
            vehicle.update()
        flash.dies = False
        assert_older_images_are_refused(servers, vehicle, flash)


def test_an_installation_that_fails_after_the_switch_loses_no_counter(tmp_path: Path, flash: Flash) -> None:
    with Repositories() as servers:
        vehicle = TestVehicle(servers, tmp_path / "gateway", installer=flash)
        servers.release()
        vehicle.update()
        servers.release()
        flash.fails = True
        assert vehicle.update().outcome is Outcome.FAILED
        flash.fails = False
        assert_older_images_are_refused(servers, vehicle, flash)


def test_slots_that_go_back_lower_no_floor(tmp_path: Path) -> None:
    with Repositories() as servers:
        vehicle = TestVehicle(servers, tmp_path / "gateway")
        for _ in range(3):
            servers.release()
            assert vehicle.update().outcome is Outcome.UPDATED
        kept = floor(vehicle)
        SlotInstaller(tmp_path / "gateway" / "slots", EcuId(servers.ecu)).rollback()
        with Attacker(servers).image_rollback():
            error = vehicle.update().error
        assert isinstance(error, ReleaseCounterError)
        assert floor(vehicle) == kept
        servers.release()
        assert vehicle.update().outcome is Outcome.UPDATED


class Case(NamedTuple):
    """What an ECU knows of its release counter, and what must come of it. The Director Targets order the counter 4."""

    stored: int | None = None
    stated: int | None = None
    begun: int | None = None
    begun_runs: bool = True
    ordered: bool = False
    seen: int | None = None
    kept: int | None = None


CASES = {
    "a new ECU of an older version": Case(),
    "only an order": Case(ordered=True, seen=4),
    "the installer states more than an order": Case(stated=9, ordered=True, seen=9, kept=9),
    "the installer states less than an order": Case(stated=2, ordered=True, seen=2, kept=2),
    "the installer states nothing": Case(stored=3, ordered=True, seen=3, kept=3),
    "the installer states the floor": Case(stored=3, stated=3, seen=3, kept=3),
    "a newer image runs": Case(stored=3, stated=6, seen=6, kept=6),
    "slots went back": Case(stored=3, stated=1, seen=3, kept=3),
    "zero is a counter": Case(stated=0, ordered=True, seen=0, kept=0),
    "a crash after the installation": Case(stored=3, begun=5, seen=5, kept=5),
    "a crash after the installation, and no floor": Case(begun=5, ordered=True, seen=5, kept=5),
    "a crash before the installation": Case(stored=3, begun=5, begun_runs=False, seen=3, kept=3),
    "a crash after an older one was installed": Case(stored=3, begun=2, seen=3, kept=3),
    "the slot record outweighs what was begun": Case(stored=3, stated=4, begun=5, seen=4, kept=4),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_one_rule_decides_the_floor(tmp_path: Path, case: Case) -> None:
    world, ecu = World(), EcuId(GATEWAY.ecu)
    while world.releases < 4:
        world.release()
    runs = InstalledImage(target_path("a.bin"), 1, {"sha256": hashlib.sha256(b"a").hexdigest()}, case.stated)

    class Runs(Flash):
        def installed(self) -> InstalledImage:
            return runs

    with create(tmp_path, world) as state:
        if case.ordered:
            persist_all(state, world)
        assert raise_floor(state, case.stored) == case.stored
        if case.begun is not None:
            data = b"a" if case.begun_runs else b"b"
            entry = ImageEntry(target_path("a.bin"), 1, {"sha256": hashlib.sha256(data).hexdigest()}, case.begun)
            state.store_begun(BegunBundle({ecu: entry}, START))
        assert running_image(ecu, Runs(), state) == runs._replace(release_counter=case.seen)
        assert state.release_counter == case.kept
        assert raise_floor(state, 1, None, 7, 2) == max(7, case.kept or 0)
