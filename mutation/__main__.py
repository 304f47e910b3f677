"""``python -m mutation``: copies the project, judges the mutants in the copy, and prints what survived and what is left.

Goes on where a run before was stopped; what was judged on other machines is in ``ledger.txt``, which it brings up to
date. Ends with 1 for a survivor in ``checks/`` without an explanation, an explanation
that is out of date, a test that fails on the unbroken code (it judges nothing), or mutants that are left.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from mutation.explained import FILE, read
from mutation.judging import JOB, Job
from mutation.ledger import FILE as LEDGER
from mutation.ledger import read_ledger, updated, write_ledger
from mutation.loading import judge_at_load
from mutation.summary import Summary, summarize

ROOT = Path(__file__).parents[1]
PARTS = ("trust", "io", "client", "repository", "director", "cli", "testing")
TRUST = Path("trust", "twinlock", "trust")
COPIED = (*PARTS, "tests", "metadata-fixtures", "mutation", "conformance", "demo", "pyproject.toml")
# Fast, and about the engine. Random input is left out: what it notices, it may not notice the next time.
TESTS = (
    "tests/attacks",
    "tests/unit/trust",
    *(f"tests/conformance/test_5_{number}.py" for number in ("2_common", "2_names", "2_roles")),
    *(f"tests/conformance/test_5_4_{name}.py" for name in ("2_reports", "3_images", "4_delegations", "4_order")),
)
AGAIN = "tests/attacks/test_fixtures.py"  # the scenarios of the others, told a second time from files
STRICT_FOLDER = "checks/"


def main() -> int:
    """Run it; the exit status."""
    options = _options()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # stopped by either signal, it shows what is left
    files = tuple(_files(options.only))
    Path(options.out).parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="mutation-") as folder:
        place = Path(folder)
        _copy(place / "project")
        job = _job(place, files, options)
        job.outcomes().begin(job.sources(), again=options.again)
        before = _summary(job, options)
        print(f"{len(before.outcomes)} mutants are judged, {before.left.total()} are left", flush=True)
        if options.left:
            print(before)
            return 0
        failing = _judge(place, job, options)
        summary = _summary(job, options)
        _enter(summary, job)
    Path(options.out).write_text(json.dumps(summary.outcomes, indent=1), encoding="utf-8")
    for name in failing:
        print(f"fails on the unbroken code: {name}")
    print(summary)
    strict = [outcome for outcome in summary.verdict.unexplained if outcome["path"].startswith(STRICT_FOLDER)]
    return int(bool(strict or summary.verdict.stale or failing or summary.left))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make mutants", description=__doc__)
    parser.add_argument("--only", nargs="*", default=["."], help="files or folders below trust/twinlock/trust")
    parser.add_argument("--jobs", type=int, default=2, help="how many mutants are judged at a time")
    parser.add_argument("--load", action="store_true", help="also break what runs at import: seconds for each mutant")
    parser.add_argument("--again", action="store_true", help="judge all of them again, also those judged before")
    parser.add_argument(
        "--quick", action="store_true", help="judge by quick tests alone, and name what they do not notice"
    )
    parser.add_argument("--left", action="store_true", help="print what is left to judge, and judge nothing")
    parser.add_argument("--out", default="build/mutation/outcomes.json", help="where every outcome is written")
    return parser.parse_args()


def _files(only: list[str]) -> list[str]:
    """The sources to break, in the order asked for. Errors are left out (their fields and texts have a test each), and values without code."""
    base = ROOT / TRUST
    below = [[base / name] if name.endswith(".py") else sorted((base / name).rglob("*.py")) for name in only]
    found = [path for paths in below for path in paths]
    names = [str(path.relative_to(base)) for path in found if path.name != "__init__.py" and "errors" not in path.parts]
    return list(dict.fromkeys(names))


def _copy(target: Path) -> None:
    target.mkdir()
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, target / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target / name)


def _job(place: Path, files: tuple[str, ...], options: argparse.Namespace) -> Job:
    project = place / "project"
    out = Path(options.out).resolve()
    job = Job(
        folder=str(project / TRUST),
        files=files,
        processes=options.jobs,
        report=str(place / "report.json"),
        measured=str(out.with_name("measured.json")),
        kept=str(out.with_name("outcomes.jsonl")),
        names=tuple(name for name in TESTS if (project / name).exists()),
        ledger="" if options.again or not LEDGER.exists() else str(LEDGER),
        quick=options.quick,
    )
    (place / "job.json").write_text(json.dumps(job._asdict()), encoding="utf-8")
    return job


def _summary(job: Job, options: argparse.Namespace) -> Summary:
    return summarize(job, read(FILE.read_text(encoding="utf-8")), load=options.load)


def _enter(summary: Summary, job: Job) -> None:
    """Put the functions that are judged now into the ledger; those that changed since leave it."""
    known = read_ledger(LEDGER.read_text(encoding="utf-8")) if LEDGER.exists() else {}
    partial = LEDGER.with_suffix(".partial")
    partial.write_text(write_ledger(updated(known, job.sources(), summary.unsettled)), encoding="utf-8")
    partial.replace(LEDGER)


def _judge(place: Path, job: Job, options: argparse.Namespace) -> list[str]:
    """Judge what is left, until it is done or stopped; the tests that fail on the unbroken code."""
    project = place / "project"
    paths = os.pathsep.join([str(project), *(str(project / part) for part in PARTS)])
    environment = os.environ | {"PYTHONPATH": paths, JOB: str(place / "job.json"), "PYTHONHASHSEED": "0"}
    command = [sys.executable, "-m", "pytest", "-qq", "-m", "not slow", "--capture=sys", "--timeout=30"]
    command += ["--hypothesis-profile=ci", "-p", "no:cacheprovider", "-p", "no:xdist"]
    tests = [*job.names, f"--ignore={AGAIN}"]
    try:
        ended = subprocess.run(
            [*command, "-p", "mutation.judging", *tests],
            cwd=project,
            env=environment,
            check=False,
            stdout=subprocess.PIPE,
            text=True,
        )
        if not Path(job.report).exists():
            raise SystemExit(
                f"pytest ended with {ended.returncode} before any mutant was judged:\n{ended.stdout[-4000:]}"
            )
        if options.load:
            judge_at_load(job, [*command, "-x", *tests], environment)
    except KeyboardInterrupt:
        print("stopped; the same command goes on from here", file=sys.stderr)
    report = Path(job.report)
    failing: list[str] = json.loads(report.read_text(encoding="utf-8"))["failing"] if report.exists() else []
    return failing


if __name__ == "__main__":
    sys.exit(main())
