"""What time it is, as far as this ECU can prove it.

Two sources: the clock of the machine, and signed time attestations that answer a nonce of this ECU. Belongs here:
choosing and bounding the time. Does not belong here: fetching attestations, and expiry checks (the engine's business).
Source: Uptane 2.1.0 5.4.2.2 and 5.4.3.1. No time, no update.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from twinlock.client.config import TimeSettings
from twinlock.client.state import TrustedState
from twinlock.trust.attestation import check_attestation
from twinlock.trust.checks.context import Context
from twinlock.trust.commands import Steps
from twinlock.trust.errors.metadata import TimeError
from twinlock.trust.limits import DEFAULT_LIMITS
from twinlock.trust.model.root import Root
from twinlock.trust.policy import STRICT
from twinlock.trust.refresh import walk_roots
from twinlock.trust.state import TrustedRepository

BUILT = datetime(2025, 1, 1, tzinfo=UTC)
"""Earlier than any release of this software: a clock that shows less has lost its battery."""

Wall = Callable[[], datetime]


def follow_roots(director: TrustedRepository) -> Steps[TrustedRepository]:
    """Follow the Director's Root chain without a time: how a changed key of the time source reaches an ECU.

    The expiry of the last Root is not judged here; verification does that before anything else counts.
    """
    context = Context(repository=director.name, now=BUILT, limits=DEFAULT_LIMITS, wire=director.wire, policy=STRICT)
    return walk_roots(director, context)


def system_clock() -> datetime:
    """The clock of this machine, UTC, whole seconds."""
    return datetime.now(UTC).replace(microsecond=0)


class Clock:
    """The time of one ECU. ``wall`` and ``monotonic`` are replaced in tests."""

    def __init__(
        self,
        settings: TimeSettings,
        state: TrustedState,
        *,
        wall: Wall = system_clock,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._state = state
        self._wall = wall
        self._monotonic = monotonic
        self._attested: tuple[datetime, float] | None = None
        self.nonce = secrets.token_hex(16)
        """What an attestation has to answer. It changes with every attestation that was accepted."""

    def now(self) -> datetime:
        """The time to judge expiry by. Raises: TimeError when there is none that can be relied on."""
        if self._settings.attested:
            return self._since_attested()
        now = self._wall()
        if now < BUILT:
            raise TimeError(reason=f"the system clock shows {now:%Y-%m-%dT%H:%M:%SZ}, before this software was made")
        return now

    def accept(self, attestation: bytes, root: Root) -> datetime:
        """Take the time from an attestation that the time source named in the Director's ``root`` signed.

        A time before the last attested one is refused, unless the source's keys were changed since: then the old time
        is worth no more than the old keys. Raises: AttestationError, MalformedError, LimitError; nothing changes then.
        """
        signers = () if root.time_source is None else tuple(sorted(root.time_source.keyids))
        last = self._state.attested
        floor = last[0] if last is not None and last[1] == signers else None
        attested = check_attestation(attestation, root, nonce=self.nonce, trusted=floor)
        self._state.store_attested(attested, signers)
        self._attested = (attested, self._monotonic())
        self.nonce = secrets.token_hex(16)
        return attested

    def check_lag(self, proved: datetime) -> None:
        """Refuse to go on when verified metadata proves a time that this clock is far behind.

        The engine judged expiry by the later of the two, but nothing shows that no more time has passed than that: a
        clock that was set back would keep old metadata fresh for ever. Raises: TimeError.
        """
        now = self.now()
        if proved - now > timedelta(seconds=self._settings.tolerance_s):
            raise TimeError(
                reason=f"the clock shows {now:%Y-%m-%dT%H:%M:%SZ}, but verified metadata was signed "
                f"{proved:%Y-%m-%dT%H:%M:%SZ}"
            )

    def best_known(self) -> datetime:
        """The time for a report: now if there is a time, else the last one that was relied on."""
        try:
            return self.now()
        except TimeError:
            return self._state.verified_time or BUILT

    def _since_attested(self) -> datetime:
        if self._attested is None:
            raise TimeError(reason="no attested time has arrived since this ECU was started")
        attested, at = self._attested
        return attested + timedelta(seconds=int(self._monotonic() - at))
