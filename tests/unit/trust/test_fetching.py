"""How much of a file is read, and what is reported of files and floors that state a time beyond a proven clock."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from tests.unit.trust.places import Places
from twinlock.testing.simulator.world import START, World
from twinlock.trust.checks.context import Context
from twinlock.trust.engine.commands import Notice, Persist, drive
from twinlock.trust.engine.fetching import bound, cap_floors, note_issued
from twinlock.trust.engine.restore import bootstrap_repository
from twinlock.trust.errors.metadata import IssuedInFutureError
from twinlock.trust.limits import DEFAULT_LIMITS
from twinlock.trust.model.base import FileInfo
from twinlock.trust.names import DIRECTOR, IMAGE, ROOT, SNAPSHOT, TARGETS, TIMESTAMP, RepositoryName, RoleName
from twinlock.trust.policy import STRICT
from twinlock.trust.state.trusted import TrustedRepository
from twinlock.trust.wire.aktualizr.decode import AKTUALIZR
from twinlock.trust.wire.tuf.metadata import TUF

CONTEXT = Context(repository=IMAGE, now=START, limits=DEFAULT_LIMITS, wire=TUF, policy=STRICT)
ACME = RoleName("acme")
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


# times beyond a proven clock


def ahead(role: RoleName, version: int, issued: datetime, latest: datetime) -> dict[str, object]:
    """The fields of the notice."""
    return {"repository": IMAGE, "role": role, "version": version, "issued": issued, "latest": latest}


@pytest.fixture
def trusted() -> TrustedRepository:
    """The Image repository after a refresh; every top-level file states ``START``."""
    world = World()
    world.vehicle.update()
    return world.vehicle.stores["image"].restore("image")


@pytest.mark.parametrize(
    ("ceiling", "reported"), [(None, False), (START + SECOND, False), (START, False), (START - SECOND, True)]
)
def test_a_file_that_states_a_time_beyond_a_proven_clock_is_reported(
    trusted: TrustedRepository, ceiling: datetime | None, reported: bool
) -> None:
    root = trusted.root.signed._replace(version=7)
    places = Places()
    drive(note_issued(root, ROOT, CONTEXT._replace(ceiling=ceiling)), places.answer)
    assert [type(error) for error in places.notices] == [IssuedInFutureError] * reported
    assert [error.fields() for error in places.notices] == (
        [ahead(ROOT, 7, START, ceiling)] if reported and ceiling else []
    )
    assert len(places.commands) == reported


def test_a_file_that_states_no_time_is_not_ahead_of_any(trusted: TrustedRepository) -> None:
    places = Places()
    root = trusted.root.signed._replace(issued=None)
    drive(note_issued(root, ROOT, CONTEXT._replace(ceiling=START)), places.answer)
    assert places.commands == []


@pytest.mark.parametrize("ceiling", [None, START, START + SECOND])
def test_floors_within_a_proven_clock_stay_as_they_are(trusted: TrustedRepository, ceiling: datetime | None) -> None:
    places = Places()
    assert drive(cap_floors(trusted, CONTEXT._replace(ceiling=ceiling)), places.answer) is trusted
    assert places.commands == []


def test_floors_beyond_a_proven_clock_are_reported_and_capped_and_others_are_kept(trusted: TrustedRepository) -> None:
    early, late = START - SECOND, START + SECOND
    floors = {
        **trusted.floors,
        ROOT: trusted.floors[ROOT]._replace(version=4, issued=late),
        SNAPSHOT: trusted.floors[SNAPSHOT]._replace(issued=early),
        TARGETS: trusted.floors[TARGETS]._replace(issued=None),
        TIMESTAMP: trusted.floors[TIMESTAMP]._replace(version=6),
    }
    places = Places()
    found = drive(cap_floors(trusted._replace(floors=floors), CONTEXT._replace(ceiling=early)), places.answer)
    capped = {role: floors[role]._replace(issued=early) for role in (ROOT, TIMESTAMP)}
    assert found == trusted._replace(floors={**floors, **capped})
    *notices, stored = places.commands
    assert {
        notice.error.fields()["role"]: notice.error.fields() for notice in notices if isinstance(notice, Notice)
    } == {
        ROOT: ahead(ROOT, 4, late, early),
        TIMESTAMP: ahead(TIMESTAMP, 6, START, early),
    }
    assert [type(error) for error in places.notices] == [IssuedInFutureError, IssuedInFutureError]
    assert stored == Persist(IMAGE, (), floors=capped)


def test_a_root_that_an_operator_brings_may_be_capped_before_any_other_file(trusted: TrustedRepository) -> None:
    anchor = bootstrap_repository(IMAGE, trusted.root.data)
    places = Places()
    found = drive(cap_floors(anchor, CONTEXT._replace(ceiling=START - SECOND)), places.answer)
    assert found.floors == {ROOT: anchor.floors[ROOT]._replace(issued=START - SECOND)}
    assert [error.fields() for error in places.notices] == [ahead(ROOT, 1, START, START - SECOND)]
