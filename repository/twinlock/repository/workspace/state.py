"""What one operation works on: read once, and handed down to whatever edits, stages, signs and publishes.

    state = read_state(workspace)
    candidate = NextPublication(state)

Nothing below an operation reads ``config.json`` or verifies what is published again. Where another process may have
published while this one held no lock, ``state.latest()`` is the second look.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from pathlib import Path

from twinlock.io.files.durable import read_file, replace_file
from twinlock.repository.errors import StoreTamperedError
from twinlock.repository.keys.private_keys import Passphrase
from twinlock.repository.store.hosted import PUBLIC_HOSTS, OutsideHosts
from twinlock.repository.store.object_names import TIMESTAMP_OBJECT, adopt_served_names, root_object
from twinlock.repository.store.publication_log import is_decided, roll_forward, timestamp_version
from twinlock.repository.workspace.config import read_config
from twinlock.repository.workspace.current import CurrentPublication, check_not_older, read_published
from twinlock.repository.workspace.draft import Draft, read_draft
from twinlock.repository.workspace.profiles import Wires
from twinlock.repository.workspace.validity import Clock
from twinlock.repository.workspace.workspace import Workspace, make_workspace
from twinlock.trust.engine.restore import restore_repository
from twinlock.trust.errors.base import UsageError
from twinlock.trust.limits import DEFAULT_LIMITS
from twinlock.trust.names import IMAGE, ROOT, SNAPSHOT, TIMESTAMP, RoleName
from twinlock.trust.state.trusted import TrustedRepository


@dataclass(frozen=True)
class RepositoryState:
    """A repository as one operation found it: its wire profiles, what is published (verified), and the time.

    ``newest`` is the newest publication, None before the first. ``now`` is in whole seconds.
    """

    workspace: Workspace
    wires: Wires
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

        The configuration is not read again: what it says of the first publication does not change.
        """
        return _complete(_look(self.workspace, self.wires, self.now))


def open_repository(
    path: Path, *, passphrase: Passphrase, clock: Clock, hosts: OutsideHosts = PUBLIC_HOSTS
) -> RepositoryState:
    """Open a repository directory, finishing a publication that was cut off.

    Raises: UsageError if it is none, or was not created completely; NewerStateError, StorageError, StoreTamperedError.
    """
    config = read_config(path)
    workspace = make_workspace(path, config, passphrase=passphrase, clock=clock, hosts=hosts)
    return _complete(_look(workspace, config.profiles, workspace.now()))


def read_state(workspace: Workspace) -> RepositoryState:
    """The repository as it is now; a publication that was cut off is finished first.

    The wire profiles are read each time: another process may turn one on while this one serves.
    Raises: UsageError if nothing was published yet; StoreTamperedError, StorageError.
    """
    return _complete(read_begun(workspace))


def read_begun(workspace: Workspace) -> RepositoryState:
    """As ``read_state``, also where nothing is published yet: for what makes the first publication."""
    return _look(workspace, workspace.read_wires(), workspace.now())


def _complete(state: RepositoryState) -> RepositoryState:
    if state.newest is None:
        raise _incomplete(state.workspace)
    return state


def _incomplete(workspace: Workspace) -> UsageError:
    return UsageError(reason=f"{workspace.path} was not created completely; run init again")


def _look(workspace: Workspace, wires: Wires, now: datetime) -> RepositoryState:
    roll_forward(workspace.store, first=wires.first_timestamp)
    adopt_served_names(workspace.store)
    state = RepositoryState(workspace, wires, None, now)
    anchor = workspace.anchor()
    if anchor is None:
        return state
    newest = _read_newest(state, anchor)
    if newest is not None:
        _compare_and_keep(workspace, newest)
        workspace.verified.trusted = newest.trusted
    elif read_file(workspace.seen_path(TIMESTAMP), max_bytes=DEFAULT_LIMITS.timestamp_bytes) is not None:
        raise StoreTamperedError(reason="timestamp.json is gone")
    return replace(state, newest=newest)


def _read_newest(state: RepositoryState, anchor: bytes) -> CurrentPublication | None:
    """What is published. Files of two publications read together, while another publisher is at it, are read again."""
    store = state.workspace.store
    while True:
        version = timestamp_version(store)
        try:
            return read_published(store, anchor, known=state.workspace.verified.trusted)
        except StoreTamperedError:
            if not is_decided(store, version + 1):
                raise
            roll_forward(store, first=state.wires.first_timestamp)


def _compare_and_keep(workspace: Workspace, newest: CurrentPublication) -> None:
    """Refuse a store that went back in time, and keep what it shows now. Raises: StoreTamperedError, StorageError."""
    trusted = newest.trusted
    assert trusted.snapshot is not None
    assert trusted.timestamp is not None
    files = {ROOT: trusted.root.data, SNAPSHOT: trusted.snapshot.data, TIMESTAMP: trusted.timestamp.data}
    limit = DEFAULT_LIMITS.targets_bytes
    seen = {role: read_file(workspace.seen_path(role), max_bytes=limit) for role in files}
    older = {role: data for role, data in seen.items() if data is not None and data != files[role]}
    if older:  # a file with the very bytes that are published cannot be newer than they are
        check_not_older(newest, _verified_before(workspace, {**older, ROOT: trusted.root.data}))
    for role, data in files.items():
        if seen[role] != data:
            replace_file(workspace.seen_path(role), data, max_bytes=limit)


def _verified_before(workspace: Workspace, files: Mapping[RoleName, bytes]) -> TrustedRepository:
    """The state of ``files``, kept here, under the Root among them: the last verified one, or verified now."""
    known = workspace.verified.trusted
    if known is not None and all(getattr(known, role).data == data for role, data in files.items()):
        return known
    return restore_repository(IMAGE, files)
