"""The depth of JSON text, counted before any of it is built, in a single pass whatever the text holds.

An attacker writes what is counted here, so an unterminated string must not be searched again from each quote in it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

# A string, up to where the text ends if it is not closed, or what opens and closes.
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*+"?|[\[\]{}]', re.DOTALL)
_STEPS = {"[": 1, "{": 1, "]": -1, "}": -1}


def depths(text: str, start: int = 0, end: int | None = None) -> Iterator[int]:
    """The depth after each bracket of ``text[start:end]`` that is in no string; below zero where too many close."""
    depth = 0
    for token in _TOKEN.finditer(text, start, len(text) if end is None else end):
        char = token[0]
        if char in _STEPS:
            depth += _STEPS[char]
            yield depth


def is_deeper(data: bytes, levels: int) -> bool:
    """Whether the JSON text ``data`` has more than so many levels of lists and objects, none of which is entered."""
    return any(depth > levels for depth in depths(data.decode("latin-1")))
