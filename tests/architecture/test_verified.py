"""Only ``signatures.py`` makes a ``Verified``: no other file, and no test, gets one without counting signatures."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

import pytest

from tests.architecture.source import Module, all_modules, snippet

if TYPE_CHECKING:
    from collections.abc import Iterator

HOME = "twinlock.trust.keys.signatures"
CLASS, COUNTED = "Verified", "_COUNTED"
# These two try to make one, and assert that they cannot.
REFUSED = {"tests/unit/trust/test_verified.py": {"Verified()"}}


def forgeries(module: Module) -> Iterator[str]:
    """How ``module`` makes a ``Verified``, or reaches for what would let it."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call):
            function = node.func.value if isinstance(node.func, ast.Subscript) else node.func
            if _last_name(function) == CLASS:
                yield f"{CLASS}()"
            if _last_name(function) == "__new__" and any(_last_name(given) == CLASS for given in node.args):
                yield f"{CLASS}.__new__()"
        if COUNTED in _names(node):
            yield COUNTED


def _last_name(node: ast.AST) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _names(node: ast.AST) -> set[str]:
    if isinstance(node, ast.ImportFrom):
        return {alias.name for alias in node.names}
    if isinstance(node, ast.Constant):
        return {node.value} if isinstance(node.value, str) else set()
    return {_last_name(node)}


def test_only_a_count_of_signatures_makes_a_verified() -> None:
    here = "tests/architecture/test_verified.py"
    found = {module.path: set(forgeries(module)) for module in all_modules() if module.name not in (HOME, here)}
    assert {path: forged for path, forged in found.items() if forged} == REFUSED


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("Verified(_1, b'', t, c)", ["Verified()"]),
        ("signatures.Verified(s, b'', t, c)", ["Verified()"]),
        ("Verified[Root](s, b'', t, c)", ["Verified()"]),
        ("object.__new__(Verified)", ["Verified.__new__()"]),
        ("Verified.__new__(signatures.Verified)", ["Verified.__new__()"]),
        ("from twinlock.trust.keys.signatures import _COUNTED", ["_COUNTED"]),
        ("signatures._COUNTED", ["_COUNTED"]),
        ("getattr(signatures, '_COUNTED')", ["_COUNTED"]),
    ],
)
def test_a_forgery_is_seen(code: str, found: list[str]) -> None:
    assert list(forgeries(snippet(code))) == found


def test_a_type_and_a_real_count_are_none() -> None:
    code = "def f(a: Verified[Root]) -> Verified[Root]:\n    return verify_signatures(a, k, r) if isinstance(a, Verified) else a"
    assert list(forgeries(snippet(code))) == []
