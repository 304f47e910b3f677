"""From staged edits to a publication: apply, sign, have it verified, publish, and forget the edits.

A publication may revoke keys. Their private halves leave the directory of the live ones afterwards, by what is published
and not by what one run changed: after a crash the next command that opens the repository does it.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from tuf.api.metadata import Targets

from twinlock.repository.authoring.apply_draft import apply_draft, listed_images
from twinlock.repository.authoring.next_publication import Candidate, delegated
from twinlock.repository.errors import StoreTamperedError
from twinlock.repository.keys.new_keys import NewKeys
from twinlock.repository.keys.private_keys import Passphrase
from twinlock.repository.model.views import Publication
from twinlock.repository.publishing.preflight_elsewhere import check_elsewhere
from twinlock.repository.publishing.profiles import open_profiles
from twinlock.repository.signing.clock import ClockMarks
from twinlock.repository.signing.clock_record import keep_marks, signing_marks
from twinlock.repository.signing.named_keys import NamedKey, keys_of_roles, keys_of_root
from twinlock.repository.signing.profile_writer import ProfileWriter
from twinlock.repository.store.hosted import OutsideHosts
from twinlock.repository.store.object_names import (
    AKTUALIZR_NAMES,
    METADATA,
    aktualizr_object,
    metadata_object,
    root_object,
)
from twinlock.repository.store.publication_log import check_record, competing, publish_record
from twinlock.repository.workspace.draft import Draft, RoleEdits, editing_draft
from twinlock.repository.workspace.prepared_root import PreparedRoot
from twinlock.repository.workspace.state import RepositoryState, open_repository, read_state
from twinlock.repository.workspace.validity import Clock
from twinlock.repository.workspace.workspace import Workspace
from twinlock.trust.errors.base import TwinlockError
from twinlock.trust.limits import DEFAULT_LIMITS
from twinlock.trust.names import ROOT, RoleName

log = logging.getLogger("twinlock.repository.publishing.publish")


def publish_draft(workspace: Workspace) -> Publication:
    """Publish what is staged. Raises: ConflictError, RefusalError, MissingKeysError; what is staged stays staged."""
    state = read_state(workspace)
    draft, candidate = state.draft, Candidate(state)
    waiting = plan_draft(candidate, draft)
    if candidate.changed:
        publication = commit(candidate, images=listed_images(draft), waiting=waiting)
    else:
        publication = Publication(version=state.published.version, files=(), changed=False, waiting=waiting)
    discharge(workspace, draft, waiting)
    return publication


def plan_draft(candidate: Candidate, draft: Draft) -> tuple[RoleName, ...]:
    """Bring the staged edits into ``candidate``, those in the second form too; returns the delegations held back."""
    for role, text in draft.others.items():
        candidate.accept_other(role, text.encode())
    return apply_draft(candidate, draft)


def discharge(workspace: Workspace, draft: Draft, waiting: tuple[RoleName, ...]) -> None:
    """Forget the edits of ``draft``, which are published now, except those that wait."""
    done = Draft(
        {
            role: RoleEdits(edits.images, {n: edit for n, edit in edits.delegations.items() if n not in waiting})
            for role, edits in draft.roles.items()
        },
        draft.accepted,
        draft.others,
    )
    with editing_draft(workspace.draft_path) as current:
        current.discharge(done)


def commit(
    candidate: Candidate,
    *,
    images: Iterable[str] = (),
    waiting: tuple[RoleName, ...] = (),
    profiles: tuple[ProfileWriter, ...] | None = None,
    keys: NewKeys | None = None,
    marks: ClockMarks | None = None,
) -> Publication:
    """Sign a candidate in every profile that is published, have the trust engine accept it, and publish it.

    ``profiles`` are its writers where the operation has opened them, or begins or changes a profile. ``keys`` are new ones
    that the publication names: they are written when everything else is settled. ``marks`` is the past of the signing clock
    where an operator has corrected it.
    Raises: RootPreparedError while another next Root is being signed elsewhere; RootCancelledError for one that was cancelled,
    also while this ran; ClockBehindError, ClockContradictedError;
    ConflictError, RefusalError, ProfileError, MissingKeysError, PassphraseError, LimitError, and what ``check_elsewhere`` raises; then nothing
    was published.
    """
    state, workspace = candidate.state, candidate.state.workspace
    _check_prepared(candidate)
    marks = marks or signing_marks(workspace, state.newest, candidate.now)
    candidate.lasting_from = marks.lasting_from(candidate.now)
    profiles = open_profiles(state) if profiles is None else profiles
    record = candidate.sign(profiles)
    check_record(record)
    listed = tuple(images)
    with competing(workspace.store, record.version):
        found = [profile.verify(record, images=listed, now=candidate.now) for profile in profiles]
    unchecked = check_elsewhere(workspace.path, found[0], workspace.hosts)  # the same images in each profile
    for profile in profiles:
        profile.prepare(record)
    keep_marks(workspace, marks.signed(candidate.now))
    with _publishing_root(candidate), keys.leaving() if keys else nullcontext():
        publish_record(workspace.store, record)
    state.after_publishing()  # remembers what was seen, so that a store that goes back in time is noticed
    named = (name for name in record.files if not name.startswith(AKTUALIZR_NAMES))
    files = tuple(sorted(name.removeprefix(METADATA) for name in named))
    return Publication(version=record.version, files=files, waiting=waiting, unchecked=unchecked)


def open_tidied(path: Path, *, passphrase: Passphrase, clock: Clock, hosts: OutsideHosts) -> Workspace:
    """As ``open_repository``; keys whose retirement was cut off are retired.

    That is left to a later command where it cannot be done now: this user may not write there, or the command that began to
    publish in another profile has to be repeated first.
    """
    state = open_repository(path, passphrase=passphrase, clock=clock, hosts=hosts)
    try:
        retire_revoked(state)
    except TwinlockError as error:
        log.warning("revoked keys are still beside the live ones, and the next command tries again: %s", error)
    return state.workspace


def retire_revoked(state: RepositoryState) -> None:
    """Take keys that were published, and that nothing published or prepared names, from beside the live ones.

    Old Root keys are put aside, for vehicles that are stranded at an old Root; all others are destroyed, and new ones that a
    crash left before they were published. Any other key that no publication ever named is left alone: it may have been brought
    here for the next one. Raises: StorageError, StoreTamperedError; UsageError where an activation of a profile was cut off.
    """
    prepared, keyring = PreparedRoot(state.workspace.path), state.workspace.keyring
    if not keyring.has_abandoned and not _unnamed(state):
        return
    with prepared.alone():
        state = state.latest()
        awaited = prepared.named(state.published.root.signed.version)
        keyring.discard_abandoned({*keys_named_by(state), *awaited})
        revoked = _unnamed(state) - awaited
        try:
            of_root, of_others = _named_before(state)
        except (ValueError, KeyError, TypeError, AttributeError):
            raise StoreTamperedError(reason="an earlier Root or Targets file is not readable") from None
        keyring.retire(sorted(revoked & of_root))
        keyring.retire(sorted(revoked & of_others - of_root), destroy=True)


def keys_named_by(state: RepositoryState) -> dict[str, NamedKey]:
    """The keys of all published roles, by id, those of the aktualizr Root chain included."""
    own = [item for profile in open_profiles(state) for item in profile.own_root_keys.items()]
    return keys_of_roles([*Candidate(state).roles(), *own]) | keys_of_root(state.published.root.signed)


def _unnamed(state: RepositoryState) -> frozenset[str]:
    """The keys on record here that sign for nothing: not for what is published, and not for stranded vehicles."""
    held = frozenset(str(record.keyid) for record in state.workspace.keyring.records())
    left = held - keys_of_root(state.published.root.signed).keys() - state.wires.stranded_keys(state.now)
    # As a rule nothing is left, and then no large Targets file is read for who it delegates to.
    return left - keys_named_by(state).keys() if left else left


def _named_before(state: RepositoryState) -> tuple[frozenset[str], frozenset[str]]:
    """The keys that earlier Roots named for Root, and those that these, or the last delegations, named for other roles."""
    of_root, of_others = set(state.wires.stranded), set[str]()
    newest = state.published.root.signed.version
    for version in range(state.wires.first_root, newest):
        roles = _signed(state, root_object(version)).get("roles", {})
        of_root |= set(roles[ROOT]["keyids"]) if roles else set()
        of_others |= {keyid for role in roles.values() for keyid in role["keyids"]}
    for version in range(1, state.wires.chain_version(newest) if state.wires.aktualizr else 1):
        roles = _signed(state, aktualizr_object(ROOT, version)).get("roles", {})
        of_root |= set(roles[ROOT]["keyids"]) if roles else set()
    return frozenset(of_root), frozenset(of_others | _delegated_before(state))


def _delegated_before(state: RepositoryState) -> set[str]:
    """The keys that the last version but one of each Targets file named for a role that is still delegated to."""
    found, roles, listed = set[str](), {role for role, _ in Candidate(state).roles()}, state.published.listed
    for role in roles & listed.keys():
        signed = _signed(state, metadata_object(role, listed[RoleName(role)].version - 1))
        before = Targets.from_dict(signed) if signed else Targets()
        if before.delegations is not None:
            named = delegated(before, before.delegations)
            found |= {keyid for name, authority in named if name in roles for keyid in authority.keyids}
    return found


def _signed(state: RepositoryState, name: str) -> dict[str, Any]:
    """What an earlier file states, which was verified when it was published; nothing where it is gone."""
    stored = state.workspace.store.get(name, max_bytes=DEFAULT_LIMITS.targets_bytes)
    if stored is None:
        return {}
    return dict(json.loads(stored.data)["signed"])


@contextmanager
def _publishing_root(candidate: Candidate) -> Iterator[None]:
    """Publish a Root while no other process cancels or prepares one: it may have done so since this one looked first."""
    if not candidate.changes_root:
        yield
        return
    with PreparedRoot(candidate.state.workspace.path).alone():
        _check_prepared(candidate)
        yield


def _check_prepared(candidate: Candidate) -> None:
    """Check that the next Root is not another one than is being signed elsewhere. Raises: as ``PreparedRoot.check``."""
    newest = candidate.state.newest
    if newest is not None and candidate.changes_root:
        PreparedRoot(candidate.state.workspace.path).check(newest.root.signed.version, candidate.given_root)
