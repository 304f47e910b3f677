"""The object store in a directory: create-only by hard link, compare-and-swap under a lock, durable by fsync.

A file appears under its name only when it is complete and on disk. What a killed writer leaves is an unlocked
temporary file in ``.tmp``, which ``tidy`` removes. No symbolic link below the root is followed.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat as stat_module
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from twinlock.io.files.durable import (
    clean_stale,
    flush_directory,
    link_new,
    locked,
    storage_errors,
    temporary_file,
    write_all,
)
from twinlock.io.files.new_directory import make_directory
from twinlock.repository.store.interface import ObjectInfo, Readable, StoredObject, object_name
from twinlock.trust.errors.local import ConflictError, StorageError
from twinlock.trust.errors.metadata import UnsafePathError

_CHUNK_BYTES = 1 << 20
_HASHED_BYTES = 1 << 20  # up to here an etag is a digest; a larger object is distinguished by inode, time and size
_NO_LINKS = frozenset({errno.EPERM, errno.ENOTSUP, errno.EMLINK, errno.EXDEV})


class DirectoryReader:
    """The objects below ``root`` for reading alone: regular files, and no symbolic link on the way. Nothing is written."""

    def __init__(self, root: Path, *, may_be_missing: bool = False) -> None:
        with storage_errors("open", root):
            self.root: Path = root.resolve(strict=not may_be_missing)

    def get(self, name: str, *, max_bytes: int) -> StoredObject | None:
        """See ``ObjectStore``."""
        stream = self.open(name)
        if stream is None:
            return None
        with stream, storage_errors("read", self.root / name):
            data = stream.read(max_bytes + 1)
            if len(data) > max_bytes:
                reason = f"the object is larger than {max_bytes} bytes"
                raise StorageError(path=str(self.root / name), operation="read", reason=reason)
            return StoredObject(data, _etag(os.fstat(stream.fileno()), data))

    def stat(self, name: str) -> ObjectInfo | None:
        """See ``ObjectStore``."""
        stream = self.open(name)
        if stream is None:
            return None
        with stream, storage_errors("read", self.root / name):
            status = os.fstat(stream.fileno())
            small = stream.read(_HASHED_BYTES + 1) if status.st_size <= _HASHED_BYTES else b""
            return ObjectInfo(name, status.st_size, _etag(status, small))

    def open(self, name: str) -> BinaryIO | None:
        """See ``ObjectStore``."""
        path = self._path(name)
        with storage_errors("open", path):
            try:
                descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
            except (FileNotFoundError, NotADirectoryError):
                return None
            if not stat_module.S_ISREG(os.fstat(descriptor).st_mode):
                os.close(descriptor)
                return None
            return os.fdopen(descriptor, "rb")

    def _path(self, name: str) -> Path:
        """Where ``name`` lives. A symbolic link on the way would lead out of the root, so it is refused."""
        path = self.root / object_name(name)
        parent = path.parent
        if Path(os.path.realpath(parent)) != parent:
            raise UnsafePathError(path=name, reason="a parent directory is a symbolic link")
        return path


class DirectoryStore(DirectoryReader):
    """An ``ObjectStore`` below ``root``, which the first write creates if it is missing."""

    def __init__(self, root: Path) -> None:
        super().__init__(root, may_be_missing=True)
        self._temporary = self.root / ".tmp"
        self._lock = self.root / ".lock"

    def tidy(self) -> None:
        """See ``ObjectStore``."""
        clean_stale(self._temporary)

    def put_new(self, name: str, data: bytes) -> bool:
        """See ``ObjectStore``."""
        path = self._path(name)
        with self._writing(path) as (descriptor, temporary):
            write_all(descriptor, data)
            os.fsync(descriptor)
            return self._place_new(temporary, path)

    def put_new_from(self, name: str, source: Readable) -> bool:
        """See ``ObjectStore``."""
        path = self._path(name)
        with self._writing(path) as (descriptor, temporary):
            _copy_all(source, descriptor)
            return self._place_new(temporary, path)

    def replace_from(self, name: str, source: Readable) -> None:
        """See ``ObjectStore``."""
        path = self._path(name)
        with self._writing(path) as (descriptor, temporary):
            _copy_all(source, descriptor)
            _move(temporary, path)

    def copy_new(self, source: str, name: str) -> bool:
        """See ``ObjectStore``. A hard link where the file system has them."""
        origin, path = self._path(source), self._path(name)
        with storage_errors("copy to", path):
            make_directory(path.parent)
            try:
                return link_new(origin, path)
            except OSError as error:
                if error.errno not in _NO_LINKS:
                    raise
        with origin.open("rb") as stream:
            return self.put_new_from(name, stream)

    def replace(self, name: str, data: bytes, *, expected: str | None) -> str:
        """See ``ObjectStore``."""
        path = self._path(name)
        with storage_errors("open", self._lock):
            make_directory(self.root)
        with storage_errors("open", self._lock), locked(self._lock):
            current = self.stat(name)
            if (current.etag if current else None) != expected:
                raise ConflictError(what=name, reason="another process replaced it")
            with self._writing(path) as (descriptor, temporary):
                write_all(descriptor, data)
                os.fsync(descriptor)
                status = os.fstat(descriptor)
                _move(temporary, path)
        return _etag(status, data)

    def names(self, prefix: str) -> Iterator[str]:
        """See ``ObjectStore``."""
        top = self._path(prefix)
        with storage_errors("list", top):
            for directory, directories, files in os.walk(top):
                directories[:] = [entry for entry in directories if not entry.startswith(".")]
                for file in files:
                    if not file.startswith("."):
                        yield (Path(directory) / file).relative_to(self.root).as_posix()

    def delete(self, name: str) -> None:
        """See ``ObjectStore``."""
        path = self._path(name)
        with storage_errors("delete", path):
            path.unlink(missing_ok=True)
            if path.parent.is_dir():
                flush_directory(path.parent)

    @contextmanager
    def _writing(self, path: Path) -> Iterator[tuple[int, Path]]:
        if self._temporary.is_symlink():
            raise UnsafePathError(
                path=self._temporary.name, reason="the directory for temporary files is a symbolic link"
            )
        with storage_errors("write", path):
            make_directory(self._temporary)
            make_directory(path.parent)
            with temporary_file(self._temporary, 0o644) as opened:
                yield opened

    def _place_new(self, temporary: Path, path: Path) -> bool:
        try:
            return link_new(temporary, path)
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
        with locked(self._lock):  # a file system without hard links: the lock keeps other writers of ours away
            if path.exists():
                return False
            _move(temporary, path)
            return True


def _move(temporary: Path, path: Path) -> None:
    """Give ``temporary``, which is on disk, the name ``path``, durably. Raises: OSError.

    Where ``path`` is on another device, a copy in its directory is complete and on disk before it has the name.
    """
    try:
        temporary.rename(path)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        clean_stale(path.parent)
        with temporary.open("rb") as stream, temporary_file(path.parent, 0o644) as (descriptor, near):
            _copy_all(stream, descriptor)
            near.rename(path)
    flush_directory(path.parent)


def _copy_all(source: Readable, descriptor: int) -> None:
    while chunk := source.read(_CHUNK_BYTES):
        write_all(descriptor, chunk)
    os.fsync(descriptor)


def _etag(found: os.stat_result, data: bytes) -> str:
    if found.st_size <= _HASHED_BYTES:
        return hashlib.sha256(data).hexdigest()[:40]
    return f"{found.st_ino:x}-{found.st_mtime_ns:x}-{found.st_size:x}"
