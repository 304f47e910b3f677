"""The one OSTree repository that belongs to an Image repository, and which of its files vehicles may ask for.

    treehub.json    in the Image repository's directory: where the OSTree repository is

Vehicles that run aktualizr pull from one place, so there is one. Its objects are named by their digests, and the commit is
stated in Targets; clients trust nothing that is served here.
"""

from __future__ import annotations

from pathlib import Path

from twinlock.io.files.durable import read_file, replace_file
from twinlock.io.files.records import Record, read_record, record_bytes
from twinlock.repository.store.ostree_commits import (
    check_commit,
    check_commit_object,
    check_objects,
    check_repository,
)
from twinlock.trust.errors.base import UsageError

_FORMAT = 1
_FILE = "treehub.json"
_MAX_BYTES = 65_536
_TREES = ("objects/", "deltas/", "delta-indexes/", "refs/heads/")
_FILES = ("summary", "summary.sig")

CONFIG = b"[core]\nrepo_version=1\nmode=archive-z2\n"
"""What is answered for ``config``: the repository's own may name remotes, and what is needed to reach them."""


class TreehubRecord(Record, frozen=True, kw_only=True):
    """``treehub.json``."""

    format: int = _FORMAT
    repository: str


def read_treehub(workspace: Path) -> Path | None:
    """Where the OSTree repository of the Image repository in ``workspace`` is; None if it has none.

    Raises: StorageError, NewerStateError.
    """
    path = workspace / _FILE
    data = read_file(path, max_bytes=_MAX_BYTES)
    if data is None:
        return None
    return Path(read_record(data, str(path), TreehubRecord, newest=_FORMAT).repository)


def chosen_treehub(workspace: Path, repository: Path | None) -> Path:
    """``repository``, or the one that is kept where it is None. Raises: UsageError for a second one, or for none at all."""
    kept = read_treehub(workspace)
    if repository is None:
        if kept is None:
            raise UsageError(reason=f"{workspace} has no OSTree repository yet; name it with --repo")
        return kept
    repository = repository.absolute()
    if kept is not None and not _same(kept, repository):
        raise UsageError(
            reason=f"vehicles pull only from {kept}; copy the commit there with "
            f"`ostree pull-local --repo={kept} {repository}`"
        )
    return repository


def keep_treehub(workspace: Path, repository: Path) -> None:
    """Keep where the OSTree repository is. Raises: UsageError if it is none, StorageError."""
    check_repository(repository)
    if read_treehub(workspace) != repository:
        data = record_bytes(TreehubRecord(repository=str(repository)))
        replace_file(workspace / _FILE, data, max_bytes=_MAX_BYTES)


def check_commits(workspace: Path, commits: frozenset[str]) -> bool:
    """See that every one of ``commits`` is whole in the OSTree repository, as far as it is kept here.

    False where only the commit objects were read: the program ``ostree`` is not installed, or the repository is not
    here, as after an import. Raises: OstreeCommitError, UsageError, StorageError.
    """
    repository = read_treehub(workspace)
    if repository is None:
        return not commits
    if not commits:
        return True
    for commit in sorted(commits):
        check_commit_object(repository, commit)
    whole = check_objects(repository)
    for commit in sorted(commits):  # once more, with what was noted of it meanwhile
        check_commit(repository, commit)
    return whole


def is_offered(name: str) -> bool:
    """Whether a file of an OSTree repository is for vehicles: objects and what leads to them, nothing of its working state."""
    return name in _FILES or name.startswith(_TREES)


def is_fixed(name: str) -> bool:
    """Whether a file never changes. Detached metadata of a commit may."""
    return name.startswith("objects/") and not name.endswith(".commitmeta")


def _same(one: Path, other: Path) -> bool:
    return one == other or one.resolve() == other.resolve()
