"""What a supplier hands over: a directory with signed role files and the images that they list.

    metadata/<role>.json                    the role's name percent-encoded, as everywhere
    aktualizr/<role>.json                   the same file in the form for aktualizr, if the supplier signs that too
    targets/<path>/<digest>.<name>          images, named as in the Image repository

The owner of the Image repository verifies all of it before anything is staged.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from urllib.parse import unquote

from twinlock.repository.store.directory import DirectoryStore
from twinlock.repository.store.object_names import AKTUALIZR, METADATA
from twinlock.trust.errors.base import UsageError
from twinlock.trust.limits import DEFAULT_LIMITS
from twinlock.trust.names import role_file

_SUFFIX = ".json"


def open_outbox(path: Path) -> DirectoryStore:
    """The outbox at ``path``. Raises: UsageError if there is none."""
    if not (path / METADATA).is_dir():
        raise UsageError(
            reason=f"{path} is not an outbox: it has no directory {METADATA.rstrip('/')} (run supplier sign)"
        )
    return DirectoryStore(path)


def role_object(role: str) -> str:
    """Where the signed file of a role is in an outbox. Raises: UnsafePathError."""
    return f"{METADATA}{role_file(role)}{_SUFFIX}"


def other_object(role: str) -> str:
    """Where the same file in the form for aktualizr is. Raises: UnsafePathError."""
    return f"{AKTUALIZR}{role_file(role)}{_SUFFIX}"


def read_others(outbox: DirectoryStore, roles: Iterable[str]) -> dict[str, bytes]:
    """The files of ``roles`` in the form for aktualizr, as far as there are any, unverified. Raises: StorageError."""
    limit = DEFAULT_LIMITS.targets_bytes
    stored_files = ((role, outbox.get(other_object(role), max_bytes=limit)) for role in roles)
    return {role: stored.data for role, stored in stored_files if stored is not None}


def read_roles(outbox: DirectoryStore) -> dict[str, bytes]:
    """The signed files in an outbox, by role, unverified. Raises: UsageError, UnsafePathError, StorageError."""
    files: dict[str, bytes] = {}
    for name in sorted(outbox.names(METADATA.rstrip("/"))):
        role = unquote(name.removeprefix(METADATA).removesuffix(_SUFFIX))
        if not name.endswith(_SUFFIX) or role_object(role) != name:
            raise UsageError(reason=f"the outbox holds {name}, which is not the file of a role")
        stored = outbox.get(name, max_bytes=DEFAULT_LIMITS.targets_bytes)
        if stored is not None:
            files[role] = stored.data
    if not files:
        raise UsageError(reason="the outbox holds no signed file")
    return files
