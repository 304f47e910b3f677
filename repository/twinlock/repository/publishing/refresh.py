"""What expires soon, and signing it again. Online roles are renewed unattended; for others people are warned in time."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import replace
from datetime import datetime, timedelta

from twinlock.repository.authoring.next_publication import NextPublication
from twinlock.repository.model.views import PublishResult
from twinlock.repository.publishing.inspection import due_roles, renewed_until, role_views
from twinlock.repository.publishing.profiles import open_profiles
from twinlock.repository.publishing.publish import begin_publishing, commit
from twinlock.repository.signing.clock_record import signing_marks
from twinlock.repository.signing.sign import keyids_of, root_authority
from twinlock.repository.workspace.prepared_root import PreparedRoot
from twinlock.repository.workspace.state import RepositoryState, read_state
from twinlock.repository.workspace.workspace import ONLINE_ROLES, Workspace
from twinlock.trust.names import ROOT


def refresh_due(
    workspace: Workspace, within: timedelta | None = None, *, only: Container[str] | None = None
) -> PublishResult:
    """Sign again every due role whose keys are held, and publish; ``only`` restricts that to some roles.

    Raises: as ``commit``.
    """
    state = begin_publishing(workspace)
    published, candidate = state.published, NextPublication(state)
    overdue = []
    for view in due_roles(state, within):
        if not view.can_sign or (view.role == ROOT and not _may_renew_root(state)):
            overdue.append(view.role)
        elif only is None or view.role in only:
            candidate.renew(view.role)
    waiting = PreparedRoot(workspace.path).find(published.root.signed.version)
    if not candidate.changed:
        publication = PublishResult(version=published.version, files=(), changed=False)
    else:
        publication = commit(candidate)
    return replace(publication, overdue=tuple(overdue), prepared_root=None if waiting is None else waiting.version)


def _may_renew_root(state: RepositoryState) -> bool:
    """Whether a next Root can be made now: no other is being signed elsewhere, and every chain's keys are here."""
    waiting = PreparedRoot(state.workspace.path).find(state.published.root.signed.version)
    return waiting is None and can_follow(state)


def can_follow(state: RepositoryState) -> bool:
    """Whether the Root keys of every profile with a Root chain of its own are held, which sign each Root of ours in their way."""
    chains = [authority for profile in open_profiles(state) for authority in profile.own_root_keys.values()]
    held = state.workspace.keyring.held
    return all(authority.is_met_by(record.keyid for record in held(authority.keyids)) for authority in chains)


def next_renewal(workspace: Workspace) -> datetime:
    """When the first of the online roles will be due."""
    state = read_state(workspace)
    return min(
        renewed_until(role, workspace.periods, state.now) - workspace.periods.margin(role.name)
        for role in role_views(state)
        if role.name in ONLINE_ROLES
    )


def check_signable(workspace: Workspace) -> None:
    """See that the online roles could be signed now: their keys are here and open, and the clock is plausible.

    Raises: MissingKeysError, PassphraseError, ClockBehindError, ClockContradictedError, StoreTamperedError.
    """
    state = read_state(workspace)
    signing_marks(workspace, state.published, state.now)
    for role in sorted(ONLINE_ROLES):
        authority = root_authority(state.published.root.signed, role)
        authority.check_held(role, keyids_of(workspace.keyring.signers(authority.keyids)))
