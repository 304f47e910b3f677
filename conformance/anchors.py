"""Whether ``path.md#anchor`` leads to a heading, by the rule that GitHub makes anchors with."""

from __future__ import annotations

import re
from pathlib import Path

_HEADING = re.compile(r"^#{1,6} +(.+?) *#*$", re.MULTILINE)
_DROPPED = re.compile(r"[^\w\- ]")


def has_anchor(project: Path, reference: str) -> bool:
    """Whether the file below ``project`` has the heading."""
    path, _, anchor = reference.partition("#")
    file = project / path
    return file.is_file() and anchor in {_slug(text) for text in _HEADING.findall(file.read_text(encoding="utf-8"))}


def _slug(heading: str) -> str:
    return _DROPPED.sub("", heading.lower()).replace(" ", "-")
