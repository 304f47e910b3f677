"""A file reduced to what counts: the ``signed`` member as it was received and its signature entries, nothing else.

Anyone on the line can add white space and unsigned members. What is stored and forwarded must not carry them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

from twinlock.trust.wire.json.parser import RawEnvelope

_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"))


def compose_bare(raw: RawEnvelope, members: Iterable[str], is_signature: Callable[[Any], bool]) -> bytes:
    """The file with the ``members`` of each entry that ``is_signature``, in the order received, each distinct one once.

    Signatures by keys that no role names now are kept: a later Root may name them.
    """
    names = tuple(members)
    entries: dict[str, None] = {}
    for entry in raw.signatures:
        if is_signature(entry):
            entries[_ENCODER.encode({name: entry[name] for name in names})] = None
    composed = b"".join((b'{"signatures":[', ",".join(entries).encode(), b'],"signed":', raw.payload, b"}"))
    return raw.data if composed == raw.data else composed
