"""The last look: whether the Director has published anything since a vehicle's verification.

A vehicle looks before its first write, when the downloads are done. Source: Uptane 2.1.0 5.4.3.5 (an image is installed when
its metadata still hold).
"""

from __future__ import annotations

from datetime import datetime

from twinlock.trust.checks.context import Context
from twinlock.trust.checks.timestamp import check_timestamp
from twinlock.trust.engine.commands import ABSENT, Notice, Steps
from twinlock.trust.engine.fetching import bound, fetch, fetch_checked, fetch_required
from twinlock.trust.engine.refresh import accept_next_root
from twinlock.trust.errors.base import RefusalError
from twinlock.trust.errors.metadata import EquivocationError
from twinlock.trust.keys.signatures import Verified
from twinlock.trust.limits import Limits
from twinlock.trust.model.timestamp import Timestamp
from twinlock.trust.names import ROOT, TIMESTAMP, VehicleId
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
    """Whether the Director offers a newer Root or Timestamp than those in ``director``; a full verification has to follow then.

    The Root comes first: it may name other keys, under which alone the newest Timestamp can be judged. Nothing is stored.
    A Director without Timestamp offers only Roots. A refused Root counts as none, and the Timestamp is judged all the same.
    Raises: any refusal of ``check_timestamp``, MissingMetadataError, LimitError; the approval then lives as long as its own expiry.
    """
    context = Context(
        repository=director.name, now=now, limits=limits, wire=director.wire, policy=policy, vehicle=vehicle
    )
    if (yield from _has_newer_root(director, context)):
        return True
    return director.timestamp is not None and (yield from _has_newer_timestamp(director, director.timestamp, context))


def _has_newer_root(director: TrustedRepository, context: Context) -> Steps[bool]:
    """Whether the next Root is there and valid. The driver learns why it is refused, as of every copy: ``FetchElsewhere``."""
    data = yield from fetch(context, ROOT, director.root.signed.version + 1, bound(context, ROOT))
    if data is ABSENT:
        return False
    try:
        yield from accept_next_root(data, director, context)
    except RefusalError:
        return False
    return True


def _has_newer_timestamp(director: TrustedRepository, trusted: Verified[Timestamp], context: Context) -> Steps[bool]:
    """Whether the Timestamp on offer is newer than the ``trusted`` one, or a Root that replaces its keys has just been published."""
    limit, floor = bound(context, TIMESTAMP), director.floors.get(TIMESTAMP)

    def check(data: bytes) -> tuple[Verified[Timestamp], EquivocationError | None]:
        return check_timestamp(data, root=director.root.signed, trusted=trusted, floor=floor, context=context)

    data = yield from fetch_required(context, TIMESTAMP, None, limit)
    try:
        offered, equivocation = check(data)
    except RefusalError:
        # The Director may have rotated its keys since it was asked for a Root. That is not evidence of anything.
        if (yield from _has_newer_root(director, context)):
            return True
        offered, equivocation = yield from fetch_checked(context, TIMESTAMP, None, limit, check)
    if equivocation is not None:
        yield Notice(equivocation)
    return offered.signed.version > trusted.signed.version
