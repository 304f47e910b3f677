"""The newest Root of each chain of a Director, as one value: what a publisher read, and compares before it writes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection
from tuf.api.metadata import Metadata, Root

from twinlock.director.model.profiles import Profiles
from twinlock.director.signing.roots import read_root


@dataclass(frozen=True, slots=True)
class PublishedRoots:
    """The newest Root file of each chain: ours, and the translated ones by profile (None: none yet)."""

    current: bytes
    translated: Mapping[str, bytes | None]

    @property
    def version(self) -> int:
        """The number of our newest Root."""
        return int(self.signed().version)

    def signed(self) -> Root:
        """What our newest Root states, as a copy of its own."""
        return Metadata[Root].from_bytes(self.current).signed


def read_published_roots(connection: Connection, profiles: Profiles) -> PublishedRoots | None:
    """The newest Roots; None before the first."""
    current = read_root(connection)
    translated = {each.name: each.read(connection) for each in profiles.translations}
    return None if current is None else PublishedRoots(current, translated)
