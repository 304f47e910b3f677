"""Making an ECU's own version report: Uptane 2.1.0 5.4.2.1.2 and 5.4.3.6."""

from __future__ import annotations

from twinlock.client.clock import Clock
from twinlock.client.state import TrustedState
from twinlock.trust.keys import Signer
from twinlock.trust.names import EcuId
from twinlock.trust.reports import EcuReport, sign_report
from twinlock.trust.state import InstalledImage


def make_report(ecu: EcuId, installed: InstalledImage, *, state: TrustedState, clock: Clock, signer: Signer) -> bytes:
    """A signed report of what ``ecu`` runs, with a counter that was never used before and the last refusal, if any.

    The counter is on the disk before the report exists, so no crash can make two reports share one.
    Raises: StorageError.
    """
    refusal = state.refusal
    report = EcuReport(
        ecu=ecu,
        installed=installed,
        time=clock.best_known(),
        counter=state.reserve_counter(),
        attack=refusal.code if refusal else "",
        detail=refusal.detail if refusal else "",
    )
    return sign_report(report, signer)
