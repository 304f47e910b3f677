"""Whether ``path::symbol`` names something that is really there, found by parsing and without importing it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path


def has_symbol(project: Path, reference: str) -> bool:
    """Whether ``path``, ``path::name`` or ``path::Class::method`` (also ``Class.method``) exists below ``project``."""
    path, *names = reference.split("::")
    file = project / path
    if not names:
        return file.exists()
    return file.is_file() and ".".join(names) in _symbols(file)


@cache
def _symbols(file: Path) -> frozenset[str]:
    if file.suffix != ".py":
        return frozenset()
    return frozenset(_names(ast.parse(file.read_text(encoding="utf-8")).body, ""))


def _names(body: list[ast.stmt], prefix: str) -> Iterator[str]:
    for node in body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield prefix + node.name
        elif isinstance(node, ast.ClassDef):
            yield prefix + node.name
            yield from _names(node.body, f"{prefix}{node.name}.")
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            yield from (prefix + target.id for target in targets if isinstance(target, ast.Name))
