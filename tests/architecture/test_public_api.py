"""The public names: a committed list, loaded on first use, the same for Python and for type checkers, and unused inside."""

from __future__ import annotations

import ast
import importlib
import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.architecture.public_names import FACES, listed
from tests.architecture.source import PARTS, Module, below, imports_at_load, part_modules, snippet

if TYPE_CHECKING:
    from collections.abc import Iterator

HEAVY = ("aiohttp", "asyncio", "click", "cryptography", "pytest", "securesystemslib", "sqlalchemy", "tuf")
# The face itself, what it is a part of, and what makes it lazy.
MOST_MODULES = 4


def face(package: str) -> Module:
    """The module that exports the names of ``package``."""
    return next(module for module in part_modules(package.split(".")[1]) if module.name == package)


def typed_names(module: Module) -> dict[str, str]:
    """The names that a type checker sees, each with the module that it is imported from."""
    blocks = [node for node in module.tree.body if isinstance(node, ast.If)]
    imported = [node for block in blocks for node in block.body if isinstance(node, ast.ImportFrom)]
    return {alias.name: str(node.module) for node in imported for alias in node.names}


def users_of_faces(module: Module) -> Iterator[str]:
    """The public names that a module of ours imports when it loads: they would bring a package's every room in reach."""
    for name in imports_at_load(module):
        package, _, last = name.rpartition(".")
        if package in FACES and last in listed()[package]:
            yield name


def loaded(statement: str) -> list[str]:
    """The modules that ``statement`` loads in a new interpreter, apart from those that Python starts with."""
    code = f"import json, sys, typing\nbefore = set(sys.modules)\n{statement}\n"
    code += "print(json.dumps(sorted(set(sys.modules) - before)))"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    found: list[str] = json.loads(answer.stdout)
    return found


@pytest.mark.parametrize("package", FACES)
def test_the_public_names_are_the_committed_ones(package: str) -> None:
    """A change of this list is a change of what ``docs/stability.md`` promises: it belongs in CHANGELOG.md, too."""
    assert sorted(importlib.import_module(package).__all__) == listed()[package]


@pytest.mark.parametrize("package", FACES)
def test_every_public_name_loads_and_is_what_checkers_see(package: str) -> None:
    module, seen = importlib.import_module(package), typed_names(face(package))
    assert sorted(seen) == sorted(module.__all__)
    for name, home in seen.items():
        assert getattr(module, name) is getattr(importlib.import_module(home), name)
    assert set(module.__all__) <= set(dir(module))


@pytest.mark.parametrize("package", FACES)
def test_a_name_that_does_not_exist_is_refused_as_python_does(package: str) -> None:
    with pytest.raises(AttributeError, match=f"module '{package}' has no attribute 'Nonesuch'"):
        _ = importlib.import_module(package).Nonesuch


@pytest.mark.parametrize("package", FACES)
def test_a_package_alone_loads_nothing(package: str) -> None:
    modules = loaded(f"import {package}")
    assert not [name for name in modules if any(below(name, heavy) for heavy in HEAVY)]
    ours = [name for name in modules if below(name, "twinlock")]
    assert len(ours) <= MOST_MODULES + package.count("."), ours


def test_a_name_loads_its_own_room_only() -> None:
    modules = loaded("from twinlock.client import Outcome")
    assert "twinlock.client.model.results" in modules
    assert not [name for name in modules if below(name, "twinlock.client.primary") or below(name, "aiohttp")]
    assert "twinlock.client.secondary" not in loaded("from twinlock.client import Primary")


@pytest.mark.parametrize("part", PARTS)
def test_no_module_of_ours_loads_through_a_public_name(part: str) -> None:
    assert not {module.path: users for module in part_modules(part) if (users := list(users_of_faces(module)))}


def test_each_detector_sees_its_fault() -> None:
    assert list(users_of_faces(snippet("from twinlock.client import Primary"))) == ["twinlock.client.Primary"]
    assert not list(users_of_faces(snippet("from twinlock.client import errors")))
    typed = "if TYPE_CHECKING:\n    from a.b import C, D\nelse:\n    from e import F\n"
    assert typed_names(snippet(typed)) == {"C": "a.b", "D": "a.b"}
