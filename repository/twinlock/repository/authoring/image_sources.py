"""Where the bytes of an image are while it is staged: a file, a commit of the OSTree repository, or another host.

Each is measured before anything is stored, and kept afterwards as far as its bytes are ours to keep.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from twinlock.repository.store.hosted import OutsideHosts, hash_uri
from twinlock.repository.store.image_files import FileDigest, Progress, hash_file, store_image
from twinlock.repository.store.interface import ObjectStore
from twinlock.repository.store.ostree_commits import check_commit
from twinlock.repository.store.treehub import chosen_treehub, keep_treehub
from twinlock.trust.errors.base import UsageError


class ImageSource(Protocol):
    """What one image is made from."""

    def measure(self, progress: Progress) -> FileDigest:
        """The length and digests that its entry lists. Raises: UsageError, TransportError, StorageError."""

    def keep(self, store: ObjectStore, path: str, measured: FileDigest) -> None:
        """Keep what vehicles will ask for, as far as it is kept here. Safe to repeat. Raises: StorageError."""


@dataclass(frozen=True, slots=True)
class FileSource:
    """A file on this machine, copied into the store."""

    file: Path

    def measure(self, progress: Progress) -> FileDigest:
        """See ``ImageSource``."""
        return hash_file(self.file, progress)

    def keep(self, store: ObjectStore, path: str, measured: FileDigest) -> None:
        """See ``ImageSource``."""
        store_image(store, self.file, path, measured)


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitSource:
    """A commit in the OSTree repository that belongs to ``workspace``; ``repository`` None is the one kept there."""

    workspace: Path
    commit: str
    repository: Path | None = None

    def measure(self, progress: Progress) -> FileDigest:
        """See ``ImageSource``: no length, and the commit as the one digest. Raises: OstreeCommitError too."""
        check_commit(chosen_treehub(self.workspace, self.repository), self.commit)
        return FileDigest(0, {"sha256": self.commit})

    def keep(self, store: ObjectStore, path: str, measured: FileDigest) -> None:
        """See ``ImageSource``: what is kept is where the OSTree repository is."""
        keep_treehub(self.workspace, chosen_treehub(self.workspace, self.repository))


@dataclass(frozen=True, slots=True, kw_only=True)
class HostedSource:
    """What another host serves at ``uri``: read once, kept nowhere."""

    uri: str
    hosts: OutsideHosts

    def measure(self, progress: Progress) -> FileDigest:
        """See ``ImageSource``. Raises: ImageUriError, EndlessDataError too."""
        measured = hash_uri(self.uri, self.hosts, progress=progress)
        if not measured.length:
            raise UsageError(reason=f"{self.uri} serves no bytes")
        return measured

    def keep(self, store: ObjectStore, path: str, measured: FileDigest) -> None:
        """See ``ImageSource``: nothing is."""
