"""The bytes of the images that an outbox lists: bounded, judged where they are, and then taken into the store."""

from __future__ import annotations

from collections.abc import Iterator

from tuf.api.metadata import TargetFile, Targets

from twinlock.repository.errors import OutboxImageError, StoredImageError, UnacceptableEntryError
from twinlock.repository.store.image_files import FileDigest, Progress, check_stored, copy_image
from twinlock.repository.store.interface import ObjectStore
from twinlock.repository.store.object_names import image_objects
from twinlock.repository.suppliers.outbox import Outbox
from twinlock.trust.errors.local import StorageError

MAX_IMAGE_BYTES = 16 << 30
"""The largest image of a supplier, unless the owner states another: a file of 10 kB may claim any length and have holes."""
_IMAGES_OF_LARGEST_SIZE = 4  # all images of one outbox together


class OutboxImages:
    """Images on their way from an outbox into a store; none is longer than ``largest`` bytes, nor all than four times that.

    ``progress`` receives the bytes as they are read.
    """

    def __init__(self, outbox: Outbox, store: ObjectStore, *, largest: int, progress: Progress) -> None:
        self._outbox = outbox
        self._store = store
        self._largest = largest
        self._progress = progress
        self._judged: dict[tuple[str, str], int] = {}
        self._kept = set[tuple[str, int, frozenset[tuple[str, str]]]]()

    def check_length(self, role: str, path: str, entry: TargetFile) -> None:
        """Bound the work for ``path`` by what is listed, before a byte is read. Raises: UnacceptableEntryError."""
        hint = "if it is meant, accept it with a higher --largest-image"
        if entry.length > self._largest:
            reason = f"the image has {entry.length} bytes, and {self._largest} are allowed; {hint}"
            raise UnacceptableEntryError(role=role, target=path, reason=reason)
        self._judged[role, path] = entry.length
        total, limit = sum(self._judged.values()), _IMAGES_OF_LARGEST_SIZE * self._largest
        if total > limit:
            reason = f"with it the outbox brings images of {total} bytes, and {limit} are allowed; {hint}"
            raise UnacceptableEntryError(role=role, target=path, reason=reason)

    def judge(self, role: str, path: str, entry: TargetFile) -> None:
        """The bytes of ``path`` are in the outbox or in the store, and fit. Raises: OutboxImageError, StoredImageError."""
        for name, measured in _objects(path, entry):
            if _key(name, measured) in self._kept:
                continue
            if self._outbox.stat(name) is not None:
                self._judge_offered(role, path, name, measured)
            elif self._store.stat(name) is None:
                raise OutboxImageError(
                    role=role, target=path, reason=f"{name} is missing, and it is not stored here either"
                )
            else:
                self._judge_stored(path, name, measured)

    def keep(self, targets: Targets) -> None:
        """Put the images that a judged file lists into the store, each once. Raises: StorageError."""
        for path, entry in targets.targets.items():
            for name, measured in _objects(path, entry):
                if _key(name, measured) not in self._kept:
                    copy_image(self._outbox, self._store, name, measured, self._progress)
                    self._kept.add(_key(name, measured))

    def _judge_offered(self, role: str, path: str, name: str, measured: FileDigest) -> None:
        try:
            check_stored(self._outbox, name, measured, self._progress)
        except StorageError as error:
            raise OutboxImageError(role=role, target=path, reason=f"{name}: {error.reason}") from None

    def _judge_stored(self, path: str, name: str, measured: FileDigest) -> None:
        try:
            check_stored(self._store, name, measured, self._progress)
        except StorageError as error:
            raise StoredImageError(target=path, reason=f"{name}: {error.reason}") from None


def _objects(path: str, entry: TargetFile) -> Iterator[tuple[str, FileDigest]]:
    """The objects of an image, with what each has to hold."""
    for name in image_objects(path, entry.length, entry.hashes):
        yield name, FileDigest(entry.length, dict(entry.hashes))


def _key(name: str, measured: FileDigest) -> tuple[str, int, frozenset[tuple[str, str]]]:
    return name, measured.length, frozenset(measured.hashes.items())
