"""Imports point down only: trust stands alone, vehicles and servers never meet, and the command loads parts lazily."""

from __future__ import annotations

import pytest

from tests.architecture.source import PARTS, Module, below, imports, imports_at_load, part_modules, snippet

# What each part may import of ours, besides itself.
ALLOWED = {
    "trust": (),
    "io": ("twinlock.trust",),
    "client": ("twinlock.trust", "twinlock.io"),
    "repository": ("twinlock.trust", "twinlock.io"),
    "director": ("twinlock.trust", "twinlock.io", "twinlock.repository"),
    "cli": ("twinlock.trust", "twinlock.io", "twinlock.client", "twinlock.repository", "twinlock.director"),
    "testing": ("twinlock.trust", "twinlock.client"),
}
# Bases of the command's own errors; a class needs its base when its module loads.
CLI_AT_LOAD = ("twinlock.cli", "twinlock.trust.errors", "twinlock.trust.text.times")


def wrong_directions(module: Module, part: str) -> list[str]:
    """The imports of ``module`` that do not point down."""
    allowed = (f"twinlock.{part}", *ALLOWED[part])
    folders = {"twinlock", "tests", "demo", "bench", *PARTS} - {"io"}  # ``import io`` is the standard library's
    ours = [name for name in imports(module.tree) if name.split(".")[0] in folders]
    relative = [name for name in imports(module.tree) if name.startswith(".")]
    return relative + [name for name in ours if not any(below(name, package) for package in allowed)]


def eager_imports(module: Module) -> list[str]:
    """The parts that a module of the command imports as soon as it is imported itself."""
    return [
        name
        for name in imports_at_load(module)
        if below(name, "twinlock") and not any(below(name, package) for package in CLI_AT_LOAD)
    ]


@pytest.mark.parametrize("part", PARTS)
def test_imports_point_down_only(part: str) -> None:
    found = {module.path: wrong for module in part_modules(part) if (wrong := wrong_directions(module, part))}
    assert not found


def test_the_command_imports_the_parts_lazily() -> None:
    found = {module.path: eager for module in part_modules("cli") if (eager := eager_imports(module))}
    assert not found


@pytest.mark.parametrize(
    ("part", "line", "wrong"),
    [
        ("trust", "import twinlock.client.storage.state", "twinlock.client.storage.state"),
        ("trust", "from twinlock import repository", "twinlock.repository"),
        (
            "client",
            "def f():\n    from twinlock.repository.serving.http import Problem",
            "twinlock.repository.serving.http.Problem",
        ),
        ("client", "import twinlock.director", "twinlock.director"),
        (
            "io",
            "from twinlock.repository.serving.http import problem_of",
            "twinlock.repository.serving.http.problem_of",
        ),
        ("trust", "import twinlock.io.http.server", "twinlock.io.http.server"),
        ("repository", "from twinlock.director.api import device_api", "twinlock.director.api.device_api"),
        ("director", "from twinlock.client.primary.primary import Primary", "twinlock.client.primary.primary.Primary"),
        ("director", "from twinlock.cli.shared.output import Output", "twinlock.cli.shared.output.Output"),
        ("cli", "import demo.vehicle", "demo.vehicle"),
        ("client", "from tests.simulator import vehicle", "tests.simulator.vehicle"),
        ("trust", "import trust.names", "trust.names"),
        ("trust", "from .names import RoleName", ".names.RoleName"),
    ],
)
def test_a_wrong_direction_is_seen(part: str, line: str, wrong: str) -> None:
    assert wrong_directions(snippet(line), part) == [wrong]


@pytest.mark.parametrize(
    ("part", "line"),
    [
        ("trust", "from twinlock.trust.names import RoleName"),
        ("client", "from twinlock.trust import names"),
        ("director", "from twinlock.repository.serving.http import Problem"),
        ("cli", "def f():\n    import twinlock.client.primary.primary"),
        ("client", "import directory, clientele"),
        ("client", "from twinlock.io.http.server import HttpServer\nimport io"),
    ],
)
def test_a_right_direction_passes(part: str, line: str) -> None:
    assert wrong_directions(snippet(line), part) == []


def test_an_eager_import_is_seen() -> None:
    lazy = "def f():\n    from twinlock.client.primary.primary import Primary\n"
    typing_only = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from twinlock.trust.keys.public_keys import PublicKey\n"
    assert eager_imports(snippet(lazy + typing_only)) == []
    assert eager_imports(snippet("from twinlock.trust.keys.public_keys import PublicKey")) == [
        "twinlock.trust.keys.public_keys.PublicKey"
    ]
    assert eager_imports(snippet("class A:\n    import twinlock.client.storage.state")) == [
        "twinlock.client.storage.state"
    ]
    assert eager_imports(snippet("try:\n    import twinlock.director\nexcept ImportError: ...")) == [
        "twinlock.director"
    ]
