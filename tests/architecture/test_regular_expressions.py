"""Every regular expression of ours takes one pass over any text: what an attacker writes is read with them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any

import pytest

from tests.architecture.source import PARTS, part_modules

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
