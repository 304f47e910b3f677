"""One module decides what an ECU raises its release counter to: no other one stores the floor."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from tests.architecture.source import Module, part_modules, snippet

if TYPE_CHECKING:
    from collections.abc import Iterable

HOME = "twinlock.client.ecu.release_counter"
STORES = "store_release_counter"


def storing(modules: Iterable[Module]) -> set[str]:
    """The modules that call the method which stores the floor."""
    return {
        module.name
        for module in modules
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Attribute) and node.attr == STORES
    }


def test_one_module_stores_the_floor() -> None:
    assert storing(part_modules("client")) == {HOME}


def test_the_detector_detects() -> None:
    assert storing([snippet(f"state.{STORES}(1)", "twinlock.client.a"), snippet("x = 1")]) == {"twinlock.client.a"}
