"""Image bytes on their way into the store: digests while streaming, never a whole image in memory."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISREG
from typing import BinaryIO

from twinlock.io.files.durable import storage_errors
from twinlock.repository.store.interface import ObjectSource, ObjectStore
from twinlock.repository.store.object_names import image_objects
from twinlock.trust.errors.base import UsageError
from twinlock.trust.errors.local import StorageError
from twinlock.trust.errors.metadata import UnsafePathError

ALGORITHMS = ("sha256", "sha512")
_CHUNK_BYTES = 1 << 20

Progress = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class FileDigest:
    """The length in bytes and the digests (lower-case hex by algorithm) of some bytes."""

    length: int
    hashes: dict[str, str]


def hash_stream(stream: BinaryIO, progress: Progress = lambda _: None, *, most: int | None = None) -> FileDigest:
    """Read ``stream`` to its end, or until it has more than ``most`` bytes, and measure what was read.

    ``progress`` receives the size of each piece. Raises: OSError.
    """
    digests = [hashlib.new(algorithm) for algorithm in ALGORITHMS]
    length = 0
    while chunk := stream.read(_CHUNK_BYTES):
        length += len(chunk)
        for digest in digests:
            digest.update(chunk)
        progress(len(chunk))
        if most is not None and length > most:  # it grows while it is read
            break
    return FileDigest(length, {digest.name: digest.hexdigest() for digest in digests})


def hash_file(source: Path, progress: Progress = lambda _: None) -> FileDigest:
    """Measure a file. Raises: UsageError if it is missing or empty, StorageError."""
    _check_regular(source)
    with storage_errors("read", source), source.open("rb") as stream:
        size = os.fstat(stream.fileno()).st_size
        measured = hash_stream(stream, progress, most=size) if size else FileDigest(0, {})
    if not size:  # such as the files of /proc, which hold something all the same
        raise UsageError(reason=f"{source} is empty, or is not a file on a disk")
    if measured.length != size:
        raise UsageError(
            reason=f"{source} has {measured.length} bytes and states {size}; it changes, or is not on a disk"
        )
    return measured


def _check_regular(source: Path) -> None:
    """Refuse what is missing, and a pipe, which would be waited for. Raises: UsageError, StorageError."""
    with storage_errors("read", source):
        try:
            mode = source.stat().st_mode
        except (FileNotFoundError, NotADirectoryError, ValueError):  # a name with a U+0000 exists nowhere
            raise UsageError(reason=f"{source} was not found") from None
    if not S_ISREG(mode):
        raise UsageError(reason=f"{source} is not a regular file")


def store_image(store: ObjectStore, source: Path, path: str, measured: FileDigest) -> None:
    """Put the bytes of ``source`` into the store under every name that an image ``path`` has.

    Repeating it changes nothing; an object that was damaged since is replaced. Raises: UsageError if the file is not what was
    measured, StorageError.
    """
    first, *others = image_objects(path, measured.length, measured.hashes)
    _check_regular(source)
    with storage_errors("read", source), source.open("rb") as stream:
        created = store.put_new_from(first, _Watched(stream, source, measured))
    if not created and not _is_sound(store, first, measured):
        with storage_errors("read", source), source.open("rb") as stream:
            store.replace_from(first, _Watched(stream, source, measured))
    for name in others:
        if not store.copy_new(first, name) and not _is_sound(store, name, measured):
            _replace_by(store, first, name)


def copy_image(
    source: ObjectSource,
    store: ObjectStore,
    name: str,
    measured: FileDigest,
    progress: Progress = lambda _: None,
) -> None:
    """Take the object ``name`` over from ``source``, unless ours is what was measured; one of ours that was damaged is replaced.

    The bytes are measured while they are copied, so that what is stored is what was judged before.
    Raises: UsageError if the source changed since; StorageError, also where neither has what was measured.
    """
    if store.stat(name) is not None and _is_sound(store, name, measured):
        progress(measured.length)
        return
    stream = source.open(name)
    if stream is None:
        check_stored(store, name, measured, progress)
        return
    with stream:
        created = store.put_new_from(name, _Watched(stream, name, measured, progress))
        if not created and not _is_sound(store, name, measured):
            stream.seek(0)
            store.replace_from(name, _Watched(stream, name, measured))


def _replace_by(store: ObjectStore, sound: str, damaged: str) -> None:
    stream = store.open(sound)
    if stream is None:
        raise StorageError(path=sound, operation="read", reason="no such object")
    with stream:
        store.replace_from(damaged, stream)


def _is_sound(store: ObjectStore, name: str, measured: FileDigest) -> bool:
    try:
        check_stored(store, name, measured)
    except StorageError:
        return False
    return True


def check_stored(store: ObjectSource, name: str, measured: FileDigest, progress: Progress = lambda _: None) -> None:
    """An object has the bytes that its name promises; ``progress`` as for ``hash_stream``. Raises: StorageError."""
    stream = store.open(name)
    if stream is None:
        raise StorageError(path=name, operation="read", reason="no such object")
    with stream, storage_errors("read", name):
        length = os.fstat(stream.fileno()).st_size
        if length != measured.length:  # first: gigabytes are not read where a few bytes were signed
            reason = f"the object has {length} bytes, and {measured.length} are listed"
            raise StorageError(path=name, operation="use", reason=reason)
        if _only(hash_stream(stream, progress, most=length), measured) != measured:
            reason = "the object holds other bytes than its name states"
            raise StorageError(path=name, operation="use", reason=reason)


def find_fault(store: ObjectStore, path: str, length: int, hashes: Mapping[str, str], *, deep: bool) -> str | None:
    """What is wrong with the stored bytes of an image, None if nothing is.

    Without ``deep`` only lengths are compared. A file that is stored under two names is read once.
    """
    listed = FileDigest(length, {algorithm: hashes[algorithm] for algorithm in ALGORITHMS if algorithm in hashes})
    read = set[tuple[int, int]]()
    try:
        for name in image_objects(path, length, hashes):
            stream = store.open(name)
            if stream is None:
                return f"{name} is missing"
            with stream, storage_errors("read", name):
                status = os.fstat(stream.fileno())
                if status.st_size != length:
                    return f"{name} has {status.st_size} bytes of {length}"
                file = (status.st_dev, status.st_ino)
                if deep and file not in read and _only(hash_stream(stream), listed) != listed:
                    return f"{name} holds other bytes than its name states"
                read.add(file)
    except (StorageError, UnsafePathError) as error:
        return str(error)
    return None


def _only(digest: FileDigest, wanted: FileDigest) -> FileDigest:
    return FileDigest(digest.length, {algorithm: digest.hashes.get(algorithm, "") for algorithm in wanted.hashes})


class _Watched:
    """A file that refuses to end if what was read is not what was measured before: it changed in between."""

    def __init__(
        self,
        stream: BinaryIO,
        source: Path | str,
        measured: FileDigest,
        progress: Progress = lambda _: None,
    ) -> None:
        self._stream = stream
        self._progress = progress
        self._source = source
        self._measured = measured
        self._digests = [hashlib.new(algorithm) for algorithm in measured.hashes if algorithm in ALGORITHMS]
        self._length = 0

    def read(self, size: int, /) -> bytes:
        chunk = self._stream.read(size)
        self._length += len(chunk)
        self._progress(len(chunk))
        for digest in self._digests:
            digest.update(chunk)
        if not chunk or self._length > self._measured.length:  # gigabytes are not copied where a few bytes were signed
            self._check()
        return chunk

    def _check(self) -> None:
        read = FileDigest(self._length, {digest.name: digest.hexdigest() for digest in self._digests})
        if read != self._measured:
            raise UsageError(reason=f"{self._source} changed while it was read")
