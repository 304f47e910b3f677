"""Records that the state of an ECU keeps: a bundle that was begun, and a counter that its Director reset."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from twinlock.trust.model.targets import ImageEntry
from twinlock.trust.names import EcuId


class BegunBundle(NamedTuple):
    """A bundle whose first write was allowed: the image of each ECU in it, and until when (UTC) it may be completed."""

    images: Mapping[EcuId, ImageEntry]
    deadline: datetime


class CounterAfterReset(NamedTuple):
    """The nonce of the report with which an ECU restarted its count, and its last counter since."""

    nonce: str | None
    last: int
