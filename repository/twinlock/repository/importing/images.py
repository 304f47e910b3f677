"""The images of a repository that is taken over, found: in its folder, in an OSTree repository, or at another host.

What cannot be found, or is not what its entry states, is left out with the reason; the other images are taken over.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from twinlock.repository.errors import ImageUriError, OstreeCommitError
from twinlock.repository.model.import_findings import (
    HOSTED,
    NO_ADDRESS,
    NO_BYTES,
    NO_COMMIT,
    OSTREE,
    OTHER_BYTES,
    EntryFinding,
    LeftOutError,
)
from twinlock.repository.store.hosted import OutsideHosts, check_uri, hash_uri
from twinlock.repository.store.image_files import FileDigest, Progress, hash_file
from twinlock.repository.store.ostree_commits import check_commit, check_objects
from twinlock.trust.checks.formats import check_format
from twinlock.trust.errors.base import RefusalError
from twinlock.trust.errors.images import TargetFormatError
from twinlock.trust.errors.local import TransportError
from twinlock.trust.model.target_format import OSTREE as COMMIT_FORMAT
from twinlock.trust.model.target_format import target_format
from twinlock.trust.model.targets import ImageEntry
from twinlock.trust.names import RoleName


@dataclass(frozen=True, slots=True)
class FoundImage:
    """An image that can be taken over: what was measured of it, and the address that is listed with it.

    ``here``: its bytes are in the folder of the old repository, and will be in our store.
    """

    measured: FileDigest
    here: bool = True
    uri: str | None = None


@dataclass(slots=True, kw_only=True)
class ImageFinder:
    """Finds images one by one. ``folder`` holds the files, ``treehub`` the commits (None: they are not here).

    ``warnings`` collects what is worth knowing of images that are taken over.
    """

    folder: Path
    treehub: Path | None
    hosts: OutsideHosts
    progress: Progress
    warnings: list[EntryFinding] = field(default_factory=list)

    def find(self, role: RoleName, entry: ImageEntry) -> FoundImage:
        """The image of an entry. Raises: LeftOutError; UsageError for an OSTree repository that is none; StorageError."""
        entry_format = target_format(entry)
        try:
            check_format(entry)
        except TargetFormatError as error:
            raise _left_out(role, entry, OSTREE if entry_format == COMMIT_FORMAT else NO_BYTES, error.reason) from None
        if entry_format == COMMIT_FORMAT:
            return self._commit(role, entry)
        source = self.folder / entry.path
        if source.is_file():
            return FoundImage(self._file(role, entry, source), uri=self._address(role, entry))
        if entry.download_url is not None:
            return self._hosted(role, entry, entry.download_url)
        raise _left_out(role, entry, NO_BYTES, f"its bytes are not in the repository ({source} not found)")

    def check_objects(self) -> None:
        """Have every object of the OSTree repository checked, if there is one. Raises: UsageError."""
        if self.treehub is not None:
            check_objects(self.treehub)

    def _file(self, role: RoleName, entry: ImageEntry, source: Path) -> FileDigest:
        measured = hash_file(source, self.progress)
        if not _is_listed(measured, entry):
            raise _left_out(role, entry, OTHER_BYTES, f"the bytes in {source} are not those that it lists")
        return measured

    def _commit(self, role: RoleName, entry: ImageEntry) -> FoundImage:
        commit = entry.hashes["sha256"]
        if self.treehub is None:
            reason = (
                f"whether the commit {commit[:12]}... can be pulled was not checked; name its repository with --treehub"
            )
            self.warnings.append(EntryFinding(role=role, target=entry.path, code=NO_COMMIT, reason=reason))
        else:
            try:
                check_commit(self.treehub, commit)
            except OstreeCommitError as error:
                raise _left_out(role, entry, OSTREE, str(error)) from None
        return FoundImage(FileDigest(0, {"sha256": commit}), here=False, uri=self._address(role, entry))

    def _hosted(self, role: RoleName, entry: ImageEntry, uri: str) -> FoundImage:
        try:
            measured = hash_uri(uri, self.hosts, max_bytes=entry.length)
        except (ImageUriError, TransportError, RefusalError) as error:
            raise _left_out(role, entry, HOSTED, str(error)) from None
        if not _is_listed(measured, entry):
            raise _left_out(role, entry, OTHER_BYTES, f"the bytes at {uri} are not those that it lists")
        return FoundImage(measured, here=False, uri=uri)

    def _address(self, role: RoleName, entry: ImageEntry) -> str | None:
        """The address that goes on being listed, where the image can be had without it. A bad one is dropped."""
        if entry.download_url is None:
            return None
        try:
            check_uri(entry.download_url, self.hosts)
        except ImageUriError as error:
            reason = f"from now on the image is listed without its address: {error}"
            self.warnings.append(EntryFinding(role=role, target=entry.path, code=NO_ADDRESS, reason=reason))
            return None
        return entry.download_url


def _is_listed(measured: FileDigest, entry: ImageEntry) -> bool:
    return measured.length == entry.length and all(_agrees(measured, entry))


def _agrees(measured: FileDigest, entry: ImageEntry) -> Iterator[bool]:
    for name, digest in entry.hashes.items():
        yield measured.hashes.get(name, digest) == digest


def _left_out(role: str, entry: ImageEntry, finding: str, reason: str) -> LeftOutError:
    return LeftOutError(role=role, target=entry.path, finding=finding, reason=reason)
