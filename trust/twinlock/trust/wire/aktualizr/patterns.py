"""Patterns of names under two rules: TUF's, where ``*`` stays within a segment, and C's ``fnmatch``, where it fits a slash too.

C's compares bytes, so that ``??`` also fits one character of two bytes.

A repository that publishes both profiles writes one list of patterns. It means the same in both if every name that one of
them fits under ``fnmatch`` is fitted by some of them under TUF's rule: ``acme/*``, ``acme/*/*`` and so on together.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from itertools import groupby

from twinlock.trust.errors.local import ProfileError
from twinlock.trust.wire.aktualizr import form

MAX_SEGMENTS = 8  # deeper names are fitted by no list that means the same under both rules
MAX_SPREAD = 64  # patterns that stand for one; a pattern with three stars or more would need more
BELOW = "/**"  # how an author asks for everything below a folder

_WILDCARD = re.compile(r"\*+|\?|\[!?\]?[^\]]*\]")


def expand(pattern: str) -> tuple[str, ...]:
    """The patterns that an author's ``pattern`` stands for: itself, or with ``folder/**`` everything below that folder."""
    found = spread(pattern[:-1]) if pattern.endswith(BELOW) else None
    return (pattern,) if found is None else found


def spread(pattern: str) -> tuple[str, ...] | None:
    """Patterns of TUF's rule that together fit what ``pattern`` fits under ``fnmatch``, itself first.

    Names of up to ``MAX_SEGMENTS`` segments count. None where no list of ``MAX_SPREAD`` patterns expresses it.
    """
    parts = _parts(pattern)
    if _takes_bytes(parts) or any(part.startswith("[") and fnmatchcase("/", part) for part in parts):
        return None
    budget = MAX_SEGMENTS - 1 - sum(part.count("/") for part in parts if not part.startswith("["))
    if budget <= 0:
        return ("".join(parts),)
    # Each wildcard makes one pattern or more: a supplier's hundred stars are not tried in every way before they are refused.
    if sum(part in ("*", "?") for part in parts) >= MAX_SPREAD:
        return None
    fixed = ((wild, list(group)) for wild, group in groupby(parts, key=lambda part: part in ("*", "?")))
    joined = [part for wild, group in fixed for part in (group if wild else ["".join(group)])]
    listed: dict[str, None] = {}
    for choice in _choices(joined, budget):
        listed[choice] = None
        if len(listed) > MAX_SPREAD:
            return None
    return tuple(sorted(listed, key=lambda each: each.count("/")))


def check_alike(role: str, patterns: Iterable[str]) -> None:
    """Refuse patterns of a delegation that fit other names in one profile than in the other. Raises: ProfileError."""
    listed = tuple(patterns)
    for pattern in listed:
        found = spread(pattern)
        if found is None or not set(found) <= set(listed):
            reason = (
                f"the pattern {pattern!r} fits more names under this profile's rule (fnmatch: * and ? fit a slash, and ? one "
                "byte) than under TUF's (? fits one character, neither fits a slash), which would widen the role's right; for everything below a folder write FOLDER/**"
            )
            raise ProfileError(profile=form.NAME, what=role, reason=reason)


def _parts(pattern: str) -> list[str]:
    """Literal text and wildcards, in order; stars in a row are one."""
    parts, start = [], 0
    for match in _WILDCARD.finditer(pattern):
        parts += [pattern[start : match.start()], "*" if match[0].startswith("*") else match[0]]
        start = match.end()
    return [part for part in (*parts, pattern[start:]) if part]


def _takes_bytes(parts: list[str]) -> bool:
    """Whether wildcards that each fit one byte could share a character of several: ``??``, ``[!a]?``, ``?*?``, ``[\u00e9]``."""
    single = 0
    for part in parts:
        if part.startswith("[") and not part.isascii():
            return True
        if part == "?" or part.startswith("[!"):
            single += 1
            if single == 2:
                return True
        elif part != "*":
            single = 0
    return False


def _choices(parts: list[str], budget: int) -> Iterator[str]:
    """Every way to give up to ``budget`` slashes to the wildcards."""
    if not parts:
        yield ""
        return
    first, *rest = parts
    options = {"*": ["*" + "/*" * count for count in range(budget + 1)], "?": ["?", "/"]}.get(first, [first])
    for option in options:
        used = option.count("/") if first in ("*", "?") else 0
        if used <= budget:
            yield from (option + tail for tail in _choices(rest, budget - used))
