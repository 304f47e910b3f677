"""Missing files at the first contact: a failure rather than an attack, until a repository has served this ECU anything."""

from __future__ import annotations

from twinlock.client.model.errors import NeverServedError
from twinlock.client.storage.state import TrustedState
from twinlock.trust.errors.base import TwinlockError
from twinlock.trust.errors.metadata import MissingMetadataError
from twinlock.trust.names import ROOT, RepositoryName


def as_first_contact(error: TwinlockError, state: TrustedState) -> TwinlockError:
    """``error`` as this ECU met it: NeverServedError for a missing file where nothing but Roots was ever accepted.

    Then no known file is being withheld: the vehicle is not registered yet, or the URL is wrong. Raises: StorageError.
    """
    if not isinstance(error, MissingMetadataError):
        return error
    if state.floors(RepositoryName(error.repository)).keys() - {ROOT}:
        return error
    return NeverServedError(repository=error.repository, name=error.name)
