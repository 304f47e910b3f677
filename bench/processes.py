"""Running subjects in fresh processes, in turn, several times, and the medians of what they report."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.layout import Repository

HERE = Path(__file__).parents[1]


@dataclass(frozen=True, kw_only=True)
class Measured:
    """Samples by label. Each sample is the median of the repetitions in one process, in CPU milliseconds."""

    samples_ms: dict[str, list[float]]
    extra_memory_kib: dict[str, int]

    def median(self, label: str) -> float:
        """The middle sample."""
        return statistics.median(self.samples_ms[label])

    def ratio(self, label: str, over: str) -> float:
        """The median of one label over the median of another."""
        return self.median(label) / self.median(over)


def measure(
    subjects: Sequence[str],
    mode: str,
    repositories: Sequence[Repository],
    *,
    warm_up: Sequence[Repository],
    runs: int,
    repeat: int,
) -> Measured:
    """Run each subject once a round for ``runs`` rounds, in turn: what disturbs the machine disturbs all of them."""
    samples: dict[str, list[float]] = {}
    memory: dict[str, list[int]] = {}
    for _ in range(runs):
        for subject in subjects:
            order = {
                "subject": subject,
                "mode": mode,
                "repositories": [str(each.folder) for each in repositories],
                "warm_up": [str(each.folder) for each in warm_up],
                "repeat": repeat,
            }
            answer = ask(order)
            for label, taken in answer["samples_ms"].items():
                samples.setdefault(label, []).append(statistics.median(taken))
            if answer["extra_memory_kib"] is not None:
                memory.setdefault(subject, []).append(answer["extra_memory_kib"])
    medians = {subject: int(statistics.median(found)) for subject, found in memory.items()}
    return Measured(samples_ms=samples, extra_memory_kib=medians)


def ask(order: dict[str, Any]) -> dict[str, Any]:
    """Run one measured process. Raises: CalledProcessError when it fails; what it says is shown."""
    command = [sys.executable, "-m", "bench.worker", json.dumps(order)]
    done = subprocess.run(command, cwd=HERE, env=environment(), stdout=subprocess.PIPE, check=True)
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def cpu_ms(arguments: Sequence[str]) -> float:
    """The CPU time of a whole Python process, user and system, from its start to its end."""
    command = [sys.executable, *arguments]
    process = subprocess.Popen(command, cwd=HERE, env=environment(), stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise subprocess.CalledProcessError(process.returncode, command)
    return (usage.ru_utime + usage.ru_stime) * 1e3


def environment() -> dict[str, str]:
    """This environment, in which Python keeps the bytecode it compiles: compiling is not what is measured."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
