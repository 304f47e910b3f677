"""A function fits on a screen and a file in a head: 50 lines, 400 lines, 600 for tests."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from tests.architecture.source import Function, Module, all_modules, functions, snippet

if TYPE_CHECKING:
    from collections.abc import Iterator

FUNCTION_LINES = 50
FILE_LINES = 400
TEST_FILE_LINES = 600


def function_lines(function: Function) -> int:
    """The lines of a function from ``def`` to its end, without its docstring."""
    whole = (function.end_lineno or function.lineno) - function.lineno + 1
    first = function.body[0]
    if ast.get_docstring(function, clean=False) is None:
        return whole
    return whole - ((first.end_lineno or first.lineno) - first.lineno + 1)


def long_functions(module: Module) -> Iterator[str]:
    """The functions of ``module`` over the limit, with their lengths."""
    for function in functions(module):
        lines = function_lines(function)
        if lines > FUNCTION_LINES:
            yield f"{module.path}:{function.lineno} {function.name}: {lines} lines"


def long_file(module: Module) -> bool:
    """Whether the file is over its limit."""
    limit = TEST_FILE_LINES if module.path.startswith("tests/") else FILE_LINES
    return len(module.text.splitlines()) > limit


def test_functions_fit_on_a_screen() -> None:
    assert not [found for module in all_modules() for found in long_functions(module)]


def test_files_fit_in_a_head() -> None:
    assert not {module.path: len(module.text.splitlines()) for module in all_modules() if long_file(module)}


def test_a_long_function_is_seen_and_a_docstring_does_not_count() -> None:
    body = "    x = 1\n" * (FUNCTION_LINES - 1)
    documented = 'def f():\n    """One\n\n    three.\n    """\n' + body
    assert list(long_functions(snippet(documented))) == []
    assert list(long_functions(snippet(documented + "    x = 2\n"))) == ["twinlock.trust.snippet.py:1 f: 51 lines"]
    assert len(list(long_functions(snippet("class A:\n  async def f(self):\n" + body + body)))) == 1


def test_a_long_file_is_seen() -> None:
    lines = "x = 1\n" * FILE_LINES
    assert not long_file(snippet(lines))
    assert long_file(snippet(lines + "y = 2\n"))
    assert not long_file(Module("tests/a.py", "tests/a.py", lines + "y = 2\n"))
