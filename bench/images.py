"""Checking an image while it streams by, against hashing the same bytes with nothing around it."""

from __future__ import annotations

import hashlib
import time
from typing import TYPE_CHECKING

from bench import options, report
from bench.report import OURS, Case
from twinlock.trust.checks.image import ImageVerifier
from twinlock.trust.model.targets import ImageEntry
from twinlock.trust.names import TargetPath

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.options import Options

NAME = "images"
FLOOR = "hashes"
CHUNK = bytes(range(256)) * 256
ALGORITHMS = ("sha256", "sha512")


def main() -> None:
    """Measure, print and write."""
    run(options.parse(__doc__))


def run(chosen: Options) -> None:
    """Measure, print and write."""
    chunks = 16 if chosen.quick else 256
    entry = ImageEntry(path=TargetPath("bench.bin"), length=len(CHUNK) * chunks, hashes=digests(chunks))

    def ours() -> None:
        verifier = ImageVerifier(entry)
        for _ in range(chunks):
            verifier.update(CHUNK)
        verifier.finish()

    samples: dict[str, list[float]] = {OURS: [], FLOOR: []}
    for _ in range(3 if chosen.quick else 7):
        samples[OURS].append(cpu_ms(ours))
        samples[FLOOR].append(cpu_ms(lambda: digests(chunks)))
    name = f"{chunks * len(CHUNK) >> 20} MiB, {' and '.join(ALGORITHMS)}, chunks of {len(CHUNK) >> 10} KiB"
    case = Case(name=name, samples_ms=samples, floors=(FLOOR,))
    report.show_heading("image checked while it streams by, CPU", (), (FLOOR,))
    report.show(case)
    report.write(NAME, [case], [], quick=chosen.quick, folder=chosen.folder)


def cpu_ms(work: Callable[[], object]) -> float:
    """The CPU time of one call in this process."""
    started = time.process_time()
    work()
    return (time.process_time() - started) * 1e3


def digests(chunks: int) -> dict[str, str]:
    """The floor: every hash of the same bytes."""
    hashes = {algorithm: hashlib.new(algorithm) for algorithm in ALGORITHMS}
    for _ in range(chunks):
        for digest in hashes.values():
            digest.update(CHUNK)
    return {algorithm: digest.hexdigest() for algorithm, digest in hashes.items()}


if __name__ == "__main__":
    main()
