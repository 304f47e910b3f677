"""A check while an ECU is provisioned: both repositories answer at the given URLs, under the given Roots."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from twinlock.client.ecu.config import FetchSettings
from twinlock.client.ecu.provision import KnownRepositories, given_anchors
from twinlock.client.net.metadata import MetadataFetcher
from twinlock.client.net.transport import Transport
from twinlock.client.primary.driver import run_verification
from twinlock.trust.engine.commands import Persist, Steps
from twinlock.trust.engine.first_contact import check_vehicle_url, meet_director, meet_image_repository
from twinlock.trust.names import DIRECTOR, IMAGE, RepositoryName, VehicleId, identifier
from twinlock.trust.policy import LAX, STRICT
from twinlock.trust.state.trusted import TrustedRepository

_SETTINGS = FetchSettings(attempts=1, deadline_s=60.0)  # an operator waits


async def check_repositories(
    repositories: KnownRepositories, now: datetime, *, vehicle: str, policy: str = "strict"
) -> tuple[str, ...]:
    """Read each repository that has a URL in ``repositories`` as an ECU would; returns warnings. Stores nothing.

    ``now`` is UTC. Raises: UsageError if one does not match its Root, or serves another ``vehicle``; TransportError if one does not
    answer, and what ``given_anchors`` raises.
    """
    anchors = given_anchors(repositories)
    urls = {DIRECTOR: repositories.director_url, IMAGE: repositories.image_url}
    steps: dict[RepositoryName, Steps[tuple[str, ...]]] = {}
    chosen = LAX if policy == "lax" else STRICT
    if urls[DIRECTOR]:
        named = VehicleId(identifier(vehicle))
        check_vehicle_url(urls[DIRECTOR], named)
        steps[DIRECTOR] = meet_director(anchors[DIRECTOR], now, location=urls[DIRECTOR], vehicle=named, policy=chosen)
    if urls[IMAGE] and IMAGE in anchors:
        steps[IMAGE] = meet_image_repository(anchors[IMAGE], now, location=urls[IMAGE], policy=chosen)
    return await _run(steps, anchors, urls)


async def _run(
    steps: Mapping[RepositoryName, Steps[tuple[str, ...]]],
    anchors: Mapping[RepositoryName, TrustedRepository],
    urls: Mapping[RepositoryName, str],
) -> tuple[str, ...]:
    transport = Transport(_SETTINGS)
    fetcher = MetadataFetcher(
        transport,
        {name: (url,) for name, url in urls.items()},
        {name: anchor.wire for name, anchor in anchors.items()},
    )
    warnings: list[str] = []
    try:
        for asked in steps.values():
            warnings += await run_verification(asked, fetch=fetcher.fetch, persist=_forget, notices=[])
    finally:
        await transport.close()
    return tuple(warnings)


def _forget(_command: Persist) -> None:
    """Nothing is trusted, and so nothing is stored, before the ECU exists."""
