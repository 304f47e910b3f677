"""The mutation tool itself: what it breaks, what it leaves alone, and how survivors are judged."""

from __future__ import annotations

import ast
from types import CodeType
from typing import Any

import pytest

from mutation.explained import FILE, Identity, judge, read
from mutation.judging import _with_next
from mutation.mutants import Mutant, Source

TEXT = '''
"""A module."""

LIMIT = 3


def check(version: int, trusted: int | None, *, limit: int = LIMIT) -> int:
    """Refuse an old version."""
    if trusted is not None and version < trusted:
        raise ValueError("older")
    if version > limit:
        raise OverflowError(version)
    return version
'''


def run(code: CodeType, *arguments: int | None) -> object:
    """What ``check`` of a mutant returns, or what it raises."""
    space: dict[str, Any] = {}
    exec(code, space)
    try:
        return space["check"](*arguments)
    except (ValueError, OverflowError, TypeError, NameError) as error:
        return repr(error)


def outcomes(*inputs: tuple[int | None, ...]) -> dict[str, bool]:
    """Whether the results for ``inputs`` tell each mutant of ``check`` from the original."""
    source = Source("check.py", TEXT)
    original = [run(compile(TEXT, "check.py", "exec"), *arguments) for arguments in inputs]
    return {
        mutant.change: [run(source.compiled(number, "check.py"), *arguments) for arguments in inputs] != original
        for number, mutant in enumerate(source.mutants)
        if mutant.function
    }


def test_a_check_nobody_tests_at_its_bound_survives() -> None:
    killed = outcomes((2, None), (2, 1), (1, 2), (9, None))
    assert killed["`version < trusted` becomes `version >= trusted`"]
    assert killed["`raise ValueError('older')` is left out"]
    assert killed["`if version > limit` never"]
    assert not killed["`version < trusted` becomes `version <= trusted`"]
    assert not killed["`version > limit` becomes `version >= limit`"]


def test_tests_at_the_bound_kill_all_of_them() -> None:
    killed = outcomes((2, None), (2, 1), (1, 2), (2, 2), (3, None), (9, None))
    assert len(killed) > 15
    assert [change for change, noticed in killed.items() if not noticed] == []


def test_words_for_people_and_annotations_are_left_alone() -> None:
    changes = [mutant.change for mutant in Source("check.py", TEXT).mutants]
    assert not [change for change in changes if change.startswith(("'older'", "'A module", "'Refuse"))]
    assert not [change for change in changes if "int" in change]


def test_what_runs_at_import_is_told_apart() -> None:
    source = Source("check.py", TEXT)
    at_load = [mutant.change for mutant in source.mutants if not mutant.function]
    assert at_load == ["`LIMIT = 3` gets None", "3 becomes 4", "3 becomes 2"]
    number = [mutant.change for mutant in source.mutants].index("3 becomes 2")
    assert "LIMIT = 2" in source.rewritten(number)
    assert "LIMIT = 3" in source.rewritten(number + 1)


@pytest.mark.parametrize(
    ("line", "change"),
    [
        ("    x = any(y for y in z if y)", "any becomes all"),
        ("    x = any(y for y in z if y)", "`if y` is dropped"),
        ("    x = a if b else c", "always `a`"),
        ("    x = a[:3]", "`a[:3]` becomes `a`"),
        ("    x[1] = 2", "`x[1] = 2` is left out"),
        ("    x = f(a, b=c)", "argument `b=c` of f is dropped"),
        ("    raise SomeError(field=c)", "argument `field=c` of SomeError becomes None"),
        ("    yield x", "`yield x` is left out"),
        ("    x = not y", "`not y` becomes `y`"),
        ("    x = a and b and c", "`b` is dropped from `a and b and c`"),
        ("    x += 1", "`x += 1` the other way"),
        ("    return (a, b)", "`b` is dropped from `(a, b)`"),
        ("    while True:\n        break", "`break` is left out"),
        ("    try:\n        a\n    except (A, B):\n        b", "B is not caught"),
    ],
)
def test_ways_to_break(line: str, change: str) -> None:
    source = Source("a.py", f"def f():\n{line}\n")
    assert change in [mutant.change for mutant in source.mutants]
    original = ast.unparse(ast.parse(f"def f():\n{line}\n"))
    assert original not in [source.rewritten(number) for number in range(len(source.mutants))]


def outcome(change: str, killer: str | None) -> dict[str, Any]:
    """One outcome as the plugin writes it."""
    return {**Mutant("a.py", 1, "x < y", change, "f", (1, 1))._asdict(), "killer": killer, "tests": 1}


def test_survivors_are_explained_or_not_and_explanations_grow_stale() -> None:
    reasons = {
        Identity("a.py", "f", "x < y", "explained"): "equal",
        Identity("a.py", "f", "x < y", "killed"): "was equal",
        Identity("b.py", "f", "x < y", "not judged"): "equal",
    }
    verdict = judge([outcome("explained", None), outcome("new", None), outcome("killed", "a test")], reasons)
    assert [found["change"] for found in verdict.explained] == ["explained"]
    assert [found["change"] for found in verdict.unexplained] == ["new"]
    assert [identity.change for identity in verdict.stale] == ["killed"]


def test_an_explanation_gives_a_reason() -> None:
    entry = '[[survivor]]\nfile = "a"\nfunction = "f"\nline = "x"\nchange = "y"\nreason = "{}"\n'
    assert read(entry.format("because")) == {Identity("a", "f", "x", "y"): "because"}
    with pytest.raises(ValueError, match="an explanation has"):
        read(entry.format(" "))


def test_the_committed_explanations_can_be_read() -> None:
    read(FILE.read_text(encoding="utf-8"))


def test_a_mutant_that_no_test_runs_is_no_crash(request: pytest.FixtureRequest) -> None:
    # A child that dies counts as a mutant noticed.
    assert list(_with_next(request.session, [])) == []
    (only,) = _with_next(request.session, [0])
    assert only == (request.session.items[0], 0, None)
