"""The Director's Root: the first one made, the next one derived from it, and the keys of each role.

``published_roots.py`` has the rows of those that were published.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from tuf.api.metadata import Key, Metadata, Root

from twinlock.director.errors.operator import UnknownDirectorRoleError
from twinlock.repository.keys.demands import demanding_roles, set_demand
from twinlock.repository.keys.keyring import KeyPlan, KeyRecord, Keyring
from twinlock.repository.keys.new_keys import NewKeys, make_keys
from twinlock.repository.signing.named_keys import TIME
from twinlock.repository.signing.sign import SPEC_VERSION, SigningAuthority, keyids_of, renew, root_authority, sign_file
from twinlock.repository.workspace.validity import Periods
from twinlock.trust.checks.context import Context
from twinlock.trust.engine.commands import ABSENT, Answer, Command, Fetch, drive
from twinlock.trust.engine.refresh import walk_roots
from twinlock.trust.engine.restore import bootstrap_repository
from twinlock.trust.errors.base import UsageError
from twinlock.trust.errors.metadata import ExpiredError
from twinlock.trust.limits import DEFAULT_LIMITS
from twinlock.trust.names import DIRECTOR, ROOT, SNAPSHOT, TARGETS, TIMESTAMP, TOP_LEVEL
from twinlock.trust.policy import STRICT
from twinlock.trust.wire.profile import WireProfile
from twinlock.trust.wire.tuf.metadata import TUF

ROOT_DUE = timedelta(days=30)  # before its expiry a Root has to be followed by the next
ROTATABLE = (*TOP_LEVEL, TIME)
ONLINE_ROLES = (TARGETS, SNAPSHOT, TIMESTAMP, TIME)
_CUSTOM, _TIME_SOURCE = "custom", "timeSource"


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleKeysView:
    """One role of a Root: its keys, how many of them must sign, and how many are held here.

    ``post_quantum``: one signature has to be by an ML-DSA key; ``lacks_post_quantum``: none of those is held here.
    """

    name: str
    threshold: int
    keyids: tuple[str, ...]
    schemes: tuple[str, ...]
    held: int
    post_quantum: bool
    lacks_post_quantum: bool


def check_plans_of_roles(plans: Mapping[str, KeyPlan]) -> None:
    """Refuse plans that no Root could carry out, before a key is made. Raises: UsageError."""
    for role, plan in plans.items():
        check_role(role)
        if role == TIME:
            _check_time_plan(plan)
        plan.for_role(role, demanded=False)


def first_root(keyring: Keyring, new: NewKeys, plans: Mapping[str, KeyPlan], periods: Periods, now: datetime) -> bytes:
    """Sign Root 1, with keys for every role that ``new`` makes by plan (one ed25519 key where none is given)."""
    for role in plans:
        check_role(role)
    root = Root(spec_version=SPEC_VERSION, consistent_snapshot=True)
    for role in ROTATABLE:
        replace_keys(root, role, new, plans.get(role, KeyPlan()))
    renew(root, now, periods.root, version=1)
    data = sign_file(ROOT, root, [root_authority(root, ROOT)], keyring)
    bootstrap_repository(DIRECTOR, data)
    return data


def next_root(
    current: bytes,
    keyring: Keyring,
    periods: Periods,
    now: datetime,
    *,
    rotate: Iterable[str] = (),
    plan: KeyPlan | None = None,
    new_keys: NewKeys | None = None,
    lasting_from: datetime | None = None,
) -> bytes:
    """The Root that follows ``current``: new keys for the roles in ``rotate``, a later expiry, everything else alike.

    It is signed with the old and the new Root keys, and the trust engine has to accept it as the successor. ``new_keys``
    makes the keys; they are not written before something that names them is about to leave. Its life counts from
    ``lasting_from`` where that is later than ``now`` (``ClockMarks.lasting_from``).
    Raises: UsageError for an unknown role, MissingKeysError, PassphraseError, RefusalError.
    """
    old = Metadata[Root].from_bytes(current).signed
    new = Metadata[Root].from_bytes(current).signed
    for role in dict.fromkeys(rotate):
        check_role(role)
        replace_keys(new, role, new_keys or keyring, plan or plan_of(old, role))
    renew(new, now, periods.root, version=old.version + 1, lasting_from=lasting_from)
    data = sign_file(ROOT, new, [root_authority(old, ROOT), root_authority(new, ROOT)], keyring)
    verify_successor(current, data, now)
    return data


def check_role(role: str) -> None:
    """Refuse a role that a Director's Root does not have. Raises: UsageError."""
    if role not in ROTATABLE:
        raise UnknownDirectorRoleError(role=role, known=ROTATABLE)


def check_signing(data: bytes, keyring: Keyring, now: datetime) -> None:
    """Check that vehicles still accept this Root, and that the keys of the online roles are held and open.

    Raises: ExpiredError, MissingKeysError, PassphraseError, StorageError.
    """
    root = Metadata[Root].from_bytes(data).signed
    if now >= root.expires:
        raise ExpiredError(repository=DIRECTOR, role=ROOT, version=root.version, expires=root.expires, now=now)
    for role in (TARGETS, SNAPSHOT, TIMESTAMP):
        authority = root_authority(root, role)
        authority.check_held(role, keyids_of(keyring.signers(authority.keyids)))
    keyring.raw_signer(time_keyids(root)[0])


def time_keyids(root: Root) -> tuple[str, ...]:
    """The ids of the keys that attest time."""
    return tuple(root.unrecognized_fields[_CUSTOM][_TIME_SOURCE]["keyids"])


def role_keys(data: bytes, keyring: Keyring) -> tuple[RoleKeysView, ...]:
    """Who signs by a Root file, role by role, and how many of those keys are held here."""
    root = Metadata[Root].from_bytes(data).signed
    views = []
    for role in ROTATABLE:
        plan = plan_of(root, role)
        keyids = tuple(time_keyids(root) if role == TIME else root.roles[role].keyids)
        held = [record.keyid for record in keyring.held(keyids)]
        lacks = role != TIME and root_authority(root, role).lacks_post_quantum(held)
        views.append(
            RoleKeysView(
                name=role,
                threshold=plan.threshold,
                keyids=keyids,
                schemes=tuple(root.keys[keyid].scheme for keyid in keyids),
                held=len(held),
                post_quantum=bool(plan.post_quantum),
                lacks_post_quantum=lacks,
            )
        )
    return tuple(views)


def key_changes(before: bytes | None, after: bytes) -> dict[str, dict[str, Any]]:
    """What a Root changes, for the audit: by role, the ids of the keys added and removed, and the threshold.

    ``before`` is None for the first one, which adds all of its keys.
    """
    old = None if before is None else Metadata[Root].from_bytes(before).signed
    new = Metadata[Root].from_bytes(after).signed
    changes: dict[str, dict[str, Any]] = {}
    for role in ROTATABLE:
        left, came = set() if old is None else set(_keys_of(old, role)), set(_keys_of(new, role))
        threshold = plan_of(new, role).threshold
        if old is None or left != came or plan_of(old, role).threshold != threshold:
            changes[role] = {"added": sorted(came - left), "removed": sorted(left - came), "threshold": threshold}
    return changes


def own_key_changes(
    before: tuple[str, SigningAuthority] | None, after: tuple[str, SigningAuthority] | None
) -> dict[str, dict[str, Any]]:
    """The same for the Root keys that a translated chain has of its own, under the name that they were made for."""
    if after is None:
        return {}
    name, authority = after
    left, came = set() if before is None else set(before[1].keyids), set(authority.keyids)
    if left == came and before is not None and before[1].threshold == authority.threshold:
        return {}
    return {name: {"added": sorted(came - left), "removed": sorted(left - came), "threshold": authority.threshold}}


def plan_of(root: Root, role: str) -> KeyPlan:
    """Number, threshold and kinds of the keys that a role has now."""
    if role == TIME:
        source = root.unrecognized_fields[_CUSTOM][_TIME_SOURCE]
        return KeyPlan.like((root.keys[keyid] for keyid in source["keyids"]), source["threshold"])
    authority = root_authority(root, role)
    return KeyPlan.like(authority.keys.values(), authority.threshold, post_quantum=authority.post_quantum)


def replace_keys(root: Root, role: str, keyring: Keyring | NewKeys, plan: KeyPlan) -> None:
    """Put new keys in place of a role's old ones, and drop old ones that no role uses.

    A demand for a post-quantum signature stays unless ``plan`` changes it. Raises: UsageError if it cannot be met.
    """
    if role == TIME:
        _check_time_plan(plan)
    plan = plan.for_role(role, demanded=role in demanding_roles(root))
    before = _keys_of(root, role)
    records = make_keys(keyring, role, plan.new_kinds(before))
    kept = [keyid for keyid in before if not plan.goes(keyid)]
    if role == TIME:
        _replace_time_keys(root, kept, records)
    else:
        root.roles[role].keyids = [*kept, *(record.keyid for record in records)]
        root.roles[role].threshold = plan.threshold
        root.keys.update({record.keyid: record.authoring_key for record in records})
        set_demand(root, role, demanded=bool(plan.post_quantum))
    used = {keyid for each in root.roles.values() for keyid in each.keyids}
    used |= set(time_keyids(root)) if _TIME_SOURCE in root.unrecognized_fields.get(_CUSTOM, {}) else set()
    for keyid in set(root.keys) - used:
        del root.keys[keyid]


def _check_time_plan(plan: KeyPlan) -> None:
    if plan.threshold != 1:
        raise UsageError(reason="one key attests time; a threshold above 1 cannot be met by one attestation")


def _keys_of(root: Root, role: str) -> dict[str, Key]:
    """The keys of a role by id; none before it has any."""
    if role == TIME:
        named = time_keyids(root) if _TIME_SOURCE in root.unrecognized_fields.get(_CUSTOM, {}) else ()
        return {keyid: root.keys[keyid] for keyid in named}
    return root_authority(root, role).keys


def _replace_time_keys(root: Root, kept: Iterable[str], records: Iterable[KeyRecord]) -> None:
    made = list(records)
    root.keys.update({record.keyid: record.authoring_key for record in made})
    source = {"keyids": [*kept, *(record.keyid for record in made)], "threshold": 1}
    root.unrecognized_fields[_CUSTOM] = {**root.unrecognized_fields.get(_CUSTOM, {}), _TIME_SOURCE: source}


def verify_successor(current: bytes, offered: bytes, now: datetime, *, reader: WireProfile = TUF) -> None:
    """Have the trust engine accept ``offered`` after ``current``. Raises: RefusalError of every kind."""
    trusted = bootstrap_repository(DIRECTOR, current, wire=reader)
    wanted = trusted.root.signed.version + 1

    def answer(command: Command) -> Answer:
        if not isinstance(command, Fetch):
            return None
        return offered if command.version == wanted else ABSENT

    context = Context(repository=DIRECTOR, now=now, limits=DEFAULT_LIMITS, wire=reader, policy=STRICT)
    drive(walk_roots(trusted, context), answer)
