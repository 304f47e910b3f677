"""The project's own source as data: its modules, their imports, functions and calls.

Belongs here: reading source. Does not belong here: rules; each test module states its own.
"""

from __future__ import annotations

import ast
import gc
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
PARTS = ("trust", "io", "client", "repository", "director", "cli", "testing")
OUTSIDE = ("tests", "demo", "bench", "metadata-fixtures", "mutation", ".ci")

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Module:
    """One source file. ``name`` is its import name for a part's module, else its path."""

    name: str
    path: str
    text: str

    @property
    def tree(self) -> ast.Module:
        """The syntax tree."""
        return _parse(self.text)


@cache
def _parse(text: str) -> ast.Module:
    gc.disable()  # what a collection runs meanwhile makes CPython 3.11 miscount its depth, and refuse the text
    try:
        return ast.parse(text)
    finally:
        gc.enable()


def snippet(text: str, name: str = "twinlock.trust.snippet") -> Module:
    """A module made up for a test of a detector."""
    return Module(name, f"{name}.py", text)


@cache
def part_modules(part: str) -> tuple[Module, ...]:
    """Every module of a part, tracked or not, with its import name."""
    folder = ROOT / part
    found = []
    for path in sorted(folder.rglob("*.py")):
        names = path.relative_to(folder).with_suffix("").parts
        names = names[:-1] if names[-1] == "__init__" else names
        found.append(Module(".".join(names), str(path.relative_to(ROOT)), path.read_text()))
    return tuple(found)


@cache
def all_modules() -> tuple[Module, ...]:
    """Every Python file of the project."""
    others = [
        Module(str(path.relative_to(ROOT)), str(path.relative_to(ROOT)), path.read_text())
        for folder in OUTSIDE
        for path in sorted((ROOT / folder).rglob("*.py"))
    ]
    return (*(module for part in PARTS for module in part_modules(part)), *others)


def imports(node: ast.AST) -> Iterator[str]:
    """The dotted names that ``node`` imports anywhere below it; ``from a import b`` gives ``a.b``."""
    for found in ast.walk(node):
        if isinstance(found, ast.Import):
            yield from (alias.name for alias in found.names)
        elif isinstance(found, ast.ImportFrom):
            dots = "." * found.level
            yield from (f"{dots}{found.module or ''}.{alias.name}" for alias in found.names)


def imports_at_load(module: Module) -> Iterator[str]:
    """The dotted names imported when the module is, so not those in functions or under ``if TYPE_CHECKING``."""
    pending: list[ast.AST] = list(module.tree.body)
    while pending:
        node = pending.pop()
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            continue
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            pending.extend(node.orelse)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            yield from imports(node)
        else:
            pending.extend(ast.iter_child_nodes(node))


def functions(module: Module) -> Iterator[Function]:
    """Every function and method, nested ones too."""
    return (node for node in ast.walk(module.tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)))


def below(name: str, package: str) -> bool:
    """Whether the dotted ``name`` is ``package`` or inside it."""
    return name == package or name.startswith(f"{package}.")
