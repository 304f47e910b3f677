"""The end of a ceremony without a new Root: while the prepared one lacks signatures, or once it has expired.

The keys that were made for a Root that lacks signatures are destroyed. One that had all of them and expired is taken by every
vehicle that meets a copy, and only its own keys could lead that vehicle on: they are put aside and kept.

The cancelling is recorded before a key is touched, and nothing is published meanwhile: no Root is in force whose keys were
destroyed here. Where a crash comes in between, cancelling again finishes it.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from tuf.api.metadata import Root

from twinlock.repository.errors import RootCompleteError
from twinlock.repository.keys.keyring import Keyring
from twinlock.repository.publishing.root_signing import count_signatures, read_root_file
from twinlock.repository.workspace.prepared_root import PreparedRoot
from twinlock.repository.workspace.state import read_state
from twinlock.repository.workspace.workspace import Workspace
from twinlock.trust.errors.base import UsageError


class Cancelled(NamedTuple):
    """The number that is free again, and the keys that were made for it: ``destroyed``, or ``kept`` in ``retired``."""

    root: int
    destroyed: tuple[str, ...]
    kept: tuple[str, ...] = ()


def cancel_root(workspace: Workspace, path: Path) -> Cancelled:
    """Cancel the Root that was prepared here; ``path`` is its file with the signatures that were collected.

    Raises: as ``cancel_prepared``.
    """
    prepared = PreparedRoot(workspace.path)
    with prepared.alone():
        state = read_state(workspace)
        root = state.published.root.signed
        return cancel_prepared(prepared, path, root, workspace.keyring, now=state.now, used=root.keys)


def cancel_prepared(
    prepared: PreparedRoot, path: Path, current: Root, keyring: Keyring, *, now: datetime, used: Iterable[str]
) -> Cancelled:
    """Forget the Root that is prepared after ``current``, and retire the keys that were made for it but those ``used``.

    They are destroyed unless the Root has all its signatures. The caller has read ``current`` inside ``prepared.alone()``.
    Raises: UsageError if ``path`` is not that Root; RootCompleteError if it has all its signatures and is valid at ``now``:
    vehicles take it, and it can be published.
    """
    root, metadata = prepared.find(current.version), read_root_file(path)
    if root is None or root.to_dict() != metadata.signed.to_dict():
        raise UsageError(reason=f"{path} is not a Root that was prepared here and waits to be published")
    complete = count_signatures(metadata, current).missing == 0
    if complete and now < root.expires:
        raise RootCompleteError(version=root.version, path=str(path))
    made = sorted(set(prepared.keyids()) - set(used))
    prepared.cancel(root)
    keyring.retire(made, destroy=not complete)
    prepared.end()
    return Cancelled(root.version, () if complete else tuple(made), tuple(made) if complete else ())
