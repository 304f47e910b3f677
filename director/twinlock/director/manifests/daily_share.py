"""Bounds the bytes of manifests that the Director stores for one vehicle in a day: a Primary could send any number of them."""

from __future__ import annotations

from datetime import datetime

from twinlock.director.errors.vehicles import DailyLimitError
from twinlock.director.model.records import VehicleRecord

_DAY_S = 86_400


def use_share(record: VehicleRecord, size: int, daily_bytes: int, now: datetime) -> int:
    """Return the bytes of the share that are used after ``size`` more. Used bytes become free at ``daily_bytes`` a day.

    So the Director accepts at most ``daily_bytes`` at once, and at most twice as many in any 24 hours. A refusal loses
    nothing: an ECU repeats its evidence until the Director acknowledges it. Raises: DailyLimitError.
    """
    elapsed_s = 0.0 if record.last_manifest_at is None else max((now - record.last_manifest_at).total_seconds(), 0.0)
    used = max(record.share_used - int(daily_bytes * elapsed_s / _DAY_S), 0) + size
    if used > daily_bytes:
        raise DailyLimitError(vehicle=record.vehicle, what="bytes of manifests", limit=daily_bytes)
    return used
