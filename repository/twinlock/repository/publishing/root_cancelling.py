"""The end of a ceremony without a new Root: only while the prepared one lacks signatures, and its new keys are destroyed."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from tuf.api.metadata import Root

from twinlock.repository.errors import RootCompleteError
from twinlock.repository.keys.keyring import Keyring
from twinlock.repository.publishing.root_ceremony import count_signatures, read_root_file
from twinlock.repository.workspace.prepared_root import PreparedRoot
from twinlock.repository.workspace.workspace import Workspace
from twinlock.trust.errors.base import UsageError


class Cancelled(NamedTuple):
    """The number that is free again, and the keys that were made for it and are destroyed."""

    root: int
    destroyed: tuple[str, ...]


def cancel_root(workspace: Workspace, path: Path) -> Cancelled:
    """Cancel the Root that was prepared here; ``path`` is its file with the signatures that were collected.

    Raises: as ``cancel_prepared``.
    """
    root = workspace.published().root.signed
    return cancel_prepared(PreparedRoot(workspace.path), path, root, workspace.keyring, used=root.keys)


def cancel_prepared(
    prepared: PreparedRoot, path: Path, current: Root, keyring: Keyring, *, used: Iterable[str]
) -> Cancelled:
    """Forget the Root that is prepared after ``current``, and destroy the keys that were made for it but those ``used``.

    Raises: UsageError if ``path`` is not that Root; RootCompleteError if it has all its signatures, since vehicles then take it.
    """
    found, metadata = prepared.find(current.version), read_root_file(path)
    if found is None or found.to_dict() != metadata.signed.to_dict():
        raise UsageError(reason=f"{path} is not a Root that was prepared here and waits to be published")
    if count_signatures(metadata, current).missing == 0:
        raise RootCompleteError(version=found.version, path=str(path))
    made = sorted(set(prepared.keyids()) - set(used))
    keyring.retire(made, destroy=True)
    prepared.end()
    return Cancelled(found.version, tuple(made))
