"""Files of ours are read against their declared shape, and a fault names the file, the member and what it should be."""

from __future__ import annotations

from typing import Annotated, Any

import pytest
from msgspec import UNSET, Meta, UnsetType

from twinlock.io.files.records import (
    MemberError,
    Record,
    RecordError,
    UnknownMemberError,
    plain,
    read_record,
    record_bytes,
    to_record,
)
from twinlock.trust.errors.local import NewerStateError

FILE = "place/config.json"


class Inner(Record, frozen=True, kw_only=True):
    """An object inside."""

    root: Annotated[int, Meta(ge=1)] = 1
    time_source: str | UnsetType = UNSET


class Outer(Record, frozen=True, kw_only=True):
    """A file."""

    format: int
    name: str
    inner: Inner = Inner()
    listed: tuple[Inner, ...] = ()
    named: dict[str, Inner | None] | UnsetType = UNSET
    flag: bool = False


GOOD: dict[str, Any] = {"format": 1, "name": "x"}


def error_of(body: Any) -> RecordError:
    with pytest.raises(RecordError) as caught:
        to_record(body, FILE, Outer)
    assert (caught.value.path, caught.value.operation, caught.value.code) == (FILE, "read", "storage")
    return caught.value


def test_a_record_is_read_and_written_alike() -> None:
    data = b'{\n  "format": 1,\n  "name": "\\u00fc",\n  "inner": {\n    "root": 3,\n    "timeSource": "t"\n  },\n'
    data += b'  "listed": [],\n  "named": {\n    "a": null\n  },\n  "flag": true\n}\n'
    record = read_record(data, FILE, Outer, newest=1)
    assert record == Outer(
        format=1, name="ü", inner=Inner(root=3, time_source="t"), listed=(), named={"a": None}, flag=True
    )
    assert record_bytes(record) == data


def test_a_member_that_is_unset_is_not_written() -> None:
    assert plain(Inner(root=2)) == {"root": 2}


@pytest.mark.parametrize(
    ("body", "member", "nearest"),
    [
        ({**GOOD, "nme": "x"}, "nme", "name"),
        ({**GOOD, "inner": {"rot": 1}}, "inner.rot", "inner.root"),
        ({**GOOD, "inner": {"timesource": "t"}}, "inner.timesource", "inner.timeSource"),
        ({**GOOD, "listed": [{}, {"roots": 1}]}, "listed[1].roots", "listed[1].root"),
        ({**GOOD, "named": {"a": {"roots": 1}}}, "named[...].roots", "named[...].root"),
        ({**GOOD, "zzz": 1}, "zzz", ""),
    ],
)
def test_an_unknown_member_is_named_with_the_nearest_known_one(body: Any, member: str, nearest: str) -> None:
    error = error_of(body)
    assert isinstance(error, UnknownMemberError)
    assert (error.member, error.nearest) == (member, nearest)
    assert member in str(error)
    assert FILE in str(error)
    assert nearest in str(error)


@pytest.mark.parametrize(
    ("body", "member", "told"),
    [
        ({"format": 1}, "name", "is missing"),
        ({**GOOD, "name": 3}, "name", "has to be a text, not 3"),
        ({**GOOD, "flag": "false"}, "flag", 'has to be true or false, not "false"'),
        ({**GOOD, "flag": 1}, "flag", "has to be true or false, not 1"),
        ({**GOOD, "format": True}, "format", "has to be a whole number, not true"),
        ({**GOOD, "inner": {"root": "1"}}, "inner.root", 'has to be a whole number, not "1"'),
        ({**GOOD, "inner": {"root": 0}}, "inner.root", "has to be a whole number >= 1, not 0"),
        ({**GOOD, "inner": None}, "inner", "has to be an object, not null"),
        ({**GOOD, "named": {"a": []}}, "named[...]", "has to be an object or null"),
        ({**GOOD, "listed": [{"root": {}}]}, "listed[0].root", "has to be a whole number, not {}"),
    ],
)
def test_a_wrong_value_is_named_with_what_it_has_to_be(body: Any, member: str, told: str) -> None:
    error = error_of(body)
    assert isinstance(error, MemberError)
    assert not isinstance(error, UnknownMemberError)
    assert (error.member, error.reason) == (member, told)
    assert f"{FILE}: {member} {told}" in str(error)


def test_what_is_no_object_has_no_member() -> None:
    assert error_of([]).reason == "the content has to be an object, not []"


def test_a_long_wrong_value_is_cut() -> None:
    assert len(error_of({**GOOD, "name": ["x" * 10_000]}).reason) < 120


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"\xff",
        b"[]",
        b"3",
        b'{"format": 1, "format": 1}',
        b'{"format": 1.0}',
        b"[" * 100_000,
        b'{"a": "\\ud800"}',
    ],
)
def test_what_is_no_json_object_is_told(data: bytes) -> None:
    with pytest.raises(RecordError) as caught:
        read_record(data, FILE, Outer, newest=1)
    assert caught.value.path == FILE


@pytest.mark.parametrize("form", ['"1"', "true", "null", "[]"])
def test_a_format_is_a_whole_number(form: str) -> None:
    with pytest.raises(MemberError) as caught:
        read_record(f'{{"format": {form}}}'.encode(), FILE, Outer, newest=1)
    assert caught.value.member == "format"


def test_a_newer_format_is_told_before_its_members_are_looked_at() -> None:
    with pytest.raises(NewerStateError) as caught:
        read_record(b'{"format": 2, "new": 1}', FILE, Outer, newest=1)
    assert (caught.value.path, caught.value.found, caught.value.supported) == (FILE, 2, 1)
