"""What one publication is going to sign, before it does: the files, and whose signatures each of them needs.

The same plan is carried out in the ``tuf`` form, and for a repository that publishes two forms in the other one too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from tuf.api.metadata import Root, Signed, Snapshot, Targets, Timestamp

from twinlock.repository.signing.sign import SigningAuthority

S_co = TypeVar("S_co", bound=Signed, covariant=True)


@dataclass(frozen=True, slots=True)
class RoleToSign(Generic[S_co]):
    """One file: its content, and who signs. ``file`` is its bytes where others signed it.

    Each authority's threshold has to sign; ``also`` signs as far as its keys are held.
    """

    role: str
    signed: S_co
    authorities: tuple[SigningAuthority, ...] = ()
    also: SigningAuthority | None = None
    file: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningPlan:
    """One publication. A role that is None, or is not among ``targets``, keeps the file that it has.

    ``unchanged`` are those files, for a profile in which they are not published yet. ``others`` are files in the profile
    other than ``tuf`` that others signed, by role.
    """

    root: RoleToSign[Root] | None
    targets: tuple[RoleToSign[Targets], ...]
    snapshot: RoleToSign[Snapshot] | None
    timestamp: RoleToSign[Timestamp]
    unchanged: tuple[RoleToSign[Root | Snapshot | Targets], ...] = ()
    others: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ProfileFiles:
    """A plan carried out in one profile, by object name: Roots, other files, and the file that decides what is published.

    Roots are put in place apart. ``decisive`` comes after the files of all profiles; one profile brings it.
    """

    roots: Mapping[str, bytes]
    files: Mapping[str, bytes]
    decisive: Mapping[str, bytes] = field(default_factory=dict)
