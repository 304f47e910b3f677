"""What the clients of a wire profile other than ``tuf`` can use: asked while something is staged, before anything is signed.

``signing.profile_writer`` is the part of a profile's write side that makes a publication. Operations are handed both by
``publishing.profiles``, which alone knows the profiles that there are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

from tuf.api.metadata import TargetFile, Targets

from twinlock.repository.authoring.delegations import AuthoredDelegation, Member
from twinlock.repository.keys.keyring import KeyPlan, Keyring
from twinlock.repository.signing.sign import SigningAuthority
from twinlock.repository.store.interface import ObjectStore
from twinlock.trust.errors.local import ProfileError


class ProfileRules(Protocol):
    """One profile other than ``tuf``. Every check raises ProfileError."""

    @property
    def name(self) -> str:
        """The name that configurations give the profile."""

    def check_plans(self, plans: Mapping[str, KeyPlan], *, shared_root: bool = False) -> None:
        """Refuse kinds of keys that its clients cannot read, by role, before such keys are made.

        Root keys may be of any kind, since the profile's Root chain has its own, unless that chain shares them.
        """

    def check_role(self, role: str) -> None:
        """Refuse a delegated role whose file its clients could not ask for."""

    def check_entry(self, store: ObjectStore, path: str, entry: TargetFile, listed: TargetFile | None) -> None:
        """Refuse an entry that its clients could not use; ``listed`` is what is listed under that name now."""

    def check_signed_before(self, path: str, entry: TargetFile, before: TargetFile) -> None:
        """Refuse ``entry`` for a name that a supplier signed as ``before``."""

    def check_delegation(self, delegator: str, delegation: AuthoredDelegation) -> None:
        """Refuse a delegation that its clients do not know or read differently."""

    def check_targets(self, role: str, targets: Targets) -> None:
        """Refuse a role's file that the profile cannot express."""

    def sign_targets(self, role: str, targets: Targets, authority: SigningAuthority, keyring: Keyring) -> bytes:
        """A delegated role's file in this profile. Raises: MissingKeysError, PassphraseError too."""

    def check_file(self, role: str, data: bytes, other: bytes, members: Iterable[Member]) -> None:
        """Judge ``other``, the file of ``role`` in this profile, which states what ``data`` does, as every delegator would.

        Raises: ThresholdError, MalformedError too.
        """

    def missing_file(self, role: str) -> ProfileError:
        """The refusal of an outbox without the role's file in this profile."""
