"""What is known of the mutants of a job: outcomes, survivors with and without a reason, and how many are left."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from mutation.explained import Identity, Verdict, identity_of, judge
from mutation.judging import Job
from mutation.mutants import Unit
from mutation.outcomes import Outcome


class Summary(NamedTuple):
    """``left`` counts the mutants without an outcome by file; ``unsettled`` are those, and survivors without an explanation."""

    outcomes: list[Outcome]
    verdict: Verdict
    left: Counter[str]
    unsettled: frozenset[Unit]

    def __str__(self) -> str:
        return "\n".join([*_survivors(self.verdict), "", *_table(self)])


def summarize(job: Job, reasons: dict[Identity, str], *, load: bool) -> Summary:
    """The outcomes so far; mutants of what runs at import only where ``load`` asks for them."""
    kept = job.outcomes()
    outcomes: list[Outcome] = []
    left: list[Outcome] = []
    unsettled = set[Unit]()
    for source in job.sources():
        for number, mutant in enumerate(source.mutants):
            if mutant.function or load:
                known = kept.get(source, number)
                (left if known is None else outcomes).append(known or mutant._asdict())
                unit = source.units[number]
                if unit and (known is None or (known["killer"] is None and identity_of(known) not in reasons)):
                    unsettled.add(unit)
    verdict = judge(outcomes, reasons, left={identity_of(mutant) for mutant in left})
    return Summary(outcomes, verdict, Counter(mutant["path"] for mutant in left), frozenset(unsettled))


def _survivors(verdict: Verdict) -> Iterator[str]:
    for outcome in verdict.unexplained:
        yield f"survived: {outcome['path']}:{outcome['line']} in {outcome['function'] or 'the module'}"
        yield f"    {outcome['text']}\n    {outcome['change']} ({outcome['tests']} tests ran it)"
    for stale in verdict.stale:
        yield f"out of date in survivors.toml: {stale.file} {stale.function}: {stale.change}\n    {stale.line}"


def _table(summary: Summary) -> Iterator[str]:
    judged = Counter(outcome["path"] for outcome in summary.outcomes)
    explained = Counter(outcome["path"] for outcome in summary.verdict.explained)
    survived = Counter(outcome["path"] for outcome in summary.verdict.unexplained)
    yield f"{'file':34}{'judged':>9}{'killed':>9}{'explained':>11}{'survived':>10}{'left':>7}"
    rows = [(path, (path,)) for path in sorted({*judged, *summary.left})]
    for name, paths in [*rows, ("all", tuple({*judged, *summary.left}))]:
        counts = [sum(counter[path] for path in paths) for counter in (judged, explained, survived, summary.left)]
        killed = counts[0] - counts[1] - counts[2]
        yield f"{name:34}{counts[0]:9}{killed:9}{counts[1]:11}{counts[2]:10}{counts[3]:7}"
