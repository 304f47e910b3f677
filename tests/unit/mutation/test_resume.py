"""A stopped run: what was judged is kept while it holds, and the rest is counted and judged by the next."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mutation.explained import identity_of
from mutation.judging import JOB, Job
from mutation.mutants import Source
from mutation.outcomes import Outcomes, TestDigests
from mutation.summary import summarize

ROOT = Path(__file__).parents[3]
CODE = """def check(version, trusted):
    if version < trusted:
        raise ValueError("older")
    return version
"""
NOTICES = """from twinlock.trust.check import check

def test_returns_the_version():
    assert check(2, 1) == 2
"""
MORE = """from twinlock.trust.check import check

def test_equal_is_allowed():
    assert check(1, 1) == 1

def test_older_is_refused():
    try:
        check(1, 2)
    except ValueError:
        return
    raise AssertionError
"""
KILLER = "tests/attacks/test_first.py::test_returns_the_version"
SURVIVES = "`version < trusted` becomes `version <= trusted`"


@pytest.fixture
def job(tmp_path: Path) -> Job:
    """A project of one function and one test."""
    project = tmp_path / "project"
    folder = project / "trust" / "twinlock" / "trust"
    (project / "tests" / "attacks").mkdir(parents=True)
    folder.mkdir(parents=True)
    (folder / "__init__.py").touch()
    (folder / "check.py").write_text(CODE)
    (project / "tests" / "attacks" / "test_first.py").write_text(NOTICES)
    return Job(
        folder=str(folder),
        files=("check.py",),
        processes=1,
        report=str(tmp_path / "report.json"),
        measured=str(tmp_path / "measured.json"),
        kept=str(tmp_path / "outcomes.jsonl"),
        names=("tests/attacks",),
    )


def run(job: Job) -> list[str]:
    """Judge what is left, as ``python -m mutation`` does; the changes judged now."""
    kept = Path(job.kept)
    job.outcomes().begin(job.sources())
    before = len(kept.read_text().splitlines())
    project = Path(job.folder).parents[2]
    (project.parent / "job.json").write_text(json.dumps(job._asdict()))
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(project / "trust"), str(ROOT)]),
        JOB: str(project.parent / "job.json"),
    }
    command = [sys.executable, "-m", "pytest", "-qq", "-p", "mutation.judging", "-p", "no:cacheprovider"]
    command += ["-p", "no:xdist", "--rootdir=.", *job.names]
    subprocess.run(command, cwd=project, env=environment, check=True, capture_output=True, timeout=60)
    return [json.loads(line)["outcome"]["change"] for line in kept.read_text().splitlines()[before:]]


def test_the_next_run_judges_only_what_a_stopped_one_left(job: Job) -> None:
    every = run(job)
    assert SURVIVES in every
    lines = Path(job.kept).read_text().splitlines(keepends=True)
    whole = summarize(job, {}, load=False)
    assert not whole.left
    assert len(whole.outcomes) == len(every)

    Path(job.kept).write_text("".join(lines[:3]) + lines[3][:40])  # cut off while it wrote the fourth

    stopped = summarize(job, {}, load=False)
    assert stopped.left == {"check.py": len(every) - 3}
    assert f"{len(every) - 3:7}" in str(stopped).splitlines()[-1]
    assert run(job) == every[3:]
    assert summarize(job, {}, load=False).outcomes == whole.outcomes


def test_a_new_test_has_survivors_judged_again_and_nothing_else(job: Job) -> None:
    run(job)
    survivors = [outcome["change"] for outcome in summarize(job, {}, load=False).verdict.unexplained]
    assert SURVIVES in survivors
    (Path(job.folder).parents[2] / "tests" / "attacks" / "test_second.py").write_text(MORE)
    assert run(job) == survivors
    assert summarize(job, {}, load=False).verdict.unexplained == []


def outcomes(job: Job) -> tuple[Source, Outcomes]:
    """The source of the project, and its outcomes: the first mutant is killed, the second survives."""
    (source,) = job.sources()
    kept = job.outcomes()
    for number, killer in enumerate((KILLER, None)):
        kept.add(source, number, {**source.mutants[number]._asdict(), "killer": killer, "tests": 1})
    return source, job.outcomes()


def known(job: Job) -> list[bool]:
    """Whether the first and the second mutant are known."""
    (source,) = job.sources()
    return [job.outcomes().get(source, number) is not None for number in range(2)]


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ("trust/twinlock/trust/check.py", [False, False]),
        ("tests/attacks/test_first.py", [False, False]),
        ("tests/attacks/test_other.py", [True, False]),
        ("testing/twinlock/testing/simulator/keys.py", [False, False]),
        ("tests/conftest.py", [False, False]),
        ("docs/engine.md", [True, True]),
    ],
)
def test_an_outcome_holds_while_what_it_depends_on_is_the_same(job: Job, changed: str, expected: list[bool]) -> None:
    outcomes(job)
    assert known(job) == [True, True]
    file = Path(job.folder).parents[2] / changed
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a") as stream:
        stream.write("\n# changed\n")
    assert known(job) == expected


def test_a_mutant_that_hung_depends_on_all_tests(job: Job) -> None:
    project = Path(job.folder).parents[2]
    (project / "tests" / "attacks" / "test_second.py").write_text(MORE)
    digests = TestDigests(project, job.names)
    assert digests.of("it hung or died") == digests.of(None)
    assert digests.of(KILLER) != digests.of(None)


def test_again_forgets_the_chosen_files_only(job: Job) -> None:
    source, kept = outcomes(job)
    other = Source("other.py", CODE)
    kept.add(other, 0, {**other.mutants[0]._asdict(), "killer": None, "tests": 1})
    kept.begin([source], again=True)
    assert known(job) == [False, False]
    assert job.outcomes().get(other, 0) is not None


def test_an_explanation_of_a_mutant_that_is_left_is_not_out_of_date(job: Job) -> None:
    outcomes(job)
    (source,) = job.sources()
    for number, stale in ((0, True), (1, False), (2, False)):
        mutant = source.mutants[number]
        reasons = {identity_of(mutant._asdict()): "equal"}
        assert bool(summarize(job, reasons, load=False).verdict.stale) is stale


def test_equal_changes_on_one_line_have_keys_of_their_own() -> None:
    source = Source("pair.py", "def pair():\n    return 0 + 0\n")
    assert len({*source.keys}) == len(source.mutants)
    assert len({*source.mutants}) < len(source.mutants)
