"""A supplier's own place: own keys, own images, and an outbox that the Image repository's owner accepts.

    from twinlock.repository.suppliers.workspace import SupplierWorkspace

    place = SupplierWorkspace.create("acme", role="acme")          # keys; acme/acme.pub.json is what the owner is given
    place.add_image("build/lidar.bin", "acme/lidar-1.0.bin", hardware_ids=["hw-9"], release_counter=1)
    place.sign()                                               # acme/outbox: the signed file and the images

    repository.delegate("acme", keys=["acme/acme.pub.json"], paths=["acme/*"])     # the owner, elsewhere
    repository.accept("acme/outbox")
    repository.publish()

The private keys never leave the place; every signature raises the version. What was signed last is on record in the place
too (``signed/``), so that an outbox that was moved away is filled again and nothing is left out. A supplier may delegate further in the same
way, and passes on what its own suppliers signed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import nullcontext
from datetime import timedelta
from pathlib import Path
from typing import Self

from msgspec.structs import replace
from tuf.api.metadata import TargetFile, Targets

from twinlock.io.files.durable import create_file, locked, replace_file
from twinlock.io.files.new_directory import new_directory
from twinlock.io.files.records import record_bytes
from twinlock.repository.authoring.apply_draft import apply_images
from twinlock.repository.authoring.delegations import (
    AuthoredDelegation,
    Member,
    apply_delegations,
    delegation_views,
    read_delegations,
    staged_delegation,
)
from twinlock.repository.authoring.entries import Component, describe, entry_view
from twinlock.repository.authoring.image_requests import ImageRequest
from twinlock.repository.authoring.image_sources import FileSource
from twinlock.repository.authoring.servable_names import check_role_name
from twinlock.repository.authoring.staged_images import ImageResult, StagingPlace, stage_image, stage_images
from twinlock.repository.errors import StoredImageError
from twinlock.repository.keys.keyring import KeyPlan, KeyRecord, Keyring, Passphrase
from twinlock.repository.keys.new_keys import NewKeys, make_keys
from twinlock.repository.keys.private_keys import kind_of
from twinlock.repository.keys.public_keys import MAX_PUBLIC_KEYS_BYTES, authoring_keys, read_key_files
from twinlock.repository.model.views import ImageView, SupplierView
from twinlock.repository.publishing.create import ensure_keys
from twinlock.repository.publishing.profiles import expand_patterns, profile_rules
from twinlock.repository.signing.named_keys import NamedKey
from twinlock.repository.signing.sign import SPEC_VERSION, SigningAuthority, renew, sign_file
from twinlock.repository.store.directory import DirectoryStore
from twinlock.repository.store.image_files import Progress, find_fault
from twinlock.repository.store.object_names import image_objects
from twinlock.repository.suppliers.config import MAX_CONFIG_BYTES, SupplierConfig, read_config, wires_member
from twinlock.repository.suppliers.forwarding import forward_outbox, put_newest
from twinlock.repository.suppliers.outbox import open_outbox, other_object
from twinlock.repository.suppliers.signed_file import SignedFile
from twinlock.repository.workspace.draft import Draft, editing_draft, read_draft
from twinlock.repository.workspace.profiles import PublishedProfiles
from twinlock.repository.workspace.validity import Clock, utc_now
from twinlock.trust.errors.base import UsageError
from twinlock.trust.names import TOP_LEVEL, KeyId, RoleName, role_file, target_path


class SupplierWorkspace:
    """A supplier's directory. Methods stage; ``sign`` signs what is staged. Every method may raise StorageError."""

    def __init__(self, path: str | Path, config: SupplierConfig, keyring: Keyring, clock: Clock) -> None:
        self.path: Path = Path(path)
        self.role: RoleName = RoleName(config.role)
        self.threshold: int = config.threshold
        self.valid_for: timedelta = timedelta(seconds=config.validity)
        self.wires: PublishedProfiles = config.profiles
        self.keyring = keyring
        self.clock = clock
        self.outbox: DirectoryStore = DirectoryStore(self.path / "outbox")
        self._signed = SignedFile(self.path, self.outbox, self.role)

    @classmethod
    def create(
        cls,
        path: str | Path,
        *,
        role: str,
        plan: KeyPlan | None = None,
        passphrase: Passphrase = None,
        valid_for: timedelta = timedelta(days=365),
        wires: Iterable[str] = (),
        clock: Clock = utc_now,
    ) -> Self:
        """Make a place with keys for ``role``. Repeating a creation that was cut off finishes it.

        ``wires`` are wire profiles to sign in, in addition to ``tuf``: there is ``aktualizr``.
        Raises: UsageError if there is a place already, or for a role that cannot be delegated to; ProfileError for a
        name or keys that clients of a profile could not use.
        """
        plan = plan or KeyPlan()
        path = Path(path)
        wanted = check_creation(path, role, plan, wires)
        seconds = int(valid_for.total_seconds())
        config = SupplierConfig(role=role, threshold=plan.threshold, validity=seconds, wires=wires_member(wanted))
        with new_directory(path):
            create_file(path / "config.json", record_bytes(config), max_bytes=MAX_CONFIG_BYTES)
            place = cls.open(path, passphrase=passphrase, clock=clock)
            if place.role != role:
                raise UsageError(reason=f"{path} is already the workspace of {place.role}")
            place.keyring.clean_stale()
            ensure_keys(place.keyring, place.keyring, role, plan)
            place.write_public_keys()
        return place

    @classmethod
    def open(cls, path: str | Path, *, passphrase: Passphrase = None, clock: Clock = utc_now) -> Self:
        """Open a workspace. Raises: UsageError if the directory is not one, NewerStateError."""
        path = Path(path)
        return cls(
            path, read_config(path / "config.json"), Keyring(offline=path / "keys", passphrase=passphrase), clock
        )

    def sign_for_aktualizr(self) -> None:
        """Sign in the form for aktualizr too, from the next ``sign`` on. Raises: ProfileError, with what prevents it."""
        wires = self.wires.with_aktualizr(root_offset=0)
        for record in self.keyring.records(self.role):
            _check_usable(wires, self.role, KeyPlan(kind=kind_of(record.keytype, record.scheme)))
        for profile in profile_rules(wires):
            profile.check_targets(self.role, self._preview(read_draft(self._draft_path)))
        config = replace(read_config(self.path / "config.json"), wires=wires_member(wires))
        replace_file(self.path / "config.json", record_bytes(config), max_bytes=MAX_CONFIG_BYTES)
        self.wires = wires

    @property
    def public_key_file(self) -> Path:
        """The file with the public keys, for the delegator."""
        return self.path / f"{role_file(self.role)}.pub.json"

    def write_public_keys(self) -> Path:
        """Write the public keys that are held now, and return the file."""
        keys = [record.public_json() for record in self.keyring.records(self.role)]
        body = {"role": self.role, "threshold": self.threshold, "keys": keys}
        data = json.dumps(body, indent=2).encode() + b"\n"
        replace_file(self.public_key_file, data, max_bytes=MAX_PUBLIC_KEYS_BYTES)
        return self.public_key_file

    def named_keys(self) -> dict[str, NamedKey]:
        """The public keys that were given away, by id."""
        keys = authoring_keys(read_key_files([self.public_key_file]))
        return {keyid: NamedKey(self.role, key) for keyid, key in keys.items()}

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
        """Put the bytes of ``source`` into the outbox and stage an entry. Raises: as ``ImageRepository.add_image``."""
        description = describe(path, hardware_ids, release_counter, component)
        return stage_image(self._images, FileSource(Path(source)), description, replace=replace, progress=progress)

    def add_images(
        self, requests: Iterable[ImageRequest], *, replace: bool = False, progress: Progress = lambda _: None
    ) -> tuple[ImageResult, ...]:
        """Stage many images in one step, all or none; the result of each. Raises: UsageError, StorageError."""
        return stage_images(self._images, requests, replace=replace, progress=progress)

    def delegations_covering(self, path: str) -> tuple[str, ...]:
        """The delegations of this place that would be asked for ``path`` if it listed nothing under that name."""
        delegations = self._preview(read_draft(self._draft_path)).delegations
        return tuple(name for name, _ in delegations.get_roles_for_target(path)) if delegations else ()

    def remove_image(self, path: str) -> None:
        """Stage the removal of an entry. Raises: UsageError if there is none."""
        with editing_draft(self._draft_path) as draft:
            self.check_listed(path, draft)
            draft.of(self.role).images[path] = None

    def check_listed(self, path: str, draft: Draft | None = None) -> None:
        """See that there is an entry to remove, before anything is asked. Raises: as ``remove_image``."""
        if target_path(path) not in self._preview(draft or read_draft(self._draft_path)).targets:
            raise UsageError(reason=f"{path} is not listed")

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
        outbox: str | Path,
    ) -> None:
        """Stage a delegation to a supplier of one's own, and take what it signed (its ``outbox``) into this outbox.

        Raises: UsageError, ThresholdError, UnsafePathError, WeakKeyError.
        """
        check_role_name(name)
        delegation = AuthoredDelegation(
            members=(Member(name=name, keys=read_key_files(keys), threshold=threshold, post_quantum=post_quantum),),
            paths=expand_patterns(paths),
            hardware_ids=None if hardware_ids is None else tuple(hardware_ids),
            terminating=terminating,
        )
        if name not in self._delegated(read_draft(self._draft_path)):
            check_role_name(name)
        for profile in profile_rules(self.wires):
            profile.check_delegation(self.role, delegation)
        forward_outbox(open_outbox(Path(outbox)), self.outbox, delegation.members[0], wires=self.wires)
        with editing_draft(self._draft_path) as draft:
            draft.of(self.role).delegations[name] = staged_delegation(delegation)

    def undelegate(self, name: str) -> None:
        """Stage the end of a delegation. Raises: UsageError if there is none."""
        with editing_draft(self._draft_path) as draft:
            if name not in self._delegated(draft):
                raise UsageError(reason=f"{self.role} does not delegate to {name}")
            draft.of(self.role).delegations[name] = None

    def sign(self, *, above: int = 0) -> int:
        """Sign what is listed, staged edits included, under a new version, into the outbox; returns the version.

        The version is above every one signed here, and above ``above`` (for a place that lost its memory).
        Raises: MissingKeysError, PassphraseError, UsageError.
        """
        return self._sign(self.keyring.records(self.role), above=above)

    def _sign(self, records: Iterable[KeyRecord], *, above: int, keys: NewKeys | None = None) -> int:
        """Sign with the keys ``records``, which are written first where they are new (``keys``)."""
        with locked(self.path / ".sign.lock"):
            draft = read_draft(self._draft_path)
            targets = self._preview(draft)
            self._check_bytes(draft, targets)
            version = max(self._last_version(), above) + 1
            now = self.clock().replace(microsecond=0)
            renew(targets, now, self.valid_for, version=version)
            authority = SigningAuthority({record.keyid: record.authoring_key for record in records}, self.threshold)
            # First the form that refuses more; the other file is what counts as signed.
            files = {
                other_object(self.role): profile.sign_targets(self.role, targets, authority, self.keyring)
                for profile in profile_rules(self.wires)
            }
            signed = sign_file(self.role, targets, [authority], self.keyring)
            with keys.leaving() if keys else nullcontext():
                for name, data in files.items():
                    put_newest(self.outbox, name, data)
                self._signed.put(signed)
            with editing_draft(self._draft_path) as current:
                current.discharge(draft)
        return version

    def _check_bytes(self, draft: Draft, targets: Targets) -> None:
        """Check that listed images have their bytes, unless they were signed and moved away. Raises: StoredImageError."""
        staged = draft.of(self.role).images
        for path, entry in targets.targets.items():
            objects = image_objects(path, entry.length, entry.hashes)
            if path not in staged and all(self.outbox.stat(name) is None for name in objects):
                continue
            fault = find_fault(self.outbox, path, entry.length, entry.hashes, deep=True)
            if fault is not None:
                raise StoredImageError(reason=fault, target=path)

    def rotate(self) -> int:
        """Replace all keys by as many new ones of the same kinds, and sign what is listed with them; the new version.

        The old private keys are put aside. Until the delegator has delegated to the new keys and accepted the
        outbox, vehicles keep using what the old keys signed. Safe to repeat if it was cut off.
        Raises: MissingKeysError, PassphraseError, UsageError.
        """
        old = self.keyring.records(self.role)
        self.keyring.signers(record.keyid for record in old)  # a wrong passphrase shows before anything is made
        # The file of public keys states how many there are: a rotation that was cut off leaves two generations.
        given = read_key_files([self.public_key_file]).values()
        with self.keyring.new_keys() as new:
            records = make_keys(new, self.role, [kind_of(key["keytype"], key["scheme"]) for key in given])
            version = self._sign(records, above=0, keys=new)
        self.keyring.retire(record.keyid for record in old)
        self.write_public_keys()
        return version

    def show(self) -> SupplierView:
        """What is listed, staged edits included, and what was signed last."""
        draft = read_draft(self._draft_path)
        targets = self._preview(draft)
        signed = self._signed.newest()
        return SupplierView(
            role=self.role,
            version=signed.version if signed else 0,
            expires=signed.expires if signed else None,
            unsigned_changes=not draft.empty,
            threshold=self.threshold,
            keyids=tuple(KeyId(record.keyid) for record in self.keyring.records(self.role)),
            images=tuple(entry_view(self.role, entry) for entry in targets.targets.values()),
            delegations=tuple(
                view for entry in read_delegations(targets) for view in delegation_views(self.role, entry)
            ),
        )

    @property
    def _images(self) -> StagingPlace:
        return StagingPlace(
            role=self.role,
            store=self.outbox,
            draft_path=self._draft_path,
            listed=self._preview,
            check=self._check_name,
        )

    def _check_name(self, path: str, entry: TargetFile, _listed: TargetFile | None) -> None:
        """A name that was signed with other bytes does not come back. Raises: ProfileError."""
        signed = self._signed.newest()
        before = signed.targets.get(path) if signed else None
        if before is not None:
            for profile in profile_rules(self.wires):
                profile.check_signed_before(path, entry, before)

    @property
    def _draft_path(self) -> Path:
        return self.path / "draft.json"

    def _last_version(self) -> int:
        signed = self._signed.newest()
        return signed.version if signed else 0

    def _delegated(self, draft: Draft) -> set[str]:
        return {entry.name for entry in read_delegations(self._preview(draft))}

    def _preview(self, draft: Draft) -> Targets:
        targets = self._signed.newest() or Targets(spec_version=SPEC_VERSION)
        edits = draft.of(self.role)
        apply_images(targets, edits.images)
        apply_delegations(targets, edits.delegations)
        return targets


def check_creation(path: Path, role: str, plan: KeyPlan, wires: Iterable[str]) -> PublishedProfiles:
    """Check what is wanted of a new place, before anything is asked or made. Raises: as ``SupplierWorkspace.create``."""
    wanted = PublishedProfiles(names=tuple(dict.fromkeys(("tuf", *wires))))
    _check_usable(wanted, role, plan)
    if (path / f"{role_file(role)}.pub.json").exists():
        raise UsageError(reason=f"{path} is already a supplier's workspace")
    return wanted


def _check_usable(wires: PublishedProfiles, role: str, plan: KeyPlan) -> None:
    """A role that clients could not ask for, or keys that they could not read, are refused early. Raises: ProfileError."""
    if role_file(role) and role in TOP_LEVEL:
        raise UsageError(reason=f"{role} is a top-level role; it cannot be delegated to a supplier")
    check_role_name(role)
    for profile in profile_rules(wires):
        profile.check_plans({role: plan})
        profile.check_role(role)
