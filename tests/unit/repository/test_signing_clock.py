"""A signer and its clock: behind its own past, ahead of a second source, and the way out after a false signature."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from tests.unit.director.world import ImageSite
from tests.unit.repository.conftest import START, Acme, HandClock
from tests.unit.repository.reading import Reader
from twinlock.cli.main import main
from twinlock.director.api.device_api import director_application
from twinlock.director.director import Director
from twinlock.io.files.durable import read_file
from twinlock.repository.errors import (
    ClockBehindError,
    ClockContradictedError,
    FutureSignatureError,
    NothingToRecoverError,
)
from twinlock.repository.image_repository import ImageRepository
from twinlock.repository.publishing.root_ceremony import RootChanges
from twinlock.repository.serving.http import serving
from twinlock.repository.signing.clock import ClockMarks, SecondTime, check_signing_clock
from twinlock.trust.engine.time_floor import time_floor
from twinlock.trust.errors.base import UsageError

MONTH = timedelta(days=30)


def stated(repository: ImageRepository, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((repository.path / "public/metadata" / name).read_bytes())["signed"]
    return found


def tree(path: Path) -> dict[str, bytes]:
    return {str(file): file.read_bytes() for file in sorted(path.rglob("*")) if file.is_file()}


def at(**later: float) -> datetime:
    return START + timedelta(**later)


@pytest.mark.parametrize(
    ("now", "last", "refused"),
    [
        (START, None, False),
        (START, START, False),
        (at(seconds=-60), START, False),
        (at(seconds=-61), START, True),
    ],
)
def test_a_clock_behind_the_last_signature_signs_nothing(now: datetime, last: datetime | None, refused: bool) -> None:
    marks = ClockMarks(last=last, highest=last)
    if not refused:
        check_signing_clock(now, marks)
        return
    with pytest.raises(ClockBehindError) as caught:
        check_signing_clock(now, marks)
    assert (caught.value.now, caught.value.signed) == (now, last)


@pytest.mark.parametrize(
    ("earliest", "latest", "other"),
    [
        (at(minutes=5), at(days=1), None),
        (at(minutes=6), at(days=1), at(minutes=6)),
        (None, at(hours=-12), None),
        (None, at(hours=-13), at(hours=-13)),
        (None, None, None),
    ],
)
def test_a_second_source_that_contradicts_the_clock_stops_signing(
    earliest: datetime | None, latest: datetime | None, other: datetime | None
) -> None:
    second = SecondTime(source="the other", earliest=earliest, latest=latest)
    if other is None:
        check_signing_clock(START, ClockMarks(), second)
        return
    with pytest.raises(ClockContradictedError) as caught:
        check_signing_clock(START, ClockMarks(), second)
    assert (caught.value.source, caught.value.other, caught.value.now) == ("the other", other, START)


def test_after_a_refresh_under_a_clock_a_month_ahead_the_sentence_is_true_and_one_command_leads_out(
    filled: ImageRepository, clock: HandClock
) -> None:
    vehicle = Reader(filled.store, filled.root_bytes(1))
    vehicle.refresh(START)
    clock.turn(days=30)
    filled.refresh()
    assert stated(filled, "timestamp.json")["issued"] == "2030-01-31T12:00:00Z"
    vehicle.refresh(at(days=30))  # it took what was signed with the false time, and its own clock is right again

    clock.time = at(minutes=1)
    before = tree(filled.path)
    acts: tuple[Callable[[], object], ...] = (filled.refresh, lambda: filled.rotate("timestamp"))
    for act in acts:
        with pytest.raises(ClockBehindError) as caught:
            act()
        assert caught.value.fields() == {"now": at(minutes=1), "signed": at(days=30)}
        assert "recover-clock" in caught.value.hint
    assert {name: data for name, data in tree(filled.path).items() if "keys" not in name} == {
        name: data for name, data in before.items() if "keys" not in name
    }

    found = filled.recover_clock(actor="kim")
    assert (found.highest, found.left, found.short) == (at(days=30), (), ())
    for name, life in (("timestamp.json", timedelta(days=1)), (f"{_version(filled)}.snapshot.json", timedelta(days=7))):
        assert stated(filled, name)["issued"] == "2030-01-01T12:01:00Z"
        assert datetime.fromisoformat(stated(filled, name)["expires"]) == at(days=30) + life
    vehicle.refresh(at(minutes=2))
    assert time_floor([vehicle.trusted]) == at(minutes=1)
    record = json.loads((filled.path / "trusted/clock.json").read_bytes())
    assert record["recoveries"] == [
        {
            "at": "2030-01-01T12:01:00Z",
            "actor": "kim",
            "highest": "2030-01-31T12:00:00Z",
            "roles": ["timestamp", "snapshot"],
        }
    ]
    with pytest.raises(NothingToRecoverError):
        filled.recover_clock()

    clock.turn(hours=13)
    renewed = filled.refresh()  # what outlasts the false time is renewed at the usual pace all the same
    assert renewed.files == ("timestamp.json",)
    assert datetime.fromisoformat(stated(filled, "timestamp.json")["expires"]) == at(days=31)
    vehicle.refresh(at(hours=14))


def _version(repository: ImageRepository) -> int:
    version: int = stated(repository, "timestamp.json")["meta"]["snapshot.json"]["version"]
    return version


def test_what_cannot_be_corrected_here_is_named(filled: ImageRepository, clock: HandClock, tmp_path: Path) -> None:
    clock.turn(days=340)
    filled.refresh()  # Targets and Root, too: they are due within their margin
    clock.time = at(minutes=1)
    filled.keyring.offline.rename(tmp_path / "away")
    opened = ImageRepository.open(filled.path, clock=clock)
    found = opened.recover_clock()
    assert set(found.left) == {"root", "targets"}
    (filled.keyring.offline).rmdir() if filled.keyring.offline.exists() else None
    (tmp_path / "away").rename(filled.keyring.offline)
    again = ImageRepository.open(filled.path, clock=clock).recover_clock()
    assert again.left == ()
    assert stated(filled, "2.root.json")["issued"] > stated(filled, "3.root.json")["issued"] == "2030-01-01T12:01:00Z"


def test_a_supplier_who_signed_in_the_future_is_not_accepted(
    filled: ImageRepository, acme: Acme, clock: HandClock
) -> None:
    filled.delegate("acme", keys=[acme.place.public_key_file], paths=["acme/*"])
    clock.turn(days=2)
    acme.sign()
    clock.turn(days=-2)
    before = tree(filled.path)
    with pytest.raises(FutureSignatureError) as caught:
        filled.accept(acme.outbox)
    assert (caught.value.issued, caught.value.now) == (at(days=2), START)
    assert tree(filled.path) == before
    acme.sign()
    assert filled.accept(acme.outbox) == ("acme",)
    filled.publish()


def test_a_root_that_was_prepared_in_the_future_is_not_published(
    filled: ImageRepository, clock: HandClock, tmp_path: Path
) -> None:
    clock.turn(hours=3)
    filled.prepare_root(tmp_path / "next.json", RootChanges())
    clock.time = at(minutes=1)
    before = tree(filled.path)
    with pytest.raises(FutureSignatureError) as caught:
        filled.publish_root(tmp_path / "next.json")
    assert (caught.value.issued, caught.value.now) == (at(hours=3), at(minutes=1))
    assert tree(filled.path) == before
    clock.time = at(hours=3)
    filled.publish_root(tmp_path / "next.json")


@pytest.fixture
def second(tmp_path: Path) -> tuple[Director, HandClock]:
    """A Director that attests the time by a clock of its own."""
    clock = HandClock()
    site = ImageSite(tmp_path / "site", now=START)
    site.publish()
    director = Director.create(tmp_path / "director", image_root=site.root, image_url=str(site.path), clock=clock)
    return director, clock


def _beside(director: Director, work: Callable[[str], None]) -> None:
    async def main() -> None:
        async with serving(director_application(director)) as server:
            await asyncio.to_thread(work, f"{server.url}/time")

    asyncio.run(main())


def test_the_attested_time_of_a_director_stops_a_clock_that_is_ahead(
    filled: ImageRepository, clock: HandClock, second: tuple[Director, HandClock], caplog: pytest.LogCaptureFixture
) -> None:
    director, other = second
    address = "http://127.0.0.1:1/time"

    def honest_then_ahead(url: str) -> None:
        nonlocal address
        address = url
        filled.set_time_source(url, director.root_bytes())
        clock.turn(hours=13)
        other.turn(hours=13)
        assert filled.refresh().changed
        clock.turn(days=30)
        before = tree(filled.path)
        with pytest.raises(ClockContradictedError) as caught:
            filled.refresh()
        assert (caught.value.source, caught.value.now) == (url, at(days=30, hours=13))
        assert caught.value.other == at(hours=13)
        assert tree(filled.path) == before
        clock.turn(days=-30, hours=13)
        other.turn(hours=13)
        assert filled.refresh().changed

    with director:
        _beside(director, honest_then_ahead)
    clock.turn(hours=13)
    with caplog.at_level(logging.WARNING, logger="twinlock.repository.signing.clock_record"):
        assert filled.refresh().changed  # nobody answers there any more: it shows, and stops nothing
    assert address in caplog.text
    filled.set_time_source(None)
    assert read_file(filled.path / "trusted/time-source.json", max_bytes=1) is None


def test_a_time_source_is_checked_when_it_is_set(filled: ImageRepository) -> None:
    with pytest.raises(UsageError):
        filled.set_time_source("ftp://127.0.0.1/time", filled.root_bytes())
    with pytest.raises(UsageError, match="names no key that attests time"):
        filled.set_time_source("http://127.0.0.1:1/time", filled.root_bytes())
    assert not (filled.path / "trusted/time-source.json").exists()


def test_a_time_source_is_asked_before_it_is_kept(
    filled: ImageRepository, second: tuple[Director, HandClock], tmp_path: Path
) -> None:
    director, _ = second
    kept = filled.path / "trusted/time-source.json"
    root = tmp_path / "director-root.json"
    root.write_bytes(director.root_bytes())
    words = ["image", "time-source", str(filled.path), "http://127.0.0.1:1/time", "--director-root", str(root)]

    def told(*more: str) -> int:
        return CliRunner().invoke(main, [*words, *more]).exit_code

    assert (told(), kept.exists()) == (4, False)
    assert (told("--offline"), kept.exists()) == (0, True)
    words[4:] = ["--director-root", str(tmp_path / "odd.json")]
    (tmp_path / "odd.json").write_text("[]")
    assert told() == 2

    def ask(url: str) -> None:
        filled.set_time_source(url, director.root_bytes(), ask=True)

    with director:
        _beside(director, ask)
    assert "127.0.0.1:1/" not in kept.read_text()
