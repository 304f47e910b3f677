"""Fast-forward: a stolen online key signs a version so high that no honest one follows, until the keys are rotated.

These scenarios end in the honest recovery: new keys in Root drop the stored files and their floors
(Uptane 2.1.0 5.4.4.3 step 4).
"""

from __future__ import annotations

import pytest

from tests.simulator.scenario import REPOSITORIES, Refused, Scenario, current, family, play, refused, scenario
from twinlock.testing.simulator.world import World
from twinlock.trust.errors.metadata import RollbackError

HIGH = 1_000_000


def _fast_forwarded(role: str) -> object:
    def prepare(world: World) -> None:
        current(world)
        honest = {}
        for name, repository in world.repositories.items():
            honest[name] = {
                entry: repository.bodies[entry]["version"] for entry in ("timestamp", "snapshot", "targets")
            }
            repository.bodies[role]["version"] = HIGH
            if role == "timestamp":
                repository.put("timestamp")
            elif role == "snapshot":
                repository.republish("snapshot")
            else:
                repository.republish("targets")
        world.vehicle.installed.clear()
        world.update()
        for name, repository in world.repositories.items():
            for entry, version in honest[name].items():
                repository.bodies[entry]["version"] = version + 1
            repository.put("targets")
            repository.index("targets")
            repository.reindex_listed()

    return prepare


def _rotate(role: str) -> object:
    def recover(world: World) -> None:
        world.pass_time(hours=1)
        for repository in world.repositories.values():
            repository.rotate(role)
        world.release()
        world.release()

    return recover


@scenario(
    "fast-forward",
    prepare=_fast_forwarded("timestamp"),  # type: ignore[arg-type]
    recover=_rotate("timestamp"),  # type: ignore[arg-type]
    undo=False,
    cycles=True,
    each=REPOSITORIES,
)
def timestamp(world: World, name: str) -> Refused:
    """A Timestamp of version one million was accepted; the honest next one is older, until its key is rotated."""
    stored = _director_first(world, name)
    version = world.repositories[name].bodies["timestamp"]["version"]
    return refused(RollbackError, stored, repository=name, role="timestamp", offered=version, trusted=HIGH)


@scenario(
    "fast-forward",
    prepare=_fast_forwarded("snapshot"),  # type: ignore[arg-type]
    recover=_rotate("snapshot"),  # type: ignore[arg-type]
    undo=False,
    cycles=True,
    each=REPOSITORIES,
)
def snapshot(world: World, name: str) -> Refused:
    """A Snapshot of version one million was accepted; the honest next one is older, until its key is rotated."""
    stored = _director_first(world, name)
    repository = world.repositories[name]
    repository.bodies["timestamp"]["version"] += 5
    repository.put("timestamp")
    version = repository.bodies["snapshot"]["version"]
    # The Timestamp lists it, and is where the vehicle stops.
    fields = {"repository": name, "role": "snapshot", "offered": version, "trusted": HIGH}
    return refused(RollbackError, stored, **fields).under("TUF 1.0.34 5.4.3")


@scenario(
    "fast-forward",
    prepare=_fast_forwarded("targets"),  # type: ignore[arg-type]
    recover=_rotate("snapshot"),  # type: ignore[arg-type]
    undo=False,
    cycles=True,
    each=REPOSITORIES,
)
def targets(world: World, name: str) -> Refused:
    """Targets of version one million were accepted; the floor goes with the Snapshot when its key is rotated."""
    stored = [*_director_first(world, name), f"{name}/timestamp"]
    repository = world.repositories[name]
    repository.bodies["snapshot"]["version"] += 5
    repository.bodies["timestamp"]["version"] += 5
    repository.reindex_listed()
    version = repository.bodies["targets"]["version"]
    fields = {"repository": name, "role": "targets", "offered": version, "trusted": HIGH}
    return refused(RollbackError, stored, **fields).under("Uptane 2.1.0 5.4.4.5")


def _director_first(world: World, name: str) -> list[str]:
    """For the Image repository's turn: the Director is healed already, and its order makes the vehicle look further."""
    world.vehicle.installed.clear()
    if name == "director":
        return []
    director = world.director
    director.rotate("snapshot")
    director.publish("targets")
    root = director.bodies["root"]["version"]
    return [f"director/{root}.root", "director/timestamp", "director/snapshot", "director/targets"]


@pytest.mark.parametrize("scenario", family("fast-forward"), ids=str)
def test_fast_forward(scenario: Scenario) -> None:
    play(scenario)
