"""The quick way through a file in the form that publishers write: what it takes, and that it is indeed taken."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.counted_calls import counted
from twinlock.trust.errors.metadata import LimitError, MalformedError
from twinlock.trust.limits import DEFAULT_LIMITS
from twinlock.trust.wire.json.parser import (
    _any_members,
    _member_name,
    _parse_object,
    _parse_value,
    _parse_whole,
    _skip,
    _usual_members,
    parse_envelope,
)

USUAL = '{"signatures":[],"signed":{"a":1}}'
SIGNATURES = '[{"keyid":"k","sig":"]\\"}"}]'


def _unbounded(name: str, start: int) -> None:
    assert (name, start) == ("signatures", 14)


def _quick(text: str) -> Any:
    return _usual_members(text, lambda start: _parse_value(text, start, "here", "$"), _unbounded)


@pytest.mark.parametrize("end", ["}", "}\n"])
@pytest.mark.parametrize("signed", ['{"a":1}', "{}", '{ "b":"}" }'])
@pytest.mark.parametrize("signatures", ["[]", "[ 1 ]", SIGNATURES])
def test_the_usual_form_gives_both_members_and_where_the_signed_one_is(signatures: str, signed: str, end: str) -> None:
    text = f'{{"signatures":{signatures},"signed":{signed}{end}'
    members, span = _quick(text)
    assert members == {"signatures": json.loads(signatures), "signed": json.loads(signed)}
    assert text[span] == signed


@pytest.mark.parametrize(
    "text",
    [
        "",
        " " + USUAL,
        '{"signatures":{},"signed":{"a":1}}',
        '{"signatures":1,"signed":{"a":1}}',
        '{"signed":{"a":1},"signatures":[]}',
        '{"signatures":[1.5],"signed":{"a":1}}',
        '{"signatures":[],"signer":{"a":1}}',
        '{"signatures":[] ,"signed":{"a":1}}',
        '{"signatures":[],"signed" :{"a":1}}',
        '{"signatures":[],"signed":{"a":1} }',
        '{"signatures":[],"signed":{"a":1},"x":1}',
        '{"signatures":[],"signed":{"a":1}}\r',
        '{"signatures":[],"signed":{"a":1}}\n\n',
        '{"signatures":[],"signed":{"a":1}}}',
        '{"signatures":[],"signed":{"a":1}',
    ],
)
def test_every_other_form_is_left_to_the_careful_reader(text: str) -> None:
    assert _quick(text) is None


@pytest.mark.parametrize("end", ["", "\n"])
def test_a_usual_file_is_read_in_one_go(end: str) -> None:
    with counted(careful=_any_members, members=_parse_object) as calls:
        raw = parse_envelope((USUAL + end).encode(), "here", 1_000)
    assert calls == {}
    assert raw == ({"a": 1}, b'{"a":1}', [], (USUAL + end).encode())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"a":[1]}', ({"a": [1]}, 9)),
        ("{}", ({}, 2)),
        ('{"a":1}x', ({"a": 1}, 7)),
        ("[]", None),
        ("1", None),
        ("null", None),
        ("", None),
        ('{"a":1.5}', None),
        ('{"a":1', None),
        ('{"a":1,"a":1}', None),
        ('{"a":"\\ud800"}', None),
    ],
)
def test_an_object_is_read_whole_or_left_to_the_careful_reader(text: str, expected: Any) -> None:
    assert _parse_whole(text, 0) == expected
    moved = None if expected is None else (expected[0], expected[1] + 2)
    assert _parse_whole("]," + text, 2) == moved


@pytest.mark.parametrize(("text", "looks"), [('"a":1', 1), ('"a": 1', 1), ('"a" : 1', 2), ('"a"\n:1', 2)])
def test_white_space_before_a_colon_is_looked_for_only_where_no_colon_follows(text: str, looks: int) -> None:
    with counted(skip=_skip) as calls:
        assert _member_name(text, 0, "here", "$") == ("a", text.index("1"))
    assert calls == {"skip": looks}


@pytest.mark.parametrize(
    ("data", "values"),
    [
        (b'{"signatures":[],"signed":{"a":[1,2,3]}}', 8),
        (b'{"signed":{"a":[{},{},{}]},"signatures":[]}', 11),
    ],
)
def test_the_values_of_a_file_are_counted_before_any_is_built(data: bytes, values: int) -> None:
    assert parse_envelope(data, "here", 1_000, max_values=values).data == data
    with counted(built=_parse_value) as calls, pytest.raises(LimitError) as refused:
        parse_envelope(data, "here", 1_000, max_values=values - 1)
    assert calls == {}
    assert refused.value.fields() == {"what": "here: JSON values", "value": values, "limit": values - 1}


def test_without_a_bound_of_its_own_a_file_has_the_values_that_its_length_permits() -> None:
    most = DEFAULT_LIMITS.metadata_values
    data = b'{"signatures":[],"signed":{"a":[' + b"1," * (most - 4) + b"1]}}"
    with counted(built=_parse_value) as calls, pytest.raises(LimitError) as refused:
        parse_envelope(data, "here", len(data))
    assert calls == {}
    assert refused.value.fields() == {"what": "here: JSON values", "value": most + 1, "limit": most}


def test_every_form_of_a_file_is_utf8() -> None:
    for text in (USUAL, USUAL + "\n", f'{{ "signed": {{"a": 1}}, "x": {{}}, "signatures": {SIGNATURES} }}'):
        assert parse_envelope(text.encode(), "here", 1_000).signed == {"a": 1}
        with pytest.raises(MalformedError) as refused:
            parse_envelope(text.encode() + b"\xff", "here", 1_000)
        expected = {"what": "here", "json_path": "$", "reason": f"not UTF-8 at byte {len(text)}"}
        assert refused.value.fields() == expected
