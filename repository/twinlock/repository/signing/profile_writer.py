"""The write side of a wire profile: how a planned publication becomes files in it (``trust.wire.profile`` is the read side)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Protocol

from twinlock.repository.keys.keyring import KeyPlan
from twinlock.repository.keys.new_keys import NewKeys
from twinlock.repository.signing.sign import SigningAuthority
from twinlock.repository.signing.signing_plan import ProfileFiles, SigningPlan
from twinlock.repository.store.publication_log import LogRecord
from twinlock.trust.model.targets import ImageEntry


class ProfileWriter(Protocol):
    """One publication in one profile. A publication is handed one writer for each profile that is published."""

    @property
    def initial(self) -> bool:
        """Whether files that the plan leaves unchanged have to be written too, since they are not published in it yet."""

    @property
    def own_root_keys(self) -> Mapping[str, SigningAuthority]:
        """Who signs for Root in the profile's own Root chain, by what such keys are made for; empty where it has no chain of its own."""

    def check_new_keys(self, plans: Mapping[str, KeyPlan]) -> None:
        """Refuse new keys by ``plans`` that its clients could not read, or that its Root chain could not bring safely.

        Raises: ProfileError.
        """

    def with_new_root_keys(self, new: NewKeys, plan: KeyPlan) -> ProfileWriter:
        """This writer with other keys for its own Root chain, made by ``plan``; itself where it has no chain of its own."""

    def sign(self, plan: SigningPlan, new: NewKeys) -> ProfileFiles:
        """Sign the plan in this profile. ``new`` makes the keys that its own Root chain still lacks, and they are written later.

        Raises: ProfileError for what its clients cannot read, before anything is signed; MissingKeysError; PassphraseError; UsageError.
        """

    def verify(self, record: LogRecord, *, images: Iterable[str], now: datetime) -> tuple[ImageEntry, ...]:
        """Have the trust engine accept the profile's files of ``record``, and find each of ``images``: their entries.

        Raises: RefusalError, StoreTamperedError.
        """

    def prepare(self, record: LogRecord) -> None:
        """Keep what the workspace has to know before the files are in the store. Raises: StorageError."""

    def withdraw(self) -> None:
        """Undo ``prepare``, since another publisher was first and nothing of the profile was published. Raises: StorageError."""
