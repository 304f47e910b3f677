"""Where the members of a large object are: by which of three readers they are found, and what each gives."""

from __future__ import annotations

from typing import Any

import pytest

from tests.counted_calls import counted
from twinlock.trust.errors.metadata import MalformedError
from twinlock.trust.wire.json.parser import LocatedMembers, _locate, _locate_compact, _parse_object
from twinlock.trust.wire.json.scan import WORTH_IT, locate_plain


@pytest.mark.parametrize(
    ("text", "places", "end"),
    [
        ('{"a":1}', {"a": 5}, 7),
        ('{"a":1}}', {"a": 5}, 7),
        ('{"a":{"b":[{}]},"":"}","\\u00e4\\n":null}', {"a": 5, "": 19, "ä\n": 34}, 39),
        ('{"a":[ 1, 2 ],"b":{ }}', {"a": 5, "b": 18}, 22),
        ('{"a":"\\ud83d\\ude97"}', {"a": 5}, 20),
    ],
)
@pytest.mark.parametrize("before", ["", "{", '"{ '])
def test_the_members_of_compact_text_are_found(before: str, text: str, places: dict[str, int], end: int) -> None:
    shift = len(before)
    moved = {name: place + shift for name, place in places.items()}
    assert _locate_compact(before + text, shift) == (moved, end + shift)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "[1]",
        "}",
        "1",
        '"a"',
        '["a":1}',
        "{}",
        "{",
        '{"a"',
        '{"a":',
        '{"a":1',
        '{"a":1,',
        '{"a":1,}',
        '{,"a":1}',
        '{"a":}',
        "{1:2}",
        '{"a"1}',
        '{"a";1}',
        '{"a":1;"b":2}',
        '{"a":1]',
        '{"a":1,"a":2}',
        '{"a":1,"b":1,"\\u0061":2}',
        '{"a":1 }',
        '{ "a":1}',
        '{"a" :1}',
        '{"a": 1}',
        '{"a":1, "b":1}',
        '{"a":1.5}',
        '{"a":NaN}',
        '{"a":"\x01"}',
        '{"a\x01":1}',
        '{"a":' + "[" * 100_000,
        '{"a":' + "9" * 5_000 + "}",
    ],
    ids=lambda text: text[:20],
)
def test_what_is_not_compact_or_not_json_is_left_to_the_careful_reader(text: str) -> None:
    assert _locate_compact(text, 0) is None


def _members(spare: int, *, space: str = "", escape: str = "") -> str:
    """An object of so many characters more than make the pattern worth it."""
    frame = f'{{"a":{space}1,"b":"{escape}%s"}}'
    return frame % ("x" * (WORTH_IT + spare - len(frame) + 2))


@pytest.mark.parametrize("before", ["", "[[]"])
@pytest.mark.parametrize(
    ("text", "readers"),
    [
        (_members(-1), {"compact": 1}),
        (_members(0), {"plain": 1}),
        (_members(1), {"plain": 1}),
        (_members(0, escape="\\n"), {"plain": 1, "compact": 1}),
        (_members(-1, space=" "), {"compact": 1, "careful": 1}),
        (_members(0, space=" "), {"plain": 1, "compact": 1, "careful": 1}),
    ],
    ids=["small", "just large", "large", "large with an escape", "small with space", "large with space"],
)
def test_each_form_has_its_reader_and_all_of_them_find_the_same(
    before: str, text: str, readers: dict[str, int]
) -> None:
    with counted(plain=locate_plain, compact=_locate_compact, careful=_parse_object) as calls:
        members, end = _locate(before + text, len(before), "here", "$.signed.targets")
    first = len(before) + text.index("1")
    second = len(before) + text.index('"', text.index('"b"') + 3)
    expected = LocatedMembers({"a": first, "b": second}, before + text, "here", "$.signed.targets")
    assert (members, end) == (expected, len(before) + len(text))
    assert calls == readers


@pytest.mark.parametrize(
    ("text", "path", "reason"),
    [
        ('{"a":1.5}', "$.t['a']", "the number 1.5 is not an integer"),
        ('{"a": "\\ud800"}', "$.t['a']", "a string holds a lone surrogate"),
        ('{"a":1,"a":2}', "$.t", "the member 'a' appears twice"),
        ("[1]", "$.t", "'{' is required at character 0, found '['"),
        ('{"a":1]', "$.t", "'}' is required at character 6, found ']'"),
        ('{"a":1', "$.t", "'}' is required at character 6, found 'the end'"),
    ],
)
def test_a_fault_is_named_with_its_file_and_place(text: str, path: str, reason: str) -> None:
    with pytest.raises(MalformedError) as refused:
        _locate(text, 0, "here", "$.t")
    assert refused.value.fields() == {"what": "here", "json_path": path, "reason": reason}


@pytest.mark.parametrize("space", ["", " "])
@pytest.mark.parametrize("inside", ['{"b":1,"b":2}', '{"b":"\\ud800"}', '[[{"b":"\\ud800","b":1}]]'])
def test_a_fault_inside_of_a_member_is_found_when_it_is_read(inside: str, space: str) -> None:
    """One bad entry spoils no others."""
    text = f'{{"a":{space}{{"b":{inside}}},"c":[3]}}'
    members, end = _locate(text, 0, "here", "$.t")
    assert (members.read("c"), end) == ([3], len(text))
    with pytest.raises(MalformedError) as refused:
        members.read("a")
    fields = refused.value.fields()
    assert (fields["what"], fields["json_path"]) == ("here", "$.t['a']")
    with pytest.raises(KeyError):
        members.read("d")


@pytest.mark.parametrize("value", ['"\\ud800"', '["\\udfff"]'])
def test_a_member_that_is_no_object_is_judged_at_once_by_the_careful_reader(value: str) -> None:
    found: Any
    with pytest.raises(MalformedError) as refused:
        found = _locate(f'{{"a": {value}}}', 0, "here", "$.t")
        assert found is None
    assert refused.value.fields()["json_path"] == "$.t['a']"
