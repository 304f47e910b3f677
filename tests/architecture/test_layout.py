"""Files are where the packaging needs them, are named for what they hold, and say what belongs in them."""

from __future__ import annotations

import ast
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import pytest

from tests.architecture.source import PARTS, ROOT, Module, all_modules, part_modules, snippet

if TYPE_CHECKING:
    from collections.abc import Iterable

# Names that say nothing, and so collect everything.
BANNED_NAMES = frozenset({"utils", "util", "helpers", "helper", "common", "types", "misc"})


def breaks_namespace(paths: Iterable[str]) -> list[str]:
    """The ``twinlock/__init__.py`` files: one of them hides the namespace's other parts."""
    return [path for path in paths if PurePosixPath(path).parts[-2:] == ("twinlock", "__init__.py")]


def vague_names(paths: Iterable[str]) -> list[str]:
    """The files named for nothing in particular."""
    return [path for path in paths if BANNED_NAMES & set(PurePosixPath(path).with_suffix("").parts)]


def named_twice(modules: Iterable[Module]) -> set[str]:
    """The public classes that have the name of another one."""
    seen, twice = set[str](), set[str]()
    for module in modules:
        names = {node.name for node in module.tree.body if isinstance(node, ast.ClassDef) if node.name[0] != "_"}
        twice |= names & seen
        seen |= names
    return twice


def undocumented(module: Module) -> list[str]:
    """The public functions of ``module`` that have no docstring."""
    return [
        node.name
        for node in module.tree.body
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        and not node.name.startswith("_")
        and not ast.get_docstring(node)
    ]


def test_the_namespace_has_no_init() -> None:
    assert not breaks_namespace(module.path for module in all_modules())


@pytest.mark.parametrize("part", PARTS)
def test_every_part_is_typed(part: str) -> None:
    assert (ROOT / part / "twinlock" / part / "py.typed").is_file()


def test_every_part_is_packaged() -> None:
    import tomllib

    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert wheel == {
        "packages": [f"{part}/twinlock" for part in wheel["dev-mode-dirs"]],
        "dev-mode-dirs": wheel["dev-mode-dirs"],
        "force-include": {"testing/pytest_twinlock.py": "pytest_twinlock.py"},
    }
    assert sorted(wheel["dev-mode-dirs"]) == sorted(PARTS)


def test_no_file_is_named_for_nothing() -> None:
    assert not vague_names(module.path for module in all_modules())


def test_no_two_classes_have_one_name() -> None:
    assert not named_twice(module for part in PARTS for module in part_modules(part))


def test_every_module_says_what_it_is() -> None:
    assert not [module.path for module in all_modules() if not ast.get_docstring(module.tree)]


def test_every_public_function_of_trust_is_documented() -> None:
    assert not {module.path: names for module in part_modules("trust") if (names := undocumented(module))}


def test_each_detector_sees_its_fault() -> None:
    assert named_twice([snippet("class A: pass"), snippet("class A: pass\nclass B: pass")]) == {"A"}
    assert breaks_namespace(["trust/twinlock/__init__.py", "trust/twinlock/trust/__init__.py"]) == [
        "trust/twinlock/__init__.py",
    ]
    assert vague_names(["client/twinlock/client/utils.py", "trust/common/a.py", "a/typestate.py"]) == [
        "client/twinlock/client/utils.py",
        "trust/common/a.py",
    ]
    assert undocumented(snippet("def f(): ...\ndef _g(): ...\nasync def h(): ...")) == ["f", "h"]
