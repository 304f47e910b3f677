"""The bytes of the images that an outbox lists: judged where they are, and then taken into the store."""

from __future__ import annotations

from tuf.api.metadata import TargetFile, Targets

from twinlock.repository.errors import OutboxImageError, StoredImageError
from twinlock.repository.store.image_files import FileDigest, check_stored, copy_image
from twinlock.repository.store.interface import ObjectStore
from twinlock.repository.store.object_names import image_objects
from twinlock.repository.suppliers.outbox import Outbox
from twinlock.trust.errors.local import StorageError


class OutboxImages:
    """Images on their way from an outbox into a store."""

    def __init__(self, outbox: Outbox, store: ObjectStore) -> None:
        self._outbox = outbox
        self._store = store

    def judge(self, role: str, path: str, entry: TargetFile) -> None:
        """The bytes of ``path`` are in the outbox or in the store, and fit. Raises: OutboxImageError, StoredImageError."""
        measured = FileDigest(entry.length, dict(entry.hashes))
        for name in image_objects(path, entry.length, entry.hashes):
            if self._outbox.stat(name) is not None:
                self._judge_offered(role, path, name, measured)
            elif self._store.stat(name) is None:
                raise OutboxImageError(
                    role=role, target=path, reason=f"{name} is missing, and it is not stored here either"
                )
            else:
                self._judge_stored(path, name, measured)

    def keep(self, targets: Targets) -> None:
        """Put the images that a judged file lists into the store. Raises: StorageError."""
        for path, entry in targets.targets.items():
            for name in image_objects(path, entry.length, entry.hashes):
                copy_image(self._outbox, self._store, name, FileDigest(entry.length, dict(entry.hashes)))

    def _judge_offered(self, role: str, path: str, name: str, measured: FileDigest) -> None:
        try:
            check_stored(self._outbox, name, measured)
        except StorageError as error:
            raise OutboxImageError(role=role, target=path, reason=f"{name}: {error.reason}") from None

    def _judge_stored(self, path: str, name: str, measured: FileDigest) -> None:
        try:
            check_stored(self._store, name, measured)
        except StorageError as error:
            raise StoredImageError(target=path, reason=f"{name}: {error.reason}") from None
