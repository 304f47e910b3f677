"""Timestamp: Uptane 2.1.0 5.2.5."""

from __future__ import annotations

from dataclasses import dataclass

from twinlock.trust.model.base import FileInfo, Signed


@dataclass(frozen=True, kw_only=True, slots=True)
class Timestamp(Signed):
    """Which Snapshot is the newest."""

    snapshot: FileInfo
