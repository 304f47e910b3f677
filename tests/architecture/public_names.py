"""The committed list of public names, ``docs/api-names.txt``, as data."""

from __future__ import annotations

from tests.architecture.source import ROOT

LIST = ROOT / "docs" / "api-names.txt"
FACES = (
    "twinlock.client",
    "twinlock.director",
    "twinlock.repository",
    "twinlock.testing",
    "twinlock.trust",
    "twinlock.trust.errors",
)


def listed() -> dict[str, list[str]]:
    """The committed names by package: a line each, ``package.name``."""
    found: dict[str, list[str]] = {face: [] for face in FACES}
    for line in LIST.read_text().splitlines():
        if line and not line.startswith("#"):
            package, _, name = line.rpartition(".")
            found[package].append(name)
    return found
