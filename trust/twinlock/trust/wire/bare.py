"""A file reduced to what counts: the ``signed`` member as it was received and its signature entries, nothing else.

Anybody on the line can add white space and members that nobody signed. What is stored and forwarded must not carry them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

from twinlock.trust.wire.strict import RawEnvelope

_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"))


def compose_bare(raw: RawEnvelope, members: Iterable[str]) -> bytes:
    """The file with the text ``members`` of each signature entry, in the order received, each distinct entry once.

    Signatures by keys that no role names now are kept: a later Root may name them.
    """
    names = tuple(members)
    entries: dict[str, None] = {}
    for entry in raw.signatures if isinstance(raw.signatures, list) else ():
        if isinstance(entry, dict) and all(isinstance(entry.get(name), str) for name in names):
            entries[_ENCODER.encode({name: entry[name] for name in names})] = None
    composed = b"".join((b'{"signatures":[', ",".join(entries).encode(), b'],"signed":', raw.payload, b"}"))
    return raw.data if composed == raw.data else composed
