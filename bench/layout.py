"""Where the files of a generated repository are, and which of them a client meets when.

Imported by the measured processes too, so it imports nothing but the standard library.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

ROOT_SUFFIX = ".root.json"
FRESH_TIMESTAMP = "fresh.json"  # version 2, listing the same Snapshot: what a repository serves an hour later
VEHICLE = "TEST-VIN-1"
ECU = "ecu-1"
WANTED = "images/gateway/0000000.bin"  # the image that every client looks up, and that the Director orders
WANTED_HARDWARE = "hw-0"


@dataclass(frozen=True)
class Repository:
    """A generated repository: a folder of metadata files under the names that a server gives them."""

    folder: Path

    @property
    def first_root(self) -> Path:
        """The Root that a vehicle leaves the factory with."""
        return self.folder / f"1{ROOT_SUFFIX}"

    def stored(self) -> dict[str, Path]:
        """What a client has stored after a refresh: the newest file of each role, by role name."""
        roots = self._roots()
        found = {"root": roots[-1], "timestamp": self.folder / "timestamp.json"}
        for path in sorted(self.folder.glob("1.*.json")):
            role = path.name.removeprefix("1.").removesuffix(".json")
            if role != "root":
                found[role] = path
        return found

    def met(self, mode: str) -> list[Path]:
        """The files whose signatures a client has to check in ``mode`` (see ``task.MODES``)."""
        if mode == "first":
            return [*self._roots()[:-1], *self.stored().values()]
        if mode == "stored":
            return list(self.stored().values())
        return [self.folder / FRESH_TIMESTAMP] if mode == "fresh" else []

    def _roots(self) -> list[Path]:
        return sorted(self.folder.glob(f"*{ROOT_SUFFIX}"), key=lambda path: int(path.name.split(".")[0]))
