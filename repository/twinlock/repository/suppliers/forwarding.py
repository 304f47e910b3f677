"""Passing on what a supplier's own supplier signed: all roles and images are judged before the first file is written."""

from __future__ import annotations

from collections.abc import Iterator

from twinlock.repository.authoring.apply_draft import check_readable, verify_delegated
from twinlock.repository.authoring.delegations import Member
from twinlock.repository.authoring.written_form import parse_targets
from twinlock.repository.publishing.profiles import OTHER_PROFILES, profile_rules
from twinlock.repository.store.directory import DirectoryStore
from twinlock.repository.store.image_files import FileDigest, check_stored, copy_image
from twinlock.repository.store.object_names import image_objects
from twinlock.repository.suppliers.outbox import Outbox, other_object, read_others, read_roles, role_object
from twinlock.repository.workspace.profiles import PublishedProfiles
from twinlock.trust.limits import DEFAULT_LIMITS
from twinlock.trust.names import target_path
from twinlock.trust.wire.tuf.metadata import TUF


def forward_outbox(theirs: Outbox, ours: DirectoryStore, member: Member, *, wires: PublishedProfiles) -> None:
    """Copy the role files in ``theirs`` and the images that they list into ``ours``.

    ``member`` is the role delegated to, whose keys have to have signed its file. A refusal leaves ``ours`` as it was.
    Raises: UsageError, ThresholdError, MalformedError, LimitError, UnsafePathError, ProfileError; StorageError, also for a
    listed image that neither place holds or that has other bytes.
    """
    roles = read_roles(theirs)
    others = read_others(theirs, roles)
    for role, data in roles.items():
        _judge_role(role, data, others.get(role), member, wires)
    images = [image for role, data in roles.items() for image in _listed_images(role, data)]
    for name, measured in images:
        check_stored(ours if theirs.stat(name) is None else theirs, name, measured)
    for name, measured in images:
        copy_image(theirs, ours, name, measured)
    for role, data in roles.items():
        if role in others:
            put_newest(ours, other_object(role), others[role])
        put_newest(ours, role_object(role), data)


def put_newest(outbox: DirectoryStore, name: str, data: bytes) -> None:
    """Put ``data`` in place of what the outbox holds under ``name``. Raises: ConflictError, StorageError."""
    before = outbox.stat(name)
    outbox.replace(name, data, expected=before.etag if before else None)


def _judge_role(role: str, data: bytes, other: bytes | None, member: Member, wires: PublishedProfiles) -> None:
    if other is None:
        for profile in profile_rules(wires):
            raise profile.missing_file(role)
    if role == member.name:
        verify_delegated(data, member)
        if other is not None:
            for profile in OTHER_PROFILES:
                profile.check_file(role, data, other, [member])


def _listed_images(role: str, data: bytes) -> Iterator[tuple[str, FileDigest]]:
    """The objects of each image that a role file lists, with what they have to hold. Raises: MalformedError, LimitError."""
    check_readable(TUF.decode_targets(data, f"the file of {role} in the outbox", DEFAULT_LIMITS).signed)
    for path, entry in parse_targets(role, data).targets.items():
        for name in image_objects(target_path(path), entry.length, entry.hashes):
            yield name, FileDigest(entry.length, dict(entry.hashes))
