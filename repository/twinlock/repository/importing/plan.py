"""What a take-over would do with what it found: which roles, images and keys it keeps, and what it leaves out.

Nothing is published here, see ``run.py``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from tuf.api.metadata import Key, Targets

from twinlock.repository.errors import MissingKeysError
from twinlock.repository.importing.images import FoundImage, ImageFinder
from twinlock.repository.importing.reader import ForeignRepository
from twinlock.repository.importing.to_tuf import check_expressible, own_keyid, root_of, target_of, targets_of
from twinlock.repository.keys.keyring import KeyPlan
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
from twinlock.repository.signing.named_keys import OWN_ROOT
from twinlock.repository.signing.sign import SigningAuthority, root_authority
from twinlock.repository.store.hosted import PUBLIC_HOSTS, OutsideHosts
from twinlock.repository.store.image_files import Progress, store_image
from twinlock.repository.store.treehub import keep_treehub
from twinlock.repository.workspace.state import read_state
from twinlock.repository.workspace.workspace import Workspace
from twinlock.trust.errors.base import UsageError
from twinlock.trust.errors.local import ProfileError
from twinlock.trust.keys.public_keys import PublicKey, load_key
from twinlock.trust.names import ROOT, TARGETS, TIMESTAMP, TOP_LEVEL, RoleName, TargetPath

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


class TakeoverPlan:
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
        check_expressible(self.root, self.targets)

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

    @property
    def listed(self) -> list[str]:
        """The names of all images that the new Targets list."""
        return [path for targets in self.targets.values() for path in targets.targets]

    def findings(self, now: datetime) -> ImportFindings:
        """What will be done, and what will not work later."""
        warnings = list(self.finder.warnings)
        for role in self.kept:
            customs, images = self.foreign.customs(role), self.foreign.roles[role][1].signed.images
            for path in self.found_images[role]:
                warnings += later_problems(role, path, images[path], customs[path], self.wanted.release_counter)
        return ImportFindings(
            roots=len(self.foreign.roots),
            images=len(self.listed),
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
            images=len(self.listed),
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
                check_expressible(None, {role: Targets(targets={path: own})})
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
