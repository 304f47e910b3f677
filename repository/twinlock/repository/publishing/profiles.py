"""The wire profiles that a publication is made in, as the configuration names them."""

from __future__ import annotations

from twinlock.repository.aktualizr.second import open_second
from twinlock.repository.publishing.tuf_writer import TufWriter
from twinlock.repository.signing.profile_writer import ProfileWriter
from twinlock.repository.workspace.state import RepositoryState


def open_profiles(state: RepositoryState, *, chosen: ProfileWriter | None = None) -> tuple[ProfileWriter, ...]:
    """The writer of each active profile, ``tuf`` first; ``chosen`` where an operation begins or changes another profile.

    Raises: UsageError where an activation was cut off, StoreTamperedError.
    """
    other = chosen or open_second(state)
    tuf = TufWriter(state)
    return (tuf,) if other is None else (tuf, other)
