"""Records that the state of an ECU keeps: a bundle that was begun, a counter that its Director reset, how a cycle failed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from twinlock.trust.errors.base import TwinlockError
from twinlock.trust.model.targets import ImageEntry
from twinlock.trust.names import EcuId
from twinlock.trust.text.times import format_time


class BegunBundle(NamedTuple):
    """A bundle whose first write was allowed: the image of each ECU in it, and until when (UTC) it may be completed."""

    images: Mapping[EcuId, ImageEntry]
    deadline: datetime


class CounterAfterReset(NamedTuple):
    """The nonce of the report with which an ECU restarted its count, and its last counter since."""

    nonce: str | None
    last: int


@dataclass(frozen=True, kw_only=True, slots=True)
class LastRefusal:
    """Why the last cycle did not end well: the error's kind, code, attack, clause and sentence, and where it happened.

    For people who look at this ECU. What the Director must receive is in ``events``.
    """

    kind: str
    code: str
    attack: str
    clause: str
    detail: str
    step: str
    time: str

    @classmethod
    def of(cls, error: TwinlockError, *, step: str, now: datetime | None) -> LastRefusal:
        """Describe ``error``. ``now`` is the verified time of the cycle, None where there was none."""
        described = error.as_json()
        return cls(
            kind=error.kind.value,
            code=error.code,
            attack=described.get("attack", "none"),
            clause=described.get("clause", ""),
            detail=str(error),
            step=step,
            time=format_time(now) if now else "",
        )

    def as_json(self) -> dict[str, str | None]:
        """The fields for people; ``time`` is None where the cycle had none."""
        fields: dict[str, str | None] = {name: getattr(self, name) for name in LastRefusal.__slots__}
        return {**fields, "time": self.time or None}
