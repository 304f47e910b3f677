"""Threads of the client: only those that read may outlive a cancelled task."""

from __future__ import annotations

import ast

from tests.architecture.source import part_modules

READING = {"twinlock.client.link.http": {"bundle.encode"}, "twinlock.client.secondary.secondary": {"self._read_bundle"}}
"""What a cancelled task may leave running in its thread: it changes nothing."""


def test_no_thread_that_changes_anything_is_left_behind() -> None:
    left: dict[str, set[str]] = {}
    for module in part_modules("client"):
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "asyncio.to_thread":
                left.setdefault(module.name, set()).add(ast.unparse(node.args[0]))
    assert left == READING
