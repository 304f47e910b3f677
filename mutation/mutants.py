"""Every mutant of one source file: where it is, what it does, and its compiled code.

Belongs here: walking a file. Does not belong here: what a piece of syntax may become (``operators.py``).
"""

from __future__ import annotations

import ast
import copy
import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from types import CodeType
from typing import NamedTuple

from mutation.operators import changes, is_prose

_SKIPPED_FIELDS = frozenset({"annotation", "returns", "decorator_list", "bases"})
_SKIPPED = (ast.Assert, ast.Import, ast.ImportFrom, ast.JoinedStr)
_SKIPPED_CALLS = frozenset({"TypeVar", "NewType"})


class Mutant(NamedTuple):
    """One small break. ``lines`` are the first and last line of the statement; ``function`` is empty at load time."""

    path: str
    line: int
    text: str
    change: str
    function: str
    lines: tuple[int, int]

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.change}\n    {self.text}"


class Unit(NamedTuple):
    """The function that a mutant is in, named by its file, its code and the number of ways to break it; and which way this is."""

    path: str
    digest: str
    way: int


class _Slot(NamedTuple):
    parent: ast.AST
    field: str
    position: int | None

    def put(self, node: ast.AST) -> None:
        if self.position is None:
            setattr(self.parent, self.field, node)
        else:
            getattr(self.parent, self.field)[self.position] = node


class _Place(NamedTuple):
    """What encloses a node: the outermost function with the digest of its code, and the lines of the statement."""

    function: str
    lines: tuple[int, int]
    code: str = ""


class Source:
    """One file with its mutants. ``compiled`` gives the code of one of them, ``rewritten`` its text.

    ``keys`` names each mutant by the text of the file, the change, and how many the same before it on the line.
    ``units`` has the function of each, see ``ledger.py``; None at load time.
    """

    def __init__(self, path: str, text: str) -> None:
        self.path = path
        self._lines = text.splitlines()
        self._tree = ast.parse(text)
        self.mutants: list[Mutant] = []
        self.keys: list[str] = []
        self._digest = hashlib.sha256(text.encode()).hexdigest()
        self._edits: list[tuple[_Slot, ast.AST, ast.AST]] = []
        self._codes: list[str] = []
        self._walk(self._tree, _Place("", (1, 1)))
        self.units = self._named_units()

    def compiled(self, number: int, file_name: str) -> CodeType:
        """The code of mutant ``number``, with the line numbers of the original."""
        with_changes = self._changed(number)
        return compile(with_changes, file_name, "exec", dont_inherit=True)

    def rewritten(self, number: int) -> str:
        """The text of mutant ``number``."""
        return ast.unparse(self._changed(number))

    def _changed(self, number: int) -> ast.Module:
        slot, original, changed = self._edits[number]
        slot.put(changed)
        try:
            return ast.fix_missing_locations(copy.deepcopy(self._tree))
        finally:
            slot.put(original)

    def _walk(self, node: ast.AST, place: _Place) -> None:
        for slot, child in _children(node):
            inner = _enter(node, slot, child, place)
            if inner is None:
                continue
            for change, changed in changes(child):
                if changed is not child:
                    self._add(slot, child, changed, change, inner)
            self._walk(child, inner)

    def _add(self, slot: _Slot, child: ast.AST, changed: ast.AST, change: str, place: _Place) -> None:
        line = getattr(child, "lineno", place.lines[0])
        if isinstance(changed, (ast.stmt, ast.expr)):
            ast.copy_location(changed, child)
        text = self._lines[line - 1].strip()
        mutant = Mutant(self.path, line, text, change, place.function, place.lines)
        identity = [self._digest, *mutant, self.mutants.count(mutant)]
        self.mutants.append(mutant)
        self.keys.append(hashlib.sha256(json.dumps(identity).encode()).hexdigest())
        self._edits.append((slot, child, changed))
        self._codes.append(place.code)

    def _named_units(self) -> list[Unit | None]:
        ways, seen = Counter(self._codes), Counter[str]()
        units: list[Unit | None] = []
        for code in self._codes:
            units.append(Unit(self.path, _digest(code, str(ways[code])), seen[code]) if code else None)
            seen[code] += 1
        return units


def _children(node: ast.AST) -> Iterator[tuple[_Slot, ast.AST]]:
    for field, value in ast.iter_fields(node):
        if isinstance(value, ast.AST):
            yield _Slot(node, field, None), value
        elif isinstance(value, list):
            for index, item in enumerate(value):
                if isinstance(item, ast.AST):
                    yield _Slot(node, field, index), item


def _enter(node: ast.AST, slot: _Slot, child: ast.AST, place: _Place) -> _Place | None:
    """The place of ``child``, or None where mutants would say nothing about behaviour."""
    if slot.field in _SKIPPED_FIELDS or isinstance(child, _SKIPPED) or _is_text_for_people(node, child):
        return None
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and slot.field == "body":
        place = place if place.function else place._replace(function=node.name, code=_code(node))
    if isinstance(child, ast.stmt):
        body = getattr(child, "body", None)
        last = body[0].lineno - 1 if body else child.end_lineno or child.lineno
        place = place._replace(lines=(child.lineno, max(child.lineno, last)))
    return place


def _code(function: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    """A digest of a function without its docstrings and sentences for people, wherever it is."""
    bare = copy.deepcopy(function)
    for node in ast.walk(bare):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and ast.get_docstring(node) is not None:
            node.body = node.body[1:]
        elif isinstance(node, ast.Call):
            node.args = [argument for argument in node.args if not is_prose(node, argument)]
            node.keywords = [keyword for keyword in node.keywords if not is_prose(node, keyword)]
    return _digest(ast.dump(bare))


def _digest(*texts: str) -> str:
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()[:16]


def _is_text_for_people(node: ast.AST, child: ast.AST) -> bool:
    if isinstance(node, ast.Expr) and isinstance(child, ast.Constant):
        return True
    if isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant):
        return True
    if isinstance(child, ast.Call) and isinstance(child.func, ast.Name) and child.func.id in _SKIPPED_CALLS:
        return True
    return isinstance(node, ast.Call) and child is not node.func and is_prose(node, child)
