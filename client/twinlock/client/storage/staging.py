"""The staging area: images are written to disk while they are hashed, and named as verified only afterwards.

An image is never held in memory. Source: Uptane 2.1.0 5.4.2.4, 5.4.3.3 and 5.4.3.4 (checks run on the stored copy
before installing).
"""

from __future__ import annotations

import hashlib
import itertools
import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

from twinlock.io.files.durable import flush_directory, storage_errors
from twinlock.trust.checks.image import ImageVerifier
from twinlock.trust.errors.base import RefusalError
from twinlock.trust.errors.local import StorageError
from twinlock.trust.model.targets import ImageEntry
from twinlock.trust.wire.json.olpc import encode_canonical

CHUNK_BYTES = 65_536
RESERVE_BYTES = 1_000_000
"""Reserved for the state, which must always be able to record what happened."""


class Staging:
    """A directory of arriving (``*.part``) and verified (``*.image``) files, named by what their content must be."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._arriving: set[Path] = set()
        self._numbers = itertools.count(1)
        with storage_errors("create", directory):
            directory.mkdir(parents=True, exist_ok=True)

    def find(self, entry: ImageEntry) -> Path | None:
        """The verified file of ``entry`` if it is here. It is read and verified again; a damaged one is removed."""
        path = self._path(entry, "image")
        if not path.exists():
            return None
        try:
            verify_file(path, entry)
        except RefusalError:
            with storage_errors("remove", path):
                path.unlink()
            return None
        return path

    @property
    def arriving(self) -> bool:
        """Whether an image is arriving now."""
        return bool(self._arriving)

    def arrival(self, entry: ImageEntry, *, apart: bool = False) -> ImageArrival:
        """Begin, or resume, receiving ``entry``; with ``apart``, in a new file of its own.

        Raises: StorageError when the disk cannot hold it; UnknownHashError when it lists a hash we cannot check.
        """
        part = self._path(entry, f"{next(self._numbers)}.part" if apart else "part")
        if apart:
            with storage_errors("remove", part):
                part.unlink(missing_ok=True)  # a crash left it
        with storage_errors("measure", self.directory):
            present = part.stat().st_size if part.exists() else 0
            free = shutil.disk_usage(self.directory).free
        needed = max(entry.length - present, 0) + RESERVE_BYTES
        if needed > free:
            raise StorageError(
                path=str(self.directory),
                operation="stage an image in",
                reason=f"{needed} bytes are needed and {free} are available; free some space and try again",
            )
        return ImageArrival(entry, part, self._path(entry, "image"), self._arriving, apart=apart)

    def tidy(self, keep: Iterable[ImageEntry] = ()) -> None:
        """Remove everything but the files of ``keep`` and those arriving now. Raises: StorageError."""
        kept = self._arriving | {self._path(entry, suffix) for entry in keep for suffix in ("part", "image")}
        with storage_errors("tidy", self.directory):
            for path in self.directory.iterdir():
                if path not in kept and path.suffix in (".part", ".image"):
                    path.unlink()

    def _path(self, entry: ImageEntry, suffix: str) -> Path:
        # From the content alone: a name chosen by a server never becomes a path here.
        key = hashlib.sha256(encode_canonical([entry.length, dict(entry.hashes)])).hexdigest()
        return self.directory / f"{key}.{suffix}"


class ImageArrival:
    """One image that is arriving. Use it as a context manager, which closes it in every case.

    What arrived stays for a later attempt if the connection broke; it is removed if it was refused or the disk failed.
    """

    def __init__(self, entry: ImageEntry, part: Path, verified: Path, arriving: set[Path], *, apart: bool) -> None:
        """``arriving`` holds ``part`` until this is closed. With ``apart``, an unfinished file is then useless."""
        self._apart = apart
        self.entry = entry
        self._arriving = arriving
        self._part = part
        self._verified = verified
        self._verifier = ImageVerifier(entry)
        with storage_errors("open", part):
            self._file: BinaryIO = part.open("ab")
        arriving.add(part)
        self.resumed: bool = False
        """Whether bytes of an earlier attempt are part of this."""

    @property
    def received(self) -> int:
        """How many bytes have arrived and been counted."""
        return self._verifier.received

    def __enter__(self) -> ImageArrival:
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        try:
            with storage_errors("write", self._part):
                self._file.close()
        except StorageError as failed:
            error = failed
            raise
        finally:
            self._arriving.discard(self._part)
            if self._apart or isinstance(error, (RefusalError, StorageError)):
                self._part.unlink(missing_ok=True)

    def resume(self) -> int:
        """Count what an earlier attempt left; returns how many bytes that is. Blocking: it reads them all."""
        with storage_errors("read", self._part), self._part.open("rb") as file:
            if os.fstat(file.fileno()).st_size > self.entry.length:
                self.restart()
                return 0
            while chunk := file.read(CHUNK_BYTES):
                self._verifier.update(chunk)
        self.resumed = self.received > 0
        return self.received

    def restart(self) -> None:
        """Discard what arrived and begin at the first byte."""
        with storage_errors("truncate", self._part):
            self._file.truncate(0)
        self._verifier = ImageVerifier(self.entry)
        self.resumed = False

    def write(self, chunk: bytes) -> None:
        """Write the next bytes. Raises: EndlessDataError beyond the listed length, StorageError."""
        self._verifier.update(chunk)
        with storage_errors("write", self._part):
            self._file.write(chunk)

    def finish(self) -> Path:
        """Verify the whole, flush it to the disk and give it its verified name. Blocking.

        Raises: LengthError, DigestError, StorageError.
        """
        self._verifier.finish()
        with storage_errors("store", self._part):
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            self._part.replace(self._verified)
            flush_directory(self._part.parent)
        return self._verified


def drop_staged(directory: Path) -> None:
    """Remove every image in ``directory``, arriving or verified: each can be fetched again. Raises: StorageError."""
    with storage_errors("tidy", directory):
        for path in directory.iterdir() if directory.is_dir() else ():
            if path.suffix in (".part", ".image"):
                path.unlink(missing_ok=True)


def verify_file(path: Path, entry: ImageEntry) -> None:
    """Read ``path`` and refuse it unless it is ``entry``. Raises: RefusalError, StorageError."""
    verifier = ImageVerifier(entry)
    with storage_errors("read", path), path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            verifier.update(chunk)
    verifier.finish()
