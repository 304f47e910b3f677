"""A refresh of one repository: which keys of new files are reported, and Targets where no index leads to them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.trust.places import Places
from twinlock.testing.simulator.keys import KeyPool
from twinlock.testing.simulator.repository import RepositorySimulator
from twinlock.testing.simulator.world import START
from twinlock.trust.checks.context import Context
from twinlock.trust.checks.root import check_next_root
from twinlock.trust.engine.commands import Fetch, drive
from twinlock.trust.engine.refresh import Inspect, refresh_repository, refresh_targets_alone
from twinlock.trust.engine.restore import bootstrap_repository
from twinlock.trust.errors.base import RefusalError
from twinlock.trust.errors.metadata import KeyLeftOutError
from twinlock.trust.limits import DEFAULT_LIMITS
from twinlock.trust.model.targets import Targets
from twinlock.trust.names import IMAGE, TARGETS
from twinlock.trust.policy import STRICT
from twinlock.trust.state.trusted import TrustedRepository
from twinlock.trust.wire.tuf.metadata import TUF

KEYS = KeyPool()
CONTEXT = Context(repository=IMAGE, now=START, limits=DEFAULT_LIMITS, wire=TUF, policy=STRICT)
ODD: dict[str, Any] = {"keytype": "ed25519", "scheme": "ed25519ph", "keyval": {"public": "ab" * 32}}


@pytest.fixture
def image() -> RepositorySimulator:
    """A repository with everything at version 1, which also offers Targets by their bare name."""
    made = RepositorySimulator("image", KEYS, lambda: START)
    made.files["targets.json"] = made.files["1.targets.json"]
    return made


def anchored(image: RepositorySimulator, version: int = 1) -> TrustedRepository:
    return bootstrap_repository(IMAGE, image.files[f"{version}.root.json"])


def refresh(image: RepositorySimulator, trusted: TrustedRepository) -> tuple[TrustedRepository, list[RefusalError]]:
    """The state, and what was reported on the way."""
    places = Places(image.files)
    return drive(refresh_repository(trusted, START), places.answer), places.notices


def left_out(role: str) -> dict[str, object]:
    reason = "key type 'ed25519' with scheme 'ed25519ph' is not supported"
    return {"repository": IMAGE, "role": role, "keyid": "odd", "reason": reason}


def test_keys_of_a_root_are_reported_when_it_is_followed_and_not_again(image: RepositorySimulator) -> None:
    first = anchored(image)
    image.bodies["root"]["keys"]["odd"] = ODD
    image.bodies["root"]["roles"]["targets"]["keyids"].append("odd")
    image.publish_root()
    found, notices = refresh(image, first)
    assert [(type(error), error.fields()) for error in notices] == [(KeyLeftOutError, left_out("root"))]
    assert refresh(image, found)[1] == []
    # The Root that an operator gave was never fetched.
    assert refresh(image, anchored(image, 2))[1] == []


def test_keys_of_delegations_are_reported_under_the_role_that_delegates(image: RepositorySimulator) -> None:
    image.delegate("targets", "acme", ["brake/*"], keyids=["odd"])
    image.bodies["targets"]["delegations"]["keys"]["odd"] = ODD
    image.publish("targets", "acme")
    found, notices = refresh(image, anchored(image))
    assert [(type(error), error.fields()) for error in notices] == [(KeyLeftOutError, left_out(TARGETS))]
    assert refresh(image, found)[1] == []


# without an index


def alone(
    image: RepositorySimulator, trusted: TrustedRepository, inspect: Inspect | None = None
) -> tuple[TrustedRepository, Places]:
    places = Places(image.files)
    return drive(refresh_targets_alone(trusted, CONTEXT, inspect), places.answer), places


def test_targets_alone_are_asked_for_by_their_bare_name(image: RepositorySimulator) -> None:
    trusted, places = alone(image, anchored(image))
    assert places.fetches == [Fetch(IMAGE, TARGETS, None, "targets.json", DEFAULT_LIMITS.unlisted_bytes)]
    assert trusted.targets is not None
    assert trusted.targets.data == image.files["targets.json"]
    assert [command.files for command in places.persisted] == [((TARGETS, 1, trusted.targets.data),)]
    assert trusted.floors[TARGETS].version == 1
    again, places = alone(image, trusted)
    assert (again, places.persisted) == (trusted, [])


def test_targets_alone_are_inspected_whether_they_are_new_or_were_stored(image: RepositorySimulator) -> None:
    seen: list[Targets] = []
    trusted, _ = alone(image, anchored(image), seen.append)
    alone(image, trusted, seen.append)
    assert trusted.targets is not None
    assert seen == [trusted.targets.signed, trusted.targets.signed]


def test_stored_targets_alone_are_counted_by_the_keys_of_the_present_root(image: RepositorySimulator) -> None:
    trusted, _ = alone(image, anchored(image))
    second = image.key("targets", 2)
    image.set_keys("targets", [image.key("targets"), second], threshold=1)
    image.publish_root()
    root = check_next_root(image.files["2.root.json"], trusted=trusted.root, context=CONTEXT)
    assert trusted.targets is not None
    assert trusted.targets.tally.missing == ()
    found, places = alone(image, trusted._replace(root=root))
    assert found.targets is not None
    assert found.targets.tally.missing == (second.keyid,)
    assert (found.targets.data, places.persisted) == (trusted.targets.data, [])
