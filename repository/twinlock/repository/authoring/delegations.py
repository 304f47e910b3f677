"""Delegations of a Targets file: what an author states, checked, and written in the form that fits.

A delegation names one role, or several that have to agree (TAP 3). A file whose delegations name one role each is
written as plain TUF; as soon as one names several, the whole file uses ``prioritized_delegations``. Hardware
restrictions and post-quantum demands stand in ``signed.custom``, which every TUF client keeps; a restriction inside a
delegation, as earlier versions wrote it, is read and moves there with the next edit.
Source: Uptane 2.1.0 5.2.3.2; TAP 3.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Set
from typing import Any

from msgspec.structs import replace
from tuf.api.metadata import DelegatedRole, Delegations, Targets

from twinlock.io.files.records import Record, record_bytes, to_record
from twinlock.repository.keys.demands import check_demand
from twinlock.repository.keys.public_keys import authoring_keys, checked_key
from twinlock.repository.model.views import DelegationView
from twinlock.repository.signing.sign import SigningAuthority
from twinlock.trust.errors.base import UsageError
from twinlock.trust.errors.metadata import LimitError, UnsafePathError
from twinlock.trust.limits import DEFAULT_LIMITS
from twinlock.trust.model.delegations import Delegation
from twinlock.trust.names import TOP_LEVEL, HardwareId, KeyId, RoleName, TargetPath, identifier, role_file, target_path
from twinlock.trust.wire.tuf.delegation_members import HARDWARE, POST_QUANTUM

Json = dict[str, Any]

_MULTI = "prioritized_delegations"
_HARDWARE_IDS = "hardwareIds"
_CUSTOM = "custom"
JOINT = "+"  # joins the names of roles that have to agree, where one name for the delegation is needed


class Member(Record, frozen=True, kw_only=True, rename="lower"):
    """One role of a delegation: its keys by id (as TUF 1.0.34 4.2 writes them) and how many of them must sign.

    ``post_quantum`` demands that one of these signatures is by an ML-DSA key. Raises: UsageError, UnsafePathError,
    UnusableKeyError.
    """

    name: str
    keys: Mapping[str, Json]
    threshold: int = 1
    post_quantum: bool = False

    def __post_init__(self) -> None:
        role_file(self.name)
        if self.name.lower() in TOP_LEVEL or JOINT in self.name:
            raise UsageError(reason=f"{self.name!r} cannot be the name of a delegated role")
        for keyid, key in self.keys.items():
            if checked_key(dict(key))[0] != keyid:
                raise UsageError(reason=f"{keyid} is not the id of the key that {self.name} gives for it")
        if not 1 <= self.threshold <= len(self.keys):
            held = "1 key" if len(self.keys) == 1 else f"{len(self.keys)} keys"
            raise UsageError(reason=f"{self.name}: a threshold of {self.threshold} cannot be met by {held}")
        if self.post_quantum:
            check_demand(self.name, (key["keytype"] for key in self.keys.values()), self.threshold)

    @property
    def authority(self) -> SigningAuthority:
        """Who signs for the role, as ``signing`` wants it."""
        keys = authoring_keys({keyid: dict(key) for keyid, key in self.keys.items()})
        return SigningAuthority(keys, self.threshold, self.post_quantum)


class AuthoredDelegation(Record, frozen=True, kw_only=True):
    """One delegation. ``hardware_ids`` None means any; ``agreement`` is how many members have to agree.

    Raises: UsageError, UnsafePathError, UnusableKeyError.
    """

    members: tuple[Member, ...]
    paths: tuple[str, ...] = ()
    path_hash_prefixes: tuple[str, ...] = ()
    hardware_ids: tuple[str, ...] | None = None
    terminating: bool = False
    agreement: int = 1

    def __post_init__(self) -> None:
        if bool(self.paths) == bool(self.path_hash_prefixes):
            raise UsageError(reason=f"{self.name} needs path patterns (or hash prefixes, not both)")
        for pattern in self.paths:
            check_pattern(pattern)
        if self.hardware_ids is not None and not self.hardware_ids:
            raise UsageError(
                reason=f"{self.name} has an empty list of hardware ids; omit the list to allow any hardware"
            )
        for hardware_id in self.hardware_ids or ():
            identifier(hardware_id)
        if not 1 <= self.agreement <= len(self.members):
            raise UsageError(reason=f"an agreement of {self.agreement} cannot be met by {len(self.members)} roles")
        if len({member.name for member in self.members}) != len(self.members):
            raise UsageError(reason=f"{self.name} names a role twice")

    @property
    def name(self) -> str:
        """The role's name, or the names of those that have to agree."""
        return JOINT.join(member.name for member in self.members)

    @property
    def keyids(self) -> tuple[str, ...]:
        """The ids of the keys of all its roles."""
        return tuple(dict.fromkeys(keyid for member in self.members for keyid in member.keys))

    def covers(self, path: str) -> bool:
        """Whether a vehicle would ask these roles for ``path``."""
        return self._trusted.covers(TargetPath(path), None)

    @property
    def _trusted(self) -> Delegation:
        return Delegation(
            roles=(),
            terminating=self.terminating,
            paths=self.paths or None,
            path_hash_prefixes=self.path_hash_prefixes or None,
        )


class StagedDelegation(Record, frozen=True, kw_only=True):
    """A delegation as a draft keeps it, and the name of the one that it comes before."""

    delegation: AuthoredDelegation
    before: str | None = None


def staged_delegation(delegation: AuthoredDelegation, *, before: str | None = None) -> Json:
    """The edit of a draft that makes ``delegation``, as plain JSON; a demand that is not made is left out."""
    edit: Json = json.loads(record_bytes(StagedDelegation(delegation=delegation, before=before)))
    for member in edit["delegation"]["members"]:
        if not member["post_quantum"]:
            del member["post_quantum"]
    return edit


def read_staged(edit: Json) -> StagedDelegation:
    """The inverse of ``staged_delegation``. Raises: RecordError, UsageError, UnsafePathError, UnusableKeyError."""
    return to_record(edit, "a staged delegation", StagedDelegation)


def check_pattern(pattern: str) -> None:
    """Refuse a pattern that could only match names that are not permitted. Raises: UnsafePathError."""
    plain = pattern
    for special in "*?[]!":
        plain = plain.replace(special, "x")
    try:
        target_path(plain)
    except UnsafePathError as error:
        raise UnsafePathError(path=pattern, reason=error.reason) from None


def read_delegations(targets: Targets) -> tuple[AuthoredDelegation, ...]:
    """The delegations of a file in order of priority; hash bins (TAP 15) are not among them."""
    delegations = targets.delegations
    if delegations is None:
        return ()
    keys = {keyid: key.to_dict() for keyid, key in delegations.keys.items()}
    plain = [_from_role(role, keys) for role in (delegations.roles or {}).values()]
    several = [_from_multi(item, keys) for item in delegations.unrecognized_fields.get(_MULTI, ())]
    custom = targets.unrecognized_fields.get(_CUSTOM, {})
    demanded = set(custom.get(POST_QUANTUM, ()))
    restricted = custom.get(HARDWARE) or [{}] * (len(plain) + len(several))
    return tuple(
        _completed(entry, item.get(_HARDWARE_IDS), demanded)
        for entry, item in zip((*plain, *several), restricted, strict=True)
    )


def write_delegations(targets: Targets, delegations: Iterable[AuthoredDelegation]) -> None:
    """Make ``delegations`` those of the file, in that order."""
    entries = tuple(delegations)
    _write_custom(targets, entries)
    if not entries:
        targets.delegations = None
        return
    keys = {keyid: dict(key) for entry in entries for member in entry.members for keyid, key in member.keys.items()}
    names = [member.name for entry in entries for member in entry.members]
    if all(len(entry.members) == 1 for entry in entries) and len(set(names)) == len(names):
        roles = {entry.name: _to_role(entry) for entry in entries}
        targets.delegations = Delegations(authoring_keys(keys), roles)
    else:
        extra = {_MULTI: [_to_multi(entry) for entry in entries]}
        targets.delegations = Delegations(authoring_keys(keys), {}, None, extra)


def apply_delegations(targets: Targets, edits: Mapping[str, Json | None]) -> None:
    """Set and remove delegations by name. A new one comes last, or before the one its edit names."""
    if not edits:
        return
    entries = list(read_delegations(targets))
    for name, edit in edits.items():
        index = next((position for position, entry in enumerate(entries) if entry.name == name), None)
        staged = None if edit is None else read_staged(edit)
        if index is not None and (staged is None or staged.before):
            del entries[index]
        if staged is None:
            continue
        if index is not None and not staged.before:
            entries[index] = staged.delegation
        else:
            entries.insert(_position(entries, staged.before), staged.delegation)
    write_delegations(targets, entries)


def rekeyed(
    delegation: AuthoredDelegation, role: str, keys: Mapping[str, Json], threshold: int, *, post_quantum: bool
) -> AuthoredDelegation:
    """The same delegation with other keys for one of its members. ``post_quantum`` is the demand on it from then on."""
    members = tuple(
        replace(member, keys=keys, threshold=threshold, post_quantum=post_quantum) if member.name == role else member
        for member in delegation.members
    )
    return replace(delegation, members=members)


def _write_custom(targets: Targets, entries: tuple[AuthoredDelegation, ...]) -> None:
    custom = dict(targets.unrecognized_fields.pop(_CUSTOM, {}))
    for name in (HARDWARE, POST_QUANTUM):
        custom.pop(name, None)
    if any(entry.hardware_ids is not None for entry in entries):
        custom[HARDWARE] = [
            {
                "roles": [member.name for member in entry.members],
                **({} if entry.hardware_ids is None else {_HARDWARE_IDS: list(entry.hardware_ids)}),
            }
            for entry in entries
        ]
    demanded = [member.name for entry in entries for member in entry.members if member.post_quantum]
    if demanded:
        custom[POST_QUANTUM] = sorted(set(demanded))
    if custom:
        targets.unrecognized_fields[_CUSTOM] = custom


def _completed(entry: AuthoredDelegation, hardware: Iterable[str] | None, demanded: Set[str]) -> AuthoredDelegation:
    """``entry`` with what ``signed.custom`` states about it."""
    members = tuple(
        replace(member, post_quantum=True) if member.name in demanded else member for member in entry.members
    )
    return replace(entry, members=members, hardware_ids=entry.hardware_ids if hardware is None else tuple(hardware))


def _position(entries: list[AuthoredDelegation], before: str | None) -> int:
    if before is None:
        return len(entries)
    return next((position for position, entry in enumerate(entries) if entry.name == before), len(entries))


def _from_role(role: DelegatedRole, keys: Mapping[str, Json]) -> AuthoredDelegation:
    member = Member(name=role.name, keys={keyid: keys[keyid] for keyid in role.keyids}, threshold=role.threshold)
    hardware = role.unrecognized_fields.get(_HARDWARE_IDS)
    return AuthoredDelegation(
        members=(member,),
        paths=tuple(role.paths or ()),
        path_hash_prefixes=tuple(role.path_hash_prefixes or ()),
        hardware_ids=None if hardware is None else tuple(hardware),
        terminating=role.terminating,
    )


def _to_role(entry: AuthoredDelegation) -> DelegatedRole:
    member = entry.members[0]
    return DelegatedRole(
        member.name,
        list(member.keys),
        member.threshold,
        entry.terminating,
        list(entry.paths) or None,
        list(entry.path_hash_prefixes) or None,
    )


def _from_multi(item: Json, keys: Mapping[str, Json]) -> AuthoredDelegation:
    members = tuple(
        Member(
            name=role["name"],
            keys={keyid: keys[keyid] for keyid in role["keyids"]},
            threshold=role["threshold"],
        )
        for role in item["roles"]
    )
    hardware = item.get(_HARDWARE_IDS)
    return AuthoredDelegation(
        members=members,
        paths=tuple(item.get("paths", ())),
        path_hash_prefixes=tuple(item.get("path_hash_prefixes", ())),
        hardware_ids=None if hardware is None else tuple(hardware),
        terminating=item["terminating"],
        agreement=item["min_roles_in_agreement"],
    )


def _to_multi(entry: AuthoredDelegation) -> Json:
    return {
        **({"paths": list(entry.paths)} if entry.paths else {"path_hash_prefixes": list(entry.path_hash_prefixes)}),
        "terminating": entry.terminating,
        "min_roles_in_agreement": entry.agreement,
        "roles": [
            {"name": member.name, "keyids": list(member.keys), "threshold": member.threshold}
            for member in entry.members
        ],
    }


def delegation_views(delegator: RoleName, entry: AuthoredDelegation) -> Iterator[DelegationView]:
    """A delegation for people: one view for each role that it names."""
    for member in entry.members:
        yield DelegationView(
            name=RoleName(member.name),
            delegator=delegator,
            paths=entry.paths or tuple(f"sha256:{prefix}*" for prefix in entry.path_hash_prefixes),
            threshold=member.threshold,
            keyids=tuple(map(KeyId, member.keys)),
            terminating=entry.terminating,
            hardware_ids=None if entry.hardware_ids is None else tuple(map(HardwareId, entry.hardware_ids)),
        )


def hash_bins(role: str, targets: Targets) -> Iterator[Member]:
    """The hash bins that a file delegates to. Raises: LimitError for more than a Snapshot lists."""
    if targets.delegations is None or targets.delegations.succinct_roles is None:
        return
    bins, limit = targets.delegations.succinct_roles, DEFAULT_LIMITS.delegations_per_role
    if bins.number_of_bins > limit:
        raise LimitError(what=f"the hash bins of {role}", value=bins.number_of_bins, limit=limit)
    keys = {keyid: targets.delegations.keys[keyid].to_dict() for keyid in bins.keyids}
    for name in bins.get_roles():
        yield Member(name=name, keys=keys, threshold=bins.threshold)
