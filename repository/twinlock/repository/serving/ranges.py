"""Conditional and range requests (RFC 9110 13 and 14): what a request asks of an object whose etag and size are known.

``aiohttp.web.FileResponse`` (3.14) cannot take its place, also not for a directory; each of these is held by a test:

- ``If-Range`` is a date to it: with the etag of another object a client gets a part of this one (206) and joins the two.
- Its etag is of time and size, differs on every replica, and is computed inside private methods; ours is the digest.
- It answers 416 to a range that makes no sense, which RFC 9110 14.2 lets a server ignore, and without a problem body.
- It opens by path and follows a symbolic link; where a client takes gzip it sends a neighbour named ``.gz`` in the object's place.
- It looks at the path twice, before and after it is open; ours is one descriptor, and a small object one read.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

_RANGE = re.compile(r"bytes=(\d*)-(\d*)\Z", re.ASCII)
_TAG = re.compile(r'(?:W/)?"([\x21\x23-\x7e\x80-\xff]*)"')
_MAX_DIGITS = 19


@dataclass(frozen=True, slots=True)
class Slice:
    """Bytes ``start`` to ``stop``, the latter excluded. ``partial`` makes the difference between 206 and 200."""

    start: int
    stop: int
    partial: bool

    @property
    def length(self) -> int:
        """How many bytes that is."""
        return self.stop - self.start


def is_unchanged(headers: Mapping[str, str], etag: str) -> bool:
    """Whether ``If-None-Match`` states that the client has this very object. Weak comparison, as RFC 9110 13.1.2 asks."""
    wanted = headers.get("If-None-Match")
    if wanted is None:
        return False
    return wanted.strip() == "*" or etag in _TAG.findall(wanted)


def wanted_slice(headers: Mapping[str, str], etag: str, size: int) -> Slice | None:
    """The part of the object that is asked for; None if no byte of it exists (416).

    A header that is not a single byte range is ignored, as RFC 9110 14.2 allows, and so is one whose ``If-Range`` names
    another object: the client then gets the whole.
    """
    whole = Slice(0, size, partial=False)
    header = headers.get("Range")
    condition = headers.get("If-Range")
    if header is None or (condition is not None and condition.strip() != f'"{etag}"'):
        return whole
    match = _RANGE.match(header.strip())
    if match is None or match.group(0) == "bytes=-" or max(map(len, match.groups())) > _MAX_DIGITS:
        return whole
    first, last = match.groups()
    if not first:
        start, stop = max(0, size - int(last)), size
    else:
        start, stop = int(first), min(size, int(last) + 1) if last else size
        if last and int(last) < start:
            return whole
    return Slice(start, stop, partial=True) if start < stop else None
