"""A file that we keep is never written larger than it is read: its owner would be locked out of it."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

import pytest

from tests.architecture.source import Module, part_modules, snippet

if TYPE_CHECKING:
    from collections.abc import Iterator

WRITERS = ("replace_file", "create_file")


def unbounded(module: Module) -> Iterator[int]:
    """The lines on which a file is written whole without the bound of its reader."""
    for node in ast.walk(module.tree):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name) or node.func.id not in WRITERS:
            continue
        if "max_bytes" not in {word.arg for word in node.keywords}:
            yield node.lineno


@pytest.mark.parametrize("part", ["repository", "director"])
def test_every_writer_states_the_bound_of_its_reader(part: str) -> None:
    assert [(module.path, line) for module in part_modules(part) for line in unbounded(module)] == []


def test_a_writer_without_one_is_found() -> None:
    found = snippet("replace_file(path, data)\ncreate_file(path, data, max_bytes=1)\n")
    assert list(unbounded(found)) == [1]
