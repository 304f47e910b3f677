"""The ``aktualizr`` form of one publication, from the configuration to what has to be kept before it is published."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from twinlock.io.files.durable import read_file, replace_file, storage_errors
from twinlock.io.files.new_directory import make_directory
from twinlock.repository.aktualizr.encoder import AktualizrEncoder
from twinlock.repository.aktualizr.preflight import verify_profile
from twinlock.repository.aktualizr.published import is_published, read_published_profile
from twinlock.repository.aktualizr.readable_keys import check_plans
from twinlock.repository.aktualizr.root_chain import RootChain, authority_of, new_own_keys
from twinlock.repository.authoring.next_publication import NextPublication
from twinlock.repository.errors import StoreTamperedError
from twinlock.repository.keys.keyring import KeyPlan
from twinlock.repository.keys.new_keys import NewKeys
from twinlock.repository.signing.named_keys import OWN_ROOT
from twinlock.repository.signing.sign import SigningAuthority
from twinlock.repository.signing.signing_plan import ProfileFiles, SigningPlan
from twinlock.repository.store.object_names import NEWCOMER_ROOT, aktualizr_object
from twinlock.repository.store.publication_log import LogRecord
from twinlock.repository.workspace.profiles import PublishedProfiles
from twinlock.repository.workspace.state import RepositoryState
from twinlock.repository.workspace.workspace import Workspace
from twinlock.trust.errors.base import UsageError
from twinlock.trust.limits import DEFAULT_LIMITS
from twinlock.trust.model.targets import ImageEntry
from twinlock.trust.names import ROOT, TOP_LEVEL
from twinlock.trust.state.trusted import TrustedRepository


@dataclass(frozen=True, slots=True)
class AktualizrWriter:
    """One publication in the profile. ``initial``: it is the first one, and everything has to be in it.

    ``handing_over``: its Root chain gets keys of its own with this one. ``wires`` are those in force afterwards,
    ``state`` is the repository before it. ``new_root_keys`` are to sign its Root chain from then on.
    """

    state: RepositoryState
    wires: PublishedProfiles
    published: TrustedRepository | None
    initial: bool
    handing_over: bool = False
    new_root_keys: SigningAuthority | None = None

    @property
    def own_root_keys(self) -> Mapping[str, SigningAuthority]:
        """See ``ProfileWriter``."""
        newest = self.chain.newest
        return {} if newest is None else {OWN_ROOT: authority_of(newest)}

    def check_new_keys(self, plans: Mapping[str, KeyPlan]) -> None:
        """See ``ProfileWriter``."""
        if set(plans) & set(TOP_LEVEL):
            self.chain.check_may_change()
        check_plans(plans, shared_root=not self.chain.has_own_keys)

    def with_new_root_keys(self, new: NewKeys, plan: KeyPlan) -> AktualizrWriter:
        """See ``ProfileWriter``."""
        return replace(self, new_root_keys=new_own_keys(new, plan)) if self.chain.has_own_keys else self

    @property
    def chain(self) -> RootChain:
        """Its Root chain."""
        return RootChain(
            number=self.wires.chain_version,
            newest=None if self.published is None else self.published.root.signed,
            tuf=None if self.state.newest is None else self.state.newest.root.signed,
            handing_over=self.handing_over,
            stranded=self.wires.stranded_keys(self.state.now),
        )

    @property
    def encoder(self) -> AktualizrEncoder:
        """What signs the files."""
        return AktualizrEncoder(
            self.state.workspace.store,
            self.state.workspace.keyring,
            current=self.state.newest,
            published=self.published,
            chain=self.chain,
            initial=self.initial,
            new_root_keys=self.new_root_keys,
        )

    def sign(self, plan: SigningPlan, new: NewKeys) -> ProfileFiles:
        """See ``ProfileWriter``."""
        return self.encoder.sign(plan, new)

    def verify(self, record: LogRecord, *, images: Iterable[str], now: datetime) -> tuple[ImageEntry, ...]:
        """Have the trust engine accept the profile's files of ``record``. Raises: RefusalError, StoreTamperedError."""
        return verify_profile(
            self.state.workspace.store,
            record,
            published=self.published,
            first_roots=self._first_roots(record),
            images=images,
            now=now,
        )

    def prepare(self, record: LogRecord) -> None:
        """Keep what has to be kept here before the profile's first files are in the store."""
        newest = self._first_roots(record)[0] if self.published is None else self.published.root.data
        keep_anchor(self.state.workspace, newest)
        if self.published is None or self.handing_over:
            self.state.workspace.set_wires(self.wires)

    def withdraw(self) -> None:
        """See ``ProfileWriter``. Where the publisher who was first began or handed over the chain too, what is configured is right."""
        if self.published is not None and not self.handing_over:
            return
        following = 1 if self.published is None else self.published.root.signed.version + 1
        if self.state.workspace.store.stat(aktualizr_object(ROOT, following)) is None:
            self.state.workspace.set_wires(self.state.wires)

    def _first_roots(self, record: LogRecord) -> tuple[bytes, ...]:
        """The Roots that devices begin with: those of long ago with Root 1, newcomers after a hand-over with a later one."""
        first, newcomer = (self._root(record, name) for name in (aktualizr_object(ROOT, 1), NEWCOMER_ROOT))
        if first is None:
            raise StoreTamperedError(reason="Root 1 of the aktualizr profile is missing")
        return (first,) if newcomer is None else (first, newcomer)

    def _root(self, record: LogRecord, name: str) -> bytes | None:
        if name in record.files:
            return record.files[name]
        stored = self.state.workspace.store.get(name, max_bytes=DEFAULT_LIMITS.root_bytes)
        return None if stored is None else stored.data


def open_writer(state: RepositoryState) -> AktualizrWriter | None:
    """What the configuration asks for on top of what is published; None where the profile is off.

    Raises: UsageError if it was turned on and that was cut off; StoreTamperedError.
    """
    workspace, wires, current = state.workspace, state.wires, state.newest
    if not wires.aktualizr:
        return None
    if current is None:
        return AktualizrWriter(state, wires, None, initial=False)
    if not is_published(current.store, current.version):
        reason = f"publishing for aktualizr was begun and cut off; run: twinlock image wire {workspace.path} aktualizr"
        raise UsageError(reason=reason)
    published = read_published_profile(current.store, current, anchor=_anchor(workspace), wires=wires)
    return AktualizrWriter(state, wires, published, initial=False)


def begin_with_root(candidate: NextPublication, version: int) -> AktualizrWriter | None:
    """The beginning of the profile with a Root that was signed elsewhere; None if it has begun already.

    Suppliers' files that are accepted in this form are published with it.
    """
    state = candidate.state
    if state.wires.aktualizr:
        return None
    for role, text in state.draft.others.items():
        candidate.accept_other(role, text.encode())
    wires = state.wires.with_aktualizr(root_offset=version - 1)
    return AktualizrWriter(state, wires, None, initial=True)


def keep_anchor(workspace: Workspace, root: bytes) -> None:
    """Keep the newest Root of the profile, from which the store is verified next time. Raises: StorageError."""
    if _anchor(workspace) == root:
        return
    with storage_errors("create", _anchor_path(workspace).parent):
        make_directory(_anchor_path(workspace).parent)
    replace_file(_anchor_path(workspace), root, max_bytes=DEFAULT_LIMITS.root_bytes)


def _anchor(workspace: Workspace) -> bytes | None:
    return read_file(_anchor_path(workspace), max_bytes=DEFAULT_LIMITS.root_bytes)


def _anchor_path(workspace: Workspace) -> Path:
    return workspace.path / "trusted" / "aktualizr-root.json"
