"""Until when a trusted repository may be relied on."""

from __future__ import annotations

from datetime import timedelta
from typing import NamedTuple

import pytest

from twinlock.testing.simulator.keys import KeyPool
from twinlock.testing.simulator.world import START
from twinlock.trust.keys.signatures import Envelope, RoleKeys, Signature, verify_signatures
from twinlock.trust.names import IMAGE, ROOT, KeyId
from twinlock.trust.state.trusted import TrustedRepository

KEY = KeyPool()("any")
KEYID = KeyId(KEY.keyid)
FILES = ("root", "timestamp", "snapshot", "targets")


class Ending(NamedTuple):
    """A signed part of which only the end matters."""

    expires: object


def repository(hours: dict[str, int]) -> TrustedRepository:
    """A repository whose files end that many hours after ``START``."""
    files = {}
    for name, later in hours.items():
        signatures = (Signature(KEYID, KEY.sign(b"payload")),)
        envelope = Envelope(Ending(START + timedelta(hours=later)), b"payload", signatures, b"file")
        keys = {KEYID: KEY.public_key}
        files[name] = verify_signatures(envelope, keys, RoleKeys((KEYID,), 1), repository=IMAGE, role_name=ROOT)
    return TrustedRepository(name=IMAGE, **files)  # type: ignore[arg-type]


@pytest.mark.parametrize("first", FILES)
def test_a_repository_ends_with_the_first_of_its_files(first: str) -> None:
    assert repository({name: 1 if name == first else 2 for name in FILES}).valid_until == START + timedelta(hours=1)


@pytest.mark.parametrize("missing", FILES[1:])
def test_a_file_that_is_not_there_does_not_count(missing: str) -> None:
    hours = {name: number for number, name in enumerate(FILES[::-1], 1) if name != missing}
    assert repository(hours).valid_until == START + timedelta(hours=min(hours.values()))
