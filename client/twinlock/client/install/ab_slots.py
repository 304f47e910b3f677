"""The built-in installer: two slot files, and one small file that names the one that runs.

``active.json`` is replaced by one rename, so at every instant it names one complete image, and only the slot that does not run
is written, by one thread of one process at a time. Its description of a slot counts only if the bytes of the slot match: an ECU
whose record is lost, or whose slot has changed, reports what it measures under the name ``unknown``, and accepts orders like any
other.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from twinlock.client.install.installer import Precondition
from twinlock.client.model.errors import PreconditionError
from twinlock.client.model.results import image_as_json
from twinlock.client.storage.staging import CHUNK_BYTES, RESERVE_BYTES, verify_file
from twinlock.io.files.durable import clean_stale, flush_directory, locked_directory, replace_file, storage_errors
from twinlock.trust.checks.image import ImageVerifier
from twinlock.trust.errors.base import RefusalError
from twinlock.trust.errors.images import ReleaseCounterError
from twinlock.trust.errors.local import StorageError
from twinlock.trust.model.ecu import InstalledImage
from twinlock.trust.model.targets import ImageEntry
from twinlock.trust.names import EcuId, TargetPath, target_path
from twinlock.trust.wire.json.cursor import DIGEST_DIGITS

_FORMAT = 1
_SLOTS = ("a", "b")
_ACTIVE = "active.json"
UNKNOWN = TargetPath("unknown")
"""The name under which an ECU reports an image that no record describes."""


@dataclass(frozen=True, slots=True)
class _Slot:
    name: str
    image: InstalledImage


class _Contents(NamedTuple):
    """What a slot file holds: ``identity`` changes when the file is touched."""

    identity: tuple[int, ...]
    length: int
    hashes: Mapping[str, str]


class SlotInstaller:
    """An ``Installer`` for one ECU whose slots are files in ``directory``."""

    def __init__(self, directory: Path, ecu: EcuId, precondition: Precondition | None = None) -> None:
        self.directory = directory
        self._ecu = ecu
        self._precondition = precondition
        self._read: dict[str, _Contents] = {}

    @classmethod
    def provision(cls, directory: Path, ecu: EcuId, entry: ImageEntry, source: Path | None) -> SlotInstaller:
        """Make the slots of a new ECU that runs ``entry``; ``source`` None is an empty image. Raises: StorageError."""
        with storage_errors("create", directory):
            directory.mkdir(parents=True)
        installer = cls(directory, ecu)
        installer._write_slot("a", entry, source)
        installer._switch(_Slot("a", as_installed(entry)), None)
        return installer

    def installed(self) -> InstalledImage:
        """See ``Installer.installed``. The slot is read once by each process, and again when its file was touched."""
        active = self._active()[0]
        contents = self._contents(active)
        image = active.image
        if contents.length == image.length and contents.hashes.items() >= _known(image.hashes).items():
            return image
        return InstalledImage(path=UNKNOWN, length=contents.length, hashes=dict(contents.hashes))

    @property
    def path(self) -> Path:
        """The file of the image that runs."""
        return self._file(self._active()[0].name)

    def install(self, entry: ImageEntry, source: Path) -> InstalledImage:
        """See ``Installer.install``. The slots are read after the precondition, which may take long, and under their lock."""
        reason = self._precondition(entry) if self._precondition is not None else None
        if reason is not None:
            raise PreconditionError(ecu=self._ecu, reason=reason)
        with locked_directory(self.directory):
            return self._install(entry, source)

    def _install(self, entry: ImageEntry, source: Path) -> InstalledImage:
        active, previous = self._active()
        self._guard_counter(entry, active.image)
        inactive = _SLOTS[1 - _SLOTS.index(active.name)]
        self._check_room(inactive, entry)
        if previous is not None:
            # From here on the slot no longer holds `previous`, even if we die half-way.
            self._switch(active, None)
        try:
            self._write_slot(inactive, entry, source)
        except (RefusalError, StorageError):
            self._drop(inactive)  # half an image is useless, and may be what fills the disk
            raise
        installed = as_installed(entry)
        self._switch(_Slot(inactive, installed), active)
        return installed

    def rollback(self) -> InstalledImage:
        """See ``Installer.rollback``. The old slot is verified before the switch."""
        with locked_directory(self.directory):
            return self._rollback()

    def _rollback(self) -> InstalledImage:
        active, previous = self._active()
        if previous is None:
            raise self._unusable("go back to the old image of", "no old image is stored")
        entry = ImageEntry(previous.image.path, previous.image.length, previous.image.hashes)
        try:
            verify_file(self._file(previous.name), entry)
        except RefusalError as error:
            raise self._unusable("go back to the old image of", f"the old image is damaged: {error}") from error
        self._switch(previous, active)
        return previous.image

    def _guard_counter(self, entry: ImageEntry, installed: InstalledImage) -> None:
        # Decided before, on metadata, and checked here again because this is the last gate (step 5).
        if entry.release_counter is None or installed.release_counter is None:
            return
        if entry.release_counter < installed.release_counter:
            raise ReleaseCounterError(
                ecu=self._ecu,
                target=entry.path,
                offered=entry.release_counter,
                installed=installed.release_counter,
                clause="Uptane 2.1.0 5.4.3.4",
            )

    def _check_room(self, name: str, entry: ImageEntry) -> None:
        """Refuse what would fill the disk, before the old image in the slot is lost. Raises: StorageError."""
        path = self._file(name)
        with storage_errors("measure", path):
            reusable = path.stat().st_size if path.exists() else 0
            free = shutil.disk_usage(self.directory).free + reusable
        needed = entry.length + RESERVE_BYTES
        if needed > free:
            reason = f"{needed} bytes are needed and {free} are available; free some space and try again"
            raise StorageError(path=str(path), operation="write", reason=reason)

    def _drop(self, name: str) -> None:
        with contextlib.suppress(OSError):  # what made the slot worthless is the error that counts
            self._file(name).unlink(missing_ok=True)

    def drop_half_written(self) -> None:
        """Remove the slot that does not run if the record names no image in it: a crash interrupted its writing.

        Without a readable record it is unknown which slot that is, and both stay. Raises: StorageError.
        """
        if not (self.directory / _ACTIVE).exists():
            return
        with locked_directory(self.directory):
            active, previous = self._active()
            if previous is None and active.image.path != UNKNOWN:
                self._drop(_SLOTS[1 - _SLOTS.index(active.name)])

    def _write_slot(self, name: str, entry: ImageEntry, source: Path | None) -> None:
        path = self._file(name)
        verifier = ImageVerifier(entry)
        with storage_errors("write", path), path.open("wb") as slot:
            if source is not None:
                with source.open("rb") as image:
                    while chunk := image.read(CHUNK_BYTES):
                        verifier.update(chunk)
                        slot.write(chunk)
            verifier.finish()
            slot.flush()
            os.fsync(slot.fileno())
        with storage_errors("write", path):
            flush_directory(self.directory)

    def _switch(self, active: _Slot, previous: _Slot | None) -> None:
        state = {
            "format": _FORMAT,
            "active": _slot_as_json(active),
            "previous": None if previous is None else _slot_as_json(previous),
        }
        clean_stale(self.directory)
        replace_file(self.directory / _ACTIVE, json.dumps(state, indent=2).encode())

    def _active(self) -> tuple[_Slot, _Slot | None]:
        path = self.directory / _ACTIVE
        try:
            with storage_errors("read", path):
                data = path.read_bytes()
            state = json.loads(data)
            stored_format = state["format"]
            if stored_format == _FORMAT:
                previous = state["previous"]
                return _slot_from_json(state["active"]), None if previous is None else _slot_from_json(previous)
        except StorageError:
            if path.exists():
                raise
            return self._newest(), None
        except (ValueError, KeyError, TypeError, RefusalError):
            return self._newest(), None
        reason = f"{_ACTIVE} has format {stored_format!r}; install the version of this software that wrote it"
        raise self._unusable("read what is installed from", reason)

    def _newest(self) -> _Slot:
        """The slot that was written last, if no record names the one that runs. Raises: StorageError if there is none."""
        with storage_errors("read what is installed from", self.directory):
            slots = {name: self._file(name).stat().st_mtime_ns for name in _SLOTS if self._file(name).exists()}
        if not slots:
            raise self._unusable(
                "read what is installed from", "the directory has neither a record nor a slot; provision this ECU again"
            )
        return _Slot(max(slots, key=lambda name: slots[name]), InstalledImage(path=UNKNOWN, length=-1, hashes={}))

    def _contents(self, slot: _Slot) -> _Contents:
        path = self._file(slot.name)
        wanted = _known(slot.image.hashes).keys() or {"sha256", "sha512"}
        with storage_errors("read", path), path.open("rb") as file:
            status = os.fstat(file.fileno())
            identity = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
            known = self._read.get(slot.name)
            if known is not None and known.identity == identity and known.hashes.keys() >= wanted:
                return known
            running = {name: hashlib.new(name) for name in sorted(wanted)}
            length = 0
            while chunk := file.read(CHUNK_BYTES):
                length += len(chunk)
                for digest in running.values():
                    digest.update(chunk)
        contents = _Contents(identity, length, {name: digest.hexdigest() for name, digest in running.items()})
        self._read[slot.name] = contents
        return contents

    def _file(self, name: str) -> Path:
        return self.directory / f"slot-{name}"

    def _unusable(self, operation: str, reason: str) -> StorageError:
        return StorageError(path=str(self.directory), operation=operation, reason=reason)


def drop_half_written(directory: Path, ecu: EcuId) -> None:
    """See ``SlotInstaller.drop_half_written``. Raises: StorageError."""
    SlotInstaller(directory, ecu).drop_half_written()


def _known(hashes: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in hashes.items() if name in DIGEST_DIGITS}


def as_installed(entry: ImageEntry) -> InstalledImage:
    """``entry`` as a report names it once it runs."""
    return InstalledImage(
        path=entry.path,
        length=entry.length,
        hashes=dict(entry.hashes),
        release_counter=entry.release_counter,
    )


def _slot_as_json(slot: _Slot) -> dict[str, Any]:
    return {"slot": slot.name, **image_as_json(slot.image)}


def _slot_from_json(value: dict[str, Any]) -> _Slot:
    if value["slot"] not in _SLOTS:
        raise ValueError(f"unknown slot {value['slot']!r}")
    counter = value["releaseCounter"]
    image = InstalledImage(
        path=target_path(value["path"]),
        length=int(value["length"]),
        hashes=dict(value["hashes"]),
        release_counter=None if counter is None else int(counter),
    )
    return _Slot(value["slot"], image)
