"""How much of a file is read and from how many places, and what is reported of files and floors that state a time beyond a proven clock."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from tests.unit.trust.places import Places
from twinlock.testing.simulator.world import START, World
from twinlock.trust.checks.context import Context
from twinlock.trust.engine.commands import Fetch, Persist, Steps, drive
from twinlock.trust.engine.fetching import accept_from_any, bound, cap_floors, note_issued
from twinlock.trust.engine.restore import bootstrap_repository
from twinlock.trust.errors.metadata import IssuedInFutureError, LimitError, MixAndMatchError
from twinlock.trust.limits import DEFAULT_LIMITS
from twinlock.trust.model.base import FileInfo
from twinlock.trust.names import DIRECTOR, IMAGE, ROOT, SNAPSHOT, TARGETS, TIMESTAMP, RepositoryName, RoleName
from twinlock.trust.policy import STRICT
from twinlock.trust.wire.aktualizr.decode import AKTUALIZR
from twinlock.trust.wire.tuf.metadata import TUF

CONTEXT = Context(repository=IMAGE, now=START, limits=DEFAULT_LIMITS, wire=TUF, policy=STRICT)
ACME = RoleName("acme")
WORLD = World()
WORLD.vehicle.update()
TRUSTED = WORLD.vehicle.stores["image"].restore("image")  # after a refresh; every top-level file states ``START``
SECOND = timedelta(seconds=1)

# each bound apart from all others

SMALL = DEFAULT_LIMITS._replace(
    root_bytes=41, timestamp_bytes=42, snapshot_bytes=60, targets_bytes=70, director_bytes=30, unlisted_bytes=45
)


@pytest.mark.parametrize(
    ("repository", "role", "length", "most"),
    [
        (IMAGE, ROOT, None, 41),
        (IMAGE, TIMESTAMP, None, 42),
        (IMAGE, SNAPSHOT, None, 45),
        (IMAGE, SNAPSHOT, 50, 50),
        (IMAGE, SNAPSHOT, 99, 60),
        (IMAGE, TARGETS, None, 45),
        (IMAGE, TARGETS, 65, 65),
        (IMAGE, TARGETS, 99, 70),
        (IMAGE, ACME, None, 45),
        (IMAGE, ACME, 99, 70),
        (DIRECTOR, ROOT, None, 41),
        (DIRECTOR, TIMESTAMP, None, 42),
        (DIRECTOR, SNAPSHOT, None, 30),
        (DIRECTOR, SNAPSHOT, 50, 30),
        (DIRECTOR, TARGETS, None, 30),
        (DIRECTOR, TARGETS, 20, 20),
        (DIRECTOR, ACME, None, 30),
    ],
)
def test_how_much_of_a_file_is_read(repository: RepositoryName, role: RoleName, length: int | None, most: int) -> None:
    context = CONTEXT._replace(repository=repository, limits=SMALL)
    assert bound(context, role, FileInfo(1, length, {})) == most
    if length is None:
        assert bound(context, role) == most


@pytest.mark.parametrize(
    ("repository", "role", "length", "most"),
    [
        (IMAGE, ROOT, None, 65_536),
        (IMAGE, TIMESTAMP, None, 65_536),
        (IMAGE, SNAPSHOT, None, 8_000_000),
        (IMAGE, TARGETS, 70_000, 70_000),
        (IMAGE, TARGETS, 9_000_000, 8_388_608),
        (IMAGE, ACME, 9_000_000, 8_388_608),
        (DIRECTOR, ROOT, None, 65_536),
        (DIRECTOR, TARGETS, None, 65_536),
        (DIRECTOR, TARGETS, 70_000, 65_536),
        (DIRECTOR, TARGETS, 20, 20),
        (DIRECTOR, SNAPSHOT, 70_000, 70_000),
    ],
)
def test_no_more_is_read_than_other_readers_of_the_encoding_take(
    repository: RepositoryName, role: RoleName, length: int | None, most: int
) -> None:
    context = CONTEXT._replace(repository=repository, wire=AKTUALIZR)
    assert bound(context, role, FileInfo(1, length, {})) == most


# one place after the other

ASKED = Fetch(IMAGE, ACME, 3, "3.acme.json", 8)


def length_of(data: bytes) -> int:
    """A check that refuses what is longer than three bytes."""
    if len(data) > 3:
        raise MixAndMatchError(repository=IMAGE, role=ACME, field="length", listed="3", offered=str(len(data)))
    return len(data)


def from_places(first: bytes, *others: bytes) -> tuple[Places, Steps[int]]:
    places = Places({}, *({ASKED.name: data} for data in others))
    return places, accept_from_any(CONTEXT, first, ASKED, length_of)


def test_the_copy_of_the_first_place_that_passes_is_accepted() -> None:
    for copies, asks in (([b"1"], 0), ([b"four", b"12"], 1), ([b"four", b"seven", b"123", b"1"], 2)):
        places, steps = from_places(*copies)
        assert drive(steps, places.answer) == len(copies[asks])
        assert [command.fetch for command in places.elsewhere] == asks * [ASKED]
        reasons = [command.error for command in places.elsewhere]
        assert [reason.fields()["offered"] for reason in reasons if reason] == [str(len(c)) for c in copies[:asks]]
        assert places.commands == places.elsewhere


def test_the_refusal_of_the_first_copy_is_raised_in_the_end() -> None:
    places, steps = from_places(b"four", b"seven", b"fifteen")
    with pytest.raises(MixAndMatchError) as caught:
        drive(steps, places.answer)
    assert caught.value.offered == "4"
    reasons = [command.error for command in places.elsewhere]
    assert reasons[0] is caught.value
    assert [reason.fields()["offered"] for reason in reasons if reason] == ["4", "5", "7"]


def test_a_longer_copy_of_another_place_ends_the_search() -> None:
    places, steps = from_places(b"four", b"123456789", b"1")
    with pytest.raises(LimitError) as caught:
        drive(steps, places.answer)
    assert caught.value.fields() == {"what": "image/acme in bytes", "value": 9, "limit": 8}
    assert caught.value.clause == "Uptane 2.1.0 5.4.4.6"
    assert len(places.elsewhere) == 1


# times beyond a proven clock


def ahead(role: RoleName, version: int, issued: datetime, latest: datetime) -> dict[str, object]:
    """The fields of the notice."""
    return {"repository": IMAGE, "role": role, "version": version, "issued": issued, "latest": latest}


@pytest.mark.parametrize(
    ("ceiling", "reported"), [(None, False), (START + SECOND, False), (START, False), (START - SECOND, True)]
)
def test_a_file_that_states_a_time_beyond_a_proven_clock_is_reported(ceiling: datetime | None, reported: bool) -> None:
    root = TRUSTED.root.signed._replace(version=7)
    places = Places()
    drive(note_issued(root, ROOT, CONTEXT._replace(ceiling=ceiling)), places.answer)
    assert [type(error) for error in places.notices] == [IssuedInFutureError] * reported
    assert [error.fields() for error in places.notices] == (
        [ahead(ROOT, 7, START, ceiling)] if reported and ceiling else []
    )
    assert len(places.commands) == reported


def test_a_file_that_states_no_time_is_not_ahead_of_any() -> None:
    places = Places()
    root = TRUSTED.root.signed._replace(issued=None)
    drive(note_issued(root, ROOT, CONTEXT._replace(ceiling=START)), places.answer)
    assert places.commands == []


@pytest.mark.parametrize("ceiling", [None, START, START + SECOND])
def test_floors_within_a_proven_clock_stay_as_they_are(ceiling: datetime | None) -> None:
    places = Places()
    assert drive(cap_floors(TRUSTED, CONTEXT._replace(ceiling=ceiling)), places.answer) is TRUSTED
    assert places.commands == []


def test_floors_beyond_a_proven_clock_are_reported_and_capped_and_others_are_kept() -> None:
    early, late = START - SECOND, START + SECOND
    floors = {
        **TRUSTED.floors,
        ROOT: TRUSTED.floors[ROOT]._replace(version=4, issued=late),
        SNAPSHOT: TRUSTED.floors[SNAPSHOT]._replace(issued=early),
        TARGETS: TRUSTED.floors[TARGETS]._replace(issued=None),
        TIMESTAMP: TRUSTED.floors[TIMESTAMP]._replace(version=6),
    }
    places = Places()
    found = drive(cap_floors(TRUSTED._replace(floors=floors), CONTEXT._replace(ceiling=early)), places.answer)
    capped = {role: floors[role]._replace(issued=early) for role in (ROOT, TIMESTAMP)}
    assert found == TRUSTED._replace(floors={**floors, **capped})
    *notices, stored = places.commands
    assert len(places.notices) == len(notices)
    assert {error.fields()["role"]: error.fields() for error in places.notices} == {
        ROOT: ahead(ROOT, 4, late, early),
        TIMESTAMP: ahead(TIMESTAMP, 6, START, early),
    }
    assert [type(error) for error in places.notices] == [IssuedInFutureError, IssuedInFutureError]
    assert stored == Persist(IMAGE, (), floors=capped)


def test_a_root_that_an_operator_brings_may_be_capped_before_any_other_file() -> None:
    anchor = bootstrap_repository(IMAGE, TRUSTED.root.data)
    places = Places()
    found = drive(cap_floors(anchor, CONTEXT._replace(ceiling=START - SECOND)), places.answer)
    assert found.floors == {ROOT: anchor.floors[ROOT]._replace(issued=START - SECOND)}
    assert [error.fields() for error in places.notices] == [ahead(ROOT, 1, START, START - SECOND)]
