"""How one piece of syntax is broken: for a node, the nodes that may stand in its place.

Belongs here: what to put. Does not belong here: where (``mutants.py``), and whether a test notices.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator
from typing import TypeAlias

Change: TypeAlias = tuple[str, ast.AST]
"""What is done, in words, and the node that stands there then."""

_COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
_ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.FloorDiv: ast.Mult,
    ast.Pow: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
}
_NAMES = {
    "any": "all",
    "all": "any",
    "min": "max",
    "max": "min",
    "sorted": "list",
    "partition": "rpartition",
    "rpartition": "partition",
    "startswith": "endswith",
    "endswith": "startswith",
}
# Sentences for people: tests assert fields, so nobody has to notice another wording.
_PROSE_CALLS = frozenset({"fail", "ValueError", "TypeError", "_Weak", "UsageError"})
_PROSE_KEYWORDS = frozenset({"reason", "what"})


def changes(node: ast.AST) -> Iterator[Change]:
    """Every way to break ``node`` itself; its children are asked for theirs."""
    if isinstance(node, ast.stmt):
        yield from _statement(node)
    elif isinstance(node, ast.Call):
        yield from _call(node)
    elif isinstance(node, ast.comprehension):
        for number, test in enumerate(node.ifs):
            yield f"`if {_text(test)}` is dropped", _without(node, "ifs", number)
    elif isinstance(node, ast.ExceptHandler) and isinstance(node.type, ast.Tuple):
        for number, kind in enumerate(node.type.elts):
            yield f"{_text(kind)} is not caught", _with(node, type=_without(node.type, "elts", number))
    elif isinstance(node, ast.Constant):
        yield from _constant(node)
    elif isinstance(node, ast.expr):
        yield from _logic(node)
        yield from _structure(node)


def is_prose(call: ast.Call, argument: ast.AST) -> bool:
    """Whether ``argument`` of ``call`` is a sentence for people."""
    if isinstance(argument, ast.keyword):
        return argument.arg in _PROSE_KEYWORDS
    return _name(call.func) in _PROSE_CALLS


def _statement(node: ast.stmt) -> Iterator[Change]:
    first = _text(node).splitlines()[0]
    if isinstance(node, (ast.Raise, ast.Expr, ast.Delete)):
        yield f"`{first}` is left out", ast.Pass()
    elif isinstance(node, ast.AugAssign):
        yield f"`{first}` is left out", ast.Pass()
        if type(node.op) in _ARITHMETIC:
            yield f"`{first}` the other way", _with(node, op=_ARITHMETIC[type(node.op)]())
    elif isinstance(node, ast.Assign) and isinstance(node.targets[0], (ast.Attribute, ast.Subscript)):
        yield f"`{first}` is left out", ast.Pass()
    elif isinstance(node, (ast.Assign, ast.Return)) and node.value is not None and not _is_none(node.value):
        yield f"`{first}` gets None", _with(node, value=ast.Constant(None))
    elif isinstance(node, (ast.Break, ast.Continue)):
        yield f"`{first}` is left out", ast.Pass()
    elif isinstance(node, ast.If):
        yield f"`if {_text(node.test)}` always", _with(node, test=ast.Constant(value=True))
        yield f"`if {_text(node.test)}` never", _with(node, test=ast.Constant(value=False))
    elif isinstance(node, ast.While):
        yield f"`while {_text(node.test)}` never", _with(node, test=ast.Constant(value=False))


def _call(node: ast.Call) -> Iterator[Change]:
    name = _name(node.func)
    if name in _NAMES:
        other = _NAMES[name]
        func = _with(node.func, id=other) if isinstance(node.func, ast.Name) else _with(node.func, attr=other)
        yield f"{name} becomes {other}", _with(node, func=func)
    for number, argument in enumerate(node.args):
        if not is_prose(node, argument) and not _is_none(argument) and not isinstance(argument, ast.Starred):
            args = [*node.args[:number], ast.Constant(None), *node.args[number + 1 :]]
            yield f"argument `{_text(argument)}` of {name} becomes None", _with(node, args=args)
    for number, keyword in enumerate(node.keywords):
        if keyword.arg and not is_prose(node, keyword):
            shown = f"{keyword.arg}={_text(keyword.value)}"
            if not name.endswith("Error"):
                yield f"argument `{shown}` of {name} is dropped", _without(node, "keywords", number)
            elif not _is_none(keyword.value):
                nothing = _with(keyword, value=ast.Constant(None))
                keywords = [*node.keywords[:number], nothing, *node.keywords[number + 1 :]]
                yield f"argument `{shown}` of {name} becomes None", _with(node, keywords=keywords)


def _constant(node: ast.Constant) -> Iterator[Change]:
    value = node.value
    others: tuple[object, ...] = ()
    if isinstance(value, bool):
        others = (not value,)
    elif isinstance(value, int):
        others = (value + 1, value - 1)
    elif isinstance(value, str):
        others = ("" if value else "mutant",)
    elif isinstance(value, bytes):
        others = (b"" if value else b"mutant",)
    for other in others:
        yield f"{value!r} becomes {other!r}", _with(node, value=other)


def _logic(node: ast.expr) -> Iterator[Change]:
    if isinstance(node, ast.Compare):
        for number, op in enumerate(node.ops):
            for kind in _COMPARISONS[type(op)]:
                changed = _with(node, ops=[*node.ops[:number], kind(), *node.ops[number + 1 :]])
                yield f"`{_text(node)}` becomes `{_text(changed)}`", changed
    elif isinstance(node, ast.BoolOp):
        changed = _with(node, op=ast.Or() if isinstance(node.op, ast.And) else ast.And())
        yield f"`{_text(node)}` becomes `{_text(changed)}`", changed
        for number, value in enumerate(node.values):
            yield f"`{_text(value)}` is dropped from `{_text(node)}`", _without(node, "values", number)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.Not, ast.USub)):
        yield f"`{_text(node)}` becomes `{_text(node.operand)}`", node.operand
    elif isinstance(node, ast.BinOp) and type(node.op) in _ARITHMETIC:
        changed = _with(node, op=_ARITHMETIC[type(node.op)]())
        yield f"`{_text(node)}` becomes `{_text(changed)}`", changed


def _structure(node: ast.expr) -> Iterator[Change]:
    if isinstance(node, ast.IfExp):
        yield f"always `{_text(node.body)}`", node.body
        yield f"always `{_text(node.orelse)}`", node.orelse
    elif isinstance(node, (ast.Tuple, ast.List, ast.Set)) and isinstance(getattr(node, "ctx", ast.Load()), ast.Load):
        for number, item in enumerate(node.elts):
            if len(node.elts) > 1 or not isinstance(node, ast.Set):
                yield f"`{_text(item)}` is dropped from `{_text(node)}`", _without(node, "elts", number)
    elif isinstance(node, ast.Dict):
        for number, value in enumerate(node.values):
            keys = [*node.keys[:number], *node.keys[number + 1 :]]
            yield f"`{_text(value)}` is dropped from a dict", _with(_without(node, "values", number), keys=keys)
    elif isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Slice):
        yield f"`{_text(node)}` becomes `{_text(node.value)}`", node.value


def _name(func: ast.expr) -> str:
    return func.id if isinstance(func, ast.Name) else func.attr if isinstance(func, ast.Attribute) else "a call"


def _is_none(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _with(node: ast.AST, **fields: object) -> ast.AST:
    changed = copy.copy(node)
    for name, value in fields.items():
        setattr(changed, name, value)
    return changed


def _without(node: ast.AST, field: str, number: int) -> ast.AST:
    items = getattr(node, field)
    left = [*items[:number], *items[number + 1 :]]
    if isinstance(node, ast.BoolOp) and len(left) == 1:
        only: ast.AST = left[0]
        return only
    return _with(node, **{field: left})


def _text(node: ast.AST) -> str:
    return ast.unparse(node)
