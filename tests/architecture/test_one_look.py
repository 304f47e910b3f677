"""One look at the Image repository per operation: who may read its configuration, and verify what is published."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

import pytest

from tests.architecture.source import Module, part_modules, snippet

if TYPE_CHECKING:
    from collections.abc import Iterator

STATE = "twinlock.repository.workspace.state"
# ``preflight`` verifies a publication that is not made yet, an import asks whether another one was begun in the directory.
READERS = {
    "read_published": {STATE, "twinlock.repository.publishing.preflight"},
    "read_wires": {STATE, "twinlock.repository.importing.run"},
}


def called(module: Module) -> Iterator[str]:
    """The names of the functions and methods that ``module`` calls."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call):
            function = node.func
            yield function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


@pytest.mark.parametrize("name", READERS)
def test_only_the_state_of_an_operation_reads_the_repository(name: str) -> None:
    assert {module.name for module in part_modules("repository") if name in called(module)} == READERS[name]


def test_the_detector_sees_its_fault() -> None:
    assert "read_published" in called(snippet("def f(store):\n    return read_published(store, b'')"))
    assert "read_wires" in called(snippet("wires = workspace.read_wires()"))
