"""The public test bench as an integrator uses it: each attack is refused under its class, and honest updates continue."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from twinlock.client import Outcome
from twinlock.testing import Attacker, BenchClock, Repositories, TestVehicle
from twinlock.trust import ImageEntry, InstalledImage, target_path
from twinlock.trust.errors import (
    Attack,
    DigestError,
    EndlessDataError,
    ExpiredError,
    ImageNotFoundError,
    MixAndMatchError,
    RefusalError,
    ReleaseCounterError,
    RollbackError,
    ThresholdError,
    TwinlockError,
)

Play = Callable[[Attacker], AbstractContextManager[None]]
CASES: list[tuple[Play, type[TwinlockError], Attack]] = [
    (lambda attacker: attacker.rollback(), RollbackError, Attack.ROLLBACK),
    (lambda attacker: attacker.rollback("image"), RollbackError, Attack.ROLLBACK),
    (lambda attacker: attacker.image_rollback(), ReleaseCounterError, Attack.ROLLBACK),
    (lambda attacker: attacker.arbitrary_software(), ImageNotFoundError, Attack.ARBITRARY_SOFTWARE),
    (lambda attacker: attacker.forged_signature(), ThresholdError, Attack.ARBITRARY_SOFTWARE),
    (lambda attacker: attacker.forged_signature("image"), ThresholdError, Attack.ARBITRARY_SOFTWARE),
    (lambda attacker: attacker.mix_and_match(), MixAndMatchError, Attack.MIX_AND_MATCH),
    (lambda attacker: attacker.mix_and_match("image"), MixAndMatchError, Attack.MIX_AND_MATCH),
    (lambda attacker: attacker.freeze(), ExpiredError, Attack.FREEZE),
    (lambda attacker: attacker.endless_data(), EndlessDataError, Attack.ENDLESS_DATA),
    (lambda attacker: attacker.endless_data("image"), EndlessDataError, Attack.ENDLESS_DATA),
    (lambda attacker: attacker.tampered_image(), DigestError, Attack.ARBITRARY_SOFTWARE),
]
EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


@pytest.mark.parametrize(("play", "error", "attack"), CASES, ids=[str(number) for number in range(len(CASES))])
def test_an_attack_is_refused_and_honest_updates_continue(
    play: Play,
    error: type[TwinlockError],
    attack: Attack,
    twinlock_repositories: Repositories,
    twinlock_vehicle: TestVehicle,
    twinlock_attacker: Attacker,
) -> None:
    twinlock_vehicle.update()
    twinlock_repositories.release()
    assert twinlock_vehicle.update().outcome is Outcome.UPDATED
    before = twinlock_vehicle.installed()
    with play(twinlock_attacker):
        result = twinlock_vehicle.update()
    assert (type(result.error), result.outcome) == (error, Outcome.FAILED)
    assert isinstance(result.error, RefusalError)
    assert result.error.attack is attack
    assert twinlock_vehicle.installed() == before
    assert twinlock_vehicle.update().outcome is Outcome.UP_TO_DATE
    third = twinlock_repositories.release()
    assert twinlock_vehicle.update().outcome is Outcome.UPDATED
    assert twinlock_vehicle.installed().path == third


def test_an_attack_on_a_new_vehicle_is_reported(
    twinlock_repositories: Repositories, twinlock_vehicle: TestVehicle, twinlock_attacker: Attacker
) -> None:
    with twinlock_attacker.tampered_image():
        twinlock_vehicle.update()
    assert twinlock_vehicle.installed().path == "factory"
    (report,) = twinlock_repositories.manifests[-1].reports
    assert report.report.attack == DigestError.code


class Memory:
    """An installer that keeps the image in memory, as an integrator's own would keep it elsewhere."""

    def __init__(self) -> None:
        self.image, self.data = InstalledImage(target_path("factory"), 0, {"sha256": EMPTY}, 0), b""

    def installed(self) -> InstalledImage:
        return self.image

    def install(self, entry: ImageEntry, source: Path) -> InstalledImage:
        self.data = source.read_bytes()
        self.image = InstalledImage(entry.path, entry.length, entry.hashes, entry.release_counter)
        return self.image

    def rollback(self) -> InstalledImage:
        return self.image


def test_the_integrators_installer_is_used(twinlock_repositories: Repositories, tmp_path: Path) -> None:
    installer = Memory()
    vehicle = TestVehicle(twinlock_repositories, tmp_path / "own", installer=installer)
    assert vehicle.update().outcome is Outcome.UPDATED
    assert installer.data == twinlock_repositories.image(1)
    assert vehicle.installed() == installer.image


def test_the_clock_moves_by_hand_alone(twinlock_repositories: Repositories, twinlock_clock: BenchClock) -> None:
    start = twinlock_clock()
    assert start.tzinfo is UTC
    assert twinlock_clock() == start
    assert twinlock_clock.advance(hours=2) == start + timedelta(hours=2) == twinlock_repositories.clock()


def test_a_bench_starts_when_it_is_told(tmp_path: Path) -> None:
    with Repositories(datetime(2030, 1, 1, tzinfo=UTC)) as repositories:
        assert TestVehicle(repositories, tmp_path / "vehicle").update().now == datetime(2030, 1, 1, tzinfo=UTC)
    repositories.close()  # a second time does nothing
