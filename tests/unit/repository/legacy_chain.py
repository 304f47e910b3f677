"""A Root chain for aktualizr as it was begun before that profile had Root keys of its own: with those of the tuf chain."""

from __future__ import annotations

import pytest

from twinlock.repository.aktualizr.root_chain import RootChain
from twinlock.repository.image_repository import ImageRepository


def begin_with_shared_keys(repository: ImageRepository, patch: pytest.MonkeyPatch) -> None:
    """Publish for aktualizr as an earlier version did: its Root 1 says what our newest says, and the same keys sign it."""
    with patch.context() as earlier:
        earlier.setattr(RootChain, "_own_keys", lambda *_: None)
        repository.publish_for_aktualizr()
