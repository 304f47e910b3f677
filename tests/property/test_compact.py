"""Whatever text it is given: where the quick reader of large objects says anything, the careful one says the same."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from twinlock.trust.wire.json.parser import LocatedMembers, parse_envelope
from twinlock.trust.wire.json.scan import locate_plain

CHARS = st.characters(codec="utf-8", exclude_categories=["Cs"])
LEAVES = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.text(CHARS, max_size=4)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(CHARS, max_size=3), inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.dictionaries(st.text(CHARS, max_size=3), VALUES, min_size=1, max_size=4)
PIECES = st.sampled_from(
    ["", " ", "\n", "\x00", "\\", '"', "{", "}", "[", "]", ",", ":", "0", "-", ".", "e", "null", "é"]
)


def careful(text: str) -> LocatedMembers:
    found = parse_envelope(f'{{"signatures":[],"signed":{{"x":{text}}}}}'.encode(), "x", 10**6, locate="x").signed["x"]
    assert isinstance(found, LocatedMembers)
    return found


def agree(text: str) -> bool:
    """Whether the quick reader took ``text``; it has to be right about all that it says."""
    quick = locate_plain(text, 0)
    if quick is None:
        return False
    places, end = quick
    slow = careful(text[:end])
    begin = slow.text.index(text[:end])
    assert [(name, place + begin) for name, place in places.items()] == list(slow.places.items())
    return True


@given(OBJECTS)
def test_of_any_object(value: dict[str, Any]) -> None:
    agree(json.dumps(value, separators=(",", ":"), ensure_ascii=False))


@given(OBJECTS, st.data())
def test_of_any_object_damaged_in_one_place(value: dict[str, Any], data: st.DataObject) -> None:
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    place = data.draw(st.integers(0, len(text)))
    agree(text[:place] + data.draw(PIECES) + text[place + data.draw(st.integers(0, 1)) :])


@given(st.text(st.sampled_from('{}[]",:0123-.e\\ntrulafs \n'), max_size=30))
def test_of_any_text(text: str) -> None:
    agree('{"a":' + text)
