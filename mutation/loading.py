"""Mutants of what runs when a module is imported: constants, defaults, tables. Each needs a process of its own.

Belongs here: judging by a fresh pytest. Does not belong here: mutants inside functions (``judging.py``, far quicker).
"""

from __future__ import annotations

import os
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from mutation.judging import Job
from mutation.mutants import Source

_FAILED, _PASSED = (1, 2, 4), 0  # pytest's exit statuses; a module that no longer imports ends with 2 or 4
LIMIT_S = 600


def judge_at_load(job: Job, command: list[str], environment: dict[str, str]) -> None:
    """Judge every mutant at load time that is left, and keep the outcomes in the form of ``judging.py``."""
    outcomes = job.outcomes()
    work = [
        (source, number)
        for source in job.sources()
        for number, mutant in enumerate(source.mutants)
        if not mutant.function and outcomes.get(source, number) is None
    ]
    with ThreadPoolExecutor(job.processes) as pool:
        judged = pool.map(lambda entry: _one(job, entry[0], entry[1], command, environment), work)
        for (source, number), outcome in zip(work, judged, strict=True):
            outcomes.add(source, number, outcome)


def _one(job: Job, source: Source, number: int, command: list[str], environment: dict[str, str]) -> dict[str, Any]:
    """Its own copy of ``trust`` goes before the one of the project."""
    base = Path(job.folder).parents[1]
    copy = base.parents[1] / f"load-{source.path.replace('/', '-')}-{number}"
    shutil.copytree(base, copy)
    (copy / "twinlock" / "trust" / source.path).write_text(source.rewritten(number), encoding="utf-8")
    paths = os.pathsep.join([str(copy), environment["PYTHONPATH"]])
    options = ["--basetemp", str(copy / "tmp")]
    try:
        ended = subprocess.run(
            [*command, *options],
            cwd=base.parent,
            env=environment | {"PYTHONPATH": paths},
            check=False,
            capture_output=True,
            timeout=LIMIT_S,
        )
        status = ended.returncode
    except subprocess.TimeoutExpired:
        status = 1
    shutil.rmtree(copy)
    if status not in (*_FAILED, _PASSED):
        raise RuntimeError(f"pytest ended with {status} for {source.mutants[number]}")
    killer = "a fresh run" if status else None
    return {**source.mutants[number]._asdict(), "killer": killer, "tests": -1}
