"""What every role's file carries: Uptane 2.1.0 5.2.1.

Values of the engine are named tuples: immutable, typed, cheap to make, and cheap to import in a gateway that starts
often.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

NOTHING: Mapping[Any, Any] = MappingProxyType({})
"""The empty mapping, for defaults."""


class Signed(Protocol):
    """The members that every role has. Times are UTC; ``issued`` is the signing time that the file states, if any."""

    @property
    def version(self) -> int:
        """At least 1."""

    @property
    def expires(self) -> datetime:
        """From then on it does not count."""

    @property
    def issued(self) -> datetime | None:
        """A lower bound of the time, for readers that trust the file."""


class FileInfo(NamedTuple):
    """An index's entry for another metadata file: version, and length in bytes and hashes where stated."""

    version: int
    length: int | None
    hashes: Mapping[str, str]
