"""Bringing one repository up to date: Root chain, Timestamp, Snapshot, top-level Targets, in that order.

Both repositories are refreshed by this one generator; ``verification.py`` has the order and what follows.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from twinlock.trust.checks.context import Context
from twinlock.trust.checks.index import check_expiry, check_not_older, is_listed
from twinlock.trust.checks.naming import check_file_names
from twinlock.trust.checks.root import check_next_root
from twinlock.trust.checks.snapshot import check_snapshot
from twinlock.trust.checks.targets import Authority, check_targets
from twinlock.trust.checks.timestamp import check_timestamp
from twinlock.trust.engine.commands import ABSENT, Fetch, FetchElsewhere, Notice, Steps
from twinlock.trust.engine.fetching import accept, accept_from_any, bound, cap_floors, fetch, fetch_checked, note_issued
from twinlock.trust.engine.restore import follow_root, top_level_authority
from twinlock.trust.engine.time_floor import not_before
from twinlock.trust.engine.unusable_keys import note_delegated_keys, note_root_keys
from twinlock.trust.errors.base import RefusalError
from twinlock.trust.errors.metadata import EquivocationError, LimitError, MissingRoleError, procedure_of
from twinlock.trust.keys.signatures import Verified
from twinlock.trust.limits import DEFAULT_LIMITS, Limits
from twinlock.trust.model.root import Root
from twinlock.trust.model.snapshot import Snapshot
from twinlock.trust.model.targets import Targets
from twinlock.trust.model.timestamp import Timestamp
from twinlock.trust.names import DIRECTOR, ROOT, SNAPSHOT, TARGETS, TIMESTAMP, RoleName, VehicleId
from twinlock.trust.policy import STRICT, Policy
from twinlock.trust.state.trusted import TrustedRepository

Inspect = Callable[[Targets], None]


def refresh_repository(
    trusted: TrustedRepository,
    now: datetime,
    *,
    limits: Limits = DEFAULT_LIMITS,
    policy: Policy = STRICT,
    vehicle: VehicleId | None = None,
    inspect: Inspect | None = None,
    ceiling: datetime | None = None,
) -> Steps[TrustedRepository]:
    """Walk from the trusted state of one repository to the newest one that it can prove.

    ``now`` is UTC; where it lags behind what the repository's own trusted files prove, their time counts. ``inspect``
    raises for top-level Targets that must not be stored, whether they are new or were stored before. ``policy`` LAX is
    that of plain TUF. ``vehicle`` is whose metadata a Director has to give.
    ``ceiling`` (UTC), given where the clock is itself proven, is the latest time that a file can prove.
    Raises: any refusal of ``checks``; LimitError, MissingMetadataError, MissingRoleError. Files accepted before it stay
    persisted.
    Source: Uptane 2.1.0 5.4.4.2 steps 2 to 5 and 6 to 9; TUF 1.0.34 5.3 to 5.6.
    """
    context = Context(
        repository=trusted.name,
        now=now,
        limits=limits,
        wire=trusted.wire,
        policy=policy,
        vehicle=vehicle,
        ceiling=ceiling,
    )
    trusted = yield from walk_roots(trusted, context)
    # Only now: the chain may have dropped the file whose false time would otherwise expire everything.
    context = context._replace(now=not_before(now, [trusted]))
    check_expiry(trusted.root.signed, ROOT, context)
    context = check_file_names(trusted.root.signed, context)
    if not trusted.root.signed.has_index:
        _check_may_lack_index(trusted, context)
        return (yield from refresh_targets_alone(trusted, context, inspect))
    trusted = yield from _refresh_timestamp(trusted, context)
    trusted = yield from _refresh_snapshot(trusted, context)
    return (yield from _refresh_targets(trusted, context, inspect))


def walk_roots(trusted: TrustedRepository, context: Context) -> Steps[TrustedRepository]:
    """Follow the Root chain to its end, persisting each link. Source: Uptane 2.1.0 5.4.4.3 steps 2 and 4.

    "No newer Root" is the answer ABSENT and nothing else. Each link judges the floors (``lower_floors``); those that fall
    and their files go in the same transaction. At the end of the chain a proven clock caps what is left. A chain that ends below the newest Root ever trusted is refused: stored
    Roots were lost and are withheld.
    Raises: LimitError, RollbackError, any refusal of ``check_next_root``.
    """
    for rotations in range(context.limits.root_rotations + 1):
        version = trusted.root.signed.version + 1
        data = yield from fetch(context, ROOT, version, bound(context, ROOT))
        if data is ABSENT:
            check_not_older(version - 1, trusted.floors[ROOT].version, ROOT, context)
            if rotations:
                yield from note_root_keys(trusted.root.signed, context)
            return (yield from cap_floors(trusted, context))
        if rotations == context.limits.root_rotations:
            break
        root = yield from accept_next_root(data, trusted, context)
        trusted, command = follow_root(trusted, root, context)
        yield command
        yield from note_issued(root.signed, ROOT, context)
    raise LimitError(
        what=f"{context.repository}: Root rotations in one cycle",
        value=context.limits.root_rotations + 1,
        limit=context.limits.root_rotations,
        clause=procedure_of(ROOT),
    )


def accept_next_root(data: bytes, trusted: TrustedRepository, context: Context) -> Steps[Verified[Root]]:
    """The Root that follows the trusted one: ``data``, or the copy of another place. Raises: see ``accept_from_any``."""
    version = trusted.root.signed.version + 1
    name = context.wire.file_name(ROOT, version)
    fetched = Fetch(context.repository, ROOT, version, name, bound(context, ROOT))
    return (
        yield from accept_from_any(
            context,
            data,
            fetched,
            lambda found: check_next_root(found, trusted=trusted.root, context=context, floor=trusted.floors[ROOT]),
        )
    )


def _past_half_life(timestamp: Timestamp, context: Context) -> bool:
    """Whether another place may well have a newer one: a mirror that replays an old one gains half its lifetime at most."""
    issued = timestamp.issued
    return issued is not None and context.now - issued > (timestamp.expires - issued) / 2


def _refresh_timestamp(trusted: TrustedRepository, context: Context) -> Steps[TrustedRepository]:
    limit, floor = bound(context, TIMESTAMP), trusted.floors.get(TIMESTAMP)

    def check(data: bytes) -> tuple[Verified[Timestamp], EquivocationError | None]:
        return check_timestamp(data, root=trusted.root.signed, trusted=trusted.timestamp, floor=floor, context=context)

    refused: RefusalError | None  # what the last place served, if it is not in force
    timestamp, refused = yield from fetch_checked(context, TIMESTAMP, None, limit, check)
    while True:
        if refused is not None:
            yield Notice(refused)
        if not _past_half_life(timestamp.signed, context):
            break
        fetched = Fetch(context.repository, TIMESTAMP, None, context.wire.file_name(TIMESTAMP, None), limit)
        other = yield FetchElsewhere(fetched, refused)
        if not isinstance(other, bytes):
            break
        try:
            candidate, refused = check(other)
        except RefusalError as error:
            refused = error
            continue
        if candidate.signed.version > timestamp.signed.version:
            timestamp = candidate
    if timestamp is trusted.timestamp:
        return trusted
    floors = yield from accept(trusted, timestamp, _authority(TIMESTAMP, trusted.root.signed), context)
    return trusted._replace(timestamp=timestamp, floors=floors)


def _refresh_snapshot(trusted: TrustedRepository, context: Context) -> Steps[TrustedRepository]:
    assert trusted.timestamp is not None
    listed = trusted.timestamp.signed.snapshot
    if trusted.snapshot is not None and is_listed(trusted.snapshot, listed, SNAPSHOT, context):
        check_expiry(trusted.snapshot.signed, SNAPSHOT, context)
        return trusted
    limit, floor = bound(context, SNAPSHOT, listed), trusted.floors.get(SNAPSHOT)

    def check(data: bytes) -> Verified[Snapshot]:
        return check_snapshot(data, root=trusted.root.signed, listed=listed, floor=floor, context=context)

    snapshot = yield from fetch_checked(context, SNAPSHOT, listed.version, limit, check)
    floors = yield from accept(trusted, snapshot, _authority(SNAPSHOT, trusted.root.signed), context)
    return trusted._replace(snapshot=snapshot, floors=floors)


def _refresh_targets(trusted: TrustedRepository, context: Context, inspect: Inspect | None) -> Steps[TrustedRepository]:
    assert trusted.snapshot is not None
    listed = trusted.snapshot.signed.targets[TARGETS]
    if trusted.targets is not None and is_listed(trusted.targets, listed, TARGETS, context):
        check_expiry(trusted.targets.signed, TARGETS, context)
        if inspect is not None:
            inspect(trusted.targets.signed)
        return trusted
    limit = bound(context, TARGETS, listed)
    authority, floor = top_level_authority(trusted.root.signed), trusted.floors.get(TARGETS)

    def check(data: bytes) -> Verified[Targets]:
        found = check_targets(data, authority=authority, listed=listed, floor=floor, context=context)
        if inspect is not None:
            inspect(found.signed)
        return found

    targets = yield from fetch_checked(context, TARGETS, listed.version, limit, check)
    floors = yield from accept(trusted, targets, authority, context)
    yield from note_delegated_keys(targets.signed, TARGETS, context)
    return trusted._replace(targets=targets, floors=floors)


def refresh_targets_alone(
    trusted: TrustedRepository, context: Context, inspect: Inspect | None
) -> Steps[TrustedRepository]:
    """Top-level Targets by their bare name, where no Snapshot names a version: for partial verification.

    Source: Uptane 2.1.0 5.4.4.1; 5.4.4.6 step 2 (may be skipped without a Snapshot).
    """
    authority, floor = top_level_authority(trusted.root.signed), trusted.floors.get(TARGETS)

    def check(data: bytes) -> Verified[Targets]:
        found = check_targets(data, authority=authority, listed=None, floor=floor, context=context)
        if inspect is not None:
            inspect(found.signed)
        return found

    targets = yield from fetch_checked(context, TARGETS, None, bound(context, TARGETS), check)
    if trusted.targets is not None and targets.data == trusted.targets.data:
        return trusted._replace(targets=targets)
    floors = yield from accept(trusted, targets, authority, context)
    return trusted._replace(targets=targets, floors=floors)


def _check_may_lack_index(trusted: TrustedRepository, context: Context) -> None:
    """Only a Director may go without Timestamp and Snapshot, and only where the policy allows it.

    Raises: MissingRoleError. Source: Uptane 2.1.0 5.2.2 (Root names all four roles).
    """
    if trusted.name == DIRECTOR and not context.policy.require_director_index:
        return
    root = trusted.root.signed
    role = next(role for role in (TIMESTAMP, SNAPSHOT) if role not in root.roles)
    raise MissingRoleError(repository=trusted.name, role=role, version=root.version)


def _authority(role: RoleName, root: Root) -> Authority:
    return Authority(role, root.keys, root.roles[role])
