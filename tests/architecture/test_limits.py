"""A vehicle reads everything under the limits provisioned for it: no call in ``client/`` falls back on the defaults.

What was accepted under a provisioned limit and is read again under the default one bricks the ECU.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from tests.architecture.source import Module, functions, imports, part_modules, snippet

if TYPE_CHECKING:
    from collections.abc import Iterator

DEFAULTS_ALLOWED = {
    "twinlock.client.ecu.config",  # where the provisioned ones are read
    "twinlock.client.ecu.provision",  # an ECU that is being made has none yet
}


def with_defaults() -> dict[str, int]:
    """The functions of ``trust/`` that go by the default limits if a caller gives none, and the position of ``limits``."""
    found = {}
    for module in part_modules("trust"):
        for function in functions(module):
            names = [argument.arg for argument in function.args.args]
            optional = names[len(names) - len(function.args.defaults) :]
            keywords = zip(function.args.kwonlyargs, function.args.kw_defaults, strict=True)
            if "limits" in optional:
                found[function.name] = names.index("limits")
            elif any(argument.arg == "limits" and default is not None for argument, default in keywords):
                found[function.name] = len(names)
    return found


def forgotten(module: Module, known: dict[str, int]) -> Iterator[str]:
    for node in ast.walk(module.tree):
        if not isinstance(node, ast.Call) or not isinstance(node.func, (ast.Name, ast.Attribute)):
            continue
        name = node.func.id if isinstance(node.func, ast.Name) else node.func.attr
        if name in known and not any(item.arg == "limits" for item in node.keywords) and len(node.args) <= known[name]:
            yield f"{module.path}:{node.lineno} {name}"


def test_no_call_in_a_vehicle_forgets_the_provisioned_limits() -> None:
    known = with_defaults()
    assert {
        "restore_repository",
        "bootstrap_repository",
        "find_image",
        "check_attestation",
        "decode_map",
    } <= known.keys()
    assert [found for module in part_modules("client") for found in forgotten(module, known)] == []


def test_no_module_of_a_vehicle_uses_the_default_limits() -> None:
    users = {
        module.name
        for module in part_modules("client")
        if any(name.endswith(".DEFAULT_LIMITS") for name in imports(module.tree))
    }
    assert users == DEFAULTS_ALLOWED


def test_the_detector_detects() -> None:
    known = {"restore": 2, "decode": 1}
    for text, count in (
        ("restore(a, b)", 1),
        ("restore(a, b, limits=c)", 0),
        ("decode(a)", 1),
        ("decode(a, b)", 0),
        ("form.decode(a)", 1),
        ("other(a)", 0),
    ):
        assert len(list(forgotten(snippet(text), known))) == count
