"""Runs tests for real: one pytest run for all that the evidence names."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from conformance.requirements import PROJECT
from conformance.selection import OUTCOMES, SELECT


def run_tests(
    selectors: Iterable[str],
    *,
    project: Path = PROJECT,
    jobs: int = 2,
    extra: Iterable[str] = (),
    environment: Mapping[str, str] | None = None,
    quiet: bool = False,
) -> dict[str, str]:
    """Run what ``selectors`` mean in ``project``; gives the outcome by node id: passed, failed or skipped.

    pytest's own output goes to stderr unless ``quiet``. A file that cannot be imported leaves its tests out.
    """
    wanted = sorted(set(selectors))
    files = sorted({selector.partition("::")[0] for selector in wanted})
    if not files:
        return {}
    with tempfile.TemporaryDirectory(prefix="twinlock-conformance-") as place:
        select, outcomes = Path(place, "select.json"), Path(place, "outcomes.json")
        select.write_text(json.dumps(wanted), encoding="utf-8")
        parallel = ["-n", str(jobs), "--dist=worksteal"] if jobs > 1 else ["-p", "no:xdist"]
        command = [sys.executable, "-m", "pytest", "-p", "conformance.selection", "-q", "--no-header"]
        command += ["--continue-on-collection-errors", *parallel, *extra, *files]
        settings = {**os.environ, **(environment or {}), SELECT: str(select), OUTCOMES: str(outcomes)}
        subprocess.run(
            command,
            cwd=project,
            env=settings,
            stdout=subprocess.DEVNULL if quiet else sys.stderr.fileno(),
            stderr=subprocess.DEVNULL if quiet else None,
            check=False,
        )
        found: dict[str, str] = json.loads(outcomes.read_text(encoding="utf-8")) if outcomes.exists() else {}
    return found
