"""Before a publication is made: the trust engine reads it as vehicles would, and has to accept it.

Two vehicles are played: one that has followed the repository up to what is published now, and one fresh from the
factory that knows only the first Root. The signing side is python-tuf's, the judging side is our own engine; a file on
which they disagree never leaves the house.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

from twinlock.repository.authoring.entries import hosted_at
from twinlock.repository.authoring.written_form import check_written
from twinlock.repository.errors import MissingRoleFileError, StoredImageError
from twinlock.repository.signing.clock import check_issued
from twinlock.repository.store.hosted import OutsideHosts, check_reachable
from twinlock.repository.store.image_files import find_fault
from twinlock.repository.store.interface import ObjectStore, StoredObject
from twinlock.repository.store.object_names import METADATA, served_name
from twinlock.repository.store.publication_log import LogRecord
from twinlock.repository.store.treehub import check_commits
from twinlock.repository.workspace.current import CurrentPublication, read_published
from twinlock.trust.checks.formats import check_format
from twinlock.trust.engine.commands import ABSENT, Answer, Command, Fetch, drive
from twinlock.trust.engine.delegation import find_image
from twinlock.trust.engine.refresh import refresh_repository
from twinlock.trust.engine.restore import bootstrap_repository
from twinlock.trust.errors.images import EndlessDataError, ImageNotFoundError
from twinlock.trust.limits import DEFAULT_LIMITS
from twinlock.trust.model.target_format import OSTREE, target_format
from twinlock.trust.model.targets import ImageEntry
from twinlock.trust.names import IMAGE, TargetPath
from twinlock.trust.state.trusted import TrustedRepository

_WHOLE = DEFAULT_LIMITS.targets_bytes  # the largest kind of file; the engine states the bound of each itself


class Overlay:
    """The store as it would be after ``record``: what the record brings, and behind it what is there."""

    def __init__(self, store: ObjectStore, record: LogRecord) -> None:
        self._store = store
        self._files = record.files

    def get(self, name: str, *, max_bytes: int) -> StoredObject | None:
        """See ``ObjectReader``."""
        if name in self._files:
            return StoredObject(self._files[name], etag="")
        return self._store.get(name, max_bytes=max_bytes)

    def answer(self, command: Command) -> Answer:
        """Play the repository to the engine. What it would persist or report is of no interest here."""
        if not isinstance(command, Fetch):
            return None
        stored = self.get(METADATA + served_name(command.name), max_bytes=_WHOLE)
        if stored is None:
            return ABSENT
        if len(stored.data) > command.max_bytes:
            raise EndlessDataError(what=command.name, limit_bytes=command.max_bytes, clause=command.clause)
        return stored.data


def verify_candidate(
    store: ObjectStore,
    record: LogRecord,
    *,
    published: CurrentPublication | None,
    first_root: bytes,
    images: Iterable[str],
    now: datetime,
) -> tuple[ImageEntry, ...]:
    """Have the engine accept ``record`` on top of what is published, and find each of ``images`` in it: their entries.

    Raises: TargetFormatError; any RefusalError, FutureSignatureError and what ``check_written`` refuses too; StoreTamperedError for missing bytes of an image.
    """
    metadata = {name: data for name, data in record.files.items() if name.startswith(METADATA)}
    check_issued(metadata, now)
    overlay = Overlay(store, record)
    vehicles = [drive(refresh_repository(bootstrap_repository(IMAGE, first_root), now), overlay.answer)]
    if published is not None:
        vehicles.append(drive(refresh_repository(published.trusted, now), overlay.answer))
    entries = []
    for path in images:
        seen = [drive(find_image(vehicle, TargetPath(path), None, now), overlay.answer).entry for vehicle in vehicles]
        if seen[0] is None or any(entry != seen[0] for entry in seen):
            raise ImageNotFoundError(target=path, repository=IMAGE, hardware_id="any")
        _check_bytes(store, seen[0])
        entries.append(seen[0])
    _check_delegated(overlay, first_root, vehicles[0])
    for name, data in metadata.items():
        check_written(name, data)
    return tuple(entries)


def _check_bytes(store: ObjectStore, entry: ImageEntry) -> None:
    check_format(entry)
    if target_format(entry) == OSTREE or hosted_at(entry.custom) is not None:
        return  # its bytes are elsewhere (``check_elsewhere``)
    fault = find_fault(store, entry.path, entry.length, entry.hashes, deep=True)
    if fault is not None:
        raise StoredImageError(reason=fault, target=entry.path)


def _check_delegated(overlay: Overlay, first_root: bytes, vehicle: TrustedRepository) -> None:
    """Every role that is delegated to has a file, and its delegator's keys signed it. ``vehicle`` verified the rest."""
    state = read_published(overlay, first_root, known=vehicle)
    assert state is not None
    for role, targets in state.walk():
        delegations = targets.signed.delegations
        for child in (member.name for entry in delegations.entries for member in entry.roles) if delegations else ():
            if child not in state.listed:
                raise MissingRoleFileError(repository=IMAGE, role=child, delegator=role)


def check_elsewhere(workspace: Path, entries: Iterable[ImageEntry], hosts: OutsideHosts) -> tuple[str, ...]:
    """Judge those of ``entries`` that are about to be published; returns the commits that could not be checked whole.

    Raises: ImageUriError; OstreeCommitError, and UsageError where ``ostree fsck`` finds fault; StorageError.
    """
    commits = set()
    for entry in entries:
        if target_format(entry) == OSTREE:
            commits.add(entry.hashes["sha256"])
        for uri in {hosted_at(entry.custom), entry.download_url} - {None}:
            assert uri is not None
            check_reachable(uri, hosts)
    return () if check_commits(workspace, frozenset(commits)) else tuple(sorted(commits))
