"""Taking over a repository for aktualizr that another tool made, so that deployed devices accept what comes next.

    1. read and verify all of it, find the keys, and check that we can express what it states: nothing has been written yet
    2. make the directory; keep the keys, and make Root keys for the tuf chain, which shares none; store the images
    3. publication N, the number of its Timestamp: its own files byte for byte in the profile, and the same content with the
       same versions as ``tuf`` files
    4. publication N+1: everything signed again, one version higher, in both forms

The fourth is an ordinary publication: the engine judges it as a device would that has the old files stored, and as a new
device would that begins with Root 1. Cut off anywhere, repeating it finishes it.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from tuf.api.metadata import MetaFile, Snapshot, Timestamp

from twinlock.io.files.durable import locked
from twinlock.repository.aktualizr.names import check_names_agree, new_names
from twinlock.repository.aktualizr.writer import keep_anchor
from twinlock.repository.authoring.next_publication import NextPublication, meta_file
from twinlock.repository.importing.keys import read_foreign_keys
from twinlock.repository.importing.plan import Takeover, TakeoverPlan
from twinlock.repository.importing.reader import ForeignRepository, read_foreign
from twinlock.repository.importing.which import check_old_image_repository
from twinlock.repository.keys.keyring import Passphrase
from twinlock.repository.model.import_findings import (
    ImportFindings,
)
from twinlock.repository.model.views import TakeoverView
from twinlock.repository.publishing.preflight import verify_candidate
from twinlock.repository.publishing.publish import commit
from twinlock.repository.signing.sign import SPEC_VERSION, S, SigningAuthority, renew, root_authority, sign_file
from twinlock.repository.store.image_files import Progress
from twinlock.repository.store.object_names import TIMESTAMP_OBJECT, aktualizr_object, metadata_object, root_object
from twinlock.repository.store.publication_log import LogRecord, publish_record, timestamp_version
from twinlock.repository.workspace.profiles import WIRES, PublishedProfiles
from twinlock.repository.workspace.state import read_begun, read_state
from twinlock.repository.workspace.validity import Clock, Periods
from twinlock.repository.workspace.workspace import Workspace, check_place, create_workspace, open_workspace
from twinlock.trust.errors.base import UsageError
from twinlock.trust.names import ROOT, SNAPSHOT, TIMESTAMP

if TYPE_CHECKING:
    pass

_SUFFIX = ".json"


def take_over(
    path: Path,
    wanted: Takeover,
    *,
    passphrase: Passphrase,
    periods: Periods,
    clock: Clock,
    progress: Progress = lambda _: None,
    tell: Callable[[ImportFindings], None] = lambda _findings: None,
) -> tuple[Workspace, TakeoverView]:
    """Make a repository in ``path`` that continues another one. Safe to repeat after a crash.

    Images that cannot be taken over are left out, each with its reason. They are reported with what will not
    work later, before anything is written.

    Raises: UsageError for a directory that is in use, a delegated role without its keys, and a source that is none;
    WrongRepositoryError for a Director's files; MissingKeysError; ProfileError and RefusalError for what the source states; StorageError.
    """
    foreign = _read_source(wanted)
    wires = _wires_of(foreign)
    _check_place(path, wires, clock)  # before every image is read for nothing
    plan = TakeoverPlan(foreign, wanted, read_foreign_keys(Path(wanted.keys), wanted.passphrase), progress)
    tell(plan.findings(clock()))
    workspace = create_workspace(path, passphrase=passphrase, periods=periods, clock=clock, wires=wires)
    with locked(path / ".init.lock"):
        _check_unused(workspace, wires)
        plan.keep_keys(workspace)
        plan.replace_root_keys(workspace)
        plan.keep_images(workspace)
        if read_begun(workspace).newest is None:
            _publish_as_found(workspace, plan)
        _publish_next(workspace, foreign)
    return workspace, plan.view(workspace)


def foresee(
    wanted: Takeover, *, now: datetime, into: Path | None = None, progress: Progress = lambda _: None
) -> ImportFindings:
    """What ``take_over`` would do; nothing is written.

    Raises: as ``take_over`` for what the source and keys state, and for the directory ``into``.
    """
    foreign = _read_source(wanted)
    if into is not None:
        _check_place(into, _wires_of(foreign), lambda: now)
    return TakeoverPlan(foreign, wanted, read_foreign_keys(Path(wanted.keys), wanted.passphrase), progress).findings(
        now
    )


def _read_source(wanted: Takeover) -> ForeignRepository:
    check_old_image_repository(Path(wanted.source))
    return read_foreign(Path(wanted.source), without=wanted.without)


def _wires_of(foreign: ForeignRepository) -> PublishedProfiles:
    return PublishedProfiles(
        names=WIRES,
        first_root=foreign.trusted.root.signed.version,
        first_timestamp=foreign.timestamp.signed.version,
        taken_over=foreign.fingerprint,
    )


def _check_place(path: Path, wires: PublishedProfiles, clock: Clock) -> None:
    """Check that the import can be made in ``path``, or finished. Raises: UsageError."""
    check_place(path)
    if (path / "config.json").exists():
        _check_unused(open_workspace(path, passphrase=None, clock=clock), wires)


def _check_unused(workspace: Workspace, wires: PublishedProfiles) -> None:
    """The directory is new, or an import of this very source was cut off in it. Raises: UsageError."""
    if workspace.read_wires() != wires or timestamp_version(workspace.store) not in (0, wires.first_timestamp):
        reason = (
            f"{workspace.path} is in use: import into a new directory, or repeat with the source that was begun with"
        )
        raise UsageError(reason=reason)


def _publish_as_found(workspace: Workspace, plan: TakeoverPlan) -> None:
    """Publication N: what there is, with the versions that it has. Raises: RefusalError, StorageError."""
    now = workspace.now()
    tuf = _tuf_files(workspace, plan, now)
    first_root = tuf[root_object(plan.root.version)]
    version = plan.foreign.timestamp.signed.version
    # Its own files come first, and Timestamp last, as in any publication.
    record = LogRecord(version, None, {**_own_files(workspace, plan.foreign, plan), **tuf})
    verify_candidate(workspace.store, record, published=None, first_root=first_root, images=plan.listed, now=now)
    workspace.set_anchor(first_root)
    keep_anchor(workspace, plan.foreign.roots[-1])
    publish_record(workspace.store, record)


def _tuf_files(workspace: Workspace, plan: TakeoverPlan, now: datetime) -> dict[str, bytes]:
    """The same content with the same versions in the ``tuf`` form, Timestamp last."""
    periods, keyring, root = workspace.periods, workspace.keyring, plan.root
    snapshot = Snapshot(version=plan.foreign.snapshot.signed.version, spec_version=SPEC_VERSION, meta={})
    for role, listed in plan.foreign.snapshot.signed.targets.items():
        snapshot.meta[role + _SUFFIX] = MetaFile(listed.version)  # those of roles that are dropped have to stay, too
    timestamp = Timestamp(version=plan.foreign.timestamp.signed.version, spec_version=SPEC_VERSION)

    def signed_file(role: str, signed: S, authority: SigningAuthority) -> bytes:
        renew(signed, now, periods.of(role), version=signed.version)
        return sign_file(role, signed, [authority], keyring)

    renew(root, now, periods.root, version=root.version)
    theirs = plan.foreign.trusted.root.signed.expires
    if not _is_due(workspace, theirs):  # both Roots of that number are renewed at the same time
        root.expires = theirs
    files = {root_object(root.version): sign_file(ROOT, root, [root_authority(root, ROOT)], keyring)}
    for role, targets in plan.targets.items():
        data = signed_file(role, targets, plan.authority(role))
        files[metadata_object(role, targets.version)] = data
        snapshot.meta[role + _SUFFIX] = meta_file(targets.version, data)
    data = signed_file(SNAPSHOT, snapshot, root_authority(root, SNAPSHOT))
    files[metadata_object(SNAPSHOT, snapshot.version)] = data
    timestamp.snapshot_meta = meta_file(snapshot.version, data)
    files[TIMESTAMP_OBJECT] = signed_file(TIMESTAMP, timestamp, root_authority(root, TIMESTAMP))
    return files


def _own_files(workspace: Workspace, foreign: ForeignRepository, plan: TakeoverPlan) -> dict[str, bytes]:
    """The files of the repository that is taken over, as they were found, and what its file names stand for."""
    files: dict[str, bytes] = {}
    for path, image in plan.images().items():
        entry = {"length": image.measured.length, "hashes": image.measured.hashes}
        for name, data in new_names(workspace.store, {path: entry}, {}):
            check_names_agree(path, files.setdefault(name, data), data)
    files |= {aktualizr_object(ROOT, number): data for number, data in enumerate(foreign.roots, 1)}
    return files | {aktualizr_object(role, file.signed.version): file.data for role, file in foreign.files()}


def _publish_next(workspace: Workspace, foreign: ForeignRepository) -> None:
    """Publication N+1, unless an earlier attempt has made it: everything signed again, Root too if it is due."""
    state = read_state(workspace)
    if state.published.version != foreign.timestamp.signed.version:
        return
    candidate = NextPublication(state)
    for role, _ in state.published.walk():
        candidate.renew(role)
    if _is_due(workspace, foreign.trusted.root.signed.expires):
        candidate.renew(ROOT)
    commit(candidate)


def _is_due(workspace: Workspace, root_expires: datetime) -> bool:
    return root_expires - workspace.now() <= workspace.periods.margin(ROOT)
