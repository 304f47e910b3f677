"""The trust engine does no I/O, reads no clock and draws no random number: the same input, the same verdict."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

import pytest

from tests.architecture.source import Module, below, imports, part_modules, snippet

if TYPE_CHECKING:
    from collections.abc import Iterator

BANNED_MODULES = (
    "aiohttp", "asyncio", "ctypes", "http", "importlib", "io", "logging", "multiprocessing", "os", "pathlib", "random",
    "secrets", "select", "shutil", "signal", "socket", "sqlite3", "ssl", "subprocess", "sys", "tempfile", "threading",
    "time", "urllib.request", "uuid",
)  # fmt: skip
# What a name of ``twinlock.trust`` is loaded by when it is first used. It loads our own modules and nothing else.
LAZY = "twinlock.trust.lazy"
BANNED_METHODS = frozenset({"now", "utcnow", "today", "fromtimestamp", "urandom", "generate"})
BANNED_BUILTINS = frozenset({"open", "print", "input", "__import__", "eval", "exec"})


def impurities(module: Module) -> Iterator[str]:
    """What ``module`` does that a pure engine must not."""
    for name in imports(module.tree):
        if any(below(name, banned) for banned in BANNED_MODULES):
            yield f"import {name}"
    for node in ast.walk(module.tree):
        if not isinstance(node, ast.Call):
            continue
        function = node.func
        if isinstance(function, ast.Name) and function.id in BANNED_BUILTINS | BANNED_METHODS:
            yield f"{function.id}()"
        elif isinstance(function, ast.Attribute) and function.attr in BANNED_METHODS:
            yield f".{function.attr}()"


def test_trust_is_pure() -> None:
    found = {module.name: impure for module in part_modules("trust") if (impure := list(impurities(module)))}
    assert found == {LAZY: ["import importlib.import_module"]}


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("import os.path", ["import os.path"]),
        ("from os import environ", ["import os.environ"]),
        ("def f():\n    import random", ["import random"]),
        ("from urllib.request import urlopen", ["import urllib.request.urlopen"]),
        ("datetime.now(UTC)", [".now()"]),
        ("datetime.datetime.utcnow()", [".utcnow()"]),
        ("open('x')", ["open()"]),
        ("print('x')", ["print()"]),
        ("Ed25519PrivateKey.generate()", [".generate()"]),
    ],
)
def test_an_impurity_is_seen(code: str, found: list[str]) -> None:
    assert list(impurities(snippet(code))) == found


def test_the_time_as_an_argument_is_pure() -> None:
    code = "from urllib.parse import quote\nfrom datetime import datetime\ndef f(now: datetime) -> bool:\n    return g(now)"
    assert list(impurities(snippet(code))) == []
