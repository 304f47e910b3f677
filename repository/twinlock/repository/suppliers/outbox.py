"""What a supplier hands over: a directory with signed role files and the images that they list.

    metadata/<role>.json                    the role's name percent-encoded, as everywhere
    aktualizr/<role>.json                   the same file in the form for aktualizr, if the supplier signs that too
    targets/<path>/<digest>.<name>          images, named as in the Image repository

The owner of the Image repository verifies all of it before anything is staged.
"""

from __future__ import annotations

import os
import stat as stat_module
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote

from twinlock.io.files.durable import storage_errors
from twinlock.repository.store.directory import DirectoryReader
from twinlock.repository.store.interface import StoredObject
from twinlock.repository.store.object_names import AKTUALIZR, METADATA
from twinlock.trust.errors.base import UsageError
from twinlock.trust.errors.local import StorageError
from twinlock.trust.errors.metadata import LimitError, UnsafePathError
from twinlock.trust.limits import DEFAULT_LIMITS
from twinlock.trust.names import role_file

_SUFFIX = ".json"
_SHOWN_NAMES = 5
MAX_OUTBOX_ROLES = DEFAULT_LIMITS.delegations_per_role
"""As many roles as one may delegate to, all hash bins included."""
MAX_OUTBOX_BYTES = 4 * DEFAULT_LIMITS.targets_bytes
"""All role files in one form: they are held while they are judged."""
_KINDS = {
    stat_module.S_IFLNK: "a symbolic link",
    stat_module.S_IFIFO: "a pipe",
    stat_module.S_IFSOCK: "a socket",
    stat_module.S_IFDIR: "a directory",
}


class Outbox(DirectoryReader):
    """An outbox as the owner reads it. What its supplier put in place of a regular file is refused by name."""

    def open(self, name: str) -> BinaryIO | None:
        """See ``ObjectReader``. Raises: UnsafePathError for a link, a pipe, a socket, a device or a directory."""
        path = self._path(name)
        try:
            mode = os.lstat(path).st_mode
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise StorageError(path=str(path), operation="open", reason=error.strerror or str(error)) from None
        _check_regular(name, mode)
        return super().open(name)

    def get(self, name: str, *, max_bytes: int) -> StoredObject | None:
        """See ``ObjectReader``. Raises: LimitError above ``max_bytes``; UnsafePathError as ``open``."""
        with suppress(OSError):
            length = os.lstat(self._path(name)).st_size
            if length > max_bytes:
                raise LimitError(what=f"the bytes of {name} in the outbox", value=length, limit=max_bytes)
        return super().get(name, max_bytes=max_bytes)

    def role_files(self) -> Iterator[str]:
        """The names of the role files, unsorted and unopened.

        Raises: LimitError for more than one outbox may hold, UnsafePathError for what is not a regular file, StorageError.
        """
        top = self._path(f"{METADATA}listed").parent
        with storage_errors("list", top), os.scandir(top) as entries:
            for count, entry in enumerate(entries, 1):
                if count > MAX_OUTBOX_ROLES:
                    raise LimitError(what=f"the names in {METADATA} of the outbox", value=count, limit=MAX_OUTBOX_ROLES)
                if not entry.name.startswith("."):
                    _check_regular(METADATA + entry.name, entry.stat(follow_symlinks=False).st_mode)
                    yield METADATA + entry.name


def _check_regular(name: str, mode: int) -> None:
    if not stat_module.S_ISREG(mode):
        kind = _KINDS.get(stat_module.S_IFMT(mode), "a device")
        raise UnsafePathError(path=name, reason=f"in the outbox it is {kind}, not a regular file")


def open_outbox(path: Path) -> Outbox:
    """The outbox at ``path``. Raises: UsageError if there is none."""
    if not (path / METADATA).is_dir():
        raise UsageError(
            reason=f"{path} is not an outbox: it has no directory {METADATA.rstrip('/')} (run supplier sign)"
        )
    return Outbox(path)


def role_object(role: str) -> str:
    """Where the signed file of a role is in an outbox. Raises: UnsafePathError."""
    return f"{METADATA}{role_file(role)}{_SUFFIX}"


def other_object(role: str) -> str:
    """Where the same file in the form for aktualizr is. Raises: UnsafePathError."""
    return f"{AKTUALIZR}{role_file(role)}{_SUFFIX}"


class RoleFiles:
    """Signed files of an outbox in one form, unverified: each is read when it is asked for, and all of them are bounded."""

    def __init__(self, outbox: Outbox, place: Callable[[str], str]) -> None:
        self._outbox = outbox
        self._place = place
        self._bytes = 0

    def read(self, role: str) -> bytes | None:
        """The file of ``role``, or None if there is none.

        Raises: LimitError for more than may be held, UnsafePathError, StorageError.
        """
        stored = self._outbox.get(self._place(role), max_bytes=DEFAULT_LIMITS.targets_bytes)
        if stored is None:
            return None
        self._bytes += len(stored.data)
        if self._bytes > MAX_OUTBOX_BYTES:
            raise LimitError(
                what="the bytes of the role files in the outbox", value=self._bytes, limit=MAX_OUTBOX_BYTES
            )
        return stored.data

    def take(self, role: str) -> bytes:
        """The file of a role that was listed. Raises: as ``read``."""
        data = self.read(role)
        if data is None:
            raise StorageError(
                path=self._place(role), operation="read", reason="the file was removed after it was listed"
            )
        return data


def read_others(outbox: Outbox, roles: Iterable[str]) -> dict[str, bytes]:
    """The files of ``roles`` in the form for aktualizr, as far as there are any, unverified.

    Raises: LimitError, UnsafePathError, StorageError.
    """
    files = RoleFiles(outbox, other_object)
    stored_files = ((role, files.read(role)) for role in roles)
    return {role: data for role, data in stored_files if data is not None}


def offered_roles(outbox: Outbox) -> tuple[str, ...]:
    """The roles whose files are in an outbox, sorted; no file is opened.

    Raises: LimitError for more names than one outbox may hold, UsageError, UnsafePathError, StorageError.
    """
    roles = [_role_of(name) for name in outbox.role_files()]
    if not roles:
        raise UsageError(reason="the outbox holds no signed file")
    return tuple(sorted(roles))


def _role_of(name: str) -> str:
    role = unquote(name.removeprefix(METADATA).removesuffix(_SUFFIX))
    if not name.endswith(_SUFFIX) or role_object(role) != name:
        raise UsageError(reason=f"the outbox holds {name}, which is not the file of a role")
    return role


def check_delegated(undelegated: Collection[str]) -> None:
    """Check that every name has a delegation. Raises: UsageError, which counts the others and names a few."""
    if not undelegated:
        return
    named = ", ".join(sorted(undelegated)[:_SHOWN_NAMES])
    beyond = len(undelegated) - _SHOWN_NAMES
    more = f" and {beyond} more" if beyond > 0 else ""
    raise UsageError(reason=f"no role delegates to {named}{more}; delegate first, or correct the name")


def read_roles(outbox: Outbox) -> dict[str, bytes]:
    """The signed files in an outbox, by role, unverified. Raises: LimitError, UsageError, UnsafePathError, StorageError."""
    files = RoleFiles(outbox, role_object)
    stored_files = ((role, files.read(role)) for role in offered_roles(outbox))
    return {role: data for role, data in stored_files if data is not None}
