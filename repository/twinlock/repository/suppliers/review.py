"""Taking over what a supplier signed: everything a vehicle would check, and what only we can, before it is staged.

Order of checks for each role, from the delegator down: it is delegated to; a threshold of the keys that each delegator
names signed, also where an outbox delegates to a role that exists; the version rises; it has not expired; every entry lies within the delegations that lead to it, is complete,
and may follow its predecessor; the bytes of every image are there and fit. Only then is anything kept.
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Iterator
from pathlib import Path

from tuf.api.metadata import Metadata, TargetFile, Targets

from twinlock.repository.authoring.apply_draft import check_readable, verify_delegated
from twinlock.repository.authoring.delegations import (
    AuthoredDelegation,
    Member,
    hash_bins,
    read_delegations,
)
from twinlock.repository.authoring.entries import check_entry_of_others, check_succession, entry_view
from twinlock.repository.authoring.next_publication import NextPublication
from twinlock.repository.authoring.rehearsal import Rehearsal
from twinlock.repository.authoring.servable_names import check_image_name, check_role_name
from twinlock.repository.authoring.staged_edits import preview_candidate
from twinlock.repository.authoring.written_form import check_written, parse_targets
from twinlock.repository.errors import (
    MissingRoleFileError,
    NotDelegatedError,
    RoleReservedError,
    RoleTakenError,
    UnacceptableEntryError,
    VersionJumpError,
)
from twinlock.repository.publishing.profiles import OTHER_PROFILES, profile_rules
from twinlock.repository.signing.clock import check_issued
from twinlock.repository.store.image_files import Progress
from twinlock.repository.store.object_names import aktualizr_object
from twinlock.repository.suppliers.delegators import all_delegations, allowed_hardware, members_of
from twinlock.repository.suppliers.outbox import (
    Outbox,
    RoleFiles,
    check_delegated,
    offered_roles,
    open_outbox,
    other_object,
    role_object,
)
from twinlock.repository.suppliers.outbox_images import MAX_IMAGE_BYTES, OutboxImages
from twinlock.repository.workspace.draft import Draft, check_draft_size, editing_draft, read_draft
from twinlock.repository.workspace.state import RepositoryState, read_for_change, read_state
from twinlock.repository.workspace.workspace import Workspace
from twinlock.trust.errors.base import UsageError
from twinlock.trust.errors.metadata import (
    EquivocationError,
    ExpiredError,
    LimitError,
    MalformedError,
    RollbackError,
    ThresholdError,
)
from twinlock.trust.model.targets import Targets as TrustedTargets
from twinlock.trust.names import IMAGE, TARGETS, RoleName

MAX_WAYS = 4096  # steps of the search for the delegations that lead to one role; honest suppliers need a handful
MAX_VERSION_JUMP = 1_000_000  # by how much one file may raise its version: more is a mistake, or meant to end the role


def accept_outbox(
    workspace: Workspace,
    path: Path,
    *,
    largest_image: int = MAX_IMAGE_BYTES,
    progress: Progress = lambda _: None,
) -> tuple[RoleName, ...]:
    """Check an outbox, store its images and stage its files; returns the roles that brought something new.

    No image is longer than ``largest_image`` bytes, nor all together than four times that. ``progress`` receives the bytes that are read,
    which takes long, so others may edit the draft and publish meanwhile.
    Raises: UsageError if a role in it is not delegated to; ThresholdError, RollbackError, EquivocationError,
    RoleTakenError, RoleReservedError, ExpiredError, FutureSignatureError, NotDelegatedError, UnacceptableEntryError, MissingRoleFileError, UnsafePathError;
    LimitError for more than can be staged at once;
    OutboxImageError for damaged bytes in the outbox, StoredImageError for damaged bytes here; StorageError;
    MalformedError also for what vehicles ignore and a publisher does not write (``check_written``);
    ProfileError where the repository publishes for aktualizr too and the file in that form is missing or differs, or
    delegates by a pattern that its clients read differently.
    """
    outbox = open_outbox(path)
    images = OutboxImages(outbox, workspace.store, largest=largest_image, progress=progress)
    while True:
        judged = copy.deepcopy(read_draft(workspace.draft_path))
        state = read_for_change(workspace)
        news, staged = _judge(state, judged, outbox, images)
        with editing_draft(workspace.draft_path) as draft:
            if draft == judged and _is_current(state):
                draft.accepted, draft.others = staged.accepted, staged.others
                return tuple(RoleName(role) for role in news)
        # What it was judged on has changed meanwhile. It is judged again; bytes that are kept are not read again.


def _judge(state: RepositoryState, draft: Draft, outbox: Outbox, images: OutboxImages) -> tuple[list[str], Draft]:
    """Judge an outbox and keep its images: the roles that bring something new, and the draft with them."""
    review = _Review(state, preview_candidate(state, draft), draft, outbox, images)
    news = review.judge()
    staged = copy.deepcopy(draft)
    staged.accepted.update({role: review.files[role].decode() for role in news})
    for role in news:
        staged.others.pop(role, None)
    staged.others.update({role: review.others[role].decode() for role in news if role in review.others})
    check_draft_size(staged, "this outbox")
    review.rehearse(staged, news)
    for role in news:
        images.keep(review.targets[role])
    return news, staged


def _is_current(state: RepositoryState) -> bool:
    """Whether nothing was published since ``state`` was read."""
    now = read_for_change(state.workspace).newest
    return (now and now.etag) == (state.newest and state.newest.etag)


def delisted(workspace: Workspace) -> dict[str, tuple[str, ...]]:
    """What the published file of each role lists and its accepted, unpublished one does not, by role."""
    state = read_state(workspace)
    published = NextPublication(state)
    removed = {}
    for role, file in state.draft.accepted.items():
        before = published.view_targets(role)
        after = Metadata[Targets].from_bytes(file.encode()).signed.targets
        gone = tuple(sorted(before.targets.keys() - after.keys())) if before else ()
        if gone:
            removed[role] = gone
    return removed


class _Review:
    """One outbox under examination. Nothing is stored before all of it has been judged."""

    def __init__(
        self,
        state: RepositoryState,
        candidate: NextPublication,
        draft: Draft,
        outbox: Outbox,
        images: OutboxImages,
    ) -> None:
        self.state = state
        self.store = state.workspace.store
        self.candidate = candidate
        self.published = NextPublication(state)
        """What vehicles may have; a file that is only staged gives way to any other that may follow that."""
        self.images = images
        self.outbox = outbox
        self.offered = frozenset(offered_roles(outbox))
        self.files: dict[str, bytes] = {}
        self.role_files = RoleFiles(outbox, role_object)
        self.other_files = RoleFiles(outbox, other_object)
        self.profiles = profile_rules(state.wires)
        self.others: dict[str, bytes] = {}
        self.known_others = draft.others
        self.delegations = all_delegations(candidate, draft)
        self.known = dict(self.delegations)
        self.targets: dict[str, Targets] = {}
        self.chains: dict[str, tuple[tuple[AuthoredDelegation, ...], ...]] = {}
        self.steps = 0

    def judge(self) -> list[str]:
        """Judge every file, delegators first; returns the roles that bring something new."""
        left, news = dict.fromkeys(sorted(self.offered)), []
        while ready := [role for role in left if self._delegators(role)]:
            failure = None
            for role in ready:
                try:
                    brings_news = self._judge_role(role)
                except ThresholdError as error:  # another file, judged after it, may delegate to that name too
                    failure = failure or error
                    continue
                del left[role]
                if brings_news:
                    news.append(role)
            if failure is not None and left.keys() >= set(ready):
                raise self._reserved(failure)
        check_delegated(left)
        return news

    def rehearse(self, draft: Draft, news: Collection[str]) -> None:
        """What is accepted can be published: vehicles would find each image of ``news`` once ``draft`` is published.

        Roles that have to agree may come one by one, so an image that only some of them list yet is not refused.
        Raises: UnacceptableEntryError, RefusalError.
        """
        rehearsal = Rehearsal(preview_candidate(self.state, draft))
        for role in news:
            joint = any(len(link.members) > 1 for chain in self._all_chains(role) for link in chain)
            for path in self.targets[role].targets:
                if rehearsal.find(path) is None and not joint:
                    reason = "no search of a vehicle gets there: a terminating delegation before it covers the name"
                    raise UnacceptableEntryError(role=role, target=path, reason=reason)

    def _file(self, role: str) -> bytes | None:
        """What the outbox holds of a role that is delegated to; read once. Raises: LimitError, UnsafePathError, StorageError."""
        if role in self.offered and role not in self.files:
            self.files[role] = self.role_files.take(role)
            if (other := self.other_files.read(role)) is not None:
                self.others[role] = other
        return self.files.get(role)

    def _judge_role(self, role: str) -> bool:
        data = self._file(role) or b""
        members = [member for _, member in self._delegators(role)]
        trusted = self._verified(role, data)
        check_written(f"the file of {role}", data)
        if trusted.expires <= self.candidate.now:
            raise ExpiredError(
                repository=IMAGE,
                role=role,
                version=trusted.version,
                expires=trusted.expires,
                now=self.candidate.now,
            )
        check_issued({f"the file of {role}": data}, self.candidate.now)
        if not self._is_news(role, data, trusted.version) and not self._brings_a_form(role, trusted.version):
            return False
        check_readable(trusted)
        targets = parse_targets(f"the file of {role}", data)
        self._judge_form(role, data, members)
        self._judge_entries(role, targets)
        self.targets[role] = targets
        self.delegations[role] = read_delegations(targets)
        self._judge_children(role)
        return True

    def _verified(self, role: str, data: bytes) -> TrustedTargets:
        """The file of ``role``, verified under every delegator, or searches break. Raises: ThresholdError, RoleTakenError."""
        found, refused = [], {}
        for delegator, member in self._delegators(role):
            try:
                found.append(verify_delegated(data, member))
            except ThresholdError as error:
                refused[delegator] = error
        if refused and found:
            raise self._taken(role, next(iter(refused)))
        for failure in refused.values():
            raise failure
        return found[0]

    def _reserved(self, failure: ThresholdError) -> ThresholdError | RoleReservedError:
        """``failure``, or the refusal of a role's first file: of one that has none here no keys can have been rotated."""
        owners = tuple(dict.fromkeys(name for name, _ in self._delegators(failure.role)))
        by_others = failure.unknown and not failure.signed and not failure.invalid
        if not by_others or not owners or self.candidate.role_file(failure.role) is not None:
            return failure
        return RoleReservedError(role=failure.role, owners=owners)

    def _is_news(self, role: str, data: bytes, version: int) -> bool:
        before = self.published.view_targets(role)
        known = before.version if before else 0
        self._check_jump(role, version, known)
        if version < known:
            raise RollbackError(repository=IMAGE, role=role, offered=version, trusted=known)
        if version == known and data != self.published.role_file(role):
            raise EquivocationError(repository=IMAGE, role=role, version=version)
        return data != self.candidate.role_file(role)

    def _check_jump(self, role: str, version: int, known: int) -> None:
        """A version from which no higher one is left would end the role. Raises: VersionJumpError."""
        if version - known > MAX_VERSION_JUMP:
            raise VersionJumpError(role=role, offered=version, known=known, limit=MAX_VERSION_JUMP)

    def _brings_a_form(self, role: str, version: int) -> bool:
        """Whether the file is known, and its form for aktualizr is not."""
        known = self.known_others.get(role) or self.store.stat(aktualizr_object(role, version))
        return role in self.others and known is None

    def _judge_form(self, role: str, data: bytes, members: list[Member]) -> None:
        other = self.others.get(role)
        for profile in OTHER_PROFILES:
            # Such a file is kept for the day on which the profile begins, so it is judged now.
            if other is not None:
                profile.check_file(role, data, other, members)
            elif profile in self.profiles:
                raise profile.missing_file(role)

    def _judge_entries(self, role: str, targets: Targets) -> None:
        current = self.published.view_targets(role)
        previous = current.targets if current else {}
        changed = {path: entry for path, entry in targets.targets.items() if previous.get(path) != entry}
        beyond: list[NotDelegatedError] = []
        for path, entry in changed.items():
            try:
                if path not in previous:
                    check_image_name(path)
                check_entry_of_others(path, entry)
                check_succession(path, entry, previous.get(path), replace=path in previous)
            except UsageError as error:
                raise UnacceptableEntryError(role=role, target=path, reason=str(error)) from None
            beyond += self._beyond_scope(role, path, entry)
            self.images.check_length(role, path, entry)
        if beyond:
            raise NotDelegatedError.of(beyond)
        for path, entry in changed.items():
            for profile in self.profiles:
                profile.check_entry(self.store, path, entry, previous.get(path))
            self.images.judge(role, path, entry)

    def _beyond_scope(self, role: str, path: str, entry: TargetFile) -> Iterator[NotDelegatedError]:
        """Nothing if every delegation on at least one way down to ``role`` covers the name and all the hardware."""
        chains = self._all_chains(role)
        named = [chain for chain in chains if all(link.covers(path) for link in chain)]
        if not named:
            # Of each way the delegation that leaves the name out: that may be one further up.
            narrow = [next(link for link in chain if not link.covers(path)) for chain in chains]
            allowed = tuple(sorted({pattern for link in narrow for pattern in link.paths}))
            yield NotDelegatedError(role=role, target=path, field="name", value=path, allowed=allowed)
            return
        hardware = set(entry_view(role, entry).hardware_ids)
        allowed_sets = [allowed_hardware(chain) for chain in named]
        if not any(allowed is None or hardware <= allowed for allowed in allowed_sets):
            allowed = tuple(sorted(set().union(*(limit for limit in allowed_sets if limit))))
            beyond = ", ".join(sorted(hardware - set(allowed)))
            yield NotDelegatedError(role=role, target=path, field="hardware", value=beyond, allowed=allowed)

    def _judge_children(self, role: str) -> None:
        """Each role that ``role`` delegates to has a file, here or in the outbox, that the keys named for it signed.

        A new delegation is one that clients of every profile read alike.
        """
        for delegation in self.delegations[role]:
            for profile in self.profiles if delegation not in self.known.get(role, ()) else ():
                profile.check_delegation(role, delegation)
        named = (member for delegation in self.delegations[role] for member in delegation.members)
        for member in (*named, *hash_bins(role, self.targets[role])):
            self._check_role_name(role, member.name)
            data = self._file(member.name) or self.candidate.role_file(member.name)
            if data is None:
                raise MissingRoleFileError(repository=IMAGE, role=member.name, delegator=role)
            try:
                verify_delegated(data, member)
            except ThresholdError:
                if self._is_alone(role, member.name):
                    raise
                raise self._taken(member.name, role) from None

    def _check_role_name(self, delegator: str, role: str) -> None:
        """A name that is published for the first time is one that every client can fetch. Raises: MalformedError."""
        if self.published.role_file(role) is not None:
            return
        try:
            check_role_name(role)
        except UsageError as error:
            raise MalformedError(
                what=f"the file of {delegator}", json_path="$.signed.delegations", reason=str(error)
            ) from None

    def _is_alone(self, delegator: str, role: str) -> bool:
        """Whether ``role`` comes with the outbox, and no other role delegates to it."""
        return role in self.offered and {name for name, _ in self._delegators(role)} == {delegator}

    def _taken(self, role: str, refused: str) -> RoleTakenError:
        """The refusal of keys for ``role`` that did not sign its file: of those who delegate since this outbox, if any do."""
        delegators = dict.fromkeys(name for name, _ in self._delegators(role))
        before = {name for name, _ in members_of(self.known, role)}
        delegator = next((name for name in delegators if name not in before), refused)
        return RoleTakenError(
            delegator=delegator, role=role, owners=tuple(name for name in delegators if name != delegator)
        )

    def _delegators(self, role: str) -> list[tuple[str, Member]]:
        """Who delegates to ``role``, and how."""
        return list(members_of(self.delegations, role))

    def _all_chains(self, role: str) -> tuple[tuple[AuthoredDelegation, ...], ...]:
        """Every way from our Targets down to ``role``, found once. Raises: LimitError for a maze of delegations."""
        if role not in self.chains:
            self.steps = 0
            self.chains[role] = tuple(self._chains(role, frozenset()))
        return self.chains[role]

    def _chains(self, role: str, below: frozenset[str]) -> Iterator[tuple[AuthoredDelegation, ...]]:
        """Every way from our Targets down to ``role``, as the delegations on it; cycles are left out."""
        self.steps += 1
        if self.steps > MAX_WAYS:
            raise LimitError(what=f"the ways by which delegations lead to {role}", value=self.steps, limit=MAX_WAYS)
        if role == TARGETS:
            yield ()
            return
        for delegator, entries in self.delegations.items():
            if delegator in below:
                continue
            for delegation in entries:
                if any(member.name == role for member in delegation.members):
                    for chain in self._chains(delegator, below | {role}):
                        yield (*chain, delegation)
