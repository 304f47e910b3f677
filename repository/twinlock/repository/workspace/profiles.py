"""In which wire profiles a repository publishes, and where its numbers begin. ``config.json`` keeps it (``config``)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, datetime

from twinlock.trust.errors.base import UsageError
from twinlock.trust.wire.profiles import PROFILES
from twinlock.trust.wire.tuf.metadata import TUF

WIRES = tuple(PROFILES)


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedProfiles:
    """``root_offset`` is by how much the Root chain of the aktualizr profile is behind ours, which began earlier.

    ``handed_over`` is the Root of ours from which on both chains have equal numbers, because the other one was handed
    over to Root keys of its own; 0 if it was not. ``stranded`` are the ids of the Root keys from before; until the day
    ``stranded_until`` they sign its Roots too, for vehicles that follow nothing else.

    ``first_root`` and ``first_timestamp`` are above 1 where a repository continues the numbers of another one, which
    ``taken_over`` identifies.
    """

    names: tuple[str, ...] = (TUF.name,)
    root_offset: int = 0
    handed_over: int = 0
    stranded: tuple[str, ...] = ()
    stranded_until: date | None = None
    first_root: int = 1
    first_timestamp: int = 1
    taken_over: str = ""

    def __post_init__(self) -> None:
        unknown = set(self.names) - set(WIRES)
        if unknown or TUF.name not in self.names:
            reason = f"the wire profiles of a repository are tuf and optionally aktualizr; not {', '.join(self.names)}"
            raise UsageError(reason=reason)

    @property
    def aktualizr(self) -> bool:
        """Whether the aktualizr profile is published too."""
        return self.names != (TUF.name,)

    def with_aktualizr(self, *, root_offset: int) -> PublishedProfiles:
        """The same with that profile, whose Root 1 states what Root ``root_offset + 1`` of ours states."""
        return replace(self, names=WIRES, root_offset=root_offset)

    def chain_version(self, version: int) -> int:
        """The number that Root ``version`` of ours has in the aktualizr profile."""
        return version if self.handed_over and version >= self.handed_over else version - self.root_offset

    def with_hand_over(self, *, version: int, stranded: Iterable[str], until: date) -> PublishedProfiles:
        """The same with a hand-over at Root ``version`` of ours, from the Root keys ``stranded``."""
        return replace(self, handed_over=version, stranded=tuple(stranded), stranded_until=until)

    def stranded_keys(self, now: datetime) -> frozenset[str]:
        """The ids of the Root keys that still sign for stranded vehicles."""
        return frozenset(self.stranded if self.stranded_until and now.date() <= self.stranded_until else ())
