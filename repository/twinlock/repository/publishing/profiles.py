"""The one place that knows which wire profiles there are, and makes the write side of those that are configured."""

from __future__ import annotations

from collections.abc import Iterable

from twinlock.repository.aktualizr.rules import AktualizrRules
from twinlock.repository.aktualizr.writer import open_writer
from twinlock.repository.authoring.profile_rules import ProfileRules
from twinlock.repository.publishing.tuf_writer import TufWriter
from twinlock.repository.signing.profile_writer import ProfileWriter
from twinlock.repository.workspace.profiles import Wires
from twinlock.repository.workspace.state import RepositoryState
from twinlock.trust.wire.aktualizr.patterns import expand

OTHER_PROFILES: tuple[ProfileRules, ...] = (AktualizrRules(),)
"""The rules of each profile other than ``tuf``, active or not: what a supplier signed in one is judged by them."""


def open_profiles(state: RepositoryState, *, chosen: ProfileWriter | None = None) -> tuple[ProfileWriter, ...]:
    """The writer of each active profile, ``tuf`` first; ``chosen`` where an operation begins or changes another profile.

    Raises: UsageError where an activation was cut off, StoreTamperedError.
    """
    other = chosen or open_writer(state)
    tuf = TufWriter(state)
    return (tuf,) if other is None else (tuf, other)


def profile_rules(wires: Wires) -> tuple[ProfileRules, ...]:
    """The rules of each active profile other than ``tuf``, in which everything can be expressed."""
    return tuple(rules for rules in OTHER_PROFILES if rules.name in wires.names)


def expand_patterns(patterns: Iterable[str]) -> tuple[str, ...]:
    """The patterns that an author's list stands for, which fit the same names in each profile."""
    return tuple(each for pattern in patterns for each in expand(pattern))
