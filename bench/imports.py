"""What it costs to import the verifier alone, and what a short-lived process costs as a whole.

Whole processes are measured, from start to end, by the system's own accounting: bare Python, Python with
``cryptography``'s Ed25519 (which any verifier needs), that and our verifier, and python-tuf's client.
"""

from __future__ import annotations

import json
import statistics
from typing import TYPE_CHECKING

from bench import options, report
from bench.processes import cpu_ms
from bench.report import OURS, Case, at_most
from bench.repositories import SMALLEST, obtain

if TYPE_CHECKING:
    from bench.options import Options

NAME = "imports"
BARE = "bare python"
FLOOR = "cryptography"
ED25519 = "from cryptography.hazmat.primitives.asymmetric import ed25519"
IMPORTS = {
    BARE: "pass",
    FLOOR: ED25519,
    OURS: f"{ED25519}; import twinlock.trust.engine.verification",
    "python-tuf": f"{ED25519}; import tuf.ngclient",
}
PROCESSES = {OURS: "twinlock", "python-tuf": "tuf"}


def main() -> None:
    """Measure, print and write."""
    run(options.parse(__doc__))


def run(chosen: Options) -> None:
    """Measure, print and write."""
    runs = 3 if chosen.quick else 15
    imported = measure({label: ["-c", code] for label, code in IMPORTS.items()}, runs)
    folder = str(obtain(SMALLEST, chosen.repositories).folder)
    order = {"mode": "first", "repositories": [folder], "warm_up": [], "repeat": 1}
    orders = {label: json.dumps(order | {"subject": subject}) for label, subject in PROCESSES.items()}
    whole = measure({label: ["-m", "bench.worker", text] for label, text in orders.items()}, min(runs, 7))
    cases = [
        Case(name="import of the verifier", samples_ms=imported, peers=("python-tuf",), floors=(FLOOR,)),
        Case(name="process: start, import, first refresh", samples_ms=whole, peers=("python-tuf",)),
    ]
    report.show_heading("whole processes, CPU", ("python-tuf",), (FLOOR,))
    for case in cases:
        report.show(case)
    for label, samples in imported.items():
        print(f"  {label:<42}{statistics.median(samples):>10.2f} ms, at best {min(samples):.2f} ms")
    # Differences are taken within a round, so that a busy moment moves both sides of most of them.
    over = statistics.median(ours - floor for ours, floor in zip(imported[OURS], imported[FLOOR], strict=True))
    # On a busy or slow machine the milliseconds grow; how many bare Pythons that is does not.
    print(f"  ours over {FLOOR}: {over / statistics.median(imported[BARE]):.2f} times a bare Python")
    goals = [at_most("CPU ms over bare Python plus cryptography", cases[0].name, 40, over)]
    report.show_goals(goals)
    report.write(NAME, cases, goals, quick=chosen.quick, folder=chosen.folder)


def measure(programs: dict[str, list[str]], runs: int) -> dict[str, list[float]]:
    """CPU milliseconds of each program, in turn, after one round that is thrown away (it writes bytecode)."""
    for arguments in programs.values():
        cpu_ms(arguments)
    samples: dict[str, list[float]] = {label: [] for label in programs}
    for _ in range(runs):
        for label, arguments in programs.items():
            samples[label].append(cpu_ms(arguments))
    return samples


if __name__ == "__main__":
    main()
