"""The depth of JSON text, and that no text makes counting it, or any regular expression of ours, take more than one pass."""

from __future__ import annotations

import json

import pytest

from twinlock.trust.errors.base import TwinlockError
from twinlock.trust.wire.json.brackets import depths, is_deeper
from twinlock.trust.wire.json.parser import parse_envelope

LONG = 150_000


@pytest.mark.parametrize(
    ("text", "levels"),
    [("1", 0), ("[]", 1), ('{"a":[{"b":[]}]}', 4), ('"[[[["', 0), ('["\\"[[", "]"]', 1), ('["\\\\",[[]]]', 3)],
)
def test_depth_is_counted_outside_strings(text: str, levels: int) -> None:
    assert max(depths(text), default=0) == levels
    assert is_deeper(text.encode(), levels - 1) is (levels > 0)
    assert not is_deeper(text.encode(), levels)
    json.loads(text)


def test_depth_is_counted_from_one_place_to_another() -> None:
    assert [*depths("[[]]]", 1, 4)] == [1, 0, -1]
    assert [*depths('["[[[')] == [1]
    assert [*depths('["\\\n"]')] == [1, 0]


@pytest.mark.timeout(20)
@pytest.mark.parametrize("first", ['{"signatures":["', '{"other":["', '{"signed":{},"signatures":["'])
def test_a_string_without_end_is_looked_through_once(first: str) -> None:
    """310 kB of an attacker without keys held every reader for twenty minutes."""
    with pytest.raises(TwinlockError):
        parse_envelope((first + '\\"' * LONG + " " * 70_000).encode(), "timestamp", 10_000_000)


@pytest.mark.timeout(20)
def test_a_report_of_one_string_without_end_is_looked_through_once() -> None:
    assert not is_deeper(b'["' + b'\\"' * 1_700_000, 32)
