"""Snapshot: Uptane 2.1.0 5.2.4."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from twinlock.trust.model.base import FileInfo
from twinlock.trust.names import RoleName, VehicleId


class Snapshot(NamedTuple):
    """The version of every Targets file, by role name. An entry for Root, if any, is not among them."""

    version: int
    expires: datetime
    issued: datetime | None
    targets: Mapping[RoleName, FileInfo]
    vehicle: VehicleId | None = None
