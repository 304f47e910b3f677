"""The way out after an Image repository signed in the future: true times again, in files that outlast the false ones."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from twinlock.repository.authoring.next_publication import NextPublication
from twinlock.repository.model.views import PublishResult
from twinlock.repository.publishing.publish import begin_publishing, commit
from twinlock.repository.publishing.rotation import current_authority
from twinlock.repository.signing.clock import ClockMarks
from twinlock.repository.signing.clock_record import find_future_signatures, record_recovery
from twinlock.repository.store.publication_log import following_publication
from twinlock.repository.workspace.workspace import ONLINE_ROLES, Workspace
from twinlock.trust.errors.local import StorageError
from twinlock.trust.names import ROOT, RoleName
from twinlock.trust.text.times import format_time


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockRecovery:
    """What a recovery did. ``left`` are roles that state a time of the future and whose keys are not here.

    ``short`` are roles whose file expires before ``highest``: vehicles that took the false files need a newer one first.
    """

    publication: PublishResult
    highest: datetime
    left: tuple[str, ...]
    short: tuple[str, ...]


def recover_clock(workspace: Workspace, *, actor: str) -> ClockRecovery:
    """Sign every role again that states a time of the future, with the true time and a life that outlasts the false one.

    Versions rise by one. No key of Root is needed unless Root itself states such a time. An operator has confirmed that
    the clock is right now.
    Raises: NothingToRecoverError, ClockContradictedError, and as ``commit``.
    """
    state = begin_publishing(workspace)
    now, candidate = state.now, NextPublication(state)
    future = find_future_signatures(workspace, state.published, now)
    signers = {role: current_authority(candidate, role) for role in (*future.roles, *sorted(ONLINE_ROLES))}
    left = tuple(role for role, who in signers.items() if not candidate.can_sign(who))
    for role in signers:
        if role not in left:
            candidate.renew(role)
    record_recovery(workspace, future, actor=actor, now=now)
    publication = commit(candidate, marks=ClockMarks(last=now, highest=future.highest))
    short = tuple[str, ...]()
    left_out = f"which files expire before {format_time(future.highest)} is not known; `twinlock image show` lists them"
    with following_publication(left_out, StorageError):
        after = state.after_publishing().published
        expiries = {ROOT: after.trusted.root.signed.expires, **{role: it.signed.expires for role, it in after.walk()}}
        short = tuple(role for role, expires in expiries.items() if expires <= future.highest)
    return ClockRecovery(
        publication=replace(publication, overdue=tuple(map(RoleName, left))),
        highest=future.highest,
        left=left,
        short=short,
    )
