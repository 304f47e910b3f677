"""Timestamp: Uptane 2.1.0 5.4.4.4."""

from __future__ import annotations

from twinlock.trust.checks.context import Context
from twinlock.trust.checks.director import check_vehicle
from twinlock.trust.checks.index import as_stored, check_expiry, check_floor, check_not_older
from twinlock.trust.errors.metadata import EquivocationError, MalformedError
from twinlock.trust.keys.signatures import Verified, verify_signatures
from twinlock.trust.model.root import Root
from twinlock.trust.model.timestamp import Timestamp
from twinlock.trust.names import SNAPSHOT, TIMESTAMP
from twinlock.trust.state.floors import Floor


def check_timestamp(
    data: bytes,
    *,
    root: Root,
    trusted: Verified[Timestamp] | None,
    floor: Floor | None,
    context: Context,
) -> tuple[Verified[Timestamp], EquivocationError | None]:
    """Decide which Timestamp is in force after ``data`` was offered. ``trusted`` is the stored one, ``floor`` its floor.

    The same content again is the same file, whatever signatures the current keys count on it. Other content under the
    same version leaves the trusted one in force and is reported as equivocation: refusing it outright would let one bad
    mirror stop every update. Where the trusted one was lost, it is refused. The expiry of the one in force is checked
    each time; otherwise repeating it would freeze the vehicle.
    Raises: MalformedError, LimitError, ThresholdError, RollbackError, EquivocationError, ExpiredError.
    """
    if trusted is not None and data == trusted.data:
        check_expiry(trusted.signed, TIMESTAMP, context)
        return trusted, None
    envelope = context.decode(TIMESTAMP, context.wire.decode_timestamp, data)
    # Step 2. Signatures first: a file that the current keys did not sign is neither the same nor evidence.
    offered = verify_signatures(
        envelope, root.keys, root.roles[TIMESTAMP], repository=context.repository, role_name=TIMESTAMP
    )
    check_vehicle(offered.signed.vehicle, context.vehicle, required=False)
    if not offered.signed.snapshot.hashes and context.policy.require_snapshot_hashes:
        # Plain TUF does not want any.
        raise MalformedError(
            what=context.what(TIMESTAMP),
            json_path="$.signed.meta",
            reason="the Timestamp lists no hash of the Snapshot",
            clause="Uptane 2.1.0 5.2.5",
        )
    offered = as_stored(offered, envelope, None)
    try:
        # Step 3.
        check_floor(offered, envelope, floor, TIMESTAMP, context)
        if floor is not None:
            # For the Snapshot that it names, which Uptane leaves to the next step.
            listed, before = offered.signed.snapshot.version, floor.lists.get(SNAPSHOT, 0)
            check_not_older(listed, before, SNAPSHOT, context, clause="TUF 1.0.34 5.4.3")
        equivocation = None
    except EquivocationError as error:
        if trusted is None:
            raise
        offered, equivocation = trusted, error
    # Step 4.
    check_expiry(offered.signed, TIMESTAMP, context)
    same = trusted is not None and offered.data == trusted.data
    return (trusted if same and trusted is not None else offered), equivocation
