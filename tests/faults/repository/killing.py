"""Running a program of this folder that kills a publisher before each of its writes, and reading what it saw.

Belongs here: starting it. Does not belong here: what is killed (``deaths.py``, ``aktualizr_deaths.py``) and what has to hold.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.faults.repository.deaths import DIED

# The kills themselves need no real disk, and memory is much faster than waiting for one.
MEMORY = Path("/dev/shm")


def deaths_of(program: str, scenario: str, tmp_path: Path) -> list[dict[str, Any]]:
    """What was seen after each death of ``scenario``, in order; the last run lived."""
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else tmp_path) as directory:
        (Path(directory) / "prepared").mkdir()
        done = subprocess.run(
            [sys.executable, "-m", f"tests.faults.repository.{program}", scenario, directory],
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    results = [json.loads(line) for line in done.stdout.splitlines()]
    assert [result["status"] for result in results] == [DIED] * (len(results) - 1) + [0]
    return results
