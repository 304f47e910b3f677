"""Where published files live, as an interface: a directory today, an S3-compatible store through the same methods.

What publishing needs of a store is little and exact: create a name that no other writer can create too, replace one name
only if it is still what was read, and copy. S3 has the first two as conditional writes (``If-None-Match: *`` and
``If-Match``). Names are relative ``/``-separated paths; every implementation admits them with ``object_name``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Protocol

from twinlock.trust.errors.metadata import UnsafePathError

MAX_OBJECT_NAME_BYTES = 2048
MAX_OBJECT_SEGMENT_BYTES = 255


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """An object without its bytes. ``etag`` differs whenever the bytes do; it is opaque and unquoted."""

    name: str
    size: int
    etag: str


@dataclass(frozen=True, slots=True)
class StoredObject:
    """A small object, read whole."""

    data: bytes
    etag: str


class Readable(Protocol):
    """Something that hands out bytes piece by piece, and no bytes at its end."""

    def read(self, size: int, /) -> bytes:
        """At most ``size`` bytes."""


class ObjectReader(Protocol):
    """The one thing that verification needs of a store."""

    def get(self, name: str, *, max_bytes: int) -> StoredObject | None:
        """The object, or None if there is none. Above ``max_bytes``: StorageError."""


class ObjectSource(ObjectReader, Protocol):
    """What a server needs of a store: its objects, of any size. Every method may raise StorageError and UnsafePathError."""

    def stat(self, name: str) -> ObjectInfo | None:
        """Size and etag, or None if there is none."""

    def open(self, name: str) -> BinaryIO | None:
        """The object for reading at any offset, or None if there is none. The caller closes it."""


class ObjectStore(ObjectSource, Protocol):
    """A flat space of named, immutable-by-habit objects. Every method may raise StorageError and UnsafePathError.

    Each write is atomic and durable once the method returned; after a failure nothing half-written is visible.
    Methods block: an event loop calls them in a thread. All are safe to call from several threads and processes.
    """

    def put_new(self, name: str, data: bytes) -> bool:
        """Create ``name`` with ``data``; False, and nothing done, if it exists."""

    def put_new_from(self, name: str, source: Readable) -> bool:
        """Create ``name`` with what ``source`` holds from its position on; False if it exists. Streams."""

    def replace_from(self, name: str, source: Readable) -> None:
        """Write ``name`` with what ``source`` holds from its position on; what was there stays until that is complete."""

    def copy_new(self, source: str, name: str) -> bool:
        """Create ``name`` with the bytes of the object ``source``; False if it exists."""

    def replace(self, name: str, data: bytes, *, expected: str | None) -> str:
        """Write ``name`` if its etag is ``expected`` (None: if it does not exist); returns the new etag.

        Raises: ConflictError if it is not; nothing is written then.
        """

    def names(self, prefix: str) -> Iterator[str]:
        """The names below the directory ``prefix``, in no particular order."""

    def tidy(self) -> None:
        """Remove what killed writers left half-written. Living writers lose nothing."""

    def delete(self, name: str) -> None:
        """Remove ``name``; nothing happens if there is none."""


def object_name(name: str) -> str:
    """Admit ``name`` as an object's name: relative segments, none of them special or hidden.

    Names of images and roles were admitted by the trust engine before; this holds for any name, from anywhere.
    Raises: UnsafePathError.
    """
    if not name or len(name.encode("utf-8", "surrogatepass")) > MAX_OBJECT_NAME_BYTES:
        raise UnsafePathError(path=name[:80], reason=f"the name is empty or longer than {MAX_OBJECT_NAME_BYTES} bytes")
    if "\\" in name or any(
        ord(char) < 0x20 or 0x7F <= ord(char) < 0xA0 or 0xD800 <= ord(char) < 0xE000 for char in name
    ):
        raise UnsafePathError(
            path=ascii(name), reason="the name holds a backslash, a control character or half a character"
        )
    for segment in name.split("/"):
        if not segment or segment.startswith(".") or len(segment.encode()) > MAX_OBJECT_SEGMENT_BYTES:
            raise UnsafePathError(path=name, reason="a segment is empty, hidden or too long")
    return name
