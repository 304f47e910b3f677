"""How many values JSON text holds, and that text which cannot hold too many, or no escape, is not looked through."""

from __future__ import annotations

import sys

import pytest

from twinlock.trust.errors.metadata import LimitError
from twinlock.trust.wire.json.prescan import _LONE_SURROGATE, _more_than, check_values, count_values, has_lone_surrogate


def _looks() -> int:
    found = _more_than.cache_info()
    return found.hits + found.misses


@pytest.mark.parametrize(
    ("text", "most"),
    [
        ("1", 1),
        ("[[[", 3),
        (",,,", 4),
        ('"aaaaaaaa"', 1),
        ('{"a":[1,2]}', 4),
        ('["aaaaaaaa"]', 2),
        ('{"aaaaaa":1}', 2),
        ("[1,2,345678]", 4),
    ],
)
def test_text_that_cannot_hold_too_many_values_is_not_looked_through(text: str, most: int) -> None:
    before = _looks()
    check_values(text, most, "here")
    assert _looks() == before


@pytest.mark.parametrize("text", ["[1,2]", '{"a":1,"b":2}', '[{"a":1}]', "[[[1]]]", "[[],1]", '{"a":{"b":[]}}'])
def test_one_value_too_many_is_refused(text: str) -> None:
    values = count_values(text.encode())
    assert values == 1 + sum(map(text.count, ",[{"))
    check_values(text, values, "here")
    for most in range(1, values):
        with pytest.raises(LimitError) as refused:
            check_values(text, most, "here")
        assert refused.value.fields() == {"what": "here: JSON values", "value": most + 1, "limit": most}


@pytest.mark.parametrize(
    ("text", "values"),
    [("1", 1), ('"a"', 1), ('"[{,"', 1), ("[1]", 2), ("[1,2,3]", 4), ('{"a":"b","c":"\\","}', 3), ('["a","b"]', 3)],
)
def test_values_are_counted_outside_of_strings(text: str, values: int) -> None:
    assert count_values(text.encode()) == values


@pytest.mark.parametrize(
    ("text", "start", "end", "looks", "lone"),
    [
        ('"\\ud800"', 0, 8, 1, True),
        ("\\ud800", 0, 6, 1, True),
        ('"\\ud83d\\ude97"', 0, 14, 1, False),
        ('"\\u0041"', 0, 8, 1, False),
        ('"a"', 0, 3, 0, False),
        ('"\\n"', 0, 4, 0, False),
        ('["\\ud800",1]', 10, 11, 0, False),
        ('[1,"\\ud800"]', 1, 2, 0, False),
    ],
)
def test_a_lone_surrogate_is_looked_for_only_where_there_is_an_escape(
    text: str, start: int, end: int, looks: int, lone: bool
) -> None:
    found = []

    def note(_frame: object, event: str, function: object) -> None:
        if event == "c_call" and getattr(function, "__self__", None) is _LONE_SURROGATE:
            found.append(function)

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        assert has_lone_surrogate(text, start, end) is lone
    finally:
        sys.setprofile(before)
    assert len(found) == looks
