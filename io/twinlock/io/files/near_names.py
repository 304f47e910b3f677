"""The known name that a mistyped one is most like."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def nearest_name(name: str, known: Iterable[str]) -> str:
    """The one of the ``known`` names that ``name`` is most like; empty if it is like none."""
    return next(iter(difflib.get_close_matches(name, list(known), n=1)), "")


def suggestion(name: str, known: Iterable[str]) -> str:
    """The end of an error's sentence that asks for the nearest name; empty if there is none."""
    nearest = nearest_name(name, known)
    return f"; did you mean {nearest}?" if nearest else ""
