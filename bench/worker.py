"""A measured process. ``python -m bench.worker JSON`` runs one subject and prints what it took as JSON.

Input:  {"subject", "mode", "repositories": [folder, …], "warm_up": [folder, …], "repeat"}
Output: {"samples_ms": {label: [CPU milliseconds, …]}, "extra_memory_kib", "import_ms"}

The warm-up runs the same work on the smallest repository first, untimed: it loads what is imported on first use, so
that a sample holds neither imports nor other things that happen once in a process. ``extra_memory_kib`` is the highest
resident size after the subject's first task minus that after the warm-up; None where the system does not tell.
"""

from __future__ import annotations

import gc
import importlib
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bench.layout import Repository
from bench.task import Task

STATUS = Path("/proc/self/status")


def main() -> None:
    """Measure and print."""
    order: dict[str, Any] = json.loads(sys.argv[1])
    started = time.process_time()
    subject = importlib.import_module(f"bench.subject_{order['subject']}")
    import_ms = (time.process_time() - started) * 1e3
    with tempfile.TemporaryDirectory() as folder:
        if order["warm_up"]:
            for task in _tasks(subject, order, order["warm_up"], Path(folder, "warm-up")).values():
                _sample(task)
        resident = _memory_kib("VmRSS")
        highest = None
        samples: dict[str, list[float]] = {}
        for label, task in _tasks(subject, order, order["repositories"], Path(folder, "measured")).items():
            samples[label] = [_sample(task) for _ in range(order["repeat"])]
            highest = highest or _memory_kib("VmHWM")
    extra = None if resident is None or highest is None else highest - resident
    print(json.dumps({"samples_ms": samples, "extra_memory_kib": extra, "import_ms": import_ms}))


def _tasks(subject: Any, order: dict[str, Any], folders: list[str], work: Path) -> dict[str, Task]:
    work.mkdir()
    found: dict[str, Task] = subject.tasks(order["mode"], [Repository(Path(each)) for each in folders], work)
    return found


def _sample(task: Task) -> float:
    task.prepare()
    gc.collect()
    started = time.process_time()
    outcome = task.run()
    took = time.process_time() - started
    del outcome
    return took * 1e3


def _memory_kib(field: str) -> int | None:
    if not STATUS.exists():
        return None
    lines = STATUS.read_text().splitlines()
    return next((int(line.split()[1]) for line in lines if line.startswith(f"{field}:")), None)


if __name__ == "__main__":
    main()
