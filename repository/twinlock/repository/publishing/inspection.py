"""The published state and the draft as views for people and programs."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from twinlock.repository.authoring.apply_draft import apply_draft, listed_images
from twinlock.repository.authoring.delegations import delegation_views, read_delegations
from twinlock.repository.authoring.entries import entry_view
from twinlock.repository.authoring.next_publication import NextPublication
from twinlock.repository.authoring.rehearsal import Rehearsal
from twinlock.repository.keys.keyring import Keyring
from twinlock.repository.model.views import (
    ClockView,
    DamagedView,
    DelegationView,
    DueView,
    ImageView,
    RepositoryView,
    RoleView,
    StatusView,
)
from twinlock.repository.signing.clock import BEHIND, clock_problem
from twinlock.repository.signing.clock_record import ask_second, read_marks, read_time_source
from twinlock.repository.signing.sign import SigningAuthority, root_authority
from twinlock.repository.store.image_files import find_fault
from twinlock.repository.workspace.current import CurrentPublication
from twinlock.repository.workspace.draft import Draft
from twinlock.repository.workspace.prepared_root import PreparedRoot
from twinlock.repository.workspace.state import RepositoryState, read_state
from twinlock.repository.workspace.validity import Periods
from twinlock.repository.workspace.workspace import ONLINE_ROLES, Workspace
from twinlock.trust.errors.base import TwinlockError
from twinlock.trust.model.base import Signed
from twinlock.trust.model.target_format import OSTREE
from twinlock.trust.names import ROOT, SNAPSHOT, TIMESTAMP, KeyId, RoleName


def show_repository(workspace: Workspace) -> RepositoryView:
    """Everything that is published now."""
    state = read_state(workspace)
    published = state.published
    images: list[ImageView] = []
    delegations: list[DelegationView] = []
    for role, _ in published.walk():
        targets = published.targets(role).signed
        images += [entry_view(role, entry) for entry in targets.targets.values()]
        for entry in read_delegations(targets):
            delegations += delegation_views(role, entry)
    return RepositoryView(
        publication=published.version,
        roles=tuple(role_views(state)),
        images=tuple(images),
        delegations=tuple(delegations),
        wires=state.wires.names,
    )


def role_views(state: RepositoryState) -> Iterator[RoleView]:
    """Every role with its published file: Root, Timestamp, Snapshot, then the Targets roles."""
    published, keyring = state.published, state.workspace.keyring
    root, trusted = published.root.signed, published.trusted
    assert trusted.timestamp is not None
    assert trusted.snapshot is not None
    yield _role(ROOT, trusted.root.signed, root_authority(root, ROOT), keyring)
    yield _role(TIMESTAMP, trusted.timestamp.signed, root_authority(root, TIMESTAMP), keyring)
    yield _role(SNAPSHOT, trusted.snapshot.signed, root_authority(root, SNAPSHOT), keyring)
    authorities = dict(NextPublication(state).roles())
    for role, targets in published.walk():
        yield _role(role, targets.signed, authorities[role], keyring)


def _role(name: RoleName, signed: Signed, authority: SigningAuthority, keyring: Keyring) -> RoleView:
    held = [record.keyid for record in keyring.held(authority.keyids)]
    return RoleView(
        name=name,
        version=signed.version,
        expires=signed.expires,
        issued=signed.issued,
        threshold=authority.threshold,
        keyids=tuple(map(KeyId, authority.keyids)),
        held=len(held),
        post_quantum=authority.post_quantum,
        lacks_post_quantum=authority.lacks_post_quantum(held),
    )


def show_status(workspace: Workspace, within: timedelta | None, *, deep: bool = False) -> StatusView:
    """What is staged, waits for a supplier, is damaged, or expires within that time (None: its own margin).

    ``deep``: the bytes of every image are hashed, not only their lengths compared.
    """
    state = read_state(workspace)
    published, draft = state.published, state.draft
    candidate = NextPublication(state)
    waiting = apply_draft(candidate, draft)
    waiting_root = PreparedRoot(workspace.path).find(published.root.signed.version)
    images = {path: edit for edits in draft.roles.values() for path, edit in edits.images.items()}
    delegations = {name: edit for edits in draft.roles.values() for name, edit in edits.delegations.items()}
    return StatusView(
        staged_images=tuple(path for path, edit in images.items() if edit is not None),
        staged_removals=tuple(path for path, edit in images.items() if edit is None),
        staged_delegations=tuple(name for name, edit in delegations.items() if edit is not None),
        staged_undelegations=tuple(name for name, edit in delegations.items() if edit is None),
        accepted=tuple(map(RoleName, draft.accepted)),
        unpublishable=_unpublishable(candidate, draft),
        waiting=waiting,
        due=due_roles(state, within),
        damaged=tuple(_damaged(workspace, published, deep=deep)),
        clock=_clock(state),
        prepared_root=None if waiting_root is None else waiting_root.version,
    )


def _unpublishable(candidate: NextPublication, draft: Draft) -> str | None:
    """Why a vehicle would refuse what is staged, as publishing would find out; None if it would not."""
    if not candidate.changed:
        return None
    try:
        rehearsal = Rehearsal(candidate)
        lost = (path for path in listed_images(draft) if rehearsal.find(path) is None)
        return next((f"no vehicle would find {path}" for path in lost), None)
    except TwinlockError as error:
        return str(error)


def _clock(state: RepositoryState) -> ClockView:
    """Whether this signer could sign by its clock now, and which source vouches for that."""
    marks, source = read_marks(state.workspace, state.published), read_time_source(state.workspace)
    second = ask_second(source)
    return ClockView(
        now=state.now,
        source=None if source is None else source.url,
        answered=second is not None,
        last_signed=marks.last,
        problem=clock_problem(state.now, marks, second),
    )


def _damaged(workspace: Workspace, published: CurrentPublication, *, deep: bool) -> Iterator[DamagedView]:
    """The images whose bytes are here, or should be, and are not what is listed."""
    for role, _ in published.walk():
        for path, entry in published.targets(role).signed.targets.items():
            view = entry_view(role, entry)
            if view.target_format == OSTREE or view.uri is not None:
                continue
            fault = find_fault(workspace.store, path, entry.length, entry.hashes, deep=deep)
            if fault is not None:
                yield DamagedView(path=view.path, role=role, reason=fault)


def renewed_until(role: RoleView, periods: Periods, now: datetime) -> datetime:
    """Until when a file need not be signed again: its expiry, and for online roles no longer than their usual life.

    After a signature of the future a file outlasts that one; it is renewed all the same, or a vehicle could be kept on
    it for that long. A file that states a time of the future is due at once.
    """
    if role.issued is None or role.name not in ONLINE_ROLES:
        return role.expires
    if role.issued > now + BEHIND:
        return min(role.expires, now)
    return min(role.expires, role.issued + periods.of(role.name))


def due_roles(state: RepositoryState, within: timedelta | None) -> tuple[DueView, ...]:
    """Roles that expire within that time from now, or have expired; None means each role's own margin.

    The first to expire comes first.
    """
    periods = state.workspace.periods
    due = [
        DueView(role=role.name, expires=role.expires, can_sign=role.can_sign)
        for role in role_views(state)
        if renewed_until(role, periods, state.now) - state.now
        <= (periods.margin(role.name) if within is None else within)
    ]
    return tuple(sorted(due, key=lambda view: view.expires))
