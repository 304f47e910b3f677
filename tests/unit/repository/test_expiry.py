"""What expires is renewed in time where keys are at hand, and named where they are not."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from tests.unit.repository.conftest import START, HandClock
from tests.unit.repository.reading import Reader
from twinlock.repository.image_repository import ImageRepository
from twinlock.repository.serving.renewal import keep_fresh
from twinlock.repository.workspace.validity import Periods
from twinlock.trust.errors.base import TwinlockError, UsageError
from twinlock.trust.errors.metadata import ExpiredError


def test_nothing_is_renewed_before_it_is_due(filled: ImageRepository, clock: HandClock) -> None:
    clock.turn(hours=11)
    publication = filled.refresh()
    assert (publication.changed, publication.version) == (False, 2)


def test_timestamp_is_renewed_at_half_of_its_time(filled: ImageRepository, clock: HandClock) -> None:
    clock.turn(hours=12)
    assert [due.role for due in filled.status().due] == ["timestamp"]
    assert filled.refresh().files == ("timestamp.json",)
    clock.turn(hours=20)
    Reader(filled.store, filled.root_bytes(1)).refresh(clock())
    assert filled.refresh().version == 4


def test_snapshot_brings_timestamp_along(filled: ImageRepository, clock: HandClock) -> None:
    clock.turn(days=4)
    assert filled.refresh().files == ("3.snapshot.json", "timestamp.json")


def test_a_repository_that_has_expired_altogether_is_brought_back(filled: ImageRepository, clock: HandClock) -> None:
    clock.turn(days=1000)
    reader = Reader(filled.store, filled.root_bytes(1))
    with pytest.raises(ExpiredError):
        reader.refresh(clock())
    assert {due.role for due in filled.status().due} == {"root", "targets", "snapshot", "timestamp"}
    assert filled.refresh().files == ("2.root.json", "3.snapshot.json", "3.targets.json", "timestamp.json")
    assert reader.find("brake/brake.bin", clock()).entry is not None


def test_within_reaches_further(filled: ImageRepository) -> None:
    assert filled.refresh(timedelta(days=8)).files == ("3.snapshot.json", "timestamp.json")


def test_roles_whose_keys_are_elsewhere_are_named_and_the_others_renewed(
    filled: ImageRepository, clock: HandClock
) -> None:
    filled.keyring.offline.rename(filled.path / "away")
    clock.turn(days=340)
    repository = ImageRepository.open(filled.path, clock=clock)
    publication = repository.refresh()
    assert publication.files == ("3.snapshot.json", "timestamp.json")
    assert set(publication.overdue) == {"root", "targets"}
    assert {due.role: due.can_sign for due in repository.status().due} == {"root": False, "targets": False}


def test_status_names_the_first_to_expire_first(filled: ImageRepository) -> None:
    assert [due.role for due in filled.status(timedelta(days=10)).due] == ["timestamp", "snapshot"]


def test_periods_have_to_be_positive() -> None:
    with pytest.raises(UsageError):
        Periods(timestamp=timedelta(0))


def run_loop(repository: ImageRepository, clock: HandClock, *, turns: int, hours: float) -> tuple[list[int], list[str]]:
    """Run ``keep_fresh`` while the clock is turned ``turns`` times by ``hours``, at full speed."""
    renewed: list[int] = []
    failures: list[str] = []

    async def main() -> None:
        stop = asyncio.Event()

        async def wait_for(waiting: object, _pause: float) -> None:
            nonlocal turns
            waiting.close()  # type: ignore[attr-defined]
            turns -= 1
            clock.turn(hours=hours)
            if turns <= 0:
                stop.set()

        def failed(error: TwinlockError) -> None:
            failures.append(error.code)

        original = asyncio.wait_for
        asyncio.wait_for = wait_for  # type: ignore[assignment]
        try:
            await keep_fresh(repository.workspace, stop=stop, renewed=renewed.append, failed=failed)
        finally:
            asyncio.wait_for = original

    asyncio.run(main())
    return renewed, failures


def test_the_loop_keeps_a_vehicle_able_to_refresh(filled: ImageRepository, clock: HandClock) -> None:
    renewed, failures = run_loop(filled, clock, turns=30, hours=6)
    assert failures == []
    assert renewed == list(range(3, 3 + len(renewed)))
    assert len(renewed) >= 14
    Reader(filled.store, filled.root_bytes(1)).refresh(clock())


def test_the_loop_lives_on_after_a_failure(filled: ImageRepository, clock: HandClock) -> None:
    online = filled.keyring.online
    online.rename(filled.path / "away")
    repository = ImageRepository.open(filled.path, clock=clock)
    timestamp = filled.path / "public/metadata/timestamp.json"
    good = timestamp.read_bytes()
    timestamp.write_bytes(b"broken")
    _, failures = run_loop(repository, clock, turns=3, hours=1)
    assert failures == ["store-tampered"] * 3
    timestamp.write_bytes(good)
    (filled.path / "away").rename(online)
    renewed, failures = run_loop(repository, clock, turns=3, hours=12)
    assert failures == []
    assert renewed[0] == 3


def test_the_loop_never_touches_offline_roles(filled: ImageRepository, clock: HandClock) -> None:
    clock.turn(days=340)
    run_loop(filled, clock, turns=2, hours=1)
    versions: dict[str, int] = {role.name: role.version for role in filled.show().roles}
    assert (versions["root"], versions["targets"]) == (1, 2)
    assert clock() > START
