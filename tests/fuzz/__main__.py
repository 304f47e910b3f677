"""Fuzz one decoder, or all in turn: ``python -m tests.fuzz [NAME ...] [--seconds N]``. Exit status 1 on a finding.

A finding is written to ``build/fuzz``; put it into ``tests/fuzz/corpus/NAME`` together with the mend.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from tests.fuzz.decoders import DECODERS

CORPUS = Path(__file__).with_name("corpus")
FOUND = Path("build/fuzz")


def main() -> int:
    """Run each decoder in a process of its own: libFuzzer ends the process when it is done."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(DECODERS))
    parser.add_argument("--seconds", type=int, default=10, help="for each decoder (default: 10)")
    arguments = parser.parse_args()
    failed = []
    for name in arguments.names or DECODERS:
        if name not in DECODERS:
            parser.error(f"there is no decoder {name}; there are {', '.join(DECODERS)}")
        print(f"{name}: {arguments.seconds} s", flush=True)
        if _fuzz_apart(name, arguments.seconds):
            failed.append(name)
    print(f"findings in: {', '.join(failed)}" if failed else "no findings")
    return 1 if failed else 0


def _fuzz_apart(name: str, seconds: int) -> int:
    grown = FOUND / "corpus" / name
    grown.mkdir(parents=True, exist_ok=True)
    options = [f"-max_total_time={seconds}", "-timeout=10", "-rss_limit_mb=2048", "-max_len=16384", "-verbosity=0"]
    options += [f"-artifact_prefix={FOUND}/{name}-", "-print_final_stats=1"]
    command = [sys.executable, "-m", "tests.fuzz.worker", name, str(grown), str(CORPUS / name), *options]
    return subprocess.run(command, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
