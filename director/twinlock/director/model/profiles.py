"""A wire profile as the Director uses it: one object that encodes, signs, names and reads its files.

The ``tuf`` profile is what Roots are authored in; another one translates them, so it has a Root chain of its own
(docs/adr/0008). ``director.setup.create`` composes the two there are.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeVar

from sqlalchemy import Connection
from tuf.api.metadata import Metadata, Root, Snapshot, Targets, Timestamp

from twinlock.director.errors.operator import UnknownProfileError
from twinlock.director.model.clients import Client
from twinlock.director.model.records import VehicleRecord
from twinlock.repository.keys.keyring import KeyPlan, Keyring
from twinlock.repository.keys.new_keys import NewKeys
from twinlock.repository.keys.private_keys import Secret
from twinlock.repository.signing.sign import SigningAuthority
from twinlock.trust.names import RoleName
from twinlock.trust.wire.profile import WireProfile
from twinlock.trust.wire.tuf.reports import UnverifiedManifest

S = TypeVar("S", Targets, Snapshot, Timestamp)


class FileName(NamedTuple):
    """A metadata file that a client asked for by name. ``version`` None: the one that is in force."""

    role: RoleName
    version: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OldChain:
    """Where another Director's Root chain is: the directory of its files and that of its private Root keys.

    ``passphrase`` opens those of the keys that are encrypted; it may differ from that of our keys.
    """

    roots: str | Path
    keys: str | Path
    passphrase: Secret = None


class InheritedChain(Protocol):
    """The Root chain of another Director, verified. ``roots`` are its files, from Root 1 to the newest."""

    @property
    def roots(self) -> tuple[bytes, ...]:
        """Root 1 to the newest, as they were read."""

    def next_root(self, root: bytes, keyring: Keyring, new: NewKeys, now: datetime) -> bytes:
        """What our Root ``root`` states, as the Root after the chain, with Root keys that ``new`` makes.

        Raises: ProfileError, PassphraseError, RefusalError.
        """


class TranslatedChain(Protocol):
    """The Root chain of a profile as it is published, next to ours."""

    @property
    def name(self) -> str:
        """The name of the profile."""

    @property
    def newest(self) -> bytes | None:
        """Its newest Root file; None before the first."""

    @property
    def has_own_keys(self) -> bool:
        """Whether no Root key of this chain signs for ours."""

    @property
    def root_keyids(self) -> tuple[str, ...]:
        """The ids of the keys that sign for Root by the newest one."""

    def named_role(self) -> tuple[str, SigningAuthority] | None:
        """The Root role of the newest one, with the name that its keys were made under; None before the first."""

    def check_rotation(self, roles: Iterable[str], plan: KeyPlan | None) -> None:
        """Refuse new keys by ``plan`` for ``roles`` that the clients cannot read, or its chain cannot bring safely.

        Without a plan keys are made that can be read. Raises: ProfileError.
        """

    def new_root_keys(self, plan: KeyPlan | None, new: NewKeys) -> SigningAuthority | None:
        """New Root keys for this chain, as our Root role gets all new ones; None where it shares ours."""

    def follow(
        self, root: bytes, keyring: Keyring, new: NewKeys, *, change: SigningAuthority | None, now: datetime
    ) -> list[bytes]:
        """The Roots of this chain that follow from our next Root ``root``, each accepted by the trust engine.

        ``change`` are new Root keys for this chain; ``new`` makes those that it still lacks. Before the first Root of the
        chain it is one Root: what ``root`` states, as version 1.
        Raises: ProfileError for a key that the clients cannot read, before anything is made or signed; MissingKeysError,
        PassphraseError, RefusalError.
        """

    def attach(
        self, metadata: Metadata[Root], keyring: Keyring, new: NewKeys, *, change: SigningAuthority | None
    ) -> None:
        """Let a prepared Root carry its translation, unsigned. ``new`` and ``change``: as in ``follow``. Raises: ProfileError."""

    def accept(self, files: Iterable[bytes], now: datetime) -> list[bytes]:
        """Roots that were signed elsewhere, in their order, each accepted after the one before. Raises: RefusalError."""


class RootTranslation(Protocol):
    """The Roots of a profile that are translations of ours."""

    @property
    def name(self) -> str:
        """The name of the profile."""

    def read(self, connection: Connection, version: int | None = None) -> bytes | None:
        """A Root file of the profile, the newest where no version is asked for; None if there is none."""

    def insert(self, connection: Connection, data: bytes, now: datetime) -> int:
        """Publish a Root; returns its version. Raises: ConflictError if another process published that version."""

    def insert_newcomer(self, connection: Connection, data: bytes, now: datetime) -> None:
        """Have ``data``, the Root that hands the chain over, be number 1 for devices that store none. Raises: ConflictError."""

    def version_of(self, data: bytes) -> int:
        """The version of a Root file of the profile."""

    def check_plans(self, plans: Mapping[str, KeyPlan]) -> None:
        """Refuse keys that the clients could not read, before they are made. Raises: ProfileError."""

    def chain(
        self,
        current: bytes,
        newest: bytes | None,
        *,
        handing_over: bool = False,
        stranded: frozenset[str] = frozenset(),
    ) -> TranslatedChain:
        """The chain whose newest Root is ``newest``, next to ours, whose newest is ``current``."""

    def own_root_role(self, current: bytes, newest: bytes | None) -> tuple[str, SigningAuthority] | None:
        """The Root role of ``newest`` where none of its keys signs for our Root ``current``, with the name of these keys."""

    def read_inherited(self, old: OldChain, now: datetime, *, image_keys: Collection[bytes]) -> InheritedChain:
        """The chain of another Director, with its private Root keys.

        ``image_keys`` are the keys of the Image repository that this Director trusts, by identity.
        Raises: UsageError if there is none; WrongRepositoryError for an Image repository's; RefusalError, MissingKeysError, StorageError, PassphraseError.
        """


class DirectorProfile(Protocol):
    """One wire profile. ``translation`` is None for the profile that Roots are authored in."""

    @property
    def name(self) -> str:
        """The name that the inventory and configurations have for it."""

    @property
    def reader(self) -> WireProfile:
        """What the trust engine reads its files with."""

    @property
    def client(self) -> Client:
        """What its clients can and cannot do."""

    @property
    def translation(self) -> RootTranslation | None:
        """Its Root chain where that is a translation."""

    def decode_manifest(self, data: bytes) -> UnverifiedManifest:
        """Read a vehicle version manifest. Raises: MalformedError, LimitError."""

    def signed_members(self, record: VehicleRecord, now: datetime) -> dict[str, Any]:
        """The members of ``custom`` in a vehicle's Targets that answer its reports."""

    def sign(
        self,
        role: RoleName,
        signed: S,
        signers: SigningAuthority,
        keyring: Keyring,
        files: Mapping[RoleName, bytes],
    ) -> bytes:
        """One file of a vehicle, signed. ``files`` are those of the set that were made so far.

        Raises: ProfileError for what the clients could not read; MissingKeysError, PassphraseError.
        """

    def is_written_in(self, data: bytes) -> bool:
        """Whether a file of ours is in this profile."""

    def parse_name(self, name: str) -> FileName | None:
        """The metadata file of that name; None where the clients of this profile know no such name."""

    def read_root(self, connection: Connection, version: int | None = None) -> bytes | None:
        """A published Root file, the newest where no version is asked for; None if there is none."""

    def read_served_root(self, connection: Connection, version: int | None) -> bytes | None:
        """The Root file that a client is given for ``version``, the newest where it names none; None if there is none."""


class Profiles:
    """The wire profiles of a Director: first the one that Roots are authored in."""

    def __init__(self, *profiles: DirectorProfile) -> None:
        self._by_name: dict[str, DirectorProfile] = {profile.name: profile for profile in profiles}
        self.authored: DirectorProfile = profiles[0]

    def __iter__(self) -> Iterator[DirectorProfile]:
        return iter(self._by_name.values())

    def named(self, name: str) -> DirectorProfile:
        """The profile of that name. Raises: UsageError if there is none."""
        if name not in self._by_name:
            raise UnknownProfileError(profile=name, known=tuple(self._by_name))
        return self._by_name[name]

    def of(self, record: VehicleRecord) -> DirectorProfile:
        """The profile of a vehicle's client."""
        return self.named(record.profile)

    @property
    def translations(self) -> tuple[RootTranslation, ...]:
        """The Root chains that are translated from ours."""
        return tuple(profile.translation for profile in self if profile.translation is not None)

    def translation(self, name: str) -> RootTranslation:
        """The translated Root chain of the profile ``name``. Raises: UsageError if there is none."""
        for translation in self.translations:
            if translation.name == name:
                return translation
        raise UnknownProfileError(profile=name, known=tuple(each.name for each in self.translations))
