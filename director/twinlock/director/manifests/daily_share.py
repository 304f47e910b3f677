"""The share of the disk that one vehicle's manifests may take in a day: a Primary's key could sign them without end."""

from __future__ import annotations

from datetime import datetime

from twinlock.director.errors.vehicles import DailyLimitError
from twinlock.director.model.records import VehicleRecord

_DAY_S = 86_400


def use_share(record: VehicleRecord, size: int, daily_bytes: int, now: datetime) -> int:
    """How much of the share is used with ``size`` bytes more. It becomes free again at the rate of ``daily_bytes`` a day.

    So at most ``daily_bytes`` come at once, and at most twice as many in any 24 hours. A refusal loses nothing: an ECU
    repeats its evidence until it is acknowledged. Raises: DailyLimitError.
    """
    elapsed_s = 0.0 if record.last_manifest_at is None else max((now - record.last_manifest_at).total_seconds(), 0.0)
    used = max(record.share_used - int(daily_bytes * elapsed_s / _DAY_S), 0) + size
    if used > daily_bytes:
        raise DailyLimitError(vehicle=record.vehicle, what="bytes of manifests", limit=daily_bytes)
    return used
