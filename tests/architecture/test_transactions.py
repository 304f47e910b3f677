"""Nothing that a write transaction of the Director can reach asks the network: other writers wait for it."""

from __future__ import annotations

import ast
from collections import defaultdict
from typing import TYPE_CHECKING

from tests.architecture.source import Module, part_modules, snippet

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# Whatever asks the Image repository goes through one of these methods of ``catalogue.py``, or opens a source.
NETWORK = frozenset(
    {"chain", "current", "find", "find_image", "mentions", "offers", "open_source", "refresh", "urlopen"}
)
Function = ast.FunctionDef | ast.AsyncFunctionDef


def called(nodes: Iterable[ast.AST]) -> Iterator[str]:
    """The names that code calls, of functions and of methods alike, and the functions that it hands on."""
    for node in nodes:
        for inner in ast.walk(node):
            if isinstance(inner, ast.Call):
                function = inner.func
                if isinstance(function, ast.Attribute):
                    yield function.attr
                elif isinstance(function, ast.Name):
                    yield function.id


def is_writing(item: ast.withitem) -> bool:
    """Whether a ``with`` opens a write transaction."""
    call = item.context_expr
    return isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == "writing"


def ways_to_network(transaction: ast.With, known: dict[str, list[Function]]) -> Iterator[str]:
    """How the body of a write transaction leads to the network. A name stands for every function of that name."""
    reached = {name: name for name in called(transaction.body)}
    waiting = list(reached)
    while waiting:
        name = waiting.pop()
        if name in NETWORK:
            yield reached[name]
            continue
        for other in called(known.get(name, [])):
            if other not in reached:
                reached[other] = f"{reached[name]} > {other}"
                waiting.append(other)


def network_in_transactions(modules: Iterable[Module]) -> dict[str, list[str]]:
    """By file, how its write transactions lead to the network."""
    known, transactions = defaultdict[str, list[Function]](list), []
    for module in modules:
        for node in ast.walk(module.tree):
            if isinstance(node, Function):
                known[node.name].append(node)
            if isinstance(node, ast.With) and any(map(is_writing, node.items)):
                transactions.append((module.path, node))
    found = {path: list(ways_to_network(transaction, known)) for path, transaction in transactions}
    return {path: ways for path, ways in found.items() if ways}


def test_no_write_transaction_of_the_director_reaches_the_network() -> None:
    assert network_in_transactions(part_modules("director")) == {}


def test_a_look_up_behind_a_function_is_seen() -> None:
    code = """
class ManifestIntake:
    def accept(self):
        with self._database.writing("store"):
            knowledge(self._catalogue)

def knowledge(catalogue):
    return catalogue.find("a")
"""
    assert list(network_in_transactions([snippet(code)]).values()) == [["knowledge > find"]]


def test_a_look_up_before_the_transaction_is_fine() -> None:
    code = """
def accept(database, catalogue):
    entry = catalogue.find("a")
    with database.writing("store") as connection:
        connection.execute(entry)
"""
    assert network_in_transactions([snippet(code)]) == {}
