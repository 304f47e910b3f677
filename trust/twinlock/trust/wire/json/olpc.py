"""OLPC canonical JSON: the bytes that signatures of the ``tuf`` profile cover.

One function, held byte-identical to ``securesystemslib.formats.encode_canonical`` by a property test. It is built on
the standard encoder, which agrees except that it escapes the 32 control characters where OLPC writes them raw.
"""

from __future__ import annotations

import json
from typing import Any

# What the standard encoder escapes beyond OLPC's two: control characters.
_SHORT = {"\\b": "\b", "\\f": "\f", "\\n": "\n", "\\r": "\r", "\\t": "\t"}
_LONG = {f"\\u00{code:02x}": chr(code) for code in range(1, 0x20)}
# Escaped backslashes become NUL, which encoded text does not hold, while they could be taken for the start of an escape; an
# escaped NUL gets a mark of its own before they return.
_ASIDE, _NUL = {"\\\\": "\0"}, {"\0": "\0b", "\\u0000": "\0z", "\0b": "\\\\", "\0z": "\0"}


def encode_canonical(value: Any) -> bytes:
    """Encode plain JSON ``value`` (no floats, string keys only) as OLPC canonical JSON.

    Raises: ValueError for a float or a lone surrogate, TypeError for what is not plain JSON.
    """
    refuse_floats(value)
    return encode_parsed(value)


def encode_parsed(value: Any) -> bytes:
    """The same for a value that strict parsing gave, which has refused floats already.

    A sender without a key chooses how many escapes there are, so the work for one is done in C.
    """
    text = _ENCODER.encode(value)
    if "\\" in text:
        for escapes in (_ASIDE, _SHORT, _LONG if "\\u" in text else {}, _NUL):
            for escape, character in escapes.items():
                text = text.replace(escape, character)
    return text.encode("utf-8")


def refuse_floats(value: Any) -> None:
    """Refuse what no canonical form has: floats, and names that are not strings. Raises: ValueError, TypeError."""
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, float):
            raise ValueError(f"canonical JSON has no floats: {item!r}")
        if isinstance(item, dict):
            for key in item:
                if not isinstance(key, str):
                    raise TypeError(f"canonical JSON has string keys only: {key!r}")
            stack.extend(item.values())
        elif isinstance(item, (list, tuple)):
            stack.extend(item)


_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
