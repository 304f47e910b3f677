"""Writes the conformance report: ``python -m conformance.report`` (``make conformance``).

Runs every test that the evidence names, and writes HTML, Markdown, JUnit and JSON to ``build/conformance/``. Ends with
status 1 when a rule has failed: one that is neither shown by tests, nor a procedure of people, nor openly open, nor a
deviation with its reason.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from conformance.evidence import check_evidence, load_evidence
from conformance.requirements import MUST, PROJECT, SHOULD, Catalogue, in_section, load_requirements
from conformance.running import run_tests
from conformance.verdicts import VERDICTS, Entry, judge, totals
from conformance.writing_html import as_html
from conformance.writing_text import as_junit, as_markdown

BUILD = PROJECT / "build" / "conformance"


def as_document(entries: Sequence[Entry]) -> dict[str, Any]:
    """What ``report.json`` holds."""
    return {
        "must": totals(entries, MUST),
        "should": totals(entries, SHOULD),
        "entries": [entry.as_json() for entry in entries],
    }


def write_reports(catalogue: Catalogue, entries: Sequence[Entry], directory: Path) -> None:
    """Write the four files."""
    directory.mkdir(parents=True, exist_ok=True)
    document = json.dumps(as_document(entries), indent=1, ensure_ascii=False)
    (directory / "report.json").write_text(document + "\n", encoding="utf-8")
    (directory / "report.md").write_text(as_markdown(catalogue, entries), encoding="utf-8")
    (directory / "report.xml").write_text(as_junit(catalogue, entries), encoding="utf-8")
    (directory / "index.html").write_text(as_html(catalogue, entries), encoding="utf-8")


def make_report(only: str | None, jobs: int, *, quiet: bool) -> tuple[Catalogue, list[Entry]]:
    """Check the claims, run the tests, judge. ``only`` is a section."""
    catalogue, evidence = load_requirements(), load_evidence()
    faults = check_evidence(catalogue.requirements, evidence)
    rules = [rule for rule in catalogue.requirements if only is None or in_section(rule, only)]
    if not rules:
        raise SystemExit(f"the Standard has no section {only} with rules")
    selectors = {test for rule in rules if rule.id in evidence for test in evidence[rule.id].tests}
    _say(f"{len(rules)} rules; running what {len(selectors)} selectors name", quiet=quiet)
    outcomes = run_tests(selectors, jobs=jobs, quiet=quiet)
    return catalogue, judge(rules, evidence, outcomes, faults)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    options = _options(arguments)
    catalogue, entries = make_report(options.only, options.jobs, quiet=options.quiet)
    directory = BUILD if options.only is None else BUILD / f"only-{options.only}"
    write_reports(catalogue, entries, directory)
    bad = [entry for entry in entries if not entry.acceptable]
    if options.json:
        sys.stdout.write(json.dumps(as_document(entries), indent=1, ensure_ascii=False) + "\n")
    else:
        _summarise(entries, bad, directory)
    return 1 if bad else 0


def _summarise(entries: Sequence[Entry], bad: Sequence[Entry], directory: Path) -> None:
    for entry in entries:
        if entry.verdict == "deviation":
            sys.stdout.write(f"DEVIATION {entry.requirement.id}: {entry.evidence.deviation}\n")
    for entry in bad:
        sys.stdout.write(f"FAILED {entry.requirement.id}: {'; '.join(entry.failures) or 'no evidence'}\n")
    counts = Counter(entry.verdict for entry in entries)
    sys.stdout.write(", ".join(f"{counts[verdict]} {verdict}" for verdict in VERDICTS if counts[verdict]) + "\n")
    for level in (MUST, SHOULD):
        found = totals(entries, level)
        sys.stdout.write(f"{level}: {found['shown']} of {found['total']} shown by tests\n")
    sys.stdout.write(f"{directory / 'index.html'}\n")


def _say(text: str, *, quiet: bool) -> None:
    if not quiet:
        sys.stderr.write(text + "\n")


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="conformance.report", description="Twinlock against the Uptane Standard.")
    parser.add_argument("--json", action="store_true", help="print report.json instead of the summary")
    parser.add_argument("--only", metavar="SECTION", help="only this section and those below it, such as 5.4.4")
    parser.add_argument("--jobs", type=int, default=2, help="how many tests at once (default: %(default)s)")
    parser.add_argument("--quiet", action="store_true", help="no progress on stderr")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    raise SystemExit(main())
