"""Step 2 of a Primary's cycle (Uptane 2.1.0 5.4.2.2): the time, fixed once for the whole cycle."""

from __future__ import annotations

from datetime import datetime

from twinlock.client.ecu.clock import Clock, follow_roots
from twinlock.client.primary.driver import run_verification
from twinlock.client.primary.services import PrimaryServices
from twinlock.trust.errors.base import RefusalError
from twinlock.trust.errors.reports import AttestationError, AttestationKeyError, UnsolicitedTimeError
from twinlock.trust.model.root import Root
from twinlock.trust.names import DIRECTOR


async def take_time(services: PrimaryServices, notices: list[RefusalError]) -> datetime:
    """The time now (UTC), from a signed attestation if the ECU requires one. Raises: TimeError, AttestationError, TransportError."""
    if services.config.time.attested:
        attestation = await services.director.attest_time(services.clock.ask)
        director = services.state.repository(DIRECTOR)
        try:
            services.clock.accept(attestation, director.root.signed)
        except UnsolicitedTimeError as error:
            # It arrived as the answer to our question, so it is a replay, not a stray message.
            raise AttestationError(reason=error.reason) from error
        except AttestationKeyError:
            # The source's key may have changed. A newer Root would name the new one, and can be followed without a time.
            director = await run_verification(
                follow_roots(director, services.config.limits),
                fetch=services.fetcher.fetch,
                elsewhere=services.fetcher.elsewhere,
                persist=services.state.persist,
                notices=notices,
            )
            _accept_under_newest(services.clock, attestation, director.root.signed)
    return services.clock.now()


def _accept_under_newest(clock: Clock, attestation: bytes, root: Root) -> None:
    """Accept the time under the newest Root. If not even this Root names the key, rotation does not explain it."""
    try:
        clock.accept(attestation, root)
    except AttestationKeyError as error:
        raise AttestationError(reason=error.reason) from error
