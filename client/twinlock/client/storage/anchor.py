"""The read-only trust anchor: a directory with one Root file for each repository, ``<repository>.root.json``.

Put it where the writer of ``state.db`` cannot write: a read-only root file system, a signed image, a ROM.
"""

from __future__ import annotations

from pathlib import Path

from twinlock.io.files.durable import storage_errors
from twinlock.trust.errors.local import StorageError
from twinlock.trust.limits import Limits
from twinlock.trust.names import RepositoryName

_SUFFIX = ".root.json"


def load_anchor(directory: Path, limits: Limits) -> dict[RepositoryName, bytes]:
    """The Root files in ``directory`` by repository. Raises: StorageError if there is none or one cannot be read."""
    with storage_errors("read the trust anchor in", directory):
        roots = {
            RepositoryName(path.name.removesuffix(_SUFFIX)): _read(path, limits)
            for path in sorted(directory.iterdir())
            if path.name.endswith(_SUFFIX)
        }
    if not roots:
        reason = f"the directory has no file <repository>{_SUFFIX}; put the Root of each repository there"
        raise StorageError(path=str(directory), operation="read the trust anchor in", reason=reason)
    return roots


def _read(path: Path, limits: Limits) -> bytes:
    with path.open("rb") as file:
        return file.read(limits.root_bytes + 1)  # the engine refuses one that is too long
