"""What the tests of single rules share: deforming one rightly signed file, and the refusal that has to follow.

Belongs here: a few verbs around ``tests.simulator``. Does not belong here: any expectation of a rule.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.simulator.hands import offer, replace
from tests.simulator.scenario import seasoned
from twinlock.testing.simulator.repository import seal
from twinlock.testing.simulator.world import World
from twinlock.trust.errors.base import RefusalError

JSON = dict[str, Any]
Place = tuple[str, str]
ABSENT = object()


def seasoned_world() -> World:
    """Two releases installed, a third one published and not yet seen."""
    world = World()
    seasoned(world)
    return world


def sign_deformed(world: World, place: Place, change: Callable[[JSON], object]) -> None:
    """Offer the next file of a role with a deformed body, rightly signed."""
    repository = offer(world, place)
    body = repository.bodies[place[1]]
    change(body)
    replace(world, place, seal(body, repository.signers[place[1]]))


def without(*path: str) -> Callable[[JSON], object]:
    """A change that takes a member away."""
    return lambda body: _at(body, path[:-1]).pop(path[-1])


def with_value(value: object, *path: str) -> Callable[[JSON], object]:
    """A change that sets a member."""
    return lambda body: _at(body, path[:-1]).update({path[-1]: value})


def refused(world: World, error: type[RefusalError], run: Callable[[], object] | None = None, **fields: object) -> Any:
    """The cycle ends in ``error`` with these fields, and no image of an ECU has changed; gives the error."""
    installed = dict(world.vehicle.installed)
    with pytest.raises(error) as caught:
        (run or world.update)()
    found = caught.value.fields()
    assert {name: found[name] for name in fields} == fields
    assert world.vehicle.installed == installed
    return caught.value


def stored(world: World, place: Place) -> object:
    """The stored file of a role, the newest one for Root."""
    store = world.vehicle.stores[place[0]]
    return store.roots[max(store.roots)] if place[1] == "root" else store.files.get(place[1])


def _at(body: JSON, path: tuple[str, ...]) -> JSON:
    for name in path:
        body = body[name]
    return body
