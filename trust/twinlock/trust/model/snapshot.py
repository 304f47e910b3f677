"""Snapshot: Uptane 2.1.0 5.2.4."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from twinlock.trust.model.base import FileInfo, Signed
from twinlock.trust.names import RoleName


@dataclass(frozen=True, kw_only=True, slots=True)
class Snapshot(Signed):
    """The version of every Targets file, by role name. An entry for Root, if any, is not among them."""

    targets: Mapping[RoleName, FileInfo]
