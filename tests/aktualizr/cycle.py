"""One update cycle: report, check, download, install, report (wire 2.1, 5, 6).

Belongs here: the order of these, and what a failure before the installation leads to. Does not belong here: what is
checked of metadata, and the installation itself (``installation``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from tests.aktualizr.config import Config
from tests.aktualizr.director_repository import DirectorRepository
from tests.aktualizr.downloads import Downloads, image_url
from tests.aktualizr.http import Http, fetcher
from tests.aktualizr.image_repository import ImageRepository
from tests.aktualizr.installation import Installation
from tests.aktualizr.metadata import Target
from tests.aktualizr.ostree import Sysroot
from tests.aktualizr.refusals import TargetMismatch, UptaneError
from tests.aktualizr.reports import Reports
from tests.aktualizr.secondaries import SecondaryEcu
from tests.aktualizr.storage import InstallationReport, Result, Storage
from tests.aktualizr.verification import Fetch

RECHECK_FAILED = Result("INTERNAL_ERROR", "Error rechecking stored metadata.")

Pairs = list[tuple[Target, Target]]
"""The Director's entry and the Image repository's, for each update."""


@dataclass
class Cycle:
    """Everything that one run works with."""

    config: Config
    storage: Storage
    secondaries: Sequence[SecondaryEcu]
    http: Http
    reports: Reports
    now: datetime

    def __post_init__(self) -> None:
        self.log = self.http.log
        self.ecus = {self.config.primary_serial: self.config.hardware_id}
        self.ecus |= {ecu.serial: ecu.hardware_id for ecu in self.secondaries}
        self.installation = Installation(
            self.config, self.storage, self.secondaries, self.http, self.reports, now=self.now
        )
        self.director = DirectorRepository(self.storage.director, self.now, self.log)
        self.image = ImageRepository(self.storage.image, self.storage.delegations, self.now, self.log)

    def run(self) -> None:
        """All of it. A failure before the installation leads to one more manifest (wire 2.1, "later runs")."""
        self.reports.send_network()
        if self.storage.pending:
            self._wait_for_reboot()
            return
        if not self.reports.put_manifest(self.secondaries):
            self.log("Error sending manifest!")
        updates = self._check()
        if updates is None:
            self._last_manifest()
        elif updates:
            self._download_and_install(updates)

    def _download_and_install(self, updates: Pairs) -> None:
        found = self._recheck([director for director, _ in updates])
        if found is None:
            self.log('got AllDownloadsComplete event with status: "Error"')
            self._last_manifest()
        elif not found:
            self.log('got AllDownloadsComplete event with status: "Nothing to download"')
        elif not self._download(found):
            self._last_manifest()
        else:
            self._install([director for director, _ in found])
            if not self.storage.pending:
                self._last_manifest()

    def _install(self, targets: list[Target]) -> None:
        """Check once more, and install what is still wanted."""
        found = self._recheck(targets)
        if found:
            self.installation.run([director for director, _ in found], self._correlation())

    def _last_manifest(self) -> None:
        self.reports.put_manifest(self.secondaries)
        self.log("got PutManifestComplete event")

    def _wait_for_reboot(self) -> None:
        """No manifest and no metadata until the reboot (wire 2.1, "pending reboot")."""
        self.log("The current update is pending. Check if pending ECUs has been already updated")
        self.log("An update is pending. Skipping check for update until installation is complete.")
        self.log("An update is pending. Skipping manifest upload until installation is complete.")
        self.log("got PutManifestComplete event")

    # Check.

    def _check(self) -> Pairs | None:
        """The updates that both repositories know; none; or None for a failure (wire 5, to item 5)."""
        try:
            self.director.update(fetcher(self.http, self.config.director))
        except UptaneError as error:
            self.log(f"Director metadata update failed: {error}")
            return None
        wanted = self._new_targets()
        if wanted is None:
            return None
        if not wanted:
            self.log("No new updates found in Uptane metadata.")
            return []
        self.log("New updates found in Director metadata. Checking Image repo metadata...")
        try:
            self.image.update(fetcher(self.http, self.config.repo))
        except UptaneError as error:
            self.log(f"Failed to update Image repo metadata: {error}")
            return None
        found = self._match(wanted, fetcher(self.http, self.config.repo))
        if found is not None:
            plural = "" if len(found) == 1 else "s"
            self.log(f"{len(found)} new update{plural} found in both Director and Image repo metadata.")
        return found

    def _new_targets(self) -> list[Target] | None:
        try:
            return self.director.new_targets(self.ecus, self.storage.installed)
        except UptaneError as error:
            self.log(f"Inconsistency between Director metadata and available ECUs: {error}")
            return None

    def _match(self, wanted: list[Target], fetch: Fetch | None) -> Pairs | None:
        """Look for each in the Image repository. A mismatch is reported, if there is a correlation id (wire 3)."""
        try:
            return [(target, self._find(target, fetch)) for target in wanted]
        except UptaneError as error:
            self.log(str(error))
            self._fail(Result("VERIFICATION_FAILED", "Metadata verification failed."))
            return None

    def _find(self, target: Target, fetch: Fetch | None) -> Target:
        found = self.image.find(target, fetch)
        if found is None:
            self.log(f"No matching target in Image repo Targets metadata for {target}")
            raise TargetMismatch
        return found

    def _fail(self, result: Result) -> None:
        """Report a failure before the installation, and listen to the Director anew; not without a correlation id."""
        correlation = self._correlation()
        if not correlation:
            self.log("Correlation ID is blank, installation failure will not be logged")
            return
        self.storage.report = InstallationReport(result, correlation)
        self.director.drop()

    def _correlation(self) -> str:
        return self.director.targets.correlation if self.director.targets else ""

    def _recheck(self, wanted: list[Target]) -> Pairs | None:
        """Everything once more from *stored* metadata, before the download and before the installation (wire 6)."""
        self.director = DirectorRepository(self.storage.director, self.now, self.log)
        self.image = ImageRepository(self.storage.image, self.storage.delegations, self.now, self.log)
        try:
            self.director.check_stored()
        except UptaneError as error:
            self._invalid_storage(f"Failed to check Director metadata: {error}")
            return None
        stored = self._new_targets()
        if stored is None:
            self._invalid_storage()
            return None
        if not stored:
            nothing = "No new updates found while rechecking stored Director Targets metadata"
            self.log(f"{nothing}, but {len(wanted)} target(s) were requested.")
            return []
        self.log("New updates found in stored Director metadata. Checking stored Image repo metadata...")
        return self._recheck_image(wanted, stored)

    def _recheck_image(self, wanted: list[Target], stored: list[Target]) -> Pairs | None:
        missing = [target for target in wanted if target not in stored]
        if missing:
            self.log(f"No matching target in Director Targets metadata for {missing[0]}")
            self._fail(RECHECK_FAILED)
            return None
        try:
            self.image.check_stored()
        except UptaneError as error:
            self._invalid_storage(f"Failed to check Image repo metadata: {error}")
            return None
        return self._match(wanted, None)

    def _invalid_storage(self, *reasons: str) -> None:
        for reason in (*reasons, "Aborting; invalid Uptane metadata in storage."):
            self.log(reason)
        self._fail(RECHECK_FAILED)

    # Download.

    def _download(self, updates: Pairs) -> bool:
        """All images; a failure of one is a failure of all (wire 3, "what is reported on failure")."""
        config = self.config
        sysroot = Sysroot(config.sysroot, config.treehub, config.tls) if config.sysroot else None
        downloads = Downloads(self.storage.images, self.http, self.log, sysroot)
        whole = sum(self._download_one(downloads, *pair) for pair in updates)
        if whole == len(updates):
            self.log('got AllDownloadsComplete event with status: "Success"')
            return True
        count = f"Only {whole} of {len(updates)} were" if whole else f"0 of {len(updates)} targets were"
        self.log(f"{count} successfully downloaded.")
        self._fail(Result("DOWNLOAD_FAILED", "Target download failed."))
        self.log(f'got AllDownloadsComplete event with status: "{"Partial success" if whole else "Error"}"')
        return False

    def _download_one(self, downloads: Downloads, director: Target, image: Target) -> bool:
        correlation = self._correlation()
        for serial in sorted(director.ecus):
            self.reports.event("EcuDownloadStarted", serial, correlation)
        done = downloads.download(director, image_url(self.config.repo, director, image))
        for serial in sorted(director.ecus):
            self.reports.event("EcuDownloadCompleted", serial, correlation, success=done)
        self.log("got DownloadTargetComplete event")
        return done
