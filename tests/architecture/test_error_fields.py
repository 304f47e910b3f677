"""A field of an error that names something holds the name alone, so that a program can compare it."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from tests.architecture.source import PARTS, ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

NAMES = {
    "role",
    "delegator",
    "repository",
    "vehicle",
    "ecu",
    "member",
    "field",
    "keyid",
    "hardware_id",
    "target",
    "target_format",
}


def sentences(source: str) -> Iterator[str]:
    """Each word of prose in a field that holds a name, of every error that ``source`` makes."""
    for call in ast.walk(ast.parse(source)):
        if isinstance(call, ast.Call) and ast.unparse(call.func).endswith("Error"):
            for keyword in call.keywords:
                if keyword.arg in NAMES and any(_is_prose(node) for node in ast.walk(keyword.value)):
                    yield f"{ast.unparse(call.func)}({keyword.arg}={ast.unparse(keyword.value)})"


def _is_prose(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value


def test_a_name_in_an_error_is_not_a_sentence() -> None:
    sources = [path for part in PARTS for path in sorted((ROOT / part).rglob("*.py"))]
    assert len(sources) > 300
    assert not {str(path.relative_to(ROOT)): found for path in sources if (found := [*sentences(path.read_text())])}


def test_the_detector_sees_its_fault() -> None:
    fault = 'raise UnlistedRoleError(repository=IMAGE, role=f"{child} (delegated by {role})")'
    assert len([*sentences(fault)]) == 1
    assert not [*sentences('raise UnlistedRoleError(repository="image", role=child, reason="not listed here")')]
