"""The options that every program takes."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

FOLDER = Path(__file__).parents[1] / "build" / "bench"


@dataclass(frozen=True, kw_only=True)
class Options:
    """How thoroughly to measure, and where results and generated repositories go."""

    quick: bool = False
    folder: Path = FOLDER
    only: str | None = None

    @property
    def repositories(self) -> Path:
        """Where generated repositories are kept between runs."""
        return self.folder / "repositories"

    def wants(self, name: str) -> bool:
        """Whether the case is asked for."""
        return self.only is None or self.only == name


def parse(description: str | None, arguments: Sequence[str] | None = None) -> Options:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(description or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--quick", action="store_true", help="small repositories and few runs; a few minutes in all")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="for results and repositories (build/bench)")
    only = "measure one program (checkins), on one generated repository (flat-1), or with vehicles of one size (ecus-5)"
    parser.add_argument("--only", metavar="NAME", help=only)
    found = parser.parse_args(arguments)
    return Options(quick=found.quick, folder=found.folder, only=found.only)
