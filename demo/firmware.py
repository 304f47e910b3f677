"""Where the play's firmware comes from: made up, or real files that somebody gave.

Belongs here: bytes for every image of the play. Does not belong here: what a repository says about them.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path

GENERATED_BYTES = 65_536
MAX_FILES = 16
MAX_BYTES = 64_000_000  # several copies of each are made; the play is to be over in a minute


class FirmwareError(Exception):
    """A directory of images that cannot be used."""


@dataclass(frozen=True, slots=True)
class Firmware:
    """Makes image files in ``workshop``. ``samples`` are real files to make them from; without any they are made up."""

    workshop: Path
    samples: tuple[Path, ...] = ()

    def make(self, component: str, number: int) -> Path:
        """The file of release ``number`` (from 0, the factory's) of ``component``: always the same bytes.

        Real files are used as they are for releases 0 and 1 of the components in turn; later releases carry their
        number at the end, so that no two are the same.
        """
        path = self.workshop / f"{component}-{number}.bin"
        if not path.exists():
            path.write_bytes(self._content(component, number))
        return path

    def _content(self, component: str, number: int) -> bytes:
        label = f"{component} release {number}\n".encode()
        if not self.samples:
            return label + random.Random(label).randbytes(GENERATED_BYTES)
        turn = sum(component.encode()) + number
        sample = self.samples[turn % len(self.samples)].read_bytes()
        return sample if number == 1 else sample + label


def real_files(directory: Path) -> tuple[Path, ...]:
    """The files in ``directory``, by name. Raises: FirmwareError if it is none, is empty, or holds too much."""
    if not directory.is_dir():
        raise FirmwareError(f"{directory} is not a directory")
    files = sorted(path for path in directory.rglob("*") if path.is_file() and path.stat().st_size > 0)[:MAX_FILES]
    if not files:
        raise FirmwareError(f"{directory} holds no files to install")
    largest = max(files, key=lambda path: path.stat().st_size)
    if largest.stat().st_size > MAX_BYTES:
        raise FirmwareError(f"{largest} is larger than {MAX_BYTES // 1_000_000} MB, too large for a demonstration")
    return tuple(files)
