"""A Director that publishes for aktualizr as an earlier version did: with one set of Root keys for both chains."""

from __future__ import annotations

import pytest

from twinlock.director.director import Director
from twinlock.repository.aktualizr.root_chain import RootChain


def begin_with_shared_keys(director: Director, patch: pytest.MonkeyPatch) -> None:
    """Publish Roots for aktualizr from now on; Root 1 says what our newest says, and the same keys sign it."""
    with patch.context() as earlier:
        earlier.setattr(RootChain, "_own_keys", lambda *_: None)
        director.add_wire("aktualizr")
