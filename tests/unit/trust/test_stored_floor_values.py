"""A stored floor at its bounds, and the same bytes for the same floor."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone

import pytest

from twinlock.trust.errors.metadata import MalformedError
from twinlock.trust.limits import DEFAULT_LIMITS
from twinlock.trust.model.base import NOTHING
from twinlock.trust.names import SNAPSHOT, TARGETS, TIMESTAMP, RoleName
from twinlock.trust.state.floors import Floor
from twinlock.trust.state.stored_floor import decode_floor, encode_floor
from twinlock.trust.wire.json.cursor import MAX_INTEGER

CONTENT = hashlib.sha256(b"content").digest()
KEYS = frozenset(hashlib.sha256(bytes([number])).digest() for number in range(16))
FLOOR = Floor(1, CONTENT, 1, {TARGETS: KEYS}, {SNAPSHOT: 1}, datetime(2030, 1, 1, tzinfo=UTC))


def test_keys_are_written_in_order() -> None:
    written = json.loads(encode_floor(FLOOR))["material"]["targets"]
    assert written == sorted(key.hex() for key in KEYS)


def test_a_floor_may_list_more_roles_than_a_report_has_values() -> None:
    lists = {RoleName(f"bin-{number:05x}"): 1 for number in range(DEFAULT_LIMITS.report_values)}
    floor = FLOOR._replace(lists=lists)
    assert decode_floor(encode_floor(floor), "floor") == floor


@pytest.fixture
def far_east(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine whose local time is nine hours ahead."""
    monkeypatch.setenv("TZ", "JST-9")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("far_east")
def test_a_time_is_written_in_utc_whatever_its_zone_and_that_of_the_machine() -> None:
    east = FLOOR._replace(issued=datetime(2030, 1, 1, 9, tzinfo=timezone(timedelta(hours=9))))
    assert json.loads(encode_floor(east))["issued"] == "2030-01-01T00:00:00Z"
    assert encode_floor(east) == encode_floor(FLOOR)


def test_what_is_empty_is_read_as_nothing() -> None:
    found = decode_floor(encode_floor(FLOOR._replace(material={}, lists={})), "floor")
    assert found.material is NOTHING
    assert found.lists is NOTHING


@pytest.mark.parametrize("version", [1, MAX_INTEGER])
def test_versions_are_positive_integers_up_to_the_bound(version: int) -> None:
    floor = FLOOR._replace(version=version, root=version, lists={TIMESTAMP: version})
    assert decode_floor(encode_floor(floor), "floor") == floor


@pytest.mark.parametrize("version", [0, -1, MAX_INTEGER + 1])
@pytest.mark.parametrize(("member", "place"), [("version", "$.version"), ("root", "$.root"), ("lists", "$.lists")])
def test_any_other_version_is_refused_at_its_place(member: str, place: str, version: int) -> None:
    changed = {"version": 1, "root": 1, "lists": {SNAPSHOT: 1}}
    changed[member] = {SNAPSHOT: version} if member == "lists" else version
    data = json.dumps(json.loads(encode_floor(FLOOR)) | changed).encode()
    with pytest.raises(MalformedError) as caught:
        decode_floor(data, "floor")
    assert (caught.value.what, caught.value.json_path) == ("floor", place)
