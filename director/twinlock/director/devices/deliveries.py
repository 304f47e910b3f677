"""The delivery of many credentials into one folder, and what a run that was cut off left there.

    with Deliveries.open(output, names) as deliveries:
        left = deliveries.undelivered        # vehicle: fingerprint of a certificate whose key was never written
        deliveries.announce({"VIN1": credential})      # before they are recorded
        deliveries.write("VIN1", credential)

The folder holds a journal from the announcement to the end of a run. A private key is written last and kept nowhere
else, so a certificate that was announced and has no key there is worthless to its vehicle and is revoked.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Self

from twinlock.director.devices.credentials import Credential, check_vacant, write_files
from twinlock.io.files.durable import TEMPORARY, read_file, replace_file, storage_errors
from twinlock.io.files.new_directory import make_directory
from twinlock.io.files.records import RecordError, read_record
from twinlock.trust.errors.base import UsageError
from twinlock.trust.errors.local import ConflictError

JOURNAL = ".issue-device.jsonl"
_MAX_BYTES = 1 << 30


class Deliveries:
    """Deliveries into ``output``/VEHICLE, the files named as ``write_files`` takes them. One process at a time has them."""

    def __init__(self, output: Path, names: tuple[str, str, str], announced: dict[str, str], marked: set[str]) -> None:
        """Not for callers: use ``open``."""
        self._output = output
        self._names = names
        written = {vehicle for vehicle in announced if (output / vehicle / names[2]).exists()} | marked
        self.delivered: dict[str, str] = {vehicle: announced[vehicle] for vehicle in sorted(written & announced.keys())}
        self.undelivered: dict[str, str] = {
            vehicle: mark for vehicle, mark in announced.items() if vehicle not in written
        }

    @classmethod
    @contextlib.contextmanager
    def open(cls, output: Path, names: tuple[str, str, str]) -> Iterator[Self]:
        """The deliveries into ``output``.

        Raises: ConflictError while another process delivers there; StorageError; UsageError for another file in the
        journal's place.
        """
        existed = output.exists()
        with storage_errors("create", output):
            make_directory(output, 0o700)
            lock = os.open(output, os.O_RDONLY | os.O_CLOEXEC)
        try:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise ConflictError(what=str(output), reason="another process issues credentials there") from None
            yield cls(output, names, *_read(output / JOURNAL))
        finally:
            os.close(lock)
            if not existed:
                with contextlib.suppress(OSError):  # it holds something now
                    output.rmdir()

    def check(self, vehicle: str) -> None:
        """See that the files of a vehicle have room. Raises: UsageError."""
        if vehicle not in self.undelivered:
            check_vacant(self._output / vehicle, self._names)

    def announce(self, credentials: Mapping[str, Credential]) -> None:
        """Note which certificates are going to be recorded, after those of the run before. Raises: StorageError."""
        for vehicle in (*self.delivered, *self.undelivered):
            self._tidy(self._output / vehicle)
        self._write({**self.delivered, **{name: item.fingerprint for name, item in credentials.items()}})

    def write(self, vehicle: str, credential: Credential) -> None:
        """Write the files of one vehicle, in place of those without a key. Raises: UsageError, StorageError."""
        folder = self._output / vehicle
        if vehicle in self.undelivered and not (folder / self._names[2]).exists():
            with storage_errors("remove", folder):
                for name in self._names[:2]:
                    (folder / name).unlink(missing_ok=True)
        write_files(credential, folder, names=self._names)
        with storage_errors("write", self._output / JOURNAL), (self._output / JOURNAL).open("a") as journal:
            journal.write(json.dumps([vehicle]) + "\n")

    def give_up(self) -> None:
        """Nothing that was announced is on record: put the journal of the run before back. Raises: StorageError."""
        if self.delivered or self.undelivered:
            self._write({**self.delivered, **self.undelivered})
        else:
            self.finish()

    def finish(self) -> None:
        """Everything that was announced is delivered. Raises: StorageError."""
        with storage_errors("remove", self._output / JOURNAL):
            (self._output / JOURNAL).unlink(missing_ok=True)

    def _tidy(self, folder: Path) -> None:
        """Remove what a cut-off write left half done: it may hold a private key."""
        with storage_errors("remove", folder):
            for leftover in folder.glob(f"{TEMPORARY}*"):
                leftover.unlink(missing_ok=True)

    def _write(self, announced: Mapping[str, str]) -> None:
        lines = [json.dumps([vehicle, fingerprint]) for vehicle, fingerprint in announced.items()]
        lines += [json.dumps([vehicle]) for vehicle in self.delivered]
        data = "".join(f"{line}\n" for line in lines).encode()
        replace_file(self._output / JOURNAL, data, max_bytes=_MAX_BYTES // 2)  # as much again is added line by line


def _read(journal: Path) -> tuple[dict[str, str], set[str]]:
    """The fingerprints announced, and the vehicles whose delivery is noted. A last line that was cut off counts as none."""
    announced: dict[str, str] = {}
    marked: set[str] = set()
    data = read_file(journal, max_bytes=_MAX_BYTES) or b""
    for line in data.split(b"\n")[:-1]:
        try:
            vehicle, *fingerprint = read_record(line, str(journal), tuple[str, ...])
        except (RecordError, ValueError):
            raise UsageError(reason=f"{journal} is not the journal of issue-device; choose another --output") from None
        if fingerprint:
            announced[vehicle] = fingerprint[0]
        else:
            marked.add(vehicle)
    return announced, marked
