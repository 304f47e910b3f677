"""The end of a ceremony without a new Root: while the prepared one lacks signatures, or once it has expired.

Cancelling destroys no key. A Root that left this machine can be complete elsewhere: signatures that other holders made are in
their copies, and the copy given here may lack them. A vehicle that meets a complete copy takes it, and only that Root's own
keys can lead the vehicle on. So the keys that were made for a cancelled Root are put aside in ``retired``. An operator who
knows that every copy is destroyed can delete them there.

A Root of which the copies seen here have all signatures between them is not cancelled while it is valid.

The cancelling is recorded before a key is touched, and nothing is published meanwhile: no Root is in force whose keys were
put aside here. After a crash in between, cancelling again finishes it.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from tuf.api.metadata import Metadata, Root

from twinlock.repository.errors import RootCompleteError
from twinlock.repository.keys.keyring import Keyring
from twinlock.repository.publishing.revoked_keys import keys_named_by
from twinlock.repository.publishing.root_ceremony import read_root_file, tallies_of
from twinlock.repository.workspace.prepared_root import PreparedRoot
from twinlock.repository.workspace.state import read_for_change
from twinlock.repository.workspace.workspace import Workspace
from twinlock.trust.errors.base import UsageError


class Cancelled(NamedTuple):
    """The number that is free again, and the keys that were made for it: all are ``kept`` in ``retired``, none is ``destroyed``."""

    root: int
    kept: tuple[str, ...] = ()
    destroyed: tuple[str, ...] = ()


def cancel_root(workspace: Workspace, path: Path) -> Cancelled:
    """Cancel the Root that was prepared here; ``path`` is its file with the signatures that were collected.

    Raises: as ``cancel_prepared``.
    """
    prepared = PreparedRoot(workspace.path)
    with prepared.alone():
        state = read_for_change(workspace)
        root, used = state.published.root.signed, keys_named_by(state)
        return cancel_prepared(prepared, path, root, workspace.keyring, now=state.now, used=used)


def cancel_prepared(
    prepared: PreparedRoot, path: Path, current: Root, keyring: Keyring, *, now: datetime, used: Iterable[str]
) -> Cancelled:
    """Forget the Root that is prepared after ``current``, and put aside the keys that were made for it but those ``used``.

    The caller has read ``current`` inside ``prepared.alone()``.
    Raises: UsageError if ``path`` is not that Root; RootCompleteError if it has all its signatures and is valid at ``now``, unless
    an earlier cancelling of it was recorded and interrupted.
    """
    root, metadata = prepared.find(current.version), read_root_file(path)
    if root is None or root.to_dict() != metadata.signed.to_dict():
        raise UsageError(reason=f"{path} is not a Root that was prepared here and waits to be published")
    copies = (metadata, read_root_file(prepared.path))
    if now < root.expires and _is_complete(copies, current) and not prepared.is_cancelled(root):
        raise RootCompleteError(version=root.version, path=str(path))
    made = tuple(sorted(set(prepared.keyids()) - set(used)))
    prepared.cancel(root)
    keyring.retire(made)
    prepared.end()
    return Cancelled(root.version, kept=made)


def _is_complete(copies: Iterable[Metadata[Root]], before: Root) -> bool:
    """Whether ``copies`` of one Root that follows ``before`` have all its signatures between them."""
    tallies = [list(tallies_of(copy, before)) for copy in copies]
    missing = [
        demand.missing(frozenset[str]().union(*(signed for _, signed in same)))
        for same in zip(*tallies, strict=True)
        for demand in [same[0][0]]
    ]
    return not any(missing)
