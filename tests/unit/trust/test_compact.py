"""The quick way to find the members of a large object: what it takes, and what it leaves to the careful reader."""

from __future__ import annotations

import json
from typing import Any

import pytest

from twinlock.trust.errors.metadata import MalformedError
from twinlock.trust.wire.json.parser import LocatedMembers, parse_envelope
from twinlock.trust.wire.json.scan import WORTH_IT, _member, locate_plain

DEEPEST: Any = {"custom": {"ecuIdentifiers": {"ecu-1": {"hardwareId": "hw"}}, "ids": [1, "b", None]}}
USUAL: tuple[dict[str, Any], ...] = (
    {"a": {}},
    {"a": 1},
    {"a": ""},
    {"a": 0, "b": -7, "c": 10, "d": 123456789012345678},
    {"a": True, "b": False, "c": None},
    {"a": [], "b": ["x"], "c": [1, 2, "z", True, None]},
    {"a": {"b": {}}, "c": {"d": [], "e": {}}},
    {"a": {"b": {"c": {"d": [1, "x"], "e": 2}}}},
    {"a": DEEPEST, "b": DEEPEST},
    {"": 1, "ä€😀": {"ö": "ü"}, "{": "}", "[": "]", ",": ":,", "\x7f": " "},
)


@pytest.fixture(autouse=True)
def _compiled_anew() -> None:
    _member.cache_clear()  # so that each test is one of how the pattern is made, too


def compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


@pytest.mark.parametrize("value", USUAL, ids=compact)
@pytest.mark.parametrize(("before", "after"), [("", ""), ("\n{x", "}\n"), ("", ',"z":[}')])
def test_each_member_is_found_where_its_value_begins(value: Any, before: str, after: str) -> None:
    text = before + compact(value) + after
    located = locate_plain(text, len(before))
    assert located is not None
    places, end = located
    assert end == len(text) - len(after)
    assert list(places) == list(value)
    assert [json.JSONDecoder().raw_decode(text, place)[0] for place in places.values()] == list(value.values())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '["a":1}',
        ' {"a":1}',
        "{}",
        "{",
        '{"a"',
        '{"a":',
        '{"a":1',
        '{"a":1,',
        '{"a":1,}',
        '{,"a":1}',
        '{"a":}',
        '{"a":1,"a":2}',
        '{"a":1 }',
        '{ "a":1}',
        '{"a" :1}',
        '{"a": 1}',
        "{a:1}",
        '{"a":01}',
        '{"a":-}',
        '{"a":+1}',
        '{"a":1.0}',
        '{"a":1e3}',
        '{"a":NaN}',
        '{"a":nul}',
        '{"a":1234567890123456789}',
        '{"a":"}',
        '{"a":"x\\"}',
        '{"a\\u0041":1}',
        '{"a":"\x01"}',
        '{"a":"\x1f"}',
        '{"a":"\n"}',
        '{"a\t":1}',
        '{"a":[1,]}',
        '{"a":[,1]}',
        '{"a":[1 ]}',
        '{"a":[1}',
        '{"a":{"b":1,}}',
        '{"a":{,"b":1}}',
        '{"a":{"b":1]}',
        '{"a":{"b"}}',
        '{"a":{"b":{"c":{"d":{"e":{}}}}}}',
        '{"a":[[]]}',
        '{"a":[{}]}',
    ],
)
def test_every_other_form_is_left_to_the_careful_reader(text: str) -> None:
    assert locate_plain(text, 0) is None
    assert locate_plain(text + "\n", 0) is None


def test_a_line_break_may_end_the_file_and_stand_nowhere_else() -> None:
    assert locate_plain('{"a":1}\n', 0) == ({"a": 5}, 7)
    assert locate_plain('{"a":1}\n ', 0) is None


def _file(targets: str) -> bytes:
    return f'{{"signatures":[],"signed":{{"targets":{targets}}}}}'.encode()


def _located(data: bytes) -> LocatedMembers:
    found = parse_envelope(data, "x", len(data), locate="targets").signed["targets"]
    assert isinstance(found, LocatedMembers)
    return found


@pytest.mark.parametrize("more", ["", ',"deep":[[1]]', ',"escaped":"\\n"', ',"spaced": 1'])
def test_a_large_file_is_read_the_same_in_every_form(more: str) -> None:
    members = {f"image-{number}": {"length": number} for number in range(WORTH_IT // 20)}
    located = _located(_file(compact(members)[:-1] + more + "}"))
    assert list(located.places)[: len(members)] == list(members)
    assert [located.read(name) for name in members] == list(members.values())
    assert len(located.places) == len(members) + bool(more)


@pytest.mark.parametrize("fault", [',"z":1.5', ',"image-1":1', ',"z":01', ',"z":"\x01"', ","])
def test_a_fault_in_a_large_file_is_named(fault: str) -> None:
    members = {f"image-{number}": {"length": number} for number in range(WORTH_IT // 20)}
    with pytest.raises(MalformedError) as caught:
        _located(_file(compact(members)[:-1] + fault + "}"))
    assert caught.value.json_path.startswith("$.signed.targets")
