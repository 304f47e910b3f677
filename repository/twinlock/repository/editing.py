"""Staging our own edits: images measured, stored under their digests and listed; delegations begun and ended.

Belongs here: what goes into the draft. Does not belong here: suppliers' files (``accepting``), and applying a draft.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tuf.api.metadata import TargetFile, Targets

from twinlock.repository.aktualizr.staged import check_delegation, check_entry
from twinlock.repository.candidate import Candidate
from twinlock.repository.delegating import JOINT, Delegation, read_delegations
from twinlock.repository.draft import Draft, editing_draft, read_draft
from twinlock.repository.entries import Description, check_succession, entry_view, target_entry
from twinlock.repository.image_files import Progress, measure_file, store_image
from twinlock.repository.staging import apply_draft
from twinlock.repository.views import ImageView
from twinlock.repository.workspace import Workspace
from twinlock.trust.errors.base import UsageError
from twinlock.trust.names import TARGETS, TargetPath, target_path


def stage_image(
    workspace: Workspace,
    source: Path,
    description: Description,
    *,
    replace: bool = False,
    progress: Progress = lambda _: None,
) -> ImageView:
    """Store the bytes of ``source`` and stage its entry. Raises: UsageError, ProfileError, StorageError."""
    current = preview(workspace)
    measured = measure_file(source, progress)
    entry = target_entry(description, measured.length, measured.hashes)
    _check(current, description.path, entry, replace=replace)
    check_entry(workspace, description.path, entry, current.targets.get(description.path))
    store_image(workspace.store, source, description.path, measured)
    with editing_draft(workspace.draft_path) as draft:
        # Another editor may have staged the same path while the bytes were stored.
        _check(preview(workspace, draft), description.path, entry, replace=replace)
        draft.of(TARGETS).images[description.path] = entry.to_dict()
    return entry_view(TARGETS, entry)


def unstage_image(workspace: Workspace, path: str) -> None:
    """Stage the removal of an entry of ours. Raises: UsageError if there is none, UnsafePathError."""
    target_path(path)
    with editing_draft(workspace.draft_path) as draft:
        if path not in preview(workspace, draft).targets:
            raise UsageError(reason=f"{path} is not listed in {TARGETS}")
        draft.of(TARGETS).images[path] = None


def preview(workspace: Workspace, draft: Draft | None = None) -> Targets:
    """Our own Targets as they would be after the draft."""
    candidate = preview_candidate(workspace, draft)
    return candidate.view_targets(TARGETS) or Targets()


def preview_candidate(workspace: Workspace, draft: Draft | None = None) -> Candidate:
    """The candidate with the draft applied, for looking at."""
    candidate = Candidate(workspace.published(), workspace.keyring, workspace.periods, workspace.now())
    apply_draft(candidate, draft or read_draft(workspace.draft_path))
    return candidate


def delegations_covering(workspace: Workspace, path: str) -> Iterator[str]:
    """The delegations of our Targets that also cover ``path``: their roles would be asked only where we list nothing."""
    targets = preview(workspace)
    if targets.delegations is not None:
        yield from (name for name, _ in targets.delegations.get_roles_for_target(path))


def stage_delegation(
    workspace: Workspace, delegation: Delegation, *, before: str | None = None, delegator: str = TARGETS
) -> None:
    """Stage a delegation, or a change of one that is there. Raises: UsageError if ``before`` names none, ProfileError."""
    check_delegation(workspace, delegator, delegation)
    with editing_draft(workspace.draft_path) as draft:
        edits = draft.of(delegator).delegations
        present = {entry.name for entry in read_delegations(preview(workspace, draft))}
        staged = {name for name, edit in edits.items() if edit is not None}
        if before is not None and before not in present | staged:
            raise UsageError(reason=f"there is no delegation {before} that {delegation.name} could come before")
        edits[delegation.name] = {"delegation": delegation.as_json(), "before": before}


def unstage_delegation(workspace: Workspace, name: str, *, delegator: str = TARGETS) -> None:
    """Stage the end of a delegation; one that was only staged is forgotten. Raises: UsageError if there is none."""
    with editing_draft(workspace.draft_path) as draft:
        edits = draft.of(delegator).delegations
        published = workspace.published().targets(delegator).signed
        listed = name in {entry.name for entry in read_delegations(published)}
        if not listed and not edits.get(name):
            raise UsageError(reason=f"{delegator} does not delegate to {name}")
        edits.pop(name, None)
        if listed:
            edits[name] = None
        for role in name.split(JOINT):
            draft.accepted.pop(role, None)
            draft.others.pop(role, None)


def _check(current: Targets, path: TargetPath, entry: TargetFile, *, replace: bool) -> None:
    check_succession(path, entry, current.targets.get(path), replace=replace)
