"""The target format of an image: a file, or an OSTree commit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from twinlock.trust.model.targets import ImageEntry

FILE = "file"
OSTREE = "OSTREE"


def target_format(entry: ImageEntry) -> str:
    """``FILE`` or ``OSTREE``, as aktualizr reads it: without the member, no length means an OSTree commit.

    OSTREE is compared in any case; everything else is a file.
    """
    return stated_format(entry.length, entry.custom)


def stated_format(length: int, custom: Mapping[str, Any]) -> str:
    """``target_format`` of an entry of ``length`` bytes with this ``custom`` member, as plain JSON."""
    stated = custom.get("targetFormat")
    if stated is None:
        return OSTREE if length == 0 else FILE
    return OSTREE if isinstance(stated, str) and stated.upper() == OSTREE else FILE
