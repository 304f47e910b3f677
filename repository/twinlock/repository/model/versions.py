"""Version strings of images, and the ranges in which dependencies and conflicts state them.

This module is the one place that knows how versions compare. It reads PEP 440 as PEP 440 defines, and takes any other text a
supplier uses (``7.4.2-bosch+3``, ``A07_R3``, ``2026-11-05/2``): runs of digits then compare as numbers, runs of letters as
text, and a longer version follows its own beginning. No check depends on it: which image is newer is decided by release
counters (Uptane 2.1.0 5.4.4.2 step 10.2.3), and versions only choose among images that all pass.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version

from twinlock.trust.errors.base import UsageError

MAX_VERSION_CHARACTERS = 128
MAX_CLAUSES = 32

_RUN = re.compile(r"\d+|[^\W\d_]+")
_CLAUSE = re.compile(r"\s*(?P<operator>===|==|!=|~=|<=|>=|<|>)\s*(?P<operand>[^\s,=<>!~][^\s,]*)\s*")
_WILDCARD = ".*"
Runs = tuple[tuple[int, int, str], ...]

_COMPARE: dict[str, Callable[[Runs, Runs], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


@dataclass(frozen=True)
class SoftwareVersion:
    """One version. ``text`` is what its author wrote; equal texts are equal versions."""

    text: str

    def __str__(self) -> str:
        return self.text

    @cached_property
    def pep440(self) -> Version | None:
        """The version as PEP 440 reads it, None where it does not."""
        try:
            return Version(self.text)
        except InvalidVersion:
            return None

    @cached_property
    def runs(self) -> Runs:
        """What versions that PEP 440 does not know compare by; letters come before digits."""
        return tuple((1, int(run), "") if run.isdecimal() else (0, 0, run.lower()) for run in _RUN.findall(self.text))

    @property
    def order(self) -> tuple[Version, Runs]:
        """A total order over versions of every kind, for a stable preference: PEP 440 versions last, by their own rule."""
        return self.pep440 or _LOWEST, self.runs


_LOWEST = Version("0.dev0")
LOWEST = SoftwareVersion("")
"""Precedes every version. It stands for none at all."""


@dataclass(frozen=True)
class VersionRange:
    """Versions that all of ``clauses`` accept, each an operator and an operand; without clauses, any version."""

    clauses: tuple[tuple[str, str], ...]

    def __str__(self) -> str:
        return ", ".join(sorted(f"{sign} {operand}" for sign, operand in self.clauses)) or "of any version"

    @cached_property
    def pep440(self) -> SpecifierSet | None:
        """The range as PEP 440 reads it, None where it does not."""
        try:
            return SpecifierSet(",".join(f"{sign}{operand}" for sign, operand in self.clauses))
        except InvalidSpecifier:
            return None

    def __contains__(self, version: SoftwareVersion) -> bool:
        """Whether ``version`` is in the range; a pre-release counts like any other version."""
        if version.pep440 is not None and self.pep440 is not None:
            return self.pep440.contains(version.pep440, prereleases=True)
        return all(_accepts(sign, operand, version) for sign, operand in self.clauses)


def read_version(text: str) -> SoftwareVersion:
    """A version that an author may state. Raises: UsageError for one without a letter or digit, or too long."""
    if len(text) > MAX_VERSION_CHARACTERS or not text.isprintable() or not _RUN.search(text):
        raise UsageError(
            reason=f"{text[:MAX_VERSION_CHARACTERS]!r} is not a version: it takes a letter or digit, at most "
            f"{MAX_VERSION_CHARACTERS} characters, and no control characters"
        )
    return SoftwareVersion(text)


def read_range(text: str) -> VersionRange:
    """A range such as ``>=1.4,<2`` or ``==A07_R3``; empty text is any version. Raises: UsageError."""
    parts = text.split(",") if text.strip() else []
    if len(parts) > MAX_CLAUSES:
        raise UsageError(reason=f"a version range has at most {MAX_CLAUSES} clauses, not {len(parts)}")
    return VersionRange(tuple(_read_clause(text, part) for part in parts))


def _read_clause(text: str, part: str) -> tuple[str, str]:
    clause = _CLAUSE.fullmatch(part)
    if clause is None or clause["operand"][:1] in "<>=!~":
        raise UsageError(reason=f"{text!r} is not a version range: write clauses such as >=1.4,<2")
    read_version(clause["operand"].removesuffix(_WILDCARD))
    return clause["operator"], clause["operand"]


def _accepts(sign: str, operand: str, version: SoftwareVersion) -> bool:
    if sign == "===":
        return version.text == operand
    if sign in ("==", "!="):
        return _equals(operand, version) is (sign == "==")
    if sign == "~=":
        return version.runs >= SoftwareVersion(operand).runs and _begins(version, SoftwareVersion(operand).runs[:-1])
    return _COMPARE[sign](version.runs, SoftwareVersion(operand).runs)


def _equals(operand: str, version: SoftwareVersion) -> bool:
    if operand.endswith(_WILDCARD):
        return _begins(version, SoftwareVersion(operand.removesuffix(_WILDCARD)).runs)
    return version.runs == SoftwareVersion(operand).runs


def _begins(version: SoftwareVersion, runs: Runs) -> bool:
    return version.runs[: len(runs)] == runs
