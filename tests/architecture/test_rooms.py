"""The rooms of each part: folders of a size that one can survey, and imports between them that lead one way."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import pytest

from tests.architecture.source import PARTS, Module, below, imports, part_modules, snippet

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MOST_MODULES = 14
# How many pairs of rooms of a part import one another today; a module at the top of its part is a room by itself. They may fall.
MOST_ARROWS = {"trust": 61, "io": 0, "client": 28, "repository": 59, "director": 54, "cli": 15, "testing": 15}

Arrows = dict[str, set[str]]


def room(name: str, packages: frozenset[str]) -> str:
    """The room of a module: the folder that it is in, or itself at the top of its part."""
    folder = name.rpartition(".")[0]
    return name if name in packages or folder.count(".") < 2 else folder


def arrows(modules: Iterable[Module]) -> Arrows:
    """By room, the other rooms of the part that its modules import. A package's exports are of all its rooms, and not counted."""
    modules = tuple(modules)
    known = frozenset(module.name for module in modules)
    packages = frozenset(module.name for module in modules if module.path.endswith("__init__.py"))
    found: Arrows = defaultdict(set)
    for module in modules:
        if module.name in packages:
            continue
        here = room(module.name, packages)
        for name in imports(module.tree):
            target = name if name in known else name.rpartition(".")[0]
            if target in known and (there := room(target, packages)) != here:
                found[here].add(there)
    return found


def circles(found: Arrows) -> Iterator[str]:
    """The rooms from which imports lead back to them."""
    for start in found:
        reached, waiting = set[str](), list(found[start])
        while waiting:
            here = waiting.pop()
            if here not in reached:
                reached.add(here)
                waiting.extend(found.get(here, ()))
        if start in reached:
            yield start


def crowded(modules: Iterable[Module]) -> dict[str, int]:
    """The folders with more modules than one can survey, their ``__init__`` included."""
    sizes: dict[str, int] = defaultdict(int)
    for module in modules:
        package = module.path.endswith("__init__.py")
        sizes[module.name if package else module.name.rpartition(".")[0]] += 1
    return {folder: size for folder, size in sizes.items() if size > MOST_MODULES}


@pytest.mark.parametrize("part", PARTS)
def test_no_room_is_crowded(part: str) -> None:
    assert not crowded(part_modules(part))


@pytest.mark.parametrize("part", PARTS)
def test_imports_between_rooms_lead_one_way(part: str) -> None:
    ours = (module for module in part_modules(part) if below(module.name, f"twinlock.{part}"))
    assert not sorted(circles(arrows(ours)))


@pytest.mark.parametrize("part", PARTS)
def test_there_are_no_more_imports_between_rooms_than_there_were(part: str) -> None:
    assert sum(map(len, arrows(part_modules(part)).values())) <= MOST_ARROWS[part]


def test_each_detector_sees_its_fault() -> None:
    back = snippet("from twinlock.trust.two.b import f", "twinlock.trust.one.a")
    forth = snippet("from twinlock.trust.one.a import f", "twinlock.trust.two.b")
    assert sorted(circles(arrows([back, forth]))) == ["twinlock.trust.one", "twinlock.trust.two"]
    assert not list(circles(arrows([back, snippet("", "twinlock.trust.two.b")])))
    many = [snippet("", f"twinlock.trust.one.m{number}") for number in range(MOST_MODULES + 1)]
    assert crowded(many) == {"twinlock.trust.one": MOST_MODULES + 1}
    assert not crowded(many[1:])
    assert crowded([Module("twinlock.trust.one", "twinlock/trust/one/__init__.py", ""), *many[1:]])
