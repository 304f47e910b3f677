"""The services that one update cycle of a Primary works with."""

from __future__ import annotations

from dataclasses import dataclass

from twinlock.client.ecu.approvals import Approvals
from twinlock.client.ecu.clock import Clock
from twinlock.client.ecu.config import PrimaryConfig
from twinlock.client.ecu.evidence import EvidenceBook
from twinlock.client.ecu.reports import ReportProfile
from twinlock.client.install.installer import Installer
from twinlock.client.net.director import DirectorLink
from twinlock.client.net.metadata import MetadataFetcher
from twinlock.client.net.transport import Transport
from twinlock.client.primary.secondaries import Secondaries
from twinlock.client.storage.staging import Staging
from twinlock.client.storage.state import TrustedState
from twinlock.trust.keys.public_keys import Signer
from twinlock.trust.state.repository_map import RepositoryMap


@dataclass(frozen=True, kw_only=True, slots=True)
class PrimaryServices:
    """The services, one of each; ``Primary.open`` makes them."""

    config: PrimaryConfig
    map: RepositoryMap
    state: TrustedState
    signer: Signer
    installer: Installer
    staging: Staging
    clock: Clock
    approvals: Approvals
    evidence: EvidenceBook
    transport: Transport
    fetcher: MetadataFetcher
    director: DirectorLink
    secondaries: Secondaries
    reports: ReportProfile
