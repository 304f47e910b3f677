"""Checks before effects: an Image repository that does not answer holds up nothing but what has to ask it."""

from __future__ import annotations

import threading

import pytest

from tests.unit.director.world import EcuSigner, TestVehicle, at
from twinlock.director.director import Director
from twinlock.trust.engine.commands import Absent
from twinlock.trust.errors.reports import ReportSignatureError


class SlowRepository:
    """The Image repository, whose every answer waits until ``go`` is set."""

    def __init__(self, director: Director) -> None:
        self._fetch = director._catalogues._fetch
        director._catalogues._fetch = self
        self.asked, self.go = threading.Event(), threading.Event()

    def __call__(self, name: str, max_bytes: int) -> bytes | Absent:
        self.asked.set()
        assert self.go.wait(60)
        return self._fetch(name, max_bytes)


@pytest.fixture
def slow(fleet: Director) -> SlowRepository:
    return SlowRepository(fleet)


def test_a_manifest_by_an_unknown_key_never_reaches_the_image_repository(
    fleet: Director, car: TestVehicle, slow: SlowRepository
) -> None:
    with pytest.raises(ReportSignatureError):
        fleet.receive_manifest(car.manifest(signer=EcuSigner("stranger")), now=at(minutes=10))
    assert not slow.asked.is_set()


def test_a_look_up_for_one_manifest_holds_up_no_other_vehicle(
    fleet: Director, car: TestVehicle, slow: SlowRepository
) -> None:
    data = car.manifest(now=at(minutes=10))
    sender = threading.Thread(target=lambda: fleet.receive_manifest(data, now=at(minutes=10)))
    sender.start()
    try:
        assert slow.asked.wait(60)
        assert fleet.register(TestVehicle("VIN2", {"ecu-2": "gw-1"}).description())
    finally:
        slow.go.set()
        sender.join()
    assert fleet.vehicle("VIN1").last_manifest_at == at(minutes=10)


def test_what_changed_during_the_look_up_is_judged_again(
    fleet: Director, car: TestVehicle, slow: SlowRepository
) -> None:
    data = car.manifest(now=at(minutes=10))
    sender = threading.Thread(target=lambda: fleet.receive_manifest(data, now=at(minutes=10)))
    sender.start()
    assert slow.asked.wait(60)
    with fleet._database.writing() as connection:
        connection.exec_driver_sql("UPDATE vehicles SET revision = revision + 1")
    slow.go.set()
    sender.join()
    assert fleet.vehicle("VIN1").last_manifest_at == at(minutes=10)
