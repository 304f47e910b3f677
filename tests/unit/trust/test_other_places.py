"""Where a copy is refused, or a Timestamp is old, the next place is asked: for which file, why, and what comes of it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

import pytest

from tests.unit.trust.places import Places
from twinlock.testing.simulator.keys import KeyPool
from twinlock.testing.simulator.repository import RepositorySimulator, wire_time
from twinlock.testing.simulator.world import START
from twinlock.trust.engine.commands import Fetch, FetchElsewhere, drive
from twinlock.trust.engine.refresh import refresh_repository
from twinlock.trust.engine.restore import bootstrap_repository
from twinlock.trust.errors.metadata import (
    EquivocationError,
    ExpiredError,
    LimitError,
    MalformedError,
    RootVersionError,
    ThresholdError,
)
from twinlock.trust.limits import DEFAULT_LIMITS
from twinlock.trust.names import IMAGE, ROOT, SNAPSHOT, TARGETS, TIMESTAMP
from twinlock.trust.state.trusted import TrustedRepository

KEYS = KeyPool()
HALF = timedelta(hours=12)  # of the life of a Timestamp
SECOND = timedelta(seconds=1)
TIMESTAMP_FETCH = Fetch(IMAGE, TIMESTAMP, None, "timestamp.json", DEFAULT_LIMITS.timestamp_bytes)


class Publisher:
    """One repository; ``timestamp`` makes copies of its Timestamp for other places."""

    def __init__(self) -> None:
        self.image = RepositorySimulator("image", KEYS, lambda: START)
        self.anchor = bootstrap_repository(IMAGE, self.image.files["1.root.json"])
        self.image.refresh_timestamp()

    @property
    def files(self) -> dict[str, bytes]:
        """What is on offer now."""
        return dict(self.image.files)

    def timestamp(self, version: int, issued: datetime | None = START, *, expires: datetime | None = None) -> bytes:
        """A copy with that version, valid for a day unless it states another end."""
        body = {name: value for name, value in self.image.bodies["timestamp"].items() if name != "issued"}
        body |= {"version": version, "expires": wire_time(expires or (issued or START) + 2 * HALF)}
        body |= {} if issued is None else {"issued": wire_time(issued)}
        return self.image.seal(body, self.image.signers["timestamp"])

    def refresh(
        self, after: timedelta, *others: Mapping[str, bytes], trusted: TrustedRepository | None = None
    ) -> tuple[TrustedRepository, Places]:
        """Refresh ``after`` that time from this place and from ``others``."""
        places = Places(self.files, *others)
        return drive(refresh_repository(trusted or self.anchor, START + after), places.answer), places


@pytest.fixture
def publisher() -> Publisher:
    return Publisher()


def timestamp_of(trusted: TrustedRepository) -> tuple[int, bytes]:
    assert trusted.timestamp is not None
    return trusted.timestamp.signed.version, trusted.timestamp.data


def at(data: bytes) -> dict[str, bytes]:
    """A place with that Timestamp and nothing else."""
    return {"timestamp.json": data}


# a Timestamp that is valid but old


@pytest.mark.parametrize(
    ("after", "asks"),
    [
        (timedelta(0), False),
        (timedelta(hours=9), False),
        (HALF, False),
        (HALF + SECOND, True),
        (timedelta(hours=23), True),
    ],
)
def test_another_place_is_asked_past_half_of_the_life_of_a_timestamp(
    publisher: Publisher, after: timedelta, asks: bool
) -> None:
    found, places = publisher.refresh(after)
    assert places.elsewhere == ([FetchElsewhere(TIMESTAMP_FETCH, None)] if asks else [])
    assert timestamp_of(found) == (2, publisher.files["timestamp.json"])
    assert places.notices == []


def test_a_timestamp_that_states_no_time_of_issue_has_no_half_life(publisher: Publisher) -> None:
    publisher.image.put("timestamp", data=publisher.timestamp(2, None))
    found, places = publisher.refresh(timedelta(hours=23))
    assert places.elsewhere == []
    assert timestamp_of(found)[0] == 2


def test_a_newer_timestamp_of_another_place_is_in_force_and_ends_the_search(publisher: Publisher) -> None:
    newer = publisher.timestamp(3, START + timedelta(hours=20))
    found, places = publisher.refresh(timedelta(hours=20), at(newer), at(publisher.timestamp(4)))
    assert places.elsewhere == [FetchElsewhere(TIMESTAMP_FETCH, None)]
    assert timestamp_of(found) == (3, newer)
    assert (TIMESTAMP, 3, newer) in places.persisted[0].files
    assert found.floors[TIMESTAMP].version == 3


def test_every_place_is_asked_while_all_are_old_and_the_newest_is_in_force(publisher: Publisher) -> None:
    newest = publisher.timestamp(5, START + SECOND)
    copies = [publisher.timestamp(3), newest, publisher.timestamp(4), publisher.timestamp(1)]
    found, places = publisher.refresh(timedelta(hours=20), *map(at, copies))
    assert places.elsewhere == 5 * [FetchElsewhere(TIMESTAMP_FETCH, None)]
    assert timestamp_of(found) == (5, newest)
    assert places.notices == []


def test_other_content_under_the_same_version_replaces_nothing(publisher: Publisher) -> None:
    other = publisher.timestamp(2, START, expires=START + timedelta(days=3))
    found, _ = publisher.refresh(timedelta(hours=20), at(other))
    assert timestamp_of(found) == (2, publisher.files["timestamp.json"])


def test_a_refused_copy_is_reported_and_the_next_place_asked(publisher: Publisher) -> None:
    newer = publisher.timestamp(3, START + HALF)
    expired = publisher.timestamp(4, START - HALF)
    found, places = publisher.refresh(HALF + SECOND, at(expired), at(b"{}"), at(newer))
    late, malformed = places.notices
    assert isinstance(late, ExpiredError)
    assert late.fields() == {
        "repository": IMAGE,
        "role": TIMESTAMP,
        "version": 4,
        "expires": START + HALF,
        "now": START + HALF + SECOND,
    }
    assert isinstance(malformed, MalformedError)
    assert malformed.what == "image/timestamp"
    # The first copy was left for another because of its age, and each of the others because it was refused.
    assert places.elsewhere == [FetchElsewhere(TIMESTAMP_FETCH, error) for error in (None, late, malformed)]
    assert timestamp_of(found) == (3, newer)


def test_another_timestamp_under_a_trusted_version_is_the_reason_to_ask(publisher: Publisher) -> None:
    trusted, _ = publisher.refresh(timedelta(0))
    kept = publisher.files["timestamp.json"]
    split = publisher.timestamp(2, START, expires=START + timedelta(days=3))
    publisher.image.put("timestamp", data=split)
    newer = publisher.timestamp(3, START + HALF)
    for others, version, reasons in (
        ([], 2, [True]),
        ([newer], 3, [True]),
        ([kept, newer], 3, [True, False]),
        ([split, newer], 3, [True, True]),
    ):
        found, places = publisher.refresh(HALF + SECOND, *map(at, others), trusted=trusted)
        assert timestamp_of(found) == (version, newer if version == 3 else kept)
        assert [command.fetch for command in places.elsewhere] == len(reasons) * [TIMESTAMP_FETCH]
        errors = [command.error for command in places.elsewhere]
        assert [error is not None for error in errors] == reasons
        told = [error for error in errors if error is not None]
        assert places.notices == told
        for error in told:
            assert isinstance(error, EquivocationError)
            assert error.fields() == {"repository": IMAGE, "role": TIMESTAMP, "version": 2}


def test_an_old_timestamp_that_is_trusted_already_is_stored_once(publisher: Publisher) -> None:
    trusted, _ = publisher.refresh(timedelta(0))
    found, places = publisher.refresh(timedelta(hours=20), at(publisher.files["timestamp.json"]), trusted=trusted)
    assert len(places.elsewhere) == 2
    assert found == trusted
    assert places.persisted == []


# a copy that is refused


def garbled(publisher: Publisher, name: str) -> bytes:
    """The file of that name with its signature broken; as long as the right one."""
    signature = b'"sig":"'
    before, _, after = publisher.files[name].partition(signature)
    return before + signature + b"00" * 64 + after[128:]


FILES = [
    ("2.root.json", Fetch(IMAGE, ROOT, 2, "2.root.json", DEFAULT_LIMITS.root_bytes)),
    ("timestamp.json", TIMESTAMP_FETCH),
    ("1.targets.json", Fetch(IMAGE, TARGETS, 1, "1.targets.json", DEFAULT_LIMITS.unlisted_bytes)),
]


@pytest.mark.parametrize(("name", "fetch"), FILES)
def test_each_place_is_told_why_the_copy_before_was_refused(publisher: Publisher, name: str, fetch: Fetch) -> None:
    publisher.image.rotate("root")
    right = publisher.files[name]
    publisher.image.files[name] = garbled(publisher, name)
    found, places = publisher.refresh(timedelta(0), {name: b"{}"}, {name: right})
    assert [command.fetch for command in places.elsewhere] == [fetch, fetch]
    assert [type(command.error) for command in places.elsewhere] == [ThresholdError, MalformedError]
    assert found.root.signed.version == 2
    assert timestamp_of(found) == (3, publisher.image.history["timestamp"][-1])
    assert (places.notices, found.targets is not None) == ([], True)


@pytest.mark.parametrize(("name", "fetch"), FILES)
def test_the_first_refusal_counts_where_no_place_has_a_right_copy(
    publisher: Publisher, name: str, fetch: Fetch
) -> None:
    publisher.image.rotate("root")
    publisher.image.files[name] = garbled(publisher, name)
    places = Places(publisher.files, {name: b"{}"}, {name: b"[]"})
    with pytest.raises(ThresholdError) as caught:
        drive(refresh_repository(publisher.anchor, START), places.answer)
    assert (caught.value.repository, caught.value.role) == (IMAGE, fetch.role)
    assert places.elsewhere[0].error is caught.value
    assert [command.fetch for command in places.elsewhere] == 3 * [fetch]


@pytest.mark.parametrize(("name", "fetch"), FILES)
def test_a_copy_of_another_place_is_bounded_as_the_first_is(publisher: Publisher, name: str, fetch: Fetch) -> None:
    publisher.image.rotate("root")
    publisher.image.files[name] = garbled(publisher, name)
    endless = Places(publisher.files, {name: b" " * (fetch.max_bytes + 1)})
    with pytest.raises(LimitError) as caught:
        drive(refresh_repository(publisher.anchor, START), endless.answer)
    assert caught.value.fields() == {
        "what": f"image/{fetch.role} in bytes",
        "value": fetch.max_bytes + 1,
        "limit": fetch.max_bytes,
    }
    assert caught.value.clause == fetch.clause
    full = Places(publisher.files, {name: b" " * fetch.max_bytes})
    with pytest.raises(ThresholdError):
        drive(refresh_repository(publisher.anchor, START), full.answer)


def test_a_root_of_another_version_sends_to_the_next_place(publisher: Publisher) -> None:
    publisher.image.rotate("root")
    publisher.image.rotate("root", 3)
    right = publisher.files["2.root.json"]
    publisher.image.files["2.root.json"] = publisher.anchor.root.data
    found, places = publisher.refresh(timedelta(0), {"2.root.json": right})
    (command,) = places.elsewhere
    assert command.fetch == FILES[0][1]
    assert isinstance(command.error, RootVersionError)
    assert command.error.fields() == {"repository": IMAGE, "offered": 1, "expected": 2}
    assert found.root.signed.version == 3


def test_the_snapshot_is_asked_for_again_with_the_length_that_is_listed(publisher: Publisher) -> None:
    right = publisher.files["1.snapshot.json"]
    publisher.image.files["1.snapshot.json"] = garbled(publisher, "1.snapshot.json")
    found, places = publisher.refresh(timedelta(0), {"1.snapshot.json": right})
    (command,) = places.elsewhere
    assert command.fetch == Fetch(IMAGE, SNAPSHOT, 1, "1.snapshot.json", len(right))
    assert found.snapshot is not None
    assert found.snapshot.data == right
