"""The process that libFuzzer owns: ``python -m tests.fuzz.worker NAME CORPUS ... -OPTIONS``."""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["twinlock"]):
    from tests.fuzz.decoders import exercise


def main() -> None:
    """Hand the process over. Does not return."""
    name = sys.argv.pop(1)

    def one(data: bytes) -> None:
        exercise(name, data)

    atheris.Setup(sys.argv, one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
