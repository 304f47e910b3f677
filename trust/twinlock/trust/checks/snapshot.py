"""Snapshot: Uptane 2.1.0 5.4.4.5."""

from __future__ import annotations

from twinlock.trust.checks.context import Context
from twinlock.trust.checks.director import check_vehicle
from twinlock.trust.checks.index import (
    as_stored,
    check_expiry,
    check_floor,
    check_listed_bytes,
    check_listed_version,
    check_not_older,
)
from twinlock.trust.errors.metadata import RoleRemovedError, procedure_of
from twinlock.trust.keys.signatures import Verified, verify_signatures
from twinlock.trust.model.base import FileInfo
from twinlock.trust.model.root import Root
from twinlock.trust.model.snapshot import Snapshot
from twinlock.trust.names import SNAPSHOT
from twinlock.trust.state.floors import Floor


def check_snapshot(
    data: bytes,
    *,
    root: Root,
    listed: FileInfo,
    floor: Floor | None,
    context: Context,
) -> Verified[Snapshot]:
    """Decide whether ``data`` may become the trusted Snapshot. ``listed`` is its entry in the trusted Timestamp.

    ``floor`` is that of earlier Snapshots. The same content with other signatures is the same file.

    Raises: MixAndMatchError, MalformedError, LimitError, ThresholdError, RollbackError, RoleRemovedError,
    EquivocationError, ExpiredError.
    """
    # Step 2, the hashes: before parsing, so that nothing unlisted is even read.
    check_listed_bytes(data, listed, SNAPSHOT, context)
    envelope = context.decode(SNAPSHOT, context.wire.decode_snapshot, data)
    # Step 2, the version.
    check_listed_version(envelope.signed, listed, SNAPSHOT, context)
    # Step 3.
    offered = verify_signatures(
        envelope, root.keys, root.roles[SNAPSHOT], repository=context.repository, role_name=SNAPSHOT
    )
    check_vehicle(offered.signed.vehicle, context.vehicle, required=False)
    # Step 4.
    check_floor(offered, envelope, floor, SNAPSHOT, context)
    if floor is not None:
        _check_listed_roles(offered.signed, floor, context)
    # Step 7.
    check_expiry(offered.signed, SNAPSHOT, context)
    return as_stored(offered, envelope, listed)


def _check_listed_roles(new: Snapshot, floor: Floor, context: Context) -> None:
    for role, version in floor.lists.items():
        # Step 6.
        if role not in new.targets:
            raise RoleRemovedError(repository=context.repository, role=role)
        # Step 5.
        check_not_older(new.targets[role].version, version, role, context, clause=procedure_of(SNAPSHOT))
