"""One repository by itself, as TUF has it: the refresh that both kinds of verification are made of."""

from __future__ import annotations

import pytest

from tests.simulator.scenario import (
    REPOSITORIES,
    Accepted,
    Place,
    Refused,
    Scenario,
    accepted,
    family,
    next_releases,
    play,
    refused,
    scenario,
    seasoned,
)
from twinlock.testing.simulator.world import World
from twinlock.trust.errors.metadata import ExpiredError, RollbackError, ThresholdError

ROLES: list[Place] = [(name, role) for name in REPOSITORIES for role in ("timestamp", "snapshot", "targets")]


EARLIER = {"timestamp": 0, "snapshot": 1, "targets": 2}


def _stored(name: str, role: str) -> list[str]:
    return [f"{name}/{entry}" for entry in list(EARLIER)[: EARLIER[role]]]


def _register() -> None:
    for name in REPOSITORIES:
        alone = {"prepare": seasoned, "verification": "repository", "subject": name}
        here = [place for place in ROLES if place[0] == name]
        scenario("repository", each=[name], **alone)(honest)  # type: ignore[arg-type]
        scenario("repository", each=here, **alone)(stranger)  # type: ignore[arg-type]
        scenario("repository", each=[name], **alone)(rollback)  # type: ignore[arg-type]
        scenario("repository", each=[name], **alone)(freeze)  # type: ignore[arg-type]
        bare = alone | {"undo": False, "recover": _versioned_again}
        scenario("repository", each=[name], **bare)(file_names_without_versions)  # type: ignore[arg-type]


def honest(world: World, name: str) -> Accepted:
    """The newest files of one repository."""
    assert name in world.repositories
    return accepted()


def stranger(world: World, name: str, role: str) -> Refused:
    """A file of one repository, signed by a key that nobody names."""
    repository = world.repositories[name]
    repository.put(role, signers=[world.keys("mallory")])
    if role == "snapshot":
        repository.index("snapshot")
        repository.put("timestamp")
    return refused(ThresholdError, _stored(name, role), repository=name, role=role, valid=0)


def rollback(world: World, name: str) -> Refused:
    """An older Timestamp."""
    world.repositories[name].rewind("timestamp", 2)
    return refused(RollbackError, repository=name, role="timestamp", offered=2, trusted=3)


def freeze(world: World, name: str) -> Refused:
    """The newest Timestamp, two days later."""
    world.pass_time(days=2)
    return refused(ExpiredError, repository=name, role="timestamp", version=4)


def file_names_without_versions(world: World, name: str) -> Accepted:
    """Plain TUF: the Root says consistent_snapshot false, and Snapshot and Targets have bare names."""
    repository = world.repositories[name]
    repository.bodies["root"]["consistent_snapshot"] = False
    repository.publish_root()
    for role in ("snapshot", "targets"):
        repository.files[f"{role}.json"] = repository.files.pop(repository.current(role))
    return accepted()


def _versioned_again(world: World) -> None:
    for repository in world.repositories.values():
        repository.bodies["root"]["consistent_snapshot"] = True
        repository.publish_root()
    next_releases(world)


_register()


@pytest.mark.parametrize("scenario", family("repository"), ids=str)
def test_repository(scenario: Scenario) -> None:
    play(scenario)
