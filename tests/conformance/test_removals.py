"""The tool that takes checks out: its list applies, it sees what is noticed and what is not, and a sample is noticed.

The whole list takes minutes and is run by hand (``make removals``).
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from conformance.evidence import Evidence, load_evidence
from conformance.removals import BROKEN, NOTICED, UNNOTICED, Removal, load_removals, run_removals, try_removal
from conformance.requirements import PROJECT, load_requirements

SAMPLE = ["Timestamp: rollback", "intake: the counter rises"]


@pytest.mark.parametrize("removal", load_removals(), ids=lambda removal: removal.name)
def test_every_removal_applies_to_the_source_as_it_is(removal: Removal) -> None:
    text = (PROJECT / removal.file).read_text(encoding="utf-8")
    assert removal.apply(text) != text
    assert set(removal.ids) <= {rule.id for rule in load_requirements().requirements}
    assert all(load_evidence()[identifier].tests for identifier in removal.ids)


def test_every_file_of_checks_is_on_the_list() -> None:
    listed = {removal.file for removal in load_removals()}
    checks = PROJECT / "trust" / "twinlock" / "trust" / "checks"
    rooms = {str(path.relative_to(PROJECT)) for path in checks.glob("*.py")}
    assert rooms - listed <= {f"trust/twinlock/trust/checks/{name}.py" for name in ("__init__", "context")}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A project of one check and one test."""
    (tmp_path / "conformance").symlink_to(PROJECT / "conformance")
    (tmp_path / "checks.py").write_text("def check(x):\n    if x < 0:\n        raise ValueError\n    return x\n")
    (tmp_path / "test_checks.py").write_text(
        "import pytest\nfrom checks import check\n\n\ndef test_it():\n    with pytest.raises(ValueError):\n        check(-1)\n"
    )
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize(
    ("find", "put", "verdict"),
    [
        ("if x < 0:", "if False:", NOTICED),
        ("return x", "return -x", UNNOTICED),
        ("not there", "", BROKEN),
        ("return x", "return y", BROKEN),
        ("return x", "return (", BROKEN),
    ],
    ids=["noticed", "unnoticed", "not there", "an unknown name", "no program"],
)
def test_the_verdicts(tree: Path, find: str, put: str, verdict: str) -> None:
    removal = Removal(name="x", file="checks.py", find=find, put=put, ids=("U-1",))
    before = (tree / "checks.py").read_text()
    evidence = {"U-1": Evidence(id="U-1", tests=("test_checks.py::test_it",))}
    assert try_removal(removal, tree, evidence)[0] == verdict
    assert (tree / "checks.py").read_text() == before


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.skipif("TWINLOCK_CONFORMANCE_SELECT" in os.environ, reason="the report does not run the tool")
def test_a_sample_is_noticed() -> None:
    chosen = [removal for removal in load_removals() if removal.name in SAMPLE]
    assert len(chosen) == len(SAMPLE)
    assert {removal.name: verdict for removal, verdict, _ in run_removals(chosen, 1)} == dict.fromkeys(SAMPLE, NOTICED)
