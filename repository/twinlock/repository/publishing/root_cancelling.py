"""The end of a ceremony without a new Root: while the prepared one lacks signatures, or once it has expired.

Cancelling destroys no key. A Root that left this machine can be complete elsewhere, and a vehicle that takes it follows only the
keys that were made for it: they are put aside and kept in ``retired``.

The repository keeps the most complete copy of the prepared Root that it was shown: by a cancelling, or by a publication that
failed. A cancelling is judged by that copy, however short the one is that it is given. A copy that was completed elsewhere and
never shown here is unknown to the repository, and vehicles accept it: every copy of a cancelled Root has to be destroyed.

The cancelling is recorded before a key is touched, and nothing is published meanwhile: no Root is in force whose keys were
put aside here. Where a crash comes in between, cancelling again finishes it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from tuf.api.metadata import Metadata, Root

from twinlock.io.files.durable import replace_file
from twinlock.repository.errors import RootCompleteError
from twinlock.repository.keys.keyring import Keyring
from twinlock.repository.publishing.root_signing import (
    check_same_form,
    count_signatures,
    read_root_file,
    tallies_of,
    unsigned_content,
)
from twinlock.repository.workspace.prepared_root import MAX_PREPARED_BYTES, PreparedRoot
from twinlock.repository.workspace.state import read_state
from twinlock.repository.workspace.workspace import Workspace
from twinlock.trust.errors.base import TwinlockError, UsageError


class CancelledRoot(NamedTuple):
    """The number that is free again, and the keys that were made for it, ``kept`` in ``retired``."""

    root: int
    kept: tuple[str, ...]


def cancel_root(workspace: Workspace, path: Path) -> CancelledRoot:
    """Cancel the Root that was prepared here; ``path`` is its file with the signatures that were collected.

    Raises: as ``cancel_prepared``.
    """
    prepared = PreparedRoot(workspace.path)
    with prepared.alone():
        state = read_state(workspace)
        root = state.published.root.signed
        return cancel_prepared(prepared, path, root, workspace.keyring, now=state.now, used=root.keys)


def cancel_prepared(
    prepared: PreparedRoot,
    path: Path,
    current: Root,
    keyring: Keyring,
    *,
    now: datetime,
    used: Iterable[str],
    record: Callable[[CancelledRoot], None] = lambda _: None,
) -> CancelledRoot:
    """Forget the Root that is prepared after ``current``, and put the keys aside that were made for it, but those ``used``.

    The caller has read ``current`` inside ``prepared.alone()``. One that was recorded as cancelled and interrupted is finished in any case.
    ``record`` is called with the result before anything changes; what it raises ends the cancelling. A refused cancelling only
    keeps the copy that it was given, if that is more complete.
    Raises: UsageError if ``path`` is not that Root, in all its forms; RootCompleteError, with the complete file, if it has all its signatures and is valid at ``now``:
    vehicles take it, and it can be published.
    """
    root, metadata = prepared.find(current.version), read_root_file(path)
    if root is None or root.to_dict() != metadata.signed.to_dict():
        raise UsageError(reason=f"{path} is not a Root that was prepared here and waits to be published")
    kept = read_root_file(prepared.path)
    check_same_form(metadata, kept, path)
    whole = path if count_signatures(metadata, current).missing == 0 else prepared.path
    complete = _is_complete((metadata, kept), current)
    if complete and now < root.expires and not prepared.is_cancelled(root):
        _keep_most_complete(prepared, metadata, current)
        raise RootCompleteError(version=root.version, path=str(whole))
    made = sorted(set(prepared.keyids()) - set(used))
    cancelled = CancelledRoot(root.version, kept=tuple(made))
    record(cancelled)
    _keep_most_complete(
        prepared, metadata, current
    )  # where a crash comes before the end, the next cancelling judges by it
    prepared.cancel(root)
    keyring.retire(made)
    prepared.end()
    return cancelled


@contextmanager
def keeping_signatures(prepared: PreparedRoot, path: Path, read_current: Callable[[], Root]) -> Iterator[None]:
    """Keep what was collected in ``path``, a copy of the prepared Root, if publishing it inside the block fails.

    ``read_current`` reads the newest published Root; it is asked after a failure only.
    """
    try:
        yield
    except TwinlockError:
        with suppress(TwinlockError), prepared.alone():
            current = read_current()
            if prepared.find(current.version) is not None:
                _keep_most_complete(prepared, read_root_file(path), current)
        raise


def _is_complete(copies: Iterable[Metadata[Root]], before: Root) -> bool:
    """Whether ``copies`` of one Root that follows ``before``, with the same other form, have all its signatures between them."""
    tallies = [list(tallies_of(copy, before)) for copy in copies]
    return not any(
        same[0][0].missing(frozenset[str]().union(*(signed for _, signed in same)))
        for same in zip(*tallies, strict=True)
    )


def _keep_most_complete(prepared: PreparedRoot, offered: Metadata[Root], current: Root) -> None:
    """Keep ``offered`` if it lacks fewer signatures than the copy that is kept.

    Signatures are counted once they verify, in every form that the file carries. A file that differs in more than signatures
    is not kept.
    """
    kept = read_root_file(prepared.path)
    if unsigned_content(offered.to_dict()) != unsigned_content(kept.to_dict()):
        return
    if count_signatures(offered, current).missing < count_signatures(kept, current).missing:
        replace_file(prepared.path, offered.to_bytes(), max_bytes=MAX_PREPARED_BYTES)
