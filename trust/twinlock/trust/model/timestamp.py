"""Timestamp: Uptane 2.1.0 5.2.5."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from twinlock.trust.model.base import FileInfo
from twinlock.trust.names import VehicleId


class Timestamp(NamedTuple):
    """Which Snapshot is the newest, and, from a Director, whose vehicle this is for."""

    version: int
    expires: datetime
    issued: datetime | None
    snapshot: FileInfo
    vehicle: VehicleId | None = None
