"""``python -m mutation``: copies the project, judges the mutants in the copy, and prints what survived.

Ends with 1 for a survivor in ``checks/`` that nobody explained, an explanation that is out of date, or a test that
fails on the unbroken code (it judges nothing).
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from mutation.explained import FILE, Verdict, identity_of, judge, read
from mutation.judging import JOB, Job
from mutation.loading import judge_at_load

ROOT = Path(__file__).parents[1]
PARTS = ("trust", "io", "client", "repository", "director", "cli")
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
    files = tuple(_files(options.only))
    Path(options.out).parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="mutation-") as folder:
        place = Path(folder)
        _copy(place / "project")
        found = _judge(place, files, options)
    Path(options.out).write_text(json.dumps(found, indent=1), encoding="utf-8")
    verdict = judge(found["outcomes"], read(FILE.read_text(encoding="utf-8")))
    _print(found, verdict)
    strict = [outcome for outcome in verdict.unexplained if outcome["path"].startswith(STRICT_FOLDER)]
    return int(bool(strict or verdict.stale or found["failing"]))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make mutants", description=__doc__)
    parser.add_argument("--only", nargs="*", default=["."], help="files or folders below trust/twinlock/trust")
    parser.add_argument("--jobs", type=int, default=2, help="how many mutants are judged at a time")
    parser.add_argument("--load", action="store_true", help="also break what runs at import: seconds for each mutant")
    parser.add_argument("--out", default="build/mutation/outcomes.json", help="where every outcome is written")
    return parser.parse_args()


def _files(only: list[str]) -> list[str]:
    """The sources to break. Errors are left out (their fields and texts have a test each), and values without code."""
    base = ROOT / TRUST
    found = [path for name in only for path in ([base / name] if name.endswith(".py") else (base / name).rglob("*.py"))]
    names = {str(path.relative_to(base)) for path in found if path.name != "__init__.py" and "errors" not in path.parts}
    return sorted(names)


def _copy(target: Path) -> None:
    target.mkdir()
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, target / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target / name)


def _judge(place: Path, files: tuple[str, ...], options: argparse.Namespace) -> dict[str, Any]:
    project = place / "project"
    job = Job(
        str(project / TRUST),
        files,
        options.jobs,
        str(place / "outcomes.json"),
        str(Path(options.out).with_name("measured.json").resolve()),
    )
    (place / "job.json").write_text(json.dumps(job._asdict()), encoding="utf-8")
    paths = os.pathsep.join([str(project), *(str(project / part) for part in PARTS)])
    environment = os.environ | {"PYTHONPATH": paths, JOB: str(place / "job.json"), "PYTHONHASHSEED": "0"}
    tests = [*(name for name in TESTS if (project / name).exists()), f"--ignore={AGAIN}"]
    command = [sys.executable, "-m", "pytest", "-qq", "-m", "not slow", "--capture=sys", "--timeout=30"]
    command += ["--hypothesis-profile=ci", "-p", "no:cacheprovider", "-p", "no:xdist"]
    ended = subprocess.run(
        [*command, "-p", "mutation.judging", *tests],
        cwd=project,
        env=environment,
        check=False,
        stdout=subprocess.PIPE,
        text=True,
    )
    if not Path(job.outcomes).exists():
        raise SystemExit(f"pytest ended with {ended.returncode} before any mutant was judged:\n{ended.stdout[-4000:]}")
    found: dict[str, Any] = json.loads(Path(job.outcomes).read_text(encoding="utf-8"))
    if options.load:
        found["outcomes"] += judge_at_load(job, [*command, "-x", *tests], environment)
    return found


def _print(found: dict[str, Any], verdict: Verdict) -> None:
    for outcome in verdict.unexplained:
        print(f"survived: {outcome['path']}:{outcome['line']} in {outcome['function'] or 'the module'}")
        print(f"    {outcome['text']}\n    {outcome['change']} ({outcome['tests']} tests ran it)")
    for stale in verdict.stale:
        print(f"out of date in survivors.toml: {stale.file} {stale.function}: {stale.change}\n    {stale.line}")
    for name in found["failing"]:
        print(f"fails on the unbroken code: {name}")
    table = Counter(outcome["path"] for outcome in found["outcomes"])
    explained = Counter(identity_of(outcome).file for outcome in verdict.explained)
    open_ = Counter(identity_of(outcome).file for outcome in verdict.unexplained)
    print(f"\n{'file':28}{'mutants':>9}{'killed':>9}{'explained':>11}{'survived':>10}")
    for path in sorted(table):
        killed = table[path] - explained[path] - open_[path]
        print(f"{path:28}{table[path]:9}{killed:9}{explained[path]:11}{open_[path]:10}")
    total = table.total()
    killed = total - explained.total() - open_.total()
    print(f"{'all':28}{total:9}{killed:9}{explained.total():11}{open_.total():10}")
    print(f"{found['tests']} tests")


if __name__ == "__main__":
    sys.exit(main())
