"""The Image repository as one object: what the command, the demo and tests use.

from twinlock.repository.image_repository import ImageRepository

repository = ImageRepository.create("image-repo")              # keys, first Root, Targets, Snapshot, Timestamp
repository.add_image(
    "build/brake.bin", "brake/brake-2.0.bin",
    hardware_ids=["hw-7"], release_counter=3,
    component=Component(name="brake", version="2.0", dependencies={"gateway": ">=1.4"}),
)                                                              # staged; the bytes are already in the store
repository.publish()                                           # signed, verified by the trust engine, published
anchor = repository.root_bytes()                               # what a vehicle is built with
app = image_application(repository.store)                      # twinlock.repository.serving.app

repository = ImageRepository.open("image-repo")                # later
repository.delegate("acme", keys=["acme.pub.json"], paths=["acme/*"], hardware_ids=["hw-9"])
repository.accept("from-acme/outbox")                          # acme's signed file and images, fully checked
repository.publish()
repository.rotate("timestamp")
repository.refresh()
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Self

from twinlock.io.files.new_directory import new_directory
from twinlock.repository.authoring.delegations import AuthoredDelegation, Member
from twinlock.repository.authoring.entries import Component, describe
from twinlock.repository.authoring.image_requests import ImageRequest
from twinlock.repository.authoring.image_sources import CommitSource, FileSource, HostedSource
from twinlock.repository.authoring.staged_edits import (
    delegations_covering,
    stage_delegation,
    unstage_delegation,
    unstage_image,
)
from twinlock.repository.authoring.staged_images import ImageResult, StagingPlace, own_images, stage_image, stage_images
from twinlock.repository.importing.plan import Takeover
from twinlock.repository.importing.run import take_over
from twinlock.repository.keys.keyring import KeyPlan, Keyring, Passphrase
from twinlock.repository.keys.public_keys import read_key_files
from twinlock.repository.model.import_findings import ImportFindings
from twinlock.repository.model.views import ImageView, PublishResult, RepositoryView, RootView, StatusView, TakeoverView
from twinlock.repository.publishing.aktualizr_profile import hand_over, publish_for_aktualizr
from twinlock.repository.publishing.clock_recovery import ClockRecovery, recover_clock
from twinlock.repository.publishing.create import check_creation, create_first
from twinlock.repository.publishing.inspection import show_repository, show_status
from twinlock.repository.publishing.profiles import expand_patterns, profile_rules
from twinlock.repository.publishing.publish import publish_draft
from twinlock.repository.publishing.refresh import refresh_due
from twinlock.repository.publishing.root_cancelling import CancelledRoot, cancel_root, keeping_signatures
from twinlock.repository.publishing.root_ceremony import RootChanges, prepare_root, publish_root
from twinlock.repository.publishing.rotation import current_plan, named_keys, rotate_roles
from twinlock.repository.signing.clock_record import set_time_source
from twinlock.repository.signing.named_keys import NamedKey
from twinlock.repository.signing.time_source import checked_source
from twinlock.repository.store.hosted import PUBLIC_HOSTS, OutsideHosts, check_uri
from twinlock.repository.store.image_files import Progress
from twinlock.repository.store.object_names import root_object
from twinlock.repository.store.ostree_commits import commit_id
from twinlock.repository.suppliers.outbox_images import MAX_IMAGE_BYTES
from twinlock.repository.suppliers.review import accept_outbox, delisted
from twinlock.repository.workspace.prepared_root import PreparedRoot
from twinlock.repository.workspace.state import open_repository, read_for_change, read_state
from twinlock.repository.workspace.validity import Clock, Periods, utc_now
from twinlock.repository.workspace.workspace import Workspace, checked_workspace, create_workspace
from twinlock.trust.errors.base import UsageError
from twinlock.trust.limits import DEFAULT_LIMITS

if TYPE_CHECKING:
    from twinlock.repository.store.interface import ObjectStore


class ImageRepository:
    """An Image repository in a directory, with the keys that are held there.

    Methods that change something stage it; ``publish`` publishes it. ``rotate`` and ``refresh`` publish by themselves.
    Every method may raise StorageError; those that sign PassphraseError, and UsageError when too few keys are held.
    """

    def __init__(self, workspace: Workspace) -> None:
        """Used by ``create`` and ``open``. Raises: UsageError for a path."""
        self.workspace: Workspace = checked_workspace(workspace)

    @classmethod
    def create(
        cls,
        path: str | Path,
        *,
        passphrase: Passphrase = None,
        keys: Mapping[str, KeyPlan] | None = None,
        periods: Periods | None = None,
        wires: Iterable[str] = (),
        clock: Clock = utc_now,
    ) -> Self:
        """Make a repository: keys for each role by plan (one ed25519 key where none is given), and publication 1.

        ``wires`` are wire profiles to publish in, in addition to ``tuf``: there is ``aktualizr``. A creation that was cut off is
        finished; one that is refused leaves nothing.
        Raises: UsageError if there is a repository already, ProfileError for keys that a profile has not.
        """
        path = Path(path)
        wanted = check_creation(path, keys or {}, wires)
        with new_directory(path, begun=lambda: any(path.glob("public/publications/*"))):
            workspace = create_workspace(
                path, passphrase=passphrase, periods=periods or Periods(), clock=clock, wires=wanted
            )
            create_first(workspace, keys or {}, wanted)
        return cls(workspace)

    @classmethod
    def open(
        cls,
        path: str | Path,
        *,
        passphrase: Passphrase = None,
        clock: Clock = utc_now,
        hosts: OutsideHosts = PUBLIC_HOSTS,
    ) -> Self:
        """Open a repository and verify what it publishes. ``hosts`` are where hosted images may be.

        This and every method that only shows something write nothing. The first method that changes something completes what
        a crash interrupted.
        Raises: UsageError if there is none, NewerStateError, StoreTamperedError.
        """
        return cls(open_repository(Path(path), passphrase=passphrase, clock=clock, hosts=hosts).workspace)

    @classmethod
    def take_over(
        cls,
        path: str | Path,
        wanted: Takeover,
        *,
        passphrase: Passphrase = None,
        periods: Periods | None = None,
        clock: Clock = utc_now,
        progress: Progress = lambda _: None,
        tell: Callable[[ImportFindings], None] = lambda _findings: None,
    ) -> tuple[Self, TakeoverView]:
        """Make a repository that continues one for aktualizr that another tool made; deployed devices follow.

        Safe to repeat after a crash. ``progress`` receives the count of every byte twice, read and stored. What is left
        out and what will not work later is reported before anything is written.
        Raises: UsageError, MissingKeysError, ProfileError, RefusalError, StorageError; then nothing was published.
        """
        workspace, view = take_over(
            Path(path),
            wanted,
            passphrase=passphrase,
            periods=periods or Periods(),
            clock=clock,
            progress=progress,
            tell=tell,
        )
        return cls(workspace), view

    @property
    def path(self) -> Path:
        """The directory."""
        return self.workspace.path

    @property
    def store(self) -> ObjectStore:
        """Where the published files are; what a server serves."""
        return self.workspace.store

    @property
    def keyring(self) -> Keyring:
        """The private keys that are held here."""
        return self.workspace.keyring

    def root_bytes(self, version: int | None = None) -> bytes:
        """A published Root file: the newest, or that ``version``. What a vehicle is built with.

        Raises: UsageError if there is no such version.
        """
        newest = read_state(self.workspace).published.trusted.root
        if version is None or version == newest.signed.version:
            return newest.data
        stored = self.store.get(root_object(version), max_bytes=DEFAULT_LIMITS.root_bytes)
        if stored is None:
            raise UsageError(reason=f"there is no version {version} of root")
        return stored.data

    def add_image(
        self,
        source: str | Path,
        path: str,
        *,
        hardware_ids: Iterable[str],
        release_counter: int,
        component: Component | None = None,
        replace: bool = False,
        progress: Progress = lambda _: None,
    ) -> ImageView:
        """Hash and store the file ``source`` and stage an entry that lists it as ``path``.

        Raises: UsageError (duplicate without ``replace``, a lower release counter, a version without a letter or digit, a
        bad specifier, no hardware id), UnsafePathError for names.
        """
        description = describe(path, hardware_ids, release_counter, component)
        return stage_image(self._images(), FileSource(Path(source)), description, replace=replace, progress=progress)

    def add_commit(
        self,
        commit: str,
        path: str,
        *,
        hardware_ids: Iterable[str],
        release_counter: int,
        repository: str | Path | None = None,
        component: Component | None = None,
        replace: bool = False,
    ) -> ImageView:
        """Stage an OSTree commit as ``path``, for vehicles whose client pulls it. Its objects stay where they are.

        ``repository`` is the OSTree repository in archive mode, needed the first time; ``whole_application`` serves it.
        Raises: UsageError and UnsafePathError as ``add_image``; OstreeCommitError where the commit is not in it.
        """
        description = describe(path, hardware_ids, release_counter, component, ostree=True)
        source = CommitSource(
            workspace=self.path,
            commit=commit_id(commit),
            repository=None if repository is None else Path(repository),
        )
        return stage_image(self._images(), source, description, replace=replace)

    def add_hosted(
        self,
        uri: str,
        path: str,
        *,
        hardware_ids: Iterable[str],
        release_counter: int,
        component: Component | None = None,
        replace: bool = False,
        progress: Progress = lambda _: None,
    ) -> ImageView:
        """Stage an image that another host serves at ``uri``, after reading it once. Its bytes are not kept.

        Raises: UsageError and UnsafePathError as ``add_image``; ImageUriError; EndlessDataError, TransportError.
        """
        check_uri(uri, self.workspace.hosts)
        description = describe(path, hardware_ids, release_counter, component, uri=uri)
        source = HostedSource(uri=uri, hosts=self.workspace.hosts)
        return stage_image(self._images(), source, description, replace=replace, progress=progress)

    def add_images(
        self,
        requests: Iterable[ImageRequest],
        *,
        replace: bool = False,
        progress: Progress = lambda _: None,
    ) -> tuple[ImageResult, ...]:
        """Stage many images in one step, all or none; the result of each. Raises: UsageError, StorageError."""
        return stage_images(self._images(), requests, replace=replace, progress=progress)

    def remove_image(self, path: str) -> None:
        """Stage the removal of an entry. The bytes stay for vehicles that still follow the old Targets."""
        unstage_image(self.workspace, path)

    def delegate(
        self,
        name: str,
        *,
        keys: Iterable[str | Path],
        paths: Iterable[str],
        threshold: int = 1,
        hardware_ids: Iterable[str] | None = None,
        terminating: bool = False,
        post_quantum: bool = False,
        before: str | None = None,
    ) -> tuple[str, ...]:
        """Stage a delegation to the role ``name``, signed with the public ``keys`` (files that a supplier gave).

        ``before`` puts it ahead of another delegation in priority; else it is the last. It is published together with
        the first file of that role (see ``accept``). Delegating again replaces keys and names; returns as ``stage_delegation``. Of ``paths``
        ``folder/**`` stands for everything below that folder, to eight segments. ``post_quantum`` demands an ML-DSA
        signature among the ``threshold``, which is two or more then.
        """
        delegation = AuthoredDelegation(
            members=(Member(name=name, keys=read_key_files(keys), threshold=threshold, post_quantum=post_quantum),),
            paths=expand_patterns(paths),
            hardware_ids=None if hardware_ids is None else tuple(hardware_ids),
            terminating=terminating,
        )
        return self.stage_delegation(delegation, before=before)

    def stage_delegation(self, delegation: AuthoredDelegation, *, before: str | None = None) -> tuple[str, ...]:
        """Stage one of any form, as for roles that have to agree (TAP 3). Returns the ids of its keys so far if it keeps none."""
        state = read_for_change(self.workspace)
        return stage_delegation(state, delegation, profile_rules(state.wires), before=before)

    def undelegate(self, name: str) -> None:
        """Stage the end of a delegation. Snapshot lists the name until Snapshot and Timestamp keys are rotated."""
        unstage_delegation(self.workspace, name)

    def delegations_covering(self, path: str) -> tuple[str, ...]:
        """The delegations that would be asked for ``path`` if we listed nothing under that name."""
        return tuple(delegations_covering(self.workspace, path))

    def accept(
        self, outbox: str | Path, *, largest_image: int = MAX_IMAGE_BYTES, progress: Progress = lambda _: None
    ) -> tuple[str, ...]:
        """Check what a supplier signed, store its images, and stage it; the names of the roles. The bounds: ``accept_outbox``.

        Raises: RefusalError of every kind, as a vehicle would; UsageError if a role in it is not delegated to.
        """
        return accept_outbox(self.workspace, Path(outbox), largest_image=largest_image, progress=progress)

    def delisted(self) -> dict[str, tuple[str, ...]]:
        """Images that publishing an accepted file would remove from a supplier's list, by role."""
        return delisted(self.workspace)

    def publish_for_aktualizr(self) -> PublishResult:
        """Publish everything, and what is staged, for aktualizr too, from now on. Raises: ProfileError, as ``publish``."""
        return publish_for_aktualizr(self.workspace)

    def hand_over(self, until: date | None = None) -> PublishResult:
        """Give the aktualizr Root chain, begun with our Root keys, keys of its own (``publishing.aktualizr_profile``)."""
        return hand_over(self.workspace, until)

    def publish(self) -> PublishResult:
        """Sign what is staged and publish it as one step, after the trust engine accepted it as a vehicle would.

        Raises: ConflictError if another process published meanwhile (nothing is mixed, what was staged stays staged),
        RefusalError if the trust engine refuses, MissingKeysError if keys are missing.
        """
        return publish_draft(self.workspace)

    def refresh(self, within: timedelta | None = None) -> PublishResult:
        """Sign again what expires within that time (default: each role's margin), as far as keys are held here.

        The names of roles that are due and whose keys are not here are in ``overdue``.
        """
        return refresh_due(self.workspace, within)

    def rotate(self, *roles: str, plan: KeyPlan | None = None) -> PublishResult:
        """Give each role new keys by ``plan`` (default: number, threshold and kind as now), and publish that."""
        return rotate_roles(self.workspace, roles, plan)

    def plan_of(self, role: str) -> KeyPlan:
        """Number, threshold and kind of the keys that a role has now. Raises: UsageError if there is no such role."""
        return current_plan(self.workspace, role)

    def prepare_root(self, target: str | Path, changes: RootChanges, *, for_aktualizr: bool = False) -> RootView:
        """Write the next Root to a file for others to sign (``root_signing.sign_root``).

        ``for_aktualizr``: publishing it begins to publish for aktualizr, or hands that Root chain over to its own keys.
        """
        return prepare_root(self.workspace, changes, Path(target), for_aktualizr=for_aktualizr)

    def publish_root(self, path: str | Path, *, until: date | None = None) -> PublishResult:
        """Publish a Root that others signed, with what has to be signed again because of it.

        ``until`` is for one that hands the aktualizr chain over (``hand_over``).
        """
        prepared = PreparedRoot(self.workspace.path)
        with keeping_signatures(prepared, Path(path), lambda: read_state(self.workspace).published.root.signed):
            return publish_root(self.workspace, Path(path), until=until)

    def cancel_root(self, path: str | Path) -> CancelledRoot:
        """End the ceremony of a prepared Root that lacks signatures. Raises: as ``root_cancelling.cancel_prepared``."""
        return cancel_root(self.workspace, Path(path))

    def named_keys(self) -> dict[str, NamedKey]:
        """The keys of all published roles, by id, those of the aktualizr Root chain included."""
        return named_keys(self.workspace)

    def recover_clock(self, *, actor: str = "operator") -> ClockRecovery:
        """Correct signatures that state a time of the future (``publishing.clock_recovery``); the clock is right now."""
        return recover_clock(self.workspace, actor=actor)

    def set_time_source(self, url: str | None, director_root: bytes = b"", *, ask: bool = False) -> None:
        """Compare the clock, before anything is signed, with what a Director attests at ``url``; None compares no more.

        ``ask``: it has to answer now, as that Root allows.
        Raises: UsageError for an address that is not http(s), or a Root that names no time source; RefusalError for a file
        that is not a Root; with ``ask`` TransportError, AttestationError.
        """
        source = None if url is None else checked_source(url, director_root)
        if source is not None and ask:
            source.ask()
        set_time_source(self.workspace, source)

    def status(self, within: timedelta | None = None, *, deep: bool = False) -> StatusView:
        """What is staged, waits for a supplier, expires soon, or is damaged. Parameters: see ``show_status``."""
        return show_status(self.workspace, within, deep=deep)

    def show(self) -> RepositoryView:
        """What is published now."""
        return show_repository(self.workspace)

    def _images(self) -> StagingPlace:
        state = read_for_change(self.workspace)
        return own_images(state, profile_rules(state.wires))
