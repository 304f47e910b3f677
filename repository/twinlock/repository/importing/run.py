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

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from tuf.api.metadata import Key, MetaFile, Snapshot, Targets, Timestamp

from twinlock.io.files.durable import locked
from twinlock.repository.aktualizr.names import check_names_agree, new_names
from twinlock.repository.aktualizr.writer import keep_anchor
from twinlock.repository.authoring.next_publication import NextPublication, meta_file
from twinlock.repository.errors import MissingKeysError
from twinlock.repository.importing.images import FoundImage, ImageFinder
from twinlock.repository.importing.keys import read_foreign_keys
from twinlock.repository.importing.reader import ForeignRepository, read_foreign
from twinlock.repository.importing.to_tuf import own_keyid, root_of, target_of, targets_of
from twinlock.repository.importing.which import check_old_image_repository
from twinlock.repository.keys.keyring import KeyPlan, Passphrase
from twinlock.repository.keys.private_keys import Secret
from twinlock.repository.model.import_findings import (
    NOT_FOR_PROFILE,
    EntryFinding,
    ImportFindings,
    LeftOutError,
    later_problems,
)
from twinlock.repository.model.views import TakeoverView
from twinlock.repository.publishing.create import ensure_keys
from twinlock.repository.publishing.preflight import verify_candidate
from twinlock.repository.publishing.publish import commit
from twinlock.repository.signing.named_keys import OWN_ROOT
from twinlock.repository.signing.sign import SPEC_VERSION, S, SigningAuthority, renew, root_authority, sign_file
from twinlock.repository.store.hosted import PUBLIC_HOSTS, OutsideHosts
from twinlock.repository.store.image_files import Progress, store_image
from twinlock.repository.store.object_names import TIMESTAMP_OBJECT, aktualizr_object, metadata_object, root_object
from twinlock.repository.store.publication_log import LogRecord, publish_record, timestamp_version
from twinlock.repository.store.treehub import keep_treehub
from twinlock.repository.workspace.profiles import WIRES, PublishedProfiles
from twinlock.repository.workspace.state import read_begun, read_state
from twinlock.repository.workspace.validity import Clock, Periods
from twinlock.repository.workspace.workspace import Workspace, check_place, create_workspace, open_workspace
from twinlock.trust.errors.base import UsageError
from twinlock.trust.errors.local import ProfileError
from twinlock.trust.keys.public_keys import PublicKey, load_key
from twinlock.trust.names import ROOT, SNAPSHOT, TARGETS, TIMESTAMP, TOP_LEVEL, RoleName, TargetPath
from twinlock.trust.wire.aktualizr.encode import translate_root, translate_targets

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

_SUFFIX = ".json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Takeover:
    """What is to be taken over: the directory with the metadata, the one with the private keys.

    ``passphrase`` opens those of the old keys that are encrypted; it may differ from that of the new repository's keys.
    ``release_counter`` is for images that state none; delegations to the roles in ``without`` are dropped. ``treehub`` is the
    OSTree repository with the commits that are listed, if it is here; ``hosts`` are where images may be that are not in it.
    """

    source: str | Path
    keys: str | Path
    passphrase: Secret = None
    release_counter: int = 0
    without: frozenset[str] = frozenset()
    treehub: str | Path | None = None
    hosts: OutsideHosts = PUBLIC_HOSTS


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
    plan = _Plan(foreign, wanted, read_foreign_keys(Path(wanted.keys), wanted.passphrase), progress)
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
    return _Plan(foreign, wanted, read_foreign_keys(Path(wanted.keys), wanted.passphrase), progress).findings(now)


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


class _Plan:
    """Everything that will be written, found out and checked before anything is."""

    def __init__(
        self,
        foreign: ForeignRepository,
        wanted: Takeover,
        private: Mapping[bytes, PrivateKeyTypes],
        progress: Progress,
    ) -> None:
        self.foreign = foreign
        self.wanted = wanted
        self.progress = progress
        self.root = root_of(foreign.trusted.root.signed)
        self.kept = tuple(_kept(foreign, wanted.without))
        self.held = list(self._held(private))
        self.left_out: list[EntryFinding] = []
        self.treehub = None if wanted.treehub is None else Path(wanted.treehub)
        self.finder = ImageFinder(folder=foreign.folder, treehub=self.treehub, hosts=wanted.hosts, progress=progress)
        self.found_images = {role: dict(self._find(role)) for role in foreign.roles}
        self.finder.check_objects()
        self.targets = {role: self._targets(role) for role in self.kept}
        translate_root(self.root.to_dict())
        for role, targets in self.targets.items():
            translate_targets(role, targets.to_dict())

    def keep_keys(self, workspace: Workspace) -> None:
        """Put the private keys into the keyring."""
        for role, public, private in self.held:
            workspace.keyring.adopt(role, public, private)

    def replace_root_keys(self, workspace: Workspace) -> None:
        """Have our chain use new Root keys of its own, as many as the old one has, so that no Root of one fits into the other."""
        role = self.root.roles[ROOT]
        wanted = KeyPlan(count=len(role.keyids), threshold=role.threshold)
        records = ensure_keys(workspace.keyring, workspace.keyring, ROOT, wanted)
        for keyid in list(role.keyids):
            self.root.revoke_key(keyid, ROOT)
        for record in records:
            self.root.add_key(record.authoring_key, ROOT)

    def keep_images(self, workspace: Workspace) -> None:
        """Put the bytes of every image into the store, and keep where the commits are."""
        for path, image in self.images().items():
            if image.here:
                store_image(workspace.store, self.foreign.folder / path, path, image.measured)
                self.progress(image.measured.length)
        if self.treehub is not None:
            keep_treehub(workspace.path, self.treehub.absolute())

    def images(self) -> dict[TargetPath, FoundImage]:
        """Every image that is taken over."""
        return {path: image for images in self.found_images.values() for path, image in images.items()}

    def authority(self, role: str) -> SigningAuthority:
        """Who signs for a Targets role."""
        if role == TARGETS:
            return root_authority(self.root, TARGETS)
        authority, _ = self.foreign.roles[RoleName(role)]
        keys = [authority.keys[keyid] for keyid in authority.signers.keyids]
        own = {str(own_keyid(key)): Key.from_dict(own_keyid(key), key.as_json()) for key in keys}
        return SigningAuthority(own, authority.signers.threshold)

    def findings(self, now: datetime) -> ImportFindings:
        """What will be done, and what will not work later."""
        warnings = list(self.finder.warnings)
        for role in self.kept:
            customs, images = self.foreign.customs(role), self.foreign.roles[role][1].signed.images
            for path in self.found_images[role]:
                warnings += later_problems(role, path, images[path], customs[path], self.wanted.release_counter)
        return ImportFindings(
            roots=len(self.foreign.roots),
            images=len(_listed(self)),
            left_out=tuple(self.left_out),
            warnings=tuple(warnings),
            expired=self.foreign.expired(now),
            dropped=self.dropped,
        )

    @property
    def dropped(self) -> tuple[RoleName, ...]:
        """The delegated roles that are left behind."""
        unread = sorted(self.wanted.without - self.foreign.roles.keys())
        return (*(role for role in self.foreign.roles if role not in self.kept), *map(RoleName, unread))

    def view(self, workspace: Workspace) -> TakeoverView:
        """What was done."""
        findings = self.findings(workspace.now())
        published = read_state(workspace).published
        versions = {ROOT: published.root.signed.version, TIMESTAMP: published.version}
        versions |= {role: published.listed[role].version for role in self.kept}
        return TakeoverView(
            publication=published.version,
            roots=len(self.foreign.roots),
            versions={str(role): version for role, version in versions.items()},
            images=len(_listed(self)),
            release_counter=self.wanted.release_counter,
            expired=findings.expired,
            dropped=findings.dropped,
            left_out=findings.left_out,
            warnings=findings.warnings,
        )

    def _held(self, private: Mapping[bytes, PrivateKeyTypes]) -> Iterator[tuple[str, PublicKey, PrivateKeyTypes]]:
        """Every key that will sign, under the id that it will have. Raises: MissingKeysError, UsageError."""
        root = self.foreign.trusted.root.signed
        for role in TOP_LEVEL:
            keys = [root.keys[keyid] for keyid in root.roles[role].keyids]
            held = [key for key in keys if key.identity in private]
            if len(held) < root.roles[role].threshold:
                raise MissingKeysError(
                    role=role,
                    required=root.roles[role].threshold,
                    held=len(held),
                    keyids=tuple(root.roles[role].keyids),
                )
            for key in held:
                yield OWN_ROOT if role == ROOT else role, key, private[key.identity]
        for role in self.kept[1:]:
            authority, _ = self.foreign.roles[role]
            keys = [authority.keys[keyid] for keyid in authority.signers.keyids]
            held = [key for key in keys if key.identity in private]
            if len(held) < authority.signers.threshold:
                raise UsageError(
                    reason=f"{len(held)} of the keys of the delegated role {role} are in {self.wanted.keys}, and "
                    f"{authority.signers.threshold} have to sign; bring them, or go on without that role: "
                    f"--drop-delegation {role}"
                )
            for key in held:
                own = load_key(own_keyid(key), keytype=key.keytype, scheme=key.scheme, public=key.public)
                yield role, own, private[key.identity]

    def _find(self, role: RoleName) -> Iterator[tuple[TargetPath, FoundImage]]:
        """The images of a role that can be taken over; the others are noted."""
        customs = self.foreign.customs(role)
        for path, entry in self.foreign.roles[role][1].signed.images.items():
            try:
                image = self.finder.find(role, entry)
                own = target_of(path, entry, image, customs[path], self.wanted.release_counter)
                translate_targets(role, Targets(targets={path: own}).to_dict())
            except LeftOutError as error:
                self.left_out.append(EntryFinding(role=role, target=path, code=error.finding, reason=error.reason))
            except ProfileError as error:
                self.left_out.append(EntryFinding(role=role, target=path, code=NOT_FOR_PROFILE, reason=str(error)))
            else:
                yield path, image

    def _targets(self, role: RoleName) -> Targets:
        return targets_of(
            self.foreign.roles[role][1].signed,
            images=self.found_images[role],
            customs=self.foreign.customs(role),
            release_counter=self.wanted.release_counter,
            without=self.wanted.without,
        )


def _kept(foreign: ForeignRepository, without: frozenset[str]) -> Iterator[RoleName]:
    """The roles that can be reached without those that are dropped; ours first."""
    queue, seen = [TARGETS], set()
    while queue:
        role = queue.pop(0)
        if role in seen or role in without or role not in foreign.roles:
            continue
        seen.add(role)
        yield role
        delegations = foreign.roles[role][1].signed.delegations
        queue += [member.name for entry in delegations.entries for member in entry.roles] if delegations else []


def _publish_as_found(workspace: Workspace, plan: _Plan) -> None:
    """Publication N: what there is, with the versions that it has. Raises: RefusalError, StorageError."""
    now = workspace.now()
    tuf = _tuf_files(workspace, plan, now)
    first_root = tuf[root_object(plan.root.version)]
    version = plan.foreign.timestamp.signed.version
    # Its own files come first, and Timestamp last, as in any publication.
    record = LogRecord(version, None, {**_own_files(workspace, plan.foreign, plan), **tuf})
    verify_candidate(workspace.store, record, published=None, first_root=first_root, images=_listed(plan), now=now)
    workspace.set_anchor(first_root)
    keep_anchor(workspace, plan.foreign.roots[-1])
    publish_record(workspace.store, record)


def _listed(plan: _Plan) -> list[str]:
    return [path for targets in plan.targets.values() for path in targets.targets]


def _tuf_files(workspace: Workspace, plan: _Plan, now: datetime) -> dict[str, bytes]:
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


def _own_files(workspace: Workspace, foreign: ForeignRepository, plan: _Plan) -> dict[str, bytes]:
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
