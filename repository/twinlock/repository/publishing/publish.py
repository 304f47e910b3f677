"""From staged edits to a publication: apply, sign, have it verified, publish, and forget the edits.

A publication may revoke keys. Their private halves leave the directory of the live ones afterwards, by what is published
and not by what one run changed: after a crash the next command that publishes does it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext

from twinlock.repository.authoring.apply_draft import apply_draft, listed_images
from twinlock.repository.authoring.next_publication import NextPublication
from twinlock.repository.keys.new_keys import NewKeys
from twinlock.repository.model.views import PublishResult
from twinlock.repository.publishing.preflight import check_elsewhere
from twinlock.repository.publishing.profiles import open_profiles
from twinlock.repository.publishing.revoked_keys import retire_revoked
from twinlock.repository.signing.clock import ClockMarks
from twinlock.repository.signing.clock_record import keep_marks, signing_marks
from twinlock.repository.signing.profile_writer import ProfileWriter
from twinlock.repository.store.object_names import (
    AKTUALIZR_NAMES,
    METADATA,
)
from twinlock.repository.store.publication_log import (
    LogRecord,
    check_next,
    check_record,
    competing,
    following_publication,
    publish_record,
)
from twinlock.repository.workspace.draft import Draft, RoleEdits, editing_draft
from twinlock.repository.workspace.prepared_root import PreparedRoot
from twinlock.repository.workspace.state import RepositoryState, read_for_change, read_state
from twinlock.repository.workspace.workspace import Workspace
from twinlock.trust.errors.base import TwinlockError
from twinlock.trust.errors.local import ConflictError, StorageError
from twinlock.trust.names import RoleName

log = logging.getLogger("twinlock.repository.publishing.publish")


def begin_publishing(workspace: Workspace) -> RepositoryState:
    """The repository as it is now, for a command that publishes: what a crash interrupted is completed first.

    Keys whose retirement was interrupted are retired. That is left to a later command where it cannot be done now: this user may
    not write there, or the command that began to publish in another profile has to be repeated first.
    Raises: as ``read_for_change``.
    """
    state = read_for_change(workspace)
    try:
        retire_revoked(state)
    except TwinlockError as error:
        log.warning("revoked keys are still among the live ones, and the next command tries again: %s", error)
    return state


def retire_after_publishing(workspace: Workspace, *, verified: frozenset[str]) -> None:
    """Retire what the last publication revoked (``retire_revoked``). A fault is logged: the next command that publishes repeats it."""
    left = "revoked keys are still among the live ones; `twinlock image publish` moves them once that is possible"
    with following_publication(left):
        retire_revoked(read_state(workspace), verified=verified)


def publish_draft(workspace: Workspace) -> PublishResult:
    """Publish what is staged. Raises: ConflictError, RefusalError, MissingKeysError; what is staged stays staged."""
    state = begin_publishing(workspace)
    draft, candidate = state.draft, NextPublication(state)
    waiting = plan_draft(candidate, draft)
    if candidate.changed:
        publication = commit(candidate, images=listed_images(draft), waiting=waiting)
    else:
        publication = PublishResult(version=state.published.version, files=(), changed=False, waiting=waiting)
    discharge(workspace, draft, waiting)
    return publication


def plan_draft(candidate: NextPublication, draft: Draft) -> tuple[RoleName, ...]:
    """Bring the staged edits into ``candidate``, those in another profile too; returns the delegations that have to wait."""
    for role, text in draft.others.items():
        candidate.accept_other(role, text.encode())
    return apply_draft(candidate, draft)


def discharge(workspace: Workspace, draft: Draft, waiting: tuple[RoleName, ...]) -> None:
    """Forget the edits of ``draft``, which are published now, except those that wait. A fault is logged."""
    done = Draft(
        {
            role: RoleEdits(edits.images, {n: edit for n, edit in edits.delegations.items() if n not in waiting})
            for role, edits in draft.roles.items()
        },
        draft.accepted,
        draft.others,
    )
    left = "its edits are still staged; `twinlock image publish` forgets them once that is possible"
    with following_publication(left), editing_draft(workspace.draft_path) as current:
        current.discharge(done)


def commit(
    candidate: NextPublication,
    *,
    images: Iterable[str] = (),
    waiting: tuple[RoleName, ...] = (),
    profiles: tuple[ProfileWriter, ...] | None = None,
    keys: NewKeys | None = None,
    marks: ClockMarks | None = None,
) -> PublishResult:
    """Sign a candidate in every profile that is published, have the trust engine accept it, and publish it.

    ``profiles`` are its writers where the operation has opened them, or begins or changes a profile. ``keys`` are new ones
    that the publication names: they are written when everything else is settled. ``marks`` is the past of the signing clock
    where an operator has corrected it.
    Raises: RootPreparedError while another next Root is being signed elsewhere; RootCancelledError for one that was cancelled,
    also while this ran; ClockBehindError, ClockContradictedError;
    ConflictError, RefusalError, ProfileError, MissingKeysError, PassphraseError, LimitError, and what ``check_elsewhere`` raises; then nothing
    was published.
    """
    workspace = candidate.state.workspace
    _check_prepared(candidate)
    marks = marks or signing_marks(workspace, candidate.state.newest, candidate.now)
    candidate.lasting_from = marks.lasting_from(candidate.now)
    profiles = open_profiles(candidate.state) if profiles is None else profiles
    with nullcontext(keys) if keys else workspace.keyring.new_keys() as new:
        record = candidate.sign(profiles, new)
        check_record(record)
        unchecked = _verify(candidate, record, profiles, tuple(images))
        with _publishing_root(candidate), new.leaving():
            check_next(workspace.store, record)
            with _prepared(profiles, record):
                keep_marks(workspace, marks.signed(candidate.now))
                publish_record(workspace.store, record)
    left = "what the store shows is not kept for comparison; `twinlock image publish` keeps it once that is possible"
    with following_publication(
        left, StorageError
    ):  # not StoreTamperedError: the store shows something else than was published
        candidate.state.after_publishing()  # remembers what was seen, so that a store that goes back in time is noticed
    named = (name for name in record.files if not name.startswith(AKTUALIZR_NAMES))
    files = tuple(sorted(name.removeprefix(METADATA) for name in named))
    return PublishResult(version=record.version, files=files, waiting=waiting, unchecked=unchecked)


def _verify(
    candidate: NextPublication, record: LogRecord, profiles: Iterable[ProfileWriter], images: tuple[str, ...]
) -> tuple[str, ...]:
    """Have every profile accept ``record``; returns the commits that could not be checked whole. Raises: as ``commit``."""
    workspace = candidate.state.workspace
    with competing(workspace.store, record.version):
        entries = [profile.verify(record, images=images, now=candidate.now) for profile in profiles]
    return check_elsewhere(workspace.path, entries[0], workspace.hosts)  # the same images in each profile


@contextmanager
def _prepared(profiles: Iterable[ProfileWriter], record: LogRecord) -> Iterator[None]:
    """Keep what the profiles have to keep before their first files are in the store, unless another publisher is first."""
    for profile in profiles:
        profile.prepare(record)
    try:
        yield
    except ConflictError:
        for profile in profiles:
            profile.withdraw()
        raise


@contextmanager
def _publishing_root(candidate: NextPublication) -> Iterator[None]:
    """Publish a Root while no other process cancels or prepares one: it may have done so since this one looked first."""
    if not candidate.changes_root:
        yield
        return
    with PreparedRoot(candidate.state.workspace.path).alone():
        _check_prepared(candidate)
        yield


def _check_prepared(candidate: NextPublication) -> None:
    """Check that the next Root is not another one than is being signed elsewhere. Raises: as ``PreparedRoot.check``."""
    newest = candidate.state.newest
    if newest is not None and candidate.changes_root:
        PreparedRoot(candidate.state.workspace.path).check(newest.root.signed.version, candidate.given_root)
