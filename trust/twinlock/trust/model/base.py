"""What every role's file carries: Uptane 2.1.0 5.2.1."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class Signed:
    """The common part. Times are UTC; ``issued`` is when the signer says it signed (None where not stated)."""

    version: int
    expires: datetime
    issued: datetime | None


@dataclass(frozen=True, slots=True)
class FileInfo:
    """What an index says of another metadata file: version, and length in bytes and hashes where stated."""

    version: int
    length: int | None
    hashes: Mapping[str, str]
