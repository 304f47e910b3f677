"""Our own edits to the draft: removals of images, delegations begun and ended, and a preview of the result.

Images are staged in ``staged_images``; suppliers' files in ``suppliers.review``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tuf.api.metadata import Targets

from twinlock.repository.authoring.apply_draft import apply_draft, is_signed_by
from twinlock.repository.authoring.delegations import (
    JOINT,
    AuthoredDelegation,
    Member,
    read_delegations,
    read_staged,
    staged_delegation,
)
from twinlock.repository.authoring.next_publication import NextPublication
from twinlock.repository.authoring.profile_rules import ProfileRules
from twinlock.repository.authoring.servable_names import check_role_name
from twinlock.repository.workspace.draft import Draft, editing_draft
from twinlock.repository.workspace.state import RepositoryState, read_for_change, read_state
from twinlock.repository.workspace.workspace import Workspace
from twinlock.trust.errors.base import UsageError
from twinlock.trust.names import TARGETS, target_path


def unstage_image(workspace: Workspace, path: str) -> None:
    """Stage the removal of an entry of ours. Raises: UsageError if there is none, UnsafePathError."""
    target_path(path)
    with editing_draft(workspace.draft_path) as draft:
        _check_listed(read_for_change(workspace), draft, path)
        draft.of(TARGETS).images[path] = None


def check_listed(workspace: Workspace, path: str) -> None:
    """See that there is an entry of ours to remove, before anything is asked. Raises: as ``unstage_image``."""
    target_path(path)
    state = read_state(workspace)
    _check_listed(state, state.draft, path)


def _check_listed(state: RepositoryState, draft: Draft, path: str) -> None:
    if path not in preview(state, draft).targets:
        raise UsageError(reason=f"{path} is not listed in {TARGETS}")


def preview(state: RepositoryState, draft: Draft) -> Targets:
    """Our own Targets as they would be after ``draft``."""
    return preview_candidate(state, draft).view_targets(TARGETS) or Targets()


def preview_candidate(state: RepositoryState, draft: Draft) -> NextPublication:
    """The candidate with ``draft`` applied, for looking at."""
    candidate = NextPublication(state)
    apply_draft(candidate, draft)
    return candidate


def delegations_covering(workspace: Workspace, path: str) -> Iterator[str]:
    """The delegations of our Targets that also cover ``path``: their roles would be asked only where we list nothing."""
    state = read_state(workspace)
    targets = preview(state, state.draft)
    if targets.delegations is not None:
        yield from (name for name, _ in targets.delegations.get_roles_for_target(path))


def stage_delegation(
    state: RepositoryState,
    delegation: AuthoredDelegation,
    profiles: Iterable[ProfileRules],
    *,
    before: str | None = None,
) -> tuple[str, ...]:
    """Stage a delegation, or a change of one that is there.

    Returns the ids of the keys that its roles had so far where they keep none of them: another supplier may own the name.
    Raises: UsageError if ``before`` names none, or for the name of a role of others; ProfileError.
    """
    for profile in profiles:
        profile.check_delegation(TARGETS, delegation)
    with editing_draft(state.workspace.draft_path) as draft:
        edits = draft.of(TARGETS).delegations
        # Who published since the first look has taken its edits out of the draft, so both are read under the lock.
        candidate = preview_candidate(state.latest(), draft)
        known = {entry.name: entry for entry in read_delegations(candidate.view_targets(TARGETS) or Targets())}
        known |= {name: read_staged(edit).delegation for name, edit in edits.items() if edit is not None}
        present = known.keys()
        for member in delegation.members:
            if member.name not in present:
                check_role_name(member.name)
            _check_vacant(candidate, member)
        if before is not None and before not in present:
            raise UsageError(reason=f"there is no delegation {before} that {delegation.name} could come before")
        edits[delegation.name] = staged_delegation(delegation, before=before)
        had = () if delegation.name not in known else known[delegation.name].keyids
        return () if set(had) & set(delegation.keyids) else had


def _check_vacant(candidate: NextPublication, member: Member) -> None:
    """Check that no other role delegates to one of that name whose file other keys signed. Raises: UsageError."""
    data = candidate.role_file(member.name)
    if data is None or is_signed_by(data, member):
        return
    owners = tuple(
        role
        for role, _ in candidate.roles()
        for entry in read_delegations(candidate.view_targets(role) or Targets())
        if role != TARGETS and any(each.name == member.name for each in entry.members)
    )
    if owners:
        reason = (
            f"{', '.join(owners)} delegates to a role {member.name}, whose file other keys signed; choose another name"
        )
        raise UsageError(reason=reason)


def unstage_delegation(workspace: Workspace, name: str) -> None:
    """Stage the end of a delegation; one that was only staged is forgotten. Raises: UsageError if there is none."""
    with editing_draft(workspace.draft_path) as draft:
        edits = draft.of(TARGETS).delegations
        listed = _check_delegated(read_for_change(workspace), draft, name)
        edits.pop(name, None)
        if listed:
            edits[name] = None
        for role in name.split(JOINT):
            draft.accepted.pop(role, None)
            draft.others.pop(role, None)


def check_delegated(workspace: Workspace, name: str) -> None:
    """See that there is a delegation to end, before anything is asked. Raises: as ``unstage_delegation``."""
    state = read_state(workspace)
    _check_delegated(state, state.draft, name)


def _check_delegated(state: RepositoryState, draft: Draft, name: str) -> bool:
    """Whether the delegation is published already; otherwise it is staged. Raises: UsageError if it is neither."""
    listed = name in {entry.name for entry in read_delegations(state.published.targets(TARGETS).signed)}
    if not listed and not draft.of(TARGETS).delegations.get(name):
        raise UsageError(reason=f"{TARGETS} does not delegate to {name}")
    return listed
