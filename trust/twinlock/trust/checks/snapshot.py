"""Snapshot: Uptane 2.1.0 5.4.4.5."""

from __future__ import annotations

from twinlock.trust.checks.context import Context
from twinlock.trust.checks.director import check_vehicle
from twinlock.trust.checks.listing import check_expiry, check_listed_bytes, check_listed_version
from twinlock.trust.errors.metadata import EquivocationError, RoleRemovedError, RollbackError
from twinlock.trust.model.base import FileInfo
from twinlock.trust.model.root import Root
from twinlock.trust.model.snapshot import Snapshot
from twinlock.trust.names import SNAPSHOT
from twinlock.trust.signatures import Verified, verify_signatures


def check_snapshot(
    data: bytes,
    *,
    root: Root,
    listed: FileInfo,
    trusted: Verified[Snapshot] | None,
    context: Context,
) -> Verified[Snapshot]:
    """Decide whether ``data`` may become the trusted Snapshot. ``listed`` is what the trusted Timestamp says of it.

    Raises: MixAndMatchError, MalformedError, LimitError, ThresholdError, RollbackError, RoleRemovedError,
    EquivocationError, ExpiredError.
    """
    # Step 2, the hashes: before parsing, so that nothing unlisted is even read.
    check_listed_bytes(data, listed, SNAPSHOT, context)
    envelope = context.wire.decode_snapshot(data, context.what(SNAPSHOT), context.limits)
    # Step 2, the version.
    check_listed_version(envelope.signed, listed, SNAPSHOT, context)
    # Step 3.
    offered = verify_signatures(
        envelope, root.keys, root.roles[SNAPSHOT], repository=context.repository, role_name=SNAPSHOT
    )
    check_vehicle(offered.signed.vehicle, context.vehicle, required=False)
    if trusted is not None:
        _check_rollback(offered, trusted, context)
    # Step 7.
    check_expiry(offered.signed, SNAPSHOT, context)
    return offered


def _check_rollback(offered: Verified[Snapshot], trusted: Verified[Snapshot], context: Context) -> None:
    # Step 4.
    new, old = offered.signed, trusted.signed
    if new.version < old.version:
        raise RollbackError(repository=context.repository, role=SNAPSHOT, offered=new.version, trusted=old.version)
    if new.version == old.version and offered.data != trusted.data:
        raise EquivocationError(repository=context.repository, role=SNAPSHOT, version=new.version)
    for role, info in old.targets.items():
        # Step 6.
        if role not in new.targets:
            raise RoleRemovedError(repository=context.repository, role=role)
        # Step 5.
        if new.targets[role].version < info.version:
            raise RollbackError(
                repository=context.repository,
                role=role,
                offered=new.targets[role].version,
                trusted=info.version,
            )
