"""What JSON text holds, found in one pass of C code over it: how many values, and whether a string is not Unicode.

An attacker without a key writes this text. One JSON value of two characters becomes an object of 64 bytes and more, so values are
counted before any of them is built.
"""

from __future__ import annotations

import re
from functools import lru_cache

from twinlock.trust.errors.metadata import LimitError

_STRING = r'"(?:[^"\\]++|\\.)*+"?'
_SEPARATOR = re.compile(rf"{_STRING}|([\[{{,])", re.DOTALL)
_MOST_REPEATS = 2**32 - 2  # what a pattern can count to

# Escapes of everything but surrogates and of pairs of them, up to an escaped surrogate that has no partner.
_LONE_SURROGATE = re.compile(
    r"(?:[^\\]++|\\(?:[^u]|u(?:(?![dD][89a-fA-F])|[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F])))*+\\u", re.DOTALL
)


def check_values(text: str, most: int, what: str) -> None:
    """Ensure that ``text`` holds at most ``most`` JSON values, before any of them is built.

    Each comma and each opening bracket outside a string counts as one: an empty list or object thus counts twice.
    The text does not have to be JSON. Raises: LimitError.
    """
    if len(text) <= most or text.count(",") + text.count("[") + text.count("{") < most:
        return  # strings included, there are not too many
    if _more_than(min(most, _MOST_REPEATS)).match(text):
        raise LimitError(what=f"{what}: JSON values", value=most + 1, limit=most)


def count_values(data: bytes) -> int:
    """How many values ``check_values`` counts in a JSON text whose number of values was checked."""
    return 1 + sum(1 for found in _SEPARATOR.finditer(data.decode("latin-1")) if found[1])


def has_lone_surrogate(text: str, start: int, end: int) -> bool:
    """Whether a string in the JSON ``text[start:end]`` is not Unicode text: it could neither be encoded nor shown."""
    return text.find("\\u", start, end) >= 0 and _LONE_SURROGATE.match(text, start, end) is not None


@lru_cache(maxsize=16)
def _more_than(most: int) -> re.Pattern[str]:
    """Text with at least ``most`` separators outside strings: more than ``most`` values, the outermost one included."""
    return re.compile(rf'(?:(?:[^"\[{{,]++|{_STRING})*+[\[{{,]){{{most}}}+', re.DOTALL)
