"""When a Timestamp that is offered again is the trusted one, and what a floor without a list asks."""

from __future__ import annotations

import pytest

from twinlock.testing.simulator.keys import KeyPool
from twinlock.testing.simulator.repository import RepositorySimulator
from twinlock.testing.simulator.world import START
from twinlock.trust.checks.context import Context
from twinlock.trust.checks.timestamp import check_timestamp
from twinlock.trust.engine.restore import bootstrap_repository
from twinlock.trust.keys.signatures import Verified
from twinlock.trust.limits import DEFAULT_LIMITS
from twinlock.trust.model.base import NOTHING
from twinlock.trust.model.timestamp import Timestamp
from twinlock.trust.names import IMAGE, TIMESTAMP
from twinlock.trust.policy import STRICT
from twinlock.trust.state.floors import Floor, establish
from twinlock.trust.wire.tuf.metadata import TUF

CONTEXT = Context(repository=IMAGE, now=START, limits=DEFAULT_LIMITS, wire=TUF, policy=STRICT)


@pytest.fixture
def image() -> RepositorySimulator:
    """A repository with everything at version 1."""
    return RepositorySimulator("image", KeyPool(), lambda: START)


def offer(
    image: RepositorySimulator, data: bytes, trusted: Verified[Timestamp] | None = None, floor: Floor | None = None
) -> Verified[Timestamp]:
    """The Timestamp in force after ``data`` was offered, which nothing contradicts."""
    root = bootstrap_repository(IMAGE, image.files["1.root.json"]).root.signed
    if trusted is not None:
        floor = establish(NOTHING, TIMESTAMP, trusted, keys=root.keys, root=root.version)
    found, equivocation = check_timestamp(data, root=root, trusted=trusted, floor=floor, context=CONTEXT)
    assert equivocation is None
    return found


def test_the_trusted_timestamp_again_is_itself_whatever_is_written_around_it(image: RepositorySimulator) -> None:
    data = image.files["timestamp.json"]
    trusted = offer(image, data)
    for again in (data, data[:-1] + b',"note":"by a mirror"}'):
        # The very object: nothing is stored again.
        assert offer(image, again, trusted) is trusted


def test_the_same_timestamp_by_more_keys_is_another_file_to_keep(image: RepositorySimulator) -> None:
    trusted = offer(image, image.files["timestamp.json"])
    body = image.bodies["timestamp"]
    signed_twice = image.seal(body, [image.key("timestamp"), image.key("timestamp", 2)])
    assert offer(image, signed_twice, trusted).data == signed_twice


def test_a_floor_that_lists_no_snapshot_demands_no_version_of_it(image: RepositorySimulator) -> None:
    floor = Floor(version=1, content=offer(image, image.files["timestamp.json"]).content, root=1, material={})
    assert offer(image, image.files["timestamp.json"], floor=floor).signed.snapshot.version == 1
