"""From claims and test outcomes to verdicts.

=========== ====================================================================================================
shown       tests ran and every one of them passed
failed      a test failed, was skipped, or was not there; or nothing was claimed
procedure   people do it; the page says how
open        it needs a capability that is not built yet; the entry says which
deviation   we do otherwise, with the reason; which binding rules may stand so is fixed by a test
permitted   a permission; the entry says what we made of it (and what tests it names, passed)
=========== ====================================================================================================
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from conformance.evidence import Evidence
from conformance.requirements import MAY, Requirement
from conformance.selection import selects

VERDICTS = ("shown", "failed", "procedure", "open", "deviation", "permitted")


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One rule with its verdict. ``failures`` are sentences; ``tests`` are the node ids that ran."""

    requirement: Requirement
    evidence: Evidence
    verdict: str
    tests: tuple[str, ...]
    failures: tuple[str, ...] = ()

    @property
    def acceptable(self) -> bool:
        """Whether a run may pass with this: a rule is shown, or the entry says plainly why tests do not show it."""
        return self.verdict != "failed"

    def as_json(self) -> dict[str, Any]:
        """As ``report.json`` has it."""
        rule, claim = self.requirement, self.evidence
        found: dict[str, Any] = {
            "id": rule.id,
            "verdict": self.verdict,
            "code": list(claim.code),
            "tests": list(self.tests),
        }
        found |= {"section": rule.section, "level": rule.level, "modal": rule.modal, "profile": rule.profile}
        found |= {"requirement": rule.requirement, "guards": list(rule.guards)}
        reasons = {"procedure": claim.procedure, "open": claim.open, "deviation": claim.deviation}
        found |= {name: text for name, text in reasons.items() if text}
        found |= {name: text for name, text in {"choice": claim.choice, "note": claim.note}.items() if text}
        return found | ({"failures": list(self.failures)} if self.failures else {})


def judge(
    requirements: Iterable[Requirement],
    evidence: Mapping[str, Evidence],
    outcomes: Mapping[str, str],
    faults: Iterable[str] = (),
) -> list[Entry]:
    """The verdict on every rule. ``faults`` are those of ``check_evidence``; a rule with one has failed."""
    known = list(faults)
    by_file: dict[str, list[str]] = {}
    for test in outcomes:
        by_file.setdefault(test.partition("::")[0], []).append(test)
    return [
        _judge(rule, evidence.get(rule.id, Evidence(id=rule.id)), outcomes, by_file, known) for rule in requirements
    ]


def totals(entries: Iterable[Entry], level: str) -> dict[str, int]:
    """How many rules of a level there are, and how many of them tests show."""
    found = [entry for entry in entries if entry.requirement.level == level]
    return {"total": len(found), "shown": sum(entry.verdict == "shown" for entry in found)}


def _judge(
    rule: Requirement,
    claim: Evidence,
    outcomes: Mapping[str, str],
    by_file: Mapping[str, list[str]],
    faults: Iterable[str],
) -> Entry:
    failures = [fault for fault in faults if fault.startswith(f"{rule.id}: ")]
    ran: dict[str, None] = {}
    for selector in claim.tests:
        found = [test for test in by_file.get(selector.partition("::")[0], ()) if selects(selector, test)]
        if not found:
            failures.append(f"{selector}: no such test ran")
        failures.extend(f"{test}: {outcomes[test]}" for test in found if outcomes[test] != "passed")
        ran |= dict.fromkeys(found)
    verdict = "failed" if failures else _verdict(rule, claim)
    return Entry(requirement=rule, evidence=claim, verdict=verdict, tests=tuple(ran), failures=tuple(failures))


def _verdict(rule: Requirement, claim: Evidence) -> str:
    if claim.open:
        return "open"
    if rule.level == MAY:
        return "permitted"
    if claim.deviation:
        return "deviation"
    if claim.tests:
        return "shown"
    return "procedure" if claim.procedure else "failed"
