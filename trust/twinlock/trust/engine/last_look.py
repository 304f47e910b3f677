"""The last look: whether the Director has published anything since a vehicle's verification.

A vehicle looks before its first write, when the downloads are done. Source: Uptane 2.1.0 5.4.3.5 (an image is installed when
its metadata still hold).
"""

from __future__ import annotations

from datetime import datetime

from twinlock.trust.checks.context import Context
from twinlock.trust.checks.timestamp import check_timestamp
from twinlock.trust.engine.commands import Notice, Steps
from twinlock.trust.engine.fetching import fetch_required
from twinlock.trust.limits import Limits
from twinlock.trust.names import TIMESTAMP, VehicleId
from twinlock.trust.policy import STRICT, Policy
from twinlock.trust.state.trusted import TrustedRepository


def is_superseded(
    director: TrustedRepository,
    vehicle: VehicleId,
    now: datetime,
    *,
    limits: Limits,
    policy: Policy = STRICT,
) -> Steps[bool]:
    """Whether the Director offers a newer Timestamp than the one in ``director``, which has to be verified in full then.

    Nothing is stored. A Director without Timestamp offers none, so the answer is no.
    Raises: any refusal of ``check_timestamp``, MissingMetadataError; the approval then lives as long as its own expiry.
    """
    if director.timestamp is None:
        return False
    context = Context(
        repository=director.name, now=now, limits=limits, wire=director.wire, policy=policy, vehicle=vehicle
    )
    data = yield from fetch_required(context, TIMESTAMP, None, limits.timestamp_bytes)
    floor = director.floors.get(TIMESTAMP)
    offered, equivocation = check_timestamp(
        data, root=director.root.signed, trusted=director.timestamp, floor=floor, context=context
    )
    if equivocation is not None:
        yield Notice(equivocation)
    return offered.signed.version > director.timestamp.signed.version
