"""What we show for each rule: ``evidence/*.yaml``, read strictly, and held against the tree.

An entry says one of: which ``code`` enforces the rule and which ``tests`` show it; which ``procedure`` people follow;
what is ``open``; why we deviate (``deviation``); or, for a permission, what we chose (``choice``).

Belongs here: the claims, and whether what they name exists. Does not belong here: running tests (``running.py``).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from conformance.anchors import has_anchor
from conformance.requirements import HERE, MAY, PROJECT, Requirement
from conformance.symbols import has_symbol

_LISTS = ("code", "tests")
_TEXTS = ("procedure", "open", "deviation", "choice", "note")


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """The claim for one rule. ``tests`` are node ids or their beginnings; ``code`` is ``path::symbol``."""

    id: str
    code: tuple[str, ...] = ()
    tests: tuple[str, ...] = ()
    procedure: str | None = None
    open: str | None = None
    deviation: str | None = None
    choice: str | None = None
    note: str | None = None


def load_evidence(directory: Path = HERE / "evidence") -> dict[str, Evidence]:
    """Read every file. Raises: ValueError for an id that stands twice or a member that is unknown."""
    found: dict[str, Evidence] = {}
    for path in sorted(directory.glob("*.yaml")):
        for identifier, claim in yaml.safe_load(path.read_text(encoding="utf-8")).items():
            if identifier in found:
                raise ValueError(f"{path.name}: {identifier} stands twice")
            found[identifier] = _evidence(identifier, claim)
    return found


def check_evidence(
    requirements: Iterable[Requirement], evidence: Mapping[str, Evidence], project: Path = PROJECT
) -> list[str]:
    """Every fault of the claims, as sentences: missing ones, foreign ones, and names of what is not there."""
    known = {item.id: item for item in requirements}
    faults = [f"{identifier}: the Standard has no such rule" for identifier in evidence if identifier not in known]
    for identifier, requirement in known.items():
        if identifier not in evidence:
            faults.append(f"{identifier}: no evidence")
            continue
        faults.extend(f"{identifier}: {fault}" for fault in _faults(requirement, evidence[identifier], project))
    return faults


def _faults(requirement: Requirement, claim: Evidence, project: Path) -> Iterator[str]:
    yield from _contradictions(requirement, claim)
    for symbol in claim.code:
        if not has_symbol(project, symbol):
            yield f"there is no {symbol}"
    for test in claim.tests:
        if not has_symbol(project, test.partition("[")[0]):
            yield f"there is no test {test}"
    if claim.procedure and not has_anchor(project, claim.procedure):
        yield f"there is no {claim.procedure}"


def _contradictions(requirement: Requirement, claim: Evidence) -> Iterator[str]:
    permission = requirement.level == MAY
    if permission and not (claim.choice or claim.open):
        yield "a permission needs the choice that was made"
    if not permission and claim.choice:
        yield "only a permission leaves a choice"
    if not permission and not (claim.tests or claim.procedure or claim.open or claim.deviation):
        yield "neither tests, procedure, open nor deviation"
    if not permission and claim.tests and not claim.code:
        yield "tests without the code that they test"
    if claim.open and claim.tests:
        yield "what is open is not shown by tests"


def _evidence(identifier: str, claim: Mapping[str, Any]) -> Evidence:
    unknown = claim.keys() - {*_LISTS, *_TEXTS}
    if unknown:
        raise ValueError(f"{identifier}: unknown members {sorted(unknown)}")
    code, tests = (tuple(claim.get(name, ())) for name in _LISTS)
    texts: dict[str, Any] = {name: claim.get(name) for name in _TEXTS}
    return Evidence(id=identifier, code=code, tests=tests, **texts)
