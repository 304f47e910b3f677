"""The Root that others are signing: kept where it was prepared, so that no other Root of its number is published.

Root N names who signs Root N+1, so a vehicle at Root N takes every Root N+1 that they signed. While one travels from key to key
it may come back whole, and a second one of its number would split the fleet.

Preparing, publishing and cancelling a Root exclude each other (``alone``): a Root that is cancelled while another process
is about to publish it would name keys that were destroyed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tuf.api.metadata import Metadata, Root

from twinlock.io.files.durable import flush_directory, locked, read_file, replace_file, storage_errors
from twinlock.io.files.records import read_record
from twinlock.repository.errors import RootCancelledError, RootPreparedError
from twinlock.trust.limits import DEFAULT_LIMITS
from twinlock.trust.wire.json.olpc import encode_canonical
from twinlock.trust.wire.tuf.metadata import TUF

_FILE, _KEYS, _CANCELLED = "prepared-root.json", "prepared-root-keys.json", "cancelled-roots.json"
_LOCK = "prepared-root.lock"
_MAX_CANCELLED_BYTES = 1 << 20
MAX_PREPARED_BYTES = 2 * DEFAULT_LIMITS.root_bytes  # it carries the Root before it


class PreparedRoot:
    """What is prepared in one repository's ``directory``. ``newest`` is always the version of its newest published Root."""

    def __init__(self, directory: Path) -> None:
        self.path: Path = directory / _FILE
        self._keys = directory / _KEYS
        self._refused = directory / _CANCELLED
        self._lock = directory / _LOCK

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Exclude every other process and thread that prepares, publishes or cancels a Root. Raises: StorageError."""
        with locked(self._lock):
            yield

    def find(self, newest: int) -> Root | None:
        """The Root that others are signing; None if there is none, or it was published. Raises: StorageError, MalformedError."""
        data = read_file(self.path, max_bytes=MAX_PREPARED_BYTES)
        if data is None:
            return None
        TUF.decode_root(data, str(self.path), DEFAULT_LIMITS)
        root = Metadata[Root].from_bytes(data).signed
        return root if root.version > newest else None

    def check(self, newest: int, offered: Root | None = None) -> None:
        """Check that no other Root than ``offered`` is prepared under the next number.

        Raises: RootPreparedError; RootCancelledError for one whose ceremony was ended here; StorageError.
        """
        prepared = self.find(newest)
        if offered is not None and _digest(offered) in self._cancelled():
            raise RootCancelledError(version=offered.version)
        if prepared is not None and offered is not None and offered.to_dict() == prepared.to_dict():
            return
        if prepared is not None:
            raise RootPreparedError(version=prepared.version, path=str(self.path))

    def begin(self, root: Root, keyids: Iterable[str]) -> None:
        """Keep which keys were made for ``root``, which is about to be written to ``path``.

        One that was cancelled and prepared again within a second is the same Root, and may be published.
        """
        cancelled = self._cancelled()
        if _digest(root) in cancelled:
            self._write_cancelled(cancelled - {_digest(root)})
        replace_file(self._keys, json.dumps(sorted(keyids)).encode(), max_bytes=DEFAULT_LIMITS.root_bytes)

    def keyids(self) -> tuple[str, ...]:
        """The ids of those keys. Raises: StorageError."""
        data = read_file(self._keys, max_bytes=DEFAULT_LIMITS.root_bytes)
        return read_record(data or b"[]", str(self._keys), tuple[str, ...])

    def named(self, newest: int) -> frozenset[str]:
        """The ids of the keys that the prepared Root names, or that were made for it. Raises: as ``find``."""
        root = self.find(newest)
        return frozenset() if root is None else frozenset({*root.keys, *self.keyids()})

    def cancel(self, root: Root) -> None:
        """Remember that ``root`` is never published. ``end`` forgets it, once its keys are gone. Raises: StorageError."""
        self._write_cancelled(self._cancelled() | {_digest(root)})

    def is_cancelled(self, root: Root) -> bool:
        """Whether the end of ``root`` is on record. Raises: StorageError."""
        return _digest(root) in self._cancelled()

    def _write_cancelled(self, digests: frozenset[str]) -> None:
        replace_file(self._refused, json.dumps(sorted(digests)).encode(), max_bytes=_MAX_CANCELLED_BYTES)

    def _cancelled(self) -> frozenset[str]:
        data = read_file(self._refused, max_bytes=_MAX_CANCELLED_BYTES)
        return frozenset(read_record(data or b"[]", str(self._refused), tuple[str, ...]))

    def end_published(self, newest: int) -> None:
        """Forget the Root that is published now; one that another process has prepared after it stays."""
        with self.alone():
            if self.find(newest) is None:
                self.end()

    def end(self) -> None:
        """Forget what is prepared, which was published or cancelled."""
        for path in (self.path, self._keys):
            with storage_errors("delete", path):
                path.unlink(missing_ok=True)
        with storage_errors("delete", self.path):
            flush_directory(self.path.parent)


def _digest(root: Root) -> str:
    return hashlib.sha256(encode_canonical(root.to_dict())).hexdigest()
