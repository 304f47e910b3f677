"""Moves that several attacks share: repositories moved together, roles nested, entries that both repositories list."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

from tests.simulator import hands
from tests.simulator.scenario import (
    REPOSITORIES,
    Refused,
    next_releases,
    refused,
)
from twinlock.testing.simulator.keys import JSON
from twinlock.testing.simulator.world import ADAS, BRAKE, PARTS, World
from twinlock.trust.errors.images import (
    ImageNotFoundError,
)

ALL = tuple(part.path(3) for part in PARTS)


def name_again(world: World) -> None:
    """Honest people give every role its own keys again, without any that cannot be used or any demand."""
    for repository in world.repositories.values():
        outgoing = repository.signers["root"]
        repository.bodies["root"].get("custom", {}).pop("postQuantum", None)
        for role in ("root", "timestamp", "snapshot", "targets"):
            repository.set_keys(role, [repository.key(role)])
        repository.publish_root(outgoing)
    world.image.bodies["targets"].pop("custom", None)
    hands.require(world, ("image", "acme"), [world.image.key("acme")], 1)
    next_releases(world)


def nest(
    world: World, *roles: str, paths: str = "brake/*", listing: str | None = None, parent: str = "targets"
) -> None:
    """Replace the way to the brake's images: a chain of delegations from ``parent``, the entry in ``listing``.

    ``listing`` is the last of ``roles`` unless given. Nothing is published.
    """
    image = world.image
    entry = image.bodies["acme"]["targets"].pop(BRAKE.path(3))
    drop_delegations(image.bodies[parent])
    for above, role in zip((parent, *roles), roles, strict=False):
        image.delegate(above, role, [paths])
    image.bodies[listing or roles[-1]]["targets"][BRAKE.path(3)] = entry


def drop_delegations(body: JSON) -> None:
    """Forget what ``body`` delegates."""
    body["delegations"] = {"keys": {}, "roles": []}


def not_found(*stored: str) -> Refused:
    """The brake's image is not found; ``stored`` are the delegated roles that were read on the way."""
    fields = {"target": BRAKE.path(3), "repository": "image", "hardware_id": BRAKE.hardware_id}
    return refused(ImageNotFoundError, [*both_repositories(), *(f"image/{role}" for role in stored)], **fields)


def agree(world: World, roles: list[str], needed: int, *, terminating: bool = False) -> dict[str, dict[str, Any]]:
    """Make ``roles`` list the brake's image alike and ``needed`` of them have to agree; gives their entries.

    Nothing is published.
    """
    image = world.image
    entry = image.bodies["acme"]["targets"].pop(BRAKE.path(3))
    keys = {}
    listed = []
    entries = {}
    for role in roles:
        image.add_role(role)
        key = image.signers[role][0]
        keys[key.keyid] = key.public
        listed.append({"name": role, "keyids": [key.keyid], "threshold": 1})
        entries[role] = image.bodies[role]["targets"][BRAKE.path(3)] = copy.deepcopy(entry)
    several = {
        "paths": ["brake/*"],
        "terminating": terminating,
        "min_roles_in_agreement": needed,
        "roles": listed,
    }
    image.bodies["targets"]["delegations"] = {"keys": keys, "roles": [], "prioritized_delegations": [several]}
    return entries


def both_repositories() -> list[str]:
    """Timestamp, Snapshot and Targets of both: what is stored before images are compared."""
    return [f"{name}/{role}" for name in REPOSITORIES for role in ("timestamp", "snapshot", "targets")]


def listed_at_image(world: World) -> dict[str, Any]:
    found: dict[str, Any] = world.image.bodies["targets"]["targets"][ADAS.path(3)]
    return found


COMMIT = "28" * 32


def both_entries(world: World) -> Iterator[dict[str, Any]]:
    """The order of the driver assistance's newest image, and what the Image repository lists under that name."""
    for repository in (world.director, world.image):
        yield repository.bodies["targets"]["targets"][ADAS.path(3)]


def both_list(world: World, *, length: int, hashes: dict[str, str], **custom: Any) -> None:
    for entry in both_entries(world):
        entry.update(length=length, hashes=dict(hashes))
        entry["custom"].update(custom)
    world.director.put("targets")
    world.image.put("targets")
