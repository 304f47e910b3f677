"""What a supplier signed last: the outbox's file, and the record that stays when the outbox is handed over."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tuf.api.metadata import Metadata, Targets

from twinlock.io.files.durable import read_file, replace_file, storage_errors
from twinlock.io.files.new_directory import make_directory
from twinlock.repository.store.directory import DirectoryStore
from twinlock.repository.suppliers.forwarding import put_newest
from twinlock.repository.suppliers.outbox import role_object
from twinlock.trust.errors.base import RefusalError
from twinlock.trust.errors.local import StorageError
from twinlock.trust.limits import DEFAULT_LIMITS
from twinlock.trust.names import role_file
from twinlock.trust.wire.tuf.metadata import TUF

_MAX_BYTES = DEFAULT_LIMITS.targets_bytes


class SignedFile:
    """The signed file of ``role`` in the workspace ``directory``."""

    def __init__(self, directory: Path, outbox: DirectoryStore, role: str) -> None:
        self._outbox = outbox
        self._role = role
        self._name = role_object(role)
        self._handed_over = directory / "outbox" / self._name
        self._record = directory / "signed" / f"{role_file(role)}.json"

    def newest(self) -> Targets | None:
        """The newer of the two files, either of which may be missing. A damaged one gives way to the other.

        The next signature writes both. Raises: StorageError, also if a file is damaged and the other cannot replace it.
        """
        intact, damaged = [], []
        for path, data in self._stored():
            try:
                intact.append(_read(path, data))
            except RefusalError as error:
                damaged.append((path, str(error)))
        if damaged and not intact:
            path, fault = damaged[0]
            raise StorageError(path=str(path), operation="use", reason=f"{fault}; {self._remedy()}")
        return max(intact, key=lambda targets: targets.version, default=None)

    def put(self, data: bytes) -> None:
        """Write both files. Raises: ConflictError, StorageError."""
        put_newest(self._outbox, self._name, data)
        with storage_errors("create", self._record.parent):
            make_directory(self._record.parent, 0o700)
        replace_file(self._record, data, max_bytes=_MAX_BYTES)

    def _remedy(self) -> str:
        return (
            f"restore it from a backup, or put the newest file of {self._role} that the Image repository serves "
            f"(metadata/N.{self._role}.json) in its place"
        )

    def _stored(self) -> Iterator[tuple[Path, bytes]]:
        stored = self._outbox.get(self._name, max_bytes=_MAX_BYTES)
        if stored is not None:
            yield self._handed_over, stored.data
        record = read_file(self._record, max_bytes=_MAX_BYTES)
        if record is not None:
            yield self._record, record


def _read(path: Path, data: bytes) -> Targets:
    """The body of a signed file. Raises: RefusalError for anything else."""
    TUF.decode_targets(data, str(path), DEFAULT_LIMITS)
    return Metadata[Targets].from_bytes(data).signed
