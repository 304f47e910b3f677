"""What a repository for aktualizr states, as the ``tuf`` form of the same: the way back, once, when one is taken over.

Root keeps the key ids that it has, since those roles keep them in both chains. Keys of delegated roles get the ids that they have
here. Images get what their ``custom`` lacks: the section on which both repositories have to agree.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from tuf.api.metadata import Key, Role, Root, TargetFile, Targets

from twinlock.repository.authoring.delegations import AuthoredDelegation, Member, write_delegations
from twinlock.repository.authoring.entries import HOSTED_AT
from twinlock.repository.importing.images import FoundImage
from twinlock.repository.keys.public_keys import checked_key
from twinlock.repository.signing.sign import SPEC_VERSION
from twinlock.trust.errors.base import UsageError
from twinlock.trust.keys.public_keys import PublicKey
from twinlock.trust.model.delegations import Delegation
from twinlock.trust.model.root import Root as TrustedRoot
from twinlock.trust.model.target_format import OSTREE, target_format
from twinlock.trust.model.targets import ImageEntry
from twinlock.trust.model.targets import Targets as TrustedTargets
from twinlock.trust.names import TOP_LEVEL, KeyId, RoleName, TargetPath
from twinlock.trust.wire.aktualizr.encode import translate_root, translate_targets
from twinlock.trust.wire.aktualizr.patterns import spread

# Members of ``custom`` that this form writes elsewhere, or whose place means something else here.
_REPLACED = ("hardwareIds", "targetFormat", "uri", "releaseCounter", "mustAgree")


def root_of(foreign: TrustedRoot) -> Root:
    """The same keys, key ids and thresholds. The Root keys are replaced before anything is signed by it."""
    keys = {str(keyid): Key.from_dict(keyid, key.as_json()) for keyid, key in foreign.keys.items()}
    roles = {str(role): Role(list(foreign.roles[role].keyids), foreign.roles[role].threshold) for role in TOP_LEVEL}
    return Root(version=foreign.version, spec_version=SPEC_VERSION, keys=keys, roles=roles)


def check_expressible(root: Root | None, targets: Mapping[RoleName, Targets]) -> None:
    """Check that what we made of theirs can be written in their form again, as every later publication is. Raises: ProfileError."""
    if root is not None:
        translate_root(root.to_dict())
    for role, signed in targets.items():
        translate_targets(role, signed.to_dict())


def targets_of(
    foreign: TrustedTargets,
    *,
    images: Mapping[TargetPath, FoundImage],
    customs: Mapping[str, Mapping[str, Any]],
    release_counter: int,
    without: frozenset[str],
) -> Targets:
    """The same images and delegations, those to the roles in ``without`` excepted.

    Raises: UsageError for a delegation that this form cannot express.
    """
    targets = Targets(version=foreign.version, spec_version=SPEC_VERSION)
    for path, entry in foreign.images.items():
        if path in images:  # the others cannot be taken over
            targets.targets[path] = target_of(path, entry, images[path], customs[path], release_counter)
    if foreign.delegations is not None:
        write_delegations(targets, _delegations(foreign.delegations.entries, foreign.delegations.keys, without))
    return targets


def target_of(
    path: TargetPath, entry: ImageEntry, image: FoundImage, custom: Mapping[str, Any], release_counter: int
) -> TargetFile:
    """One image as we list it."""
    own = _custom(entry, image, custom, release_counter)
    return TargetFile(entry.length, dict(image.measured.hashes), path, {"custom": own})


def own_keyid(key: PublicKey) -> KeyId:
    """The id that a delegated key has here."""
    return KeyId(checked_key(key.as_json())[0])


def _custom(entry: ImageEntry, image: FoundImage, custom: Mapping[str, Any], release_counter: int) -> dict[str, Any]:
    kept = {name: value for name, value in custom.items() if name not in _REPLACED}
    if target_format(entry) == OSTREE:
        kept["targetFormat"] = OSTREE
    if image.uri is not None:
        kept["downloadUrl" if image.here else HOSTED_AT] = image.uri
    agreed = {
        "hardwareIds": sorted(entry.hardware_ids or ()),
        "releaseCounter": release_counter if entry.release_counter is None else entry.release_counter,
    }
    return {**kept, "mustAgree": {**(entry.must_agree or {}), **agreed}}


def _delegations(
    entries: Iterable[Delegation], keys: Mapping[KeyId, PublicKey], without: frozenset[str]
) -> Iterable[AuthoredDelegation]:
    for entry in entries:
        role = entry.roles[0]
        if role.name in without:
            continue
        known = dict(checked_key(keys[keyid].as_json()) for keyid in role.signers.keyids if keyid in keys)
        yield AuthoredDelegation(
            members=(Member(name=role.name, keys=known, threshold=role.signers.threshold),),
            paths=tuple(_paths(role.name, entry.paths or ())),
            hardware_ids=None if entry.hardware_ids is None else tuple(sorted(entry.hardware_ids)),
            terminating=entry.terminating,
        )


def _paths(role: str, patterns: Iterable[str]) -> Iterable[str]:
    """What the patterns fit under the old repository's rule, in which ``*`` fits a slash too, as patterns of ours."""
    wider_patterns: dict[str, None] = {}
    for pattern in patterns:
        wider = spread(pattern)
        if wider is None:
            reason = (
                f"the delegation to {role} has the pattern {pattern!r}, which fits names under the old repository's rule "
                "(fnmatch: * and ? fit a slash, and ? one byte) that patterns of TUF's rule cannot list; delegate by a folder there, or go on "
                f"without that role: --drop-delegation {role}"
            )
            raise UsageError(reason=reason)
        wider_patterns |= dict.fromkeys(wider)
    return wider_patterns
