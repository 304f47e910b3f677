"""The services that one update cycle of a Primary works with."""

from __future__ import annotations

from dataclasses import dataclass

from twinlock.client.clock import Clock
from twinlock.client.config import PrimaryConfig
from twinlock.client.director_link import DirectorLink
from twinlock.client.ecu.approvals import Approvals
from twinlock.client.ecu.evidence import EvidenceBook
from twinlock.client.fetch import MetadataFetcher
from twinlock.client.install import Installer
from twinlock.client.reporting import ReportForm
from twinlock.client.secondaries import Secondaries
from twinlock.client.staging import Staging
from twinlock.client.state import TrustedState
from twinlock.client.transport import Transport
from twinlock.trust.keys import Signer
from twinlock.trust.mapping import RepositoryMap


@dataclass(frozen=True, kw_only=True, slots=True)
class PrimaryServices:
    """Everything a cycle works with."""

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
    reports: ReportForm
