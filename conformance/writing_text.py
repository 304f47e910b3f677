"""The report as Markdown, for people without a browser, and as JUnit XML, for machines that collect test results."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from xml.etree import ElementTree as ET

from conformance.requirements import MAY, MUST, SHOULD, Catalogue
from conformance.verdicts import VERDICTS, Entry


def as_markdown(catalogue: Catalogue, entries: Sequence[Entry]) -> str:
    """One table a section."""
    return "\n".join([f"# Conformance to the {catalogue.standard}", "", *_counts(entries), *_sections(entries)]) + "\n"


def as_junit(catalogue: Catalogue, entries: Sequence[Entry]) -> str:
    """One suite a section, one case a rule; what tests do not show is skipped there, with the reason."""
    suites = ET.Element("testsuites", name=catalogue.standard)
    for section, group in groupby(entries, key=lambda entry: entry.requirement.section):
        members = list(group)
        failed = sum(not entry.acceptable for entry in members)
        skipped = sum(entry.acceptable and entry.verdict != "shown" for entry in members)
        counts = {"tests": len(members), "failures": failed, "skipped": skipped, "errors": 0}
        facts = {"name": f"{section} {members[0].requirement.title}"} | {key: str(n) for key, n in counts.items()}
        suite = ET.SubElement(suites, "testsuite", facts)
        for entry in members:
            _case(suite, entry)
    ET.indent(suites)
    return ET.tostring(suites, encoding="unicode", xml_declaration=True) + "\n"


def reason(entry: Entry) -> str:
    """Why the verdict is what it is, where it is not simply that tests passed."""
    claim = entry.evidence
    parts = [*entry.failures, claim.open, claim.deviation, claim.choice, claim.procedure, claim.note]
    return "; ".join(part for part in parts if part)


def _case(suite: ET.Element, entry: Entry) -> None:
    rule = entry.requirement
    case = ET.SubElement(suite, "testcase", classname=f"uptane.{rule.section}", name=rule.id)
    if not entry.acceptable:
        ET.SubElement(case, "failure", message=entry.verdict).text = reason(entry)
    elif entry.verdict != "shown":
        ET.SubElement(case, "skipped", message=f"{entry.verdict}: {reason(entry)}")
    ET.SubElement(case, "system-out").text = rule.requirement


def _counts(entries: Sequence[Entry]) -> Iterator[str]:
    yield f"| | {' | '.join(VERDICTS)} | all |"
    yield "|---|" + "---|" * (len(VERDICTS) + 1)
    for level in (MUST, SHOULD, MAY):
        found = [entry.verdict for entry in entries if entry.requirement.level == level]
        yield f"| {level} | {' | '.join(str(found.count(verdict)) for verdict in VERDICTS)} | {len(found)} |"


def _sections(entries: Sequence[Entry]) -> Iterator[str]:
    for section, group in groupby(entries, key=lambda entry: entry.requirement.section):
        members = list(group)
        yield from ("", f"## {section} {members[0].requirement.title}", "")
        yield "| rule | level | verdict | what is asked | code | tests | |"
        yield "|---|---|---|---|---|---|---|"
        yield from map(_row, members)


def _row(entry: Entry) -> str:
    rule = entry.requirement
    level = rule.level if rule.profile in (None, rule.level) else f"{rule.level}, ours: {rule.profile}"
    code = "<br>".join(f"`{symbol}`" for symbol in entry.evidence.code)
    tests = "<br>".join(f"`{test}`" for test in entry.evidence.tests)
    cells = [rule.id, level, f"**{entry.verdict}**", rule.requirement, code, tests, reason(entry)]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
