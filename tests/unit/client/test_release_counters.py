"""The release counter of what an ECU installed holds, also where its installer can read none back and a crash cut the cycle off."""

from __future__ import annotations

import hashlib
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from twinlock.client.install.ab_slots import SlotInstaller
from twinlock.client.model.results import Outcome
from twinlock.testing import Attacker, Repositories, TestVehicle
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
