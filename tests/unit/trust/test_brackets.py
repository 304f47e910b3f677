"""The depth of JSON text, and that no text makes counting it, or any regular expression of ours, take more than one pass."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any

import pytest

from tests.architecture.source import PARTS, part_modules
from twinlock.trust.errors.base import TwinlockError
from twinlock.trust.wire.json.brackets import depths, is_deeper
from twinlock.trust.wire.json.parser import parse_envelope

LONG = 150_000
# Patterns that look again at what they have seen, with the most characters that their callers hand them.
BOUNDED = {"twinlock.trust.wire.aktualizr.patterns._WILDCARD.finditer": 1_024}
BAD = (
    '"' + '\\"' * LONG,
    "\\" * LONG,
    '"' * LONG,
    "[" * LONG,
    "[!" * LONG,
    " " * LONG,
    "a" * LONG,
    "1" * LONG,
    "a." * LONG,
    ">=" * LONG,
)


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


def patterns() -> Iterator[tuple[str, Callable[[str], object]]]:
    """Each regular expression of a module of ours, in each way in which the module uses it."""
    for part in PARTS:
        for module in part_modules(part):
            if module.name.endswith("__main__") or "re.compile" not in module.text:
                continue
            for name, pattern in vars(import_module(module.name)).items():
                if isinstance(pattern, re.Pattern):
                    for method in ("match", "fullmatch", "search", "finditer", "findall", "sub", "split"):
                        if f"{name}.{method}(" in module.text:
                            yield f"{module.name}.{name}.{method}", use(pattern, method)


def use(pattern: re.Pattern[Any], method: str) -> Callable[[str], object]:
    def used(text: str) -> object:
        subject = text if isinstance(pattern.pattern, str) else text.encode()
        if method == "sub":
            return pattern.sub(subject[:0], subject)
        result = getattr(pattern, method)(subject)
        return sum(1 for _ in result) if method == "finditer" else result

    return used


@pytest.mark.timeout(60)
@pytest.mark.parametrize(("name", "used"), [pytest.param(*item, id=item[0]) for item in patterns()])
def test_no_regular_expression_takes_more_than_one_pass(name: str, used: Callable[[str], object]) -> None:
    for bad in BAD:
        used(bad[: BOUNDED.get(name)])


def test_there_are_regular_expressions_to_try() -> None:
    assert len([*patterns()]) > 20
