"""Step 1 of a Primary's cycle (Uptane 2.1.0 5.4.2.1), and its end: the vehicle version manifest, sent to the Director."""

from __future__ import annotations

import hashlib

from twinlock.client.ecu.reports import make_report
from twinlock.client.install.ab_slots import UNKNOWN
from twinlock.client.model.cancellation import in_thread
from twinlock.client.model.errors import InstallerError, ManifestRefusedError
from twinlock.client.model.results import Problem, Step
from twinlock.client.primary.services import PrimaryServices
from twinlock.trust.model.ecu import InstalledImage
from twinlock.trust.names import DIRECTOR


async def send_manifest(services: PrimaryServices, step: Step, problems: list[Problem]) -> bool:
    """Collect the reports of all ECUs, and send them; returns whether the Director accepted them.

    A Director that refuses them does not stop the cycle, because it may be wrong: that is appended to ``problems``, as are failures of
    single ECUs. Raises: TransportError, StorageError, ProfileError; RefusalError for a report of this ECU that its own reader refuses.
    """
    own = services.config.ecu.ecu
    reports = await services.secondaries.collect_reports(step, problems)
    installed = await _own_image(services, step, problems)
    profile, signer = services.reports, services.signer
    report = make_report(
        own,
        installed,
        state=services.state,
        clock=services.clock,
        signer=signer,
        profile=profile,
        limits=services.config.limits,
    )
    services.state.store_report(own, report)
    outcome = services.state.unreported
    manifest = profile.sign_manifest(services.config.vehicle, own, [report, *reports.values()], signer, outcome)
    try:
        await services.director.put_manifest(manifest)
    except ManifestRefusedError as error:
        problems.append(Problem(step=step, error=error))
        return False
    if not profile.acknowledges:
        _mark_accepted(services, report)
    if outcome is not None:
        services.state.store_unreported(None)
    return True


async def _own_image(services: PrimaryServices, step: Step, problems: list[Problem]) -> InstalledImage:
    """What this ECU runs, for its report. A product's installer that fails here must not silence the vehicle."""
    try:
        return await in_thread(services.installer.installed)  # it may read a whole slot
    except InstallerError as error:
        problems.append(Problem(step=step, ecu=services.config.ecu.ecu, error=error))
        return InstalledImage(path=UNKNOWN, length=0, hashes={"sha256": hashlib.sha256().hexdigest()})


def _mark_accepted(services: PrimaryServices, report: bytes) -> None:
    """A Director without acknowledgements accepted our report: record the version of its Timestamp."""
    counter = services.reports.decode_report(report, services.config.limits).report.counter
    timestamp = services.state.repository(DIRECTOR).timestamp
    if counter is not None:
        services.evidence.mark_accepted(counter, timestamp.signed.version if timestamp else 0)
