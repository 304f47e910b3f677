"""The ledger of judged functions: what keeps a judgement, what ends it, and what may enter."""

from __future__ import annotations

from pathlib import Path

import pytest

from mutation.ledger import FILE, entries_of, read_ledger, updated, write_ledger
from mutation.mutants import Source, Unit
from mutation.outcomes import LEDGER, Outcomes, TestDigests

TEXT = '''def check(version, limit):
    """Refuse a high version."""
    if version > limit:
        raise ValueError("high")


def other(version):
    return version + 1
'''


PLAIN = "def f(x):\n    return x\n"


def digests(text: str, path: str = "a.py") -> dict[str, str]:
    """The digest of each function."""
    return {entry.function: entry.digest for entry in entries_of(Source(path, text))}


def test_a_function_that_moves_or_is_described_otherwise_stays_judged() -> None:
    before = digests(TEXT)
    described = TEXT.replace("Refuse a high version.", "Bound it.").replace('"high"', 'f"{version} is over the limit"')
    assert digests("\n\n" + described, "rooms/b.py") == before


@pytest.mark.parametrize("edit", [("version > limit", "version >= limit"), ("version, limit", "version, limit=3")])
def test_a_statement_that_changes_ends_the_judgement_of_its_function_alone(edit: tuple[str, str]) -> None:
    before, after = digests(TEXT), digests(TEXT.replace(*edit))
    assert before["check"] != after["check"]
    assert before["other"] == after["other"]


def units_of(source: Source, function: str) -> list[Unit]:
    return [u for u, mutant in zip(source.units, source.mutants, strict=True) if u and mutant.function == function]


def test_what_is_left_or_survived_does_not_enter() -> None:
    source = Source("a.py", TEXT)
    check = units_of(source, "check")
    assert [entry.function for entry in updated({}, [source], check)] == ["other"]
    entries = {entry.function: entry for entry in updated({}, [source], check[:2])}
    assert (entries["check"].left, entries["other"].left) == (frozenset({0, 1}), frozenset())


def test_functions_that_changed_leave_and_other_files_stay() -> None:
    known = {
        (path, e.digest): e for text, path in ((TEXT, "a.py"), (PLAIN, "b.py")) for e in entries_of(Source(path, text))
    }
    changed = Source("a.py", TEXT.replace("+ 1", "+ 2"))
    entries = updated(known, [changed], [unit for unit in changed.units if unit])
    assert [(entry.path, entry.function) for entry in entries] == [("b.py", "f")]


def test_the_same_function_in_two_files_is_judged_in_each(tmp_path: Path) -> None:
    here, there = Source("a.py", PLAIN), Source("b.py", PLAIN)
    entries = updated({}, [here, there], units_of(there, "f"))
    assert [entry.path for entry in entries] == ["a.py"]
    outcomes = Outcomes(tmp_path / "none.jsonl", TestDigests(tmp_path, ()), read_ledger(write_ledger(entries)))
    assert outcomes.get(here, 0) is not None
    assert outcomes.get(there, 0) is None


def test_the_file_is_read_as_it_is_written() -> None:
    first, second = entries_of(Source("a.py", TEXT))
    entries = [first._replace(left=frozenset({2, 10})), second]
    assert [*read_ledger(write_ledger(entries)).values()] == entries


def test_a_mutant_of_a_judged_function_is_known_without_its_outcome(tmp_path: Path) -> None:
    source = Source("a.py", TEXT)
    check = [entry._replace(left=frozenset({0})) for entry in entries_of(source) if entry.function == "check"]
    outcomes = Outcomes(tmp_path / "none.jsonl", TestDigests(tmp_path, ()), read_ledger(write_ledger(check)))
    known = [outcomes.get(source, number) for number in range(len(source.mutants))]
    assert {found["killer"] for found in known if found} == {LEDGER}
    unknown = [mutant.function for mutant, found in zip(source.mutants, known, strict=True) if not found]
    assert unknown == ["check", *(["other"] * len(units_of(source, "other")))]


def test_the_committed_ledger_can_be_read_and_names_sources_that_exist() -> None:
    trust = Path(__file__).parents[3] / "trust" / "twinlock" / "trust"
    entries = read_ledger(FILE.read_text(encoding="utf-8"))
    assert entries
    assert [entry for entry in entries.values() if not (trust / entry.path).is_file()] == []
