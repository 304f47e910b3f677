"""What attackers do with their hands, in the words of the scenarios: forge, replace, hold a key.

Each function changes the offer of one repository, never the vehicle. Where a change needs a key that the attacker must
have stolen for it to be noticed at all, the docstring says which.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable

from tests.simulator.scenario import Place
from twinlock.testing.simulator.keys import JSON, Key
from twinlock.testing.simulator.repository import TOP_LEVEL, RepositorySimulator
from twinlock.testing.simulator.world import World


def at(world: World, place: Place) -> RepositorySimulator:
    """The repository of a place."""
    return world.repositories[place[0]]


def offer(world: World, place: Place) -> RepositorySimulator:
    """Make sure that a new file of this role is on offer (releases bring all but Root)."""
    repository = at(world, place)
    if place[1] == "root":
        repository.publish_root()
    return repository


def replace(world: World, place: Place, data: bytes) -> None:
    """Offer ``data`` as the current file of the role. Needs the Timestamp key where that is a Snapshot."""
    repository, role = at(world, place), place[1]
    repository.put(role, data=data)
    cover(repository, role)


def cover(repository: RepositorySimulator, role: str) -> None:
    """Sign the Timestamp again, at the same version, so that it lists the Snapshot that is on offer."""
    if role == "snapshot":
        repository.index("snapshot")
        repository.put("timestamp")


def sign_as(world: World, place: Place, signers: Iterable[Key]) -> None:
    """Offer the role's current body, signed by others than should."""
    repository, role = at(world, place), place[1]
    repository.put(role, signers=list(signers))
    cover(repository, role)


def deform(world: World, place: Place, change: object) -> None:
    """Change the file on offer without signing it again (the Timestamp key covers a Snapshot)."""
    repository, role = at(world, place), place[1]
    repository.deform(role, change)  # type: ignore[arg-type]
    cover(repository, role)


def require(world: World, place: Place, keys: list[Key], threshold: int) -> None:
    """Honest people change the keys and threshold of a role, and publish everything that follows from it."""
    repository, role = at(world, place), place[1]
    if role in TOP_LEVEL:
        outgoing = repository.signers["root"]
        repository.set_keys(role, keys, threshold)
        repository.publish_root(outgoing)
        repository.publish("targets")
        return
    delegations = repository.bodies["targets"]["delegations"]
    entry = delegation(repository, role)
    entry["keyids"], entry["threshold"] = [key.keyid for key in keys], threshold
    delegations["keys"] |= {key.keyid: key.public for key in keys}
    repository.signers[role] = keys
    repository.publish("targets", role)


def fallen(name: str, role: str) -> list[str]:
    """The stored files that go where the keys or the threshold of ``role`` no longer hold its floor."""
    if role == "targets":
        return [f"{name}/targets"]
    gone = ["timestamp", "snapshot", "targets", *(["acme"] if name == "image" else [])]
    return [f"{name}/{role}" for role in gone]


def delegation(repository: RepositorySimulator, role: str, parent: str = "targets") -> JSON:
    """The delegation of ``parent`` to ``role``, to be changed in place."""
    for entry in repository.bodies[parent]["delegations"]["roles"]:
        if entry["name"] == role:
            found: JSON = entry
            return found
    raise KeyError(role)


def clone(body: JSON) -> JSON:
    """A body that can be deformed without touching the original."""
    return copy.deepcopy(body)
