"""Bringing staged edits into a candidate: what they change, and which of them have to wait."""

from __future__ import annotations

import copy
from collections.abc import Mapping

from tuf.api.metadata import Metadata, TargetFile, Targets

from twinlock.repository.authoring.delegations import Json, Member, apply_delegations, read_staged
from twinlock.repository.authoring.next_publication import NextPublication
from twinlock.repository.workspace.current import CurrentPublication
from twinlock.repository.workspace.draft import Draft
from twinlock.trust.checks.formats import check_format
from twinlock.trust.errors.base import RefusalError
from twinlock.trust.keys.public_keys import load_key
from twinlock.trust.keys.signatures import RoleKeys, verify_signatures
from twinlock.trust.limits import DEFAULT_LIMITS
from twinlock.trust.model.targets import Targets as TrustedTargets
from twinlock.trust.names import IMAGE, KeyId, RoleName
from twinlock.trust.wire.profile import WireProfile
from twinlock.trust.wire.tuf.metadata import TUF


def apply_draft(candidate: NextPublication, draft: Draft) -> tuple[RoleName, ...]:
    """Bring the staged edits into ``candidate``; edits that are in effect already change nothing.

    Returns the delegations that have to wait because a role they name has no file yet.
    """
    for role, text in draft.accepted.items():
        if _is_news(candidate.published, role, text.encode()):
            candidate.accept(role, text.encode())
    waiting: list[RoleName] = []
    for role, edits in draft.roles.items():
        ready = {
            name: edit for name, edit in edits.delegations.items() if edit is None or _provide_files(candidate, edit)
        }
        waiting += [RoleName(name) for name in edits.delegations if name not in ready]
        current = candidate.view_targets(role) or Targets()
        if _changes(current, edits.images, ready):
            targets = candidate.edit_targets(role)
            apply_images(targets, edits.images)
            apply_delegations(targets, ready)
    return tuple(waiting)


def apply_images(targets: Targets, edits: Mapping[str, Json | None]) -> None:
    """Put staged entries into ``targets``, and take removed ones out."""
    for path, entry in edits.items():
        if entry is None:
            targets.targets.pop(path, None)
        else:
            targets.targets[path] = TargetFile.from_dict(copy.deepcopy(entry), path)


def listed_images(draft: Draft) -> tuple[str, ...]:
    """The paths of all images that the draft lists for the first time, accepted files included."""
    own = [path for edits in draft.roles.values() for path, entry in edits.images.items() if entry is not None]
    others = [path for text in draft.accepted.values() for path in _targets_of(text.encode()).targets]
    return tuple(dict.fromkeys([*own, *others]))


def _targets_of(data: bytes) -> Targets:
    return Metadata[Targets].from_bytes(data).signed


def _is_news(published: CurrentPublication | None, role: str, data: bytes) -> bool:
    listed = published.listed.get(RoleName(role)) if published else None
    return listed is None or listed.version < _targets_of(data).version


def _provide_files(candidate: NextPublication, edit: Json) -> bool:
    """Begin the files that roles of the delegation lack, as far as we hold their keys; returns whether each now has one.

    A delegation to a role without a readable file would end every search that comes across it, so it has to wait.
    """
    return all(_provide_file(candidate, member) for member in read_staged(edit).delegation.members)


def _provide_file(candidate: NextPublication, member: Member) -> bool:
    data = candidate.role_file(member.name)
    if data is not None and is_signed_by(data, member):
        return True
    if candidate.can_sign(member.authority):
        candidate.edit_targets(member.name)
        return True
    return False


def is_signed_by(data: bytes, member: Member) -> bool:
    """Whether a threshold of the member's keys signed this Targets file."""
    try:
        verify_delegated(data, member)
    except RefusalError:
        return False
    return True


def verify_delegated(data: bytes, member: Member, *, wire: WireProfile = TUF) -> TrustedTargets:
    """A delegated role's file, verified by the trust engine. Raises: ThresholdError, MalformedError, LimitError."""
    keys = {
        KeyId(keyid): load_key(keyid, keytype=key["keytype"], scheme=key["scheme"], public=key["keyval"]["public"])
        for keyid, key in member.keys.items()
    }
    envelope = wire.decode_targets(data, member.name, DEFAULT_LIMITS)
    signers = RoleKeys(tuple(keys), member.threshold, member.post_quantum)
    return verify_signatures(envelope, keys, signers, repository=IMAGE, role_name=member.name).signed


def check_readable(targets: TrustedTargets) -> None:
    """Have the engine read every entry, which a vehicle reads one by one when it wants it.

    Raises: MalformedError, LimitError, UnsafePathError, TargetFormatError.
    """
    for path in targets.images:
        check_format(targets.images[path])


def _changes(current: Targets, images: Mapping[str, Json | None], delegations: Mapping[str, Json | None]) -> bool:
    after = copy.deepcopy(current)
    apply_images(after, images)
    apply_delegations(after, delegations)
    return after != current
