"""Timestamp: Uptane 2.1.0 5.4.4.4."""

from __future__ import annotations

from twinlock.trust.checks.context import Context
from twinlock.trust.checks.director import check_vehicle
from twinlock.trust.checks.listing import check_expiry
from twinlock.trust.errors.metadata import EquivocationError, MalformedError, RollbackError
from twinlock.trust.model.root import Root
from twinlock.trust.model.timestamp import Timestamp
from twinlock.trust.names import SNAPSHOT, TIMESTAMP
from twinlock.trust.signatures import Verified, verify_signatures


def check_timestamp(
    data: bytes,
    *,
    root: Root,
    trusted: Verified[Timestamp] | None,
    context: Context,
) -> tuple[Verified[Timestamp], EquivocationError | None]:
    """Decide which Timestamp is in force after ``data`` was offered.

    The same bytes again leave the trusted one in force. So do other bytes under the same version, which are reported
    as equivocation: refusing them outright would let one bad mirror stop every update. Either way the expiry of the
    one in force is checked, or repeating it for ever would freeze the vehicle.
    Raises: MalformedError, LimitError, ThresholdError, RollbackError, ExpiredError.
    """
    if trusted is not None and data == trusted.data:
        check_expiry(trusted.signed, TIMESTAMP, context)
        return trusted, None
    envelope = context.wire.decode_timestamp(data, context.what(TIMESTAMP), context.limits)
    # Step 2.
    offered = verify_signatures(
        envelope, root.keys, root.roles[TIMESTAMP], repository=context.repository, role_name=TIMESTAMP
    )
    check_vehicle(offered.signed.vehicle, context.vehicle, required=False)
    if not offered.signed.snapshot.hashes and context.policy.require_snapshot_hashes:
        # Uptane 2.1.0 5.2.5 wants at least one; plain TUF does not.
        raise MalformedError(
            what=context.what(TIMESTAMP), json_path="$.signed.meta", reason="it lists no hash of the Snapshot"
        )
    equivocation = None
    if trusted is not None and offered.signed.version == trusted.signed.version:
        version = trusted.signed.version
        equivocation = EquivocationError(repository=context.repository, role=TIMESTAMP, version=version)
        offered = trusted
    elif trusted is not None:
        _check_rollback(offered.signed, trusted.signed, context)
    # Step 4.
    check_expiry(offered.signed, TIMESTAMP, context)
    return offered, equivocation


def _check_rollback(offered: Timestamp, trusted: Timestamp, context: Context) -> None:
    # Step 3, and TUF 1.0.34 5.4.3 for the Snapshot that it names.
    pairs = (
        (TIMESTAMP, offered.version, trusted.version),
        (SNAPSHOT, offered.snapshot.version, trusted.snapshot.version),
    )
    for role, new, old in pairs:
        if new < old:
            raise RollbackError(repository=context.repository, role=role, offered=new, trusted=old)
