"""Report counters: those of this ECU when its Director resets them, and those of others by the key that signed.

A counter belongs to the key that signs with it and not to the name of an ECU: a replaced part starts at 1 with its own key, and
the old part, if refitted, continues its own count. Source: Uptane 2.1.0 5.4.2.1.2 and 5.3.2.1.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from twinlock.client.storage.records import CounterAfterReset
from twinlock.client.storage.state import TrustedState
from twinlock.trust.errors.reports import ReportReplayError
from twinlock.trust.keys.public_keys import PublicKey
from twinlock.trust.model.targets import Targets
from twinlock.trust.names import DIRECTOR, EcuId
from twinlock.trust.wire.tuf.reports import MAX_COUNTER, EcuReport


class CounterResets:
    """The nonce by which a Director resets this ECU's counter, in every report for as long as verified Targets name it.

    A report may reach anyone who asks for it, and its answer may be lost. The Director counts the nonce once.
    """

    def __init__(self, state: TrustedState) -> None:
        self._state = state

    def arm(self, ecu: EcuId, targets: Targets) -> None:
        """Take the nonce for ``ecu`` from verified Director ``targets``, or forget it with those. Raises: StorageError."""
        nonce = targets.resets.get(ecu)
        if nonce != self._state.counter_reset:
            self._state.store_counter_reset(nonce)

    def next_counter(self, now: datetime) -> tuple[int, str | None]:
        """The counter of the next report, which states the time ``now``, and the nonce that it carries, if one is asked for.

        With a nonce, the counter is at least the seconds since 1970 at ``now``: above every counter that this key has used,
        whatever backup this ECU was restored from, so no stored counter need be lowered. Raises: StorageError.
        """
        nonce = self._state.counter_reset
        if nonce is None:
            return self._state.reserve_counter(stated=now), None
        return self._state.reserve_counter(at_least=int(now.timestamp()), stated=now, most=MAX_COUNTER), nonce


def accept_counter(
    state: TrustedState, key: PublicKey, report: EcuReport, named: Callable[[], str | None] = lambda: None
) -> None:
    """Refuse a report whose counter ``key`` has signed before, and keep the counter of one that is new.

    A report without a counter is refused where the key has signed one with a counter before. ``named`` is the nonce by which
    verified Director Targets let this ECU count from lower on: a report that carries it counts once, and from then on those
    between it and the highest before, which stays stored. The Director, which keeps the reports of before, refuses those again.
    Raises: ReportReplayError, StorageError.
    """
    highest, reset = state.counter_of(report.ecu, key), state.counter_after_reset(report.ecu, key)
    if report.counter is None:
        if highest is not None:
            raise _replay(report, highest)
        return
    if highest is None or report.counter > highest:
        state.store_counter_of(report.ecu, key, report.counter)
        return
    if reset is None or not reset.last < report.counter < highest:
        used = None if reset is None else reset.nonce
        if report.nonce in (None, used) or report.counter == highest or report.nonce != named():
            raise _replay(report, highest if reset is None else reset.last)
        reset = CounterAfterReset(report.nonce, report.counter)
    state.store_counter_after_reset(report.ecu, key, CounterAfterReset(reset.nonce, report.counter))


def named_reset(state: TrustedState, ecu: EcuId) -> str | None:
    """The nonce by which the stored Director Targets let ``ecu`` count from lower on. Raises: StorageError."""
    targets = state.repository(DIRECTOR).targets
    return None if targets is None else targets.signed.resets.get(ecu)


def _replay(report: EcuReport, last: int) -> ReportReplayError:
    reason = f"its counter is {report.counter}, and the last one was {last}"
    return ReportReplayError(
        ecu=report.ecu, field="counter", reason=reason, offered=str(report.counter), last=str(last)
    )
