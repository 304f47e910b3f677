"""One spelling of what every part writes: a time has one format function, a logger the name of its module, and Root a capital."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

import pytest

from tests.architecture.source import Module, part_modules, snippet

if TYPE_CHECKING:
    from collections.abc import Iterator

FORMAT = "%Y-%m-%dT%H:%M:%SZ"
CHANNELS = {"twinlock.http", "twinlock.repository.requests", "twinlock.director"}  # lines of several modules
ROOT_FILE = re.compile(
    r"\b(an?|the|next|new|prepared|another|of) root\b(?! (and|sign|publish|cancel|show|roles)\b)|\broot keys?\b", re.I
)


def small_roots(module: Module) -> Iterator[str]:
    """The texts of ``module`` that write the file Root, or its keys, as the role ``root`` is written in a command."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield from (found.group() for found in ROOT_FILE.finditer(node.value) if "root" in found.group())


def own_formats(module: Module) -> Iterator[int]:
    """The lines that write a time in the format of ``format_time`` without it."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.FormattedValue) and node.format_spec is not None:
            spec = "".join(str(part.value) for part in ast.walk(node.format_spec) if isinstance(part, ast.Constant))
            if spec == FORMAT:
                yield node.lineno
        elif isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "strftime":
            yield from (node.lineno for each in node.args if isinstance(each, ast.Constant) and each.value == FORMAT)


def logger_names(module: Module) -> Iterator[str]:
    """The names of the loggers that ``module`` opens by a string."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "getLogger":
            yield from (str(argument.value) for argument in node.args if isinstance(argument, ast.Constant))


@pytest.mark.parametrize("part", ["repository", "director", "cli"])
def test_every_time_is_written_by_format_time(part: str) -> None:
    found = {module.name: list(own_formats(module)) for module in part_modules(part)}
    assert {name for name, lines in found.items() if lines} == set(), found


@pytest.mark.parametrize("part", ["io", "repository", "director", "cli"])
def test_a_logger_has_the_name_of_its_module(part: str) -> None:
    wrong = [
        (module.name, name)
        for module in part_modules(part)
        for name in logger_names(module)
        if name not in {module.name, *CHANNELS}
    ]
    assert wrong == []


def test_a_command_writes_the_file_root_with_a_capital() -> None:
    found = {module.name: list(small_roots(module)) for module in part_modules("cli")}
    assert {name: texts for name, texts in found.items() if texts} == {}


def test_the_detectors_see_their_faults() -> None:
    assert list(own_formats(snippet(f'text = f"at {{now:{FORMAT}}}"'))) == [1]
    assert list(own_formats(snippet(f'text = now.strftime("{FORMAT}")'))) == [1]
    assert list(own_formats(snippet('text = f"at {now:%Y-%m-%d}"'))) == []
    assert list(logger_names(snippet('log = logging.getLogger("a.b")'))) == ["a.b"]
    assert list(small_roots(snippet('text = "Publish a root with root keys"'))) == ["a root", "root keys"]
    assert (
        list(small_roots(snippet('text = "Publish a Root; twinlock image root publish; the keys of root and targets"')))
        == []
    )
