"""The wire profiles by name, for configurations that name the one of a repository."""

from __future__ import annotations

from collections.abc import Mapping

from twinlock.trust.wire.aktualizr.decode import AKTUALIZR
from twinlock.trust.wire.profile import WireProfile
from twinlock.trust.wire.tuf.metadata import TUF

PROFILES: Mapping[str, WireProfile] = {TUF.name: TUF, AKTUALIZR.name: AKTUALIZR}
"""Every profile that the engine reads; ``tuf`` is the one that is meant where none is named."""
