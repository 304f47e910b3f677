"""The report itself: every rule has evidence that exists, and no verdict is kinder than the tests."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from conformance import report
from conformance.anchors import has_anchor
from conformance.evidence import Evidence, check_evidence, load_evidence
from conformance.report import as_document, write_reports
from conformance.requirements import MAY, Catalogue, Requirement, load_requirements
from conformance.selection import selects
from conformance.symbols import has_symbol
from conformance.verdicts import Entry, judge

TEST = "tests/x/test_y.py::test_z"
# What the Standard asks of a server that is not built yet. Nothing else may be open.
UNBUILT = ("uploads", "Uploading", "encrypted")

# Binding rules that we read otherwise. Another one needs a decision of its own.
BINDING_DEVIATIONS = {"U-5.4.3.3-7", "U-5.4.4.7-5"}


def rule(identifier: str = "U-1", *, level: str = "must", profile: str | None = None) -> Requirement:
    return Requirement(
        id=identifier,
        section="5.4",
        title="A title",
        level=level,
        modal="SHALL",
        requirement="Something <has> to be.",
        test="Look.",
        test_kind="black-box",
        applies_to=("primary",),
        profile=profile,
    )


def verdict(made: Requirement, claim: Evidence, outcomes: dict[str, str], faults: tuple[str, ...] = ()) -> Entry:
    (entry,) = judge([made], {made.id: claim}, outcomes, faults)
    return entry


def shown_by(*tests: str) -> Evidence:
    return Evidence(id="U-1", code=("a.py::b",), tests=tests)


def test_every_rule_has_evidence_that_exists() -> None:
    assert check_evidence(load_requirements().requirements, load_evidence()) == []


def test_all_rules_are_here() -> None:
    rules = load_requirements().requirements
    assert len(rules) == 367
    assert sum(item.level == "must" for item in rules) == 230


def test_only_what_is_not_built_yet_is_open() -> None:
    for claim in load_evidence().values():
        assert claim.open is None or any(word in claim.open for word in UNBUILT), claim.id


def test_no_other_binding_rule_is_deviated_from() -> None:
    rules = {item.id: item for item in load_requirements().requirements}
    deviations = {claim.id for claim in load_evidence().values() if claim.deviation and rules[claim.id].binding}
    assert deviations == BINDING_DEVIATIONS


def test_every_binding_rule_names_tests_or_says_why_not() -> None:
    evidence = load_evidence()
    for item in load_requirements().requirements:
        claim = evidence[item.id]
        assert not item.binding or claim.tests or claim.open or claim.procedure or claim.deviation, item.id


def test_passed_tests_show_a_rule() -> None:
    entry = verdict(rule(), shown_by(TEST), {f"{TEST}[a]": "passed", f"{TEST}[b]": "passed"})
    assert entry.verdict == "shown"
    assert entry.tests == (f"{TEST}[a]", f"{TEST}[b]")
    assert entry.acceptable


@pytest.mark.parametrize("outcome", ["failed", "skipped"])
def test_a_binding_rule_that_is_not_shown_fails_the_run(outcome: str) -> None:
    for made in (rule(), rule(level="should", profile="must"), rule(level="should")):
        entry = verdict(made, shown_by(TEST), {f"{TEST}[a]": "passed", f"{TEST}[b]": outcome})
        assert entry.verdict == "failed"
        assert not entry.acceptable


def test_a_test_that_did_not_run_shows_nothing() -> None:
    entry = verdict(rule(), shown_by(TEST, "tests/x/test_y.py::test_gone"), {TEST: "passed"})
    assert entry.verdict == "failed"
    assert entry.failures == ("tests/x/test_y.py::test_gone: no such test ran",)


def test_a_rule_without_evidence_has_failed() -> None:
    (entry,) = judge([rule()], {}, {})
    assert entry.verdict == "failed"
    assert not entry.acceptable


def test_a_fault_of_the_evidence_fails_the_rule() -> None:
    entry = verdict(rule(), shown_by(TEST), {TEST: "passed"}, ("U-1: there is no a.py::b",))
    assert entry.verdict == "failed"
    assert verdict(rule(), shown_by(TEST), {TEST: "passed"}, ("U-10: there is no a.py::b",)).verdict == "shown"


def test_a_permission_is_permitted_unless_its_tests_fail() -> None:
    claim = Evidence(id="U-1", choice="Taken.", tests=(TEST,))
    assert verdict(rule(level=MAY), claim, {TEST: "passed"}).verdict == "permitted"
    assert verdict(rule(level=MAY), claim, {TEST: "failed"}).verdict == "failed"


def test_what_is_open_or_a_procedure_or_a_deviation_is_not_shown() -> None:
    claims = {
        "open": Evidence(id="U-1", open="Not built."),
        "procedure": Evidence(id="U-1", procedure="docs/x.md#y"),
        "deviation": Evidence(id="U-1", deviation="We do otherwise."),
    }
    for expected, claim in claims.items():
        entry = verdict(rule(), claim, {})
        assert entry.verdict == expected
        assert as_document([entry])["must"] == {"total": 1, "shown": 0}


@pytest.mark.parametrize(
    ("made", "claim", "fault"),
    [
        (rule(), Evidence(id="U-1"), "neither tests"),
        (rule(), Evidence(id="U-1", tests=("tests/conformance/test_report.py",)), "tests without the code"),
        (rule(), Evidence(id="U-1", code=("conformance/report.py::gone",), open="x"), "there is no"),
        (rule(), Evidence(id="U-1", procedure="docs/operations.md#nowhere"), "there is no"),
        (rule(), Evidence(id="U-1", choice="Taken.", open="x"), "only a permission"),
        (rule(level=MAY), Evidence(id="U-1"), "needs the choice"),
        (rule(), Evidence(id="U-1", open="x", tests=("tests/conformance/test_report.py",)), "what is open"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_evidence_that_proves_nothing_is_seen(made: Requirement, claim: Evidence, fault: str) -> None:
    assert any(fault in found for found in check_evidence([made], {"U-1": claim}))


def test_missing_and_foreign_evidence_is_seen() -> None:
    assert check_evidence([rule()], {}) == ["U-1: no evidence"]
    assert check_evidence([], {"U-9": Evidence(id="U-9", open="x")}) == ["U-9: the Standard has no such rule"]


def test_a_selector_means_whole_names_and_beginnings_of_cases() -> None:
    assert selects(TEST, f"{TEST}[case]")
    assert selects(f"{TEST}[ca", f"{TEST}[case]")
    assert selects("tests/x/test_y.py", TEST)
    assert not selects(TEST, f"{TEST}_too")
    assert not selects("tests/x/test_y", TEST)


def test_symbols_are_found_by_parsing() -> None:
    project = Path(__file__).parents[2]
    assert has_symbol(project, "conformance/verdicts.py::Entry.acceptable")
    assert has_symbol(project, "conformance/verdicts.py::VERDICTS")
    assert has_symbol(project, "conformance/verdicts.py")
    assert not has_symbol(project, "conformance/verdicts.py::Entry.gone")
    assert not has_symbol(project, "conformance/gone.py")
    assert has_anchor(project, "docs/operations.md#who-holds-what")


def test_the_four_files_say_the_same(tmp_path: Path) -> None:
    catalogue = Catalogue("The Standard", (rule(),), {})
    entries = [
        verdict(rule(), shown_by(TEST), {TEST: "passed"}),
        verdict(rule("U-2"), Evidence(id="U-2", open="<b>Not built.</b>"), {}),
        verdict(rule("U-3"), shown_by(TEST), {TEST: "failed"}),
    ]
    write_reports(catalogue, entries, tmp_path)
    document = json.loads((tmp_path / "report.json").read_text())
    assert list(document) == ["must", "should", "entries"]
    assert document["must"] == {"total": 3, "shown": 1}
    assert [entry["verdict"] for entry in document["entries"]] == ["shown", "open", "failed"]
    assert document["entries"][0]["code"] == ["a.py::b"]
    assert document["entries"][0]["tests"] == [TEST]
    page = (tmp_path / "index.html").read_text()
    assert "<b>Not built" not in page
    assert page.count("<details") == 3
    assert "http" not in page.replace("http-equiv", "")
    suites = ET.parse(tmp_path / "report.xml").getroot()
    assert len(suites.findall(".//testcase")) == 3
    assert len(suites.findall(".//failure")) == 1
    assert "U-2" in (tmp_path / "report.md").read_text()


def test_the_command_ends_with_one_when_a_binding_rule_has_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(report, "BUILD", tmp_path)
    for outcome, status in (("passed", 0), ("failed", 1)):
        monkeypatch.setattr(report, "load_requirements", lambda: Catalogue("The Standard", (rule(),), {}))
        monkeypatch.setattr(report, "load_evidence", lambda: {"U-1": shown_by(TEST)})
        monkeypatch.setattr(report, "check_evidence", lambda *_: [])
        monkeypatch.setattr(report, "run_tests", lambda *_, outcome=outcome, **__: {TEST: outcome})
        assert report.main(["--json"]) == status
        printed = json.loads(capsys.readouterr().out)
        assert printed["must"] == {"total": 1, "shown": 1 - status}
