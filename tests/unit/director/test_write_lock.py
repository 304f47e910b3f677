"""What takes long is done before the writing transaction, which every other writer waits for."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import aiohttp
import pytest

from tests.unit.director.device_world import DEVICE_FILES
from tests.unit.director.world import TestVehicle, at
from twinlock.director.api.device_api import director_application
from twinlock.director.devices.credentials import Credential
from twinlock.director.devices.deliveries import Deliveries
from twinlock.director.director import Director
from twinlock.director.inventory import database
from twinlock.director.ways_out import counter_resets
from twinlock.repository.serving.http import serving
from twinlock.trust.errors.base import RefusalError
from twinlock.trust.errors.local import ConflictError, StorageError
from twinlock.trust.errors.reports import ReportReplayError
from twinlock.trust.wire.tuf.reports import UnverifiedManifest, decode_manifest

VIN = "VIN1"


def test_a_reset_decodes_stored_manifests_before_the_transaction(
    fleet: Director, car: TestVehicle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counter_resets, "PAGE", 2)
    for minutes in range(1, 5):
        fleet.receive_manifest(car.manifest(now=at(minutes=minutes)), now=at(minutes=minutes))
    held: list[bool] = []

    def decode(data: bytes) -> UnverifiedManifest:
        held.append(fleet._database._writer.locked())
        return decode_manifest(data)

    monkeypatch.setattr(counter_resets, "decode_manifest", decode)
    fleet.ways_out.reset_counter(VIN, now=at(minutes=5))
    assert held == [False] * 5


def test_what_came_while_a_reset_was_prepared_is_remembered_too(
    fleet: Director, car: TestVehicle, monkeypatch: pytest.MonkeyPatch
) -> None:
    late = car.manifest(now=at(minutes=1))
    read = counter_resets.read_all_sent

    def meanwhile(inventory: database.Inventory, vehicle: str) -> counter_resets.Sent:
        found = read(inventory, vehicle)
        fleet.receive_manifest(late, now=at(minutes=1))
        return found

    monkeypatch.setattr("twinlock.director.ways_out.service.read_all_sent", meanwhile)
    fleet.ways_out.reset_counter(VIN, now=at(minutes=2))
    # The vehicle starts again and is taken; the copy of what it sent before the reset is not.
    resets = fleet.vehicle(VIN).ecus
    car.counter = 1
    reports = [car.report(ecu, now=at(minutes=1), nonce=resets[ecu].reset.nonce) for ecu in resets]  # type: ignore[union-attr]
    car.counter = 0
    fleet.receive_manifest(car.manifest(reports=reports), now=at(minutes=3))
    with pytest.raises(RefusalError) as caught:
        fleet.receive_manifest(late, now=at(minutes=3))
    assert isinstance(caught.value, ReportReplayError)
    assert caught.value.field == "report"


def test_credentials_are_written_when_they_are_recorded_and_nobody_waits(fleet: Director, tmp_path: Path) -> None:
    """Cut off at any moment, no certificate is valid that the Director does not know."""
    fleet.devices.create_ca()
    held: list[tuple[bool, bool]] = []

    class Watched(Deliveries):
        def write(self, vehicle: str, credential: Credential) -> None:
            recorded = {item.fingerprint for item in fleet.devices.certificates()}
            held.append((fleet._database._writer.locked(), credential.fingerprint in recorded))
            super().write(vehicle, credential)

    with Watched.open(tmp_path / "out", DEVICE_FILES) as deliveries:
        assert fleet.batches.issue_devices([("1", "VIN7"), ("2", "VIN8")], deliveries).stored
    assert held == [(False, True), (False, True)]


def test_credentials_that_cannot_be_written_are_revoked_and_the_run_can_be_repeated(
    fleet: Director, tmp_path: Path
) -> None:
    fleet.devices.create_ca()
    named, output = [("1", "VIN7"), ("2", "VIN8"), ("3", "VIN9")], tmp_path / "out"

    class Full(Deliveries):
        def write(self, vehicle: str, credential: Credential) -> None:
            if vehicle == "VIN8":
                raise StorageError(path="out", operation="write", reason="the disk is full")
            super().write(vehicle, credential)

    with Full.open(output, DEVICE_FILES) as deliveries, pytest.raises(StorageError):
        fleet.batches.issue_devices(named, deliveries)
    revoked = {item.name: item.revoked_at is not None for item in fleet.devices.certificates()}
    assert revoked == {"VIN7": False, "VIN8": True, "VIN9": True}
    with Deliveries.open(output, DEVICE_FILES) as repeated:
        with pytest.raises(ConflictError), Deliveries.open(output, DEVICE_FILES):
            pass
        again = fleet.batches.issue_devices(named, repeated)
    assert [item.outcome for item in again.items] == ["unchanged", "issued", "issued"]
    assert sorted(path.name for path in output.iterdir()) == ["VIN7", "VIN8", "VIN9"]


def test_a_vehicle_that_comes_during_a_long_transaction_is_told_to_come_again(
    fleet: Director, car: TestVehicle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "BUSY_TIMEOUT_S", 0.1)
    fleet._clock = lambda: at(minutes=1)
    data = car.manifest(now=at(minutes=1))
    done, inside = threading.Event(), threading.Event()

    def batch() -> None:
        with fleet._database.writing("a batch"):
            inside.set()
            done.wait(30)

    async def main() -> None:
        async with serving(director_application(fleet)) as server, aiohttp.ClientSession() as session:
            url = f"{server.url}/vehicles/{VIN}/manifest"
            async with session.put(url, data=data) as response:
                assert (response.status, "Retry-After" in response.headers) == (503, True)
            done.set()
            await asyncio.to_thread(busy.join)
            async with session.put(url, data=data) as response:
                assert response.status == 204

    busy = threading.Thread(target=batch)
    busy.start()
    assert inside.wait(30)
    try:
        asyncio.run(main())
    finally:
        done.set()
        busy.join()
