"""Finding the members of a large object by one pattern, in the form that repositories write.

Scanning a hundred thousand entries as JSON costs more than all the rest of a refresh; a pattern that knows the usual
form takes half the time.
"""

from __future__ import annotations

import re
from functools import cache

WORTH_IT = 50_000  # characters; below, compiling the pattern costs more than it saves
_DEPTH = 4  # of objects around each other in one entry: entry, custom, mustAgree or ecuIdentifiers, ECU

# The pattern trusts that no string holds an escape or a control character; ``locate_plain`` looks for both before.
_STRING = '"[^"]*+"'
_CONTROLS = tuple(map(chr, range(0x20)))


def locate_plain(text: str, position: int) -> tuple[dict[str, int], int] | None:
    """Where the value of each member begins, and where the object at ``position`` ends.

    None unless it is compact, without any escape, not empty, and nested no deeper than entries are; also for every fault
    in it, a name that appears twice among them.
    """
    if text[position : position + 1] != "{" or "\\" in text:
        return None
    # The last character is left out, as it may be the line break that ends a file; no string can hold it.
    if any(text.find(control, position, -1) >= 0 for control in _CONTROLS):
        return None
    places: dict[str, int] = {}
    match, count, end = _member().match, 0, position + 1
    while found := match(text, end):
        name = found[1]
        places[name] = end + len(name) + 3  # two quotes and the colon
        end, count = found.end(), count + 1
        if text[end - 1] == "}":
            return (places, end) if len(places) == count else None
    return None


@cache
def _member() -> re.Pattern[str]:
    """``"name":value`` and the comma or brace after it; the name is the group and nothing in it can match in two ways."""
    plain = f"{_STRING}|-?(?:0|[1-9][0-9]{{0,17}}+)|true|false|null"
    array = rf"\[(?:(?:{plain})(?:,(?!\])|(?=\])))*+\]"
    value = f"(?:{plain}|{array})"
    for _ in range(_DEPTH):
        members = rf"\{{(?:{_STRING}:{value}(?:,(?!\}})|(?=\}})))*+\}}"
        value = rf"(?:{plain}|{members}|{array})"
    return re.compile(rf'"([^"]*+)":{value}[,}}]')
