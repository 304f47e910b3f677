"""The one place that knows which wire profiles there are, and makes the write side of those that are configured."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from twinlock.repository.aktualizr.rules import AktualizrRules
from twinlock.repository.aktualizr.writer import open_writer
from twinlock.repository.authoring.next_publication import meta_file
from twinlock.repository.authoring.profile_rules import ProfileRules
from twinlock.repository.keys.keyring import KeyPlan
from twinlock.repository.keys.new_keys import NewKeys
from twinlock.repository.publishing.preflight import verify_candidate
from twinlock.repository.signing.profile_writer import ProfileWriter
from twinlock.repository.signing.sign import S, SigningAuthority, sign_file
from twinlock.repository.signing.signing_plan import ProfileFiles, RoleToSign, SigningPlan
from twinlock.repository.store.object_names import TIMESTAMP_OBJECT, metadata_object, root_object
from twinlock.repository.store.publication_log import LogRecord
from twinlock.repository.workspace.profiles import PublishedProfiles
from twinlock.repository.workspace.state import RepositoryState
from twinlock.trust.model.targets import ImageEntry
from twinlock.trust.names import SNAPSHOT
from twinlock.trust.wire.aktualizr.patterns import expand

OTHER_PROFILES: tuple[ProfileRules, ...] = (AktualizrRules(),)
"""The rules of each profile other than ``tuf``, active or not: what a supplier signed in one is judged by them."""


def open_profiles(state: RepositoryState, *, chosen: ProfileWriter | None = None) -> tuple[ProfileWriter, ...]:
    """The writer of each active profile, ``tuf`` first; ``chosen`` where an operation begins or changes another profile.

    Raises: UsageError where an activation was cut off, StoreTamperedError.
    """
    other = chosen or open_writer(state)
    tuf = TufWriter(state)
    return (tuf,) if other is None else (tuf, other)


def profile_rules(wires: PublishedProfiles) -> tuple[ProfileRules, ...]:
    """The rules of each active profile other than ``tuf``, in which everything can be expressed."""
    return tuple(rules for rules in OTHER_PROFILES if rules.name in wires.names)


def expand_patterns(patterns: Iterable[str]) -> tuple[str, ...]:
    """The patterns that an author's list stands for, which fit the same names in each profile."""
    return tuple(each for pattern in patterns for each in expand(pattern))


@dataclass(frozen=True, slots=True)
class TufWriter:
    """See ``ProfileWriter``. ``state`` is the repository before the publication."""

    state: RepositoryState

    @property
    def initial(self) -> bool:
        """See ``ProfileWriter``: whatever is published is published in this profile."""
        return False

    @property
    def own_root_keys(self) -> Mapping[str, SigningAuthority]:
        """See ``ProfileWriter``: its chain is that of the repository."""
        return {}

    def check_new_keys(self, plans: Mapping[str, KeyPlan]) -> None:
        """See ``ProfileWriter``: keys of every kind can be published."""

    def with_new_root_keys(self, new: NewKeys, plan: KeyPlan) -> TufWriter:
        """See ``ProfileWriter``."""
        return self

    def sign(self, plan: SigningPlan, new: NewKeys) -> ProfileFiles:
        """See ``ProfileWriter``. The indexes of the plan get the digests of the files that they list."""
        roots = {} if plan.root is None else {root_object(plan.root.signed.version): self._signed_file(plan.root)}
        files: dict[str, bytes] = {}
        for planned in plan.targets:
            version, data = planned.signed.version, self._signed_file(planned)
            files[metadata_object(planned.role, version)] = data
            assert plan.snapshot is not None
            plan.snapshot.signed.meta[f"{planned.role}.json"] = meta_file(version, data)
        if plan.snapshot is not None:
            version, data = plan.snapshot.signed.version, self._signed_file(plan.snapshot)
            files[metadata_object(SNAPSHOT, version)] = data
            plan.timestamp.signed.snapshot_meta = meta_file(version, data)
        return ProfileFiles(roots, files, {TIMESTAMP_OBJECT: self._signed_file(plan.timestamp)})

    def withdraw(self) -> None:
        """See ``ProfileWriter``: nothing was kept."""

    def verify(self, record: LogRecord, *, images: Iterable[str], now: datetime) -> tuple[ImageEntry, ...]:
        """See ``ProfileWriter``."""
        return verify_candidate(
            self.state.workspace.store,
            record,
            published=self.state.newest,
            first_root=self._first_root(record),
            images=images,
            now=now,
        )

    def prepare(self, record: LogRecord) -> None:
        """See ``ProfileWriter``."""
        if self.state.newest is None:
            self.state.workspace.set_anchor(self._first_root(record))

    def _first_root(self, record: LogRecord) -> bytes:
        return record.files[root_object(1)] if self.state.newest is None else self.state.first_root()

    def _signed_file(self, planned: RoleToSign[S]) -> bytes:
        if planned.file is not None:
            return planned.file
        return sign_file(
            planned.role, planned.signed, planned.authorities, self.state.workspace.keyring, also=planned.also
        )
