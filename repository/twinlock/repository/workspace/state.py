"""What one operation works on: read once, and handed down to whatever edits, stages, signs and publishes.

    state = read_state(workspace)
    candidate = NextPublication(state)

Nothing below an operation reads ``config.json`` or verifies what is published again. Where another process may have
published while this one held no lock, ``state.latest()`` is the second look.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path

from twinlock.io.files.durable import read_file, replace_file
from twinlock.repository.errors import StoreTamperedError
from twinlock.repository.keys.private_keys import Passphrase
from twinlock.repository.store.hosted import PUBLIC_HOSTS, OutsideHosts
from twinlock.repository.store.object_names import TIMESTAMP_OBJECT, adopt_served_names, root_object
from twinlock.repository.store.publication_log import DecidedReader, is_decided, roll_forward
from twinlock.repository.workspace.config import read_config
from twinlock.repository.workspace.current import CurrentPublication, check_not_older, read_published
from twinlock.repository.workspace.draft import Draft, read_draft
from twinlock.repository.workspace.profiles import PublishedProfiles
from twinlock.repository.workspace.validity import Clock
from twinlock.repository.workspace.workspace import Workspace, make_workspace
from twinlock.trust.engine.restore import restore_repository
from twinlock.trust.errors.base import UsageError
from twinlock.trust.limits import DEFAULT_LIMITS
from twinlock.trust.names import IMAGE, ROOT, SNAPSHOT, TIMESTAMP, RoleName
from twinlock.trust.state.trusted import TrustedRepository

_MAX_SEEN_BYTES = DEFAULT_LIMITS.targets_bytes


@dataclass(frozen=True)
class RepositoryState:
    """A repository as one operation found it: its wire profiles, what is published (verified), and the time.

    ``newest`` is the newest publication, None before the first. ``now`` is in whole seconds.
    """

    workspace: Workspace
    wires: PublishedProfiles
    newest: CurrentPublication | None
    now: datetime

    @property
    def published(self) -> CurrentPublication:
        """The newest publication. Raises: UsageError if there is none yet."""
        if self.newest is None:
            raise _incomplete(self.workspace)
        return self.newest

    @cached_property
    def draft(self) -> Draft:
        """The staged edits, read when they are first asked for. An editor reads them under the lock (``editing_draft``)."""
        return read_draft(self.workspace.draft_path)

    def first_root(self) -> bytes:
        """The first Root, with which the first vehicles were built. Raises: StoreTamperedError."""
        stored = self.workspace.store.get(root_object(self.wires.first_root), max_bytes=DEFAULT_LIMITS.root_bytes)
        if stored is None:
            raise StoreTamperedError(reason="the first Root is missing")
        return stored.data

    def latest(self) -> RepositoryState:
        """This state, or a new one where another process has published since: for a decision that is made under a lock."""
        timestamp = self.workspace.store.stat(TIMESTAMP_OBJECT)
        same = timestamp is not None and self.newest is not None and timestamp.etag == self.newest.etag
        return self if same else read_state(self.workspace)

    def after_publishing(self) -> RepositoryState:
        """The state after this process has published: what it left is verified, and kept to compare the store with later.

        The configuration is not read again: what it states of the first publication does not change.
        """
        state = _complete(_look(self.workspace, self.wires, self.now))
        _keep_seen(state)
        return state


def open_repository(
    path: Path, *, passphrase: Passphrase, clock: Clock, hosts: OutsideHosts = PUBLIC_HOSTS
) -> RepositoryState:
    """Open a repository directory and verify what it publishes. Writes nothing.

    Raises: UsageError if it is none, or was not created completely; NewerStateError, StorageError, StoreTamperedError.
    """
    config = read_config(path)
    workspace = make_workspace(path, config, passphrase=passphrase, clock=clock, hosts=hosts)
    return _complete(_look(workspace, config.profiles, workspace.now()))


def read_state(workspace: Workspace) -> RepositoryState:
    """The repository as it is now, for a command that shows it. Writes nothing.

    A publication that was decided and interrupted is read as if it were complete. The wire profiles are read each time:
    another process may turn one on while this one serves.
    Raises: UsageError if nothing was published yet; StoreTamperedError, StorageError.
    """
    return _complete(_look(workspace, workspace.read_wires(), workspace.now()))


def read_for_change(workspace: Workspace) -> RepositoryState:
    """As ``read_state``, for a command that stages or publishes: it first completes what a crash interrupted.

    What it sees is kept, so that a store that goes back in time is noticed.
    """
    return _complete(read_begun(workspace))


def read_begun(workspace: Workspace) -> RepositoryState:
    """As ``read_for_change``, also where nothing is published yet: for what makes the first publication."""
    workspace.tidy()
    wires = workspace.read_wires()
    roll_forward(workspace.store, first=wires.first_timestamp)
    state = _look(workspace, wires, workspace.now())
    if state.newest is not None:
        adopt_served_names(workspace.store, state.newest.listed)
        _keep_seen(state)
    return state


def _complete(state: RepositoryState) -> RepositoryState:
    if state.newest is None:
        raise _incomplete(state.workspace)
    return state


def _incomplete(workspace: Workspace) -> UsageError:
    return UsageError(reason=f"{workspace.path} was not created completely; run init again")


def _look(workspace: Workspace, wires: PublishedProfiles, now: datetime) -> RepositoryState:
    anchor = workspace.anchor()
    if anchor is None:
        return RepositoryState(workspace, wires, None, now)
    newest = _read_newest(workspace, wires, anchor)
    if newest is not None:
        _check_seen(workspace, newest)
        workspace.verified.trusted = newest.trusted
    elif read_file(workspace.seen_path(TIMESTAMP), max_bytes=DEFAULT_LIMITS.timestamp_bytes) is not None:
        raise StoreTamperedError(reason="timestamp.json is gone")
    return RepositoryState(workspace, wires, newest, now)


def _read_newest(workspace: Workspace, wires: PublishedProfiles, anchor: bytes) -> CurrentPublication | None:
    """What is published. Files of two publications read together, while another publisher is at it, are read again."""
    while True:
        reader = DecidedReader(workspace.store, first=wires.first_timestamp)
        try:
            return read_published(reader, anchor, known=workspace.verified.trusted)
        except StoreTamperedError:
            if not is_decided(workspace.store, reader.version + 1):
                raise


def _check_seen(workspace: Workspace, newest: CurrentPublication) -> None:
    """Refuse a store that shows less than was seen in it before. Raises: StoreTamperedError, StorageError."""
    if workspace.verified.trusted is not None:
        check_not_older(newest, workspace.verified.trusted)
    files = _trusted_files(newest)
    seen = {role: read_file(workspace.seen_path(role), max_bytes=_MAX_SEEN_BYTES) for role in files}
    older = {role: data for role, data in seen.items() if data is not None and data != files[role]}
    if older:  # a file with the very bytes that are published cannot be newer than they are
        check_not_older(newest, _verified_before(workspace, {**older, ROOT: files[ROOT]}))


def _keep_seen(state: RepositoryState) -> None:
    """Keep what the store shows now. Raises: StorageError."""
    for role, data in _trusted_files(state.published).items():
        path = state.workspace.seen_path(role)
        if read_file(path, max_bytes=_MAX_SEEN_BYTES) != data:
            replace_file(path, data, max_bytes=_MAX_SEEN_BYTES)


def _trusted_files(published: CurrentPublication) -> dict[RoleName, bytes]:
    trusted = published.trusted
    assert trusted.snapshot is not None
    assert trusted.timestamp is not None
    return {ROOT: trusted.root.data, SNAPSHOT: trusted.snapshot.data, TIMESTAMP: trusted.timestamp.data}


def _verified_before(workspace: Workspace, files: Mapping[RoleName, bytes]) -> TrustedRepository:
    """The state of ``files``, kept here, under the Root among them: the last verified one, or verified now."""
    known = workspace.verified.trusted
    if known is not None and all(getattr(known, role).data == data for role, data in files.items()):
        return known
    return restore_repository(IMAGE, files)
