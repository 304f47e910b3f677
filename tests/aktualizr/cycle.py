"""One update cycle: report, check, download, install, report (wire 2.1, 5, 6).

Belongs here: the order of these, and what each failure leads to. Does not belong here: what is checked of metadata.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from tests.aktualizr.config import Config
from tests.aktualizr.director_repository import DirectorRepository
from tests.aktualizr.downloads import Downloads, image_url, intact, key
from tests.aktualizr.http import Http
from tests.aktualizr.image_repository import ImageRepository
from tests.aktualizr.metadata import Target
from tests.aktualizr.refusals import FetchFailure, TargetMismatch, UptaneError
from tests.aktualizr.reports import Reports
from tests.aktualizr.secondaries import SecondaryEcu
from tests.aktualizr.storage import InstallationReport, Result, Storage
from tests.aktualizr.verification import Fetch

CODES = {"OK": 0, "VERIFICATION_FAILED": 3, "INSTALL_FAILED": 4, "DOWNLOAD_FAILED": 5, "NEED_COMPLETION": 21}
NOT_SENT = "Sending metadata to one or more ECUs failed"
INSTALLED = "Device has been successfully installed"
RAW_INSTALLED = "Installation succesful"  # so the client spells it

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
            self._install(found)
            if not self.storage.pending:
                self._last_manifest()

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

    def _fetch(self, base: str) -> Fetch:
        def fetch(name: str, limit: int) -> bytes | None:
            url = f"{base}/{name}"
            if " " not in name:
                self.log(f"GET {url}")
            response = self.http.get(url, limit)
            return response.body if response.ok else None

        return fetch

    def _check(self) -> Pairs | None:
        """The updates that both repositories know; none; or None for a failure (wire 5, to item 5)."""
        try:
            self.director.update(self._fetch(self.config.director))
        except UptaneError as error:
            self.log(f"Director metadata update failed: {error}")
            return None
        wanted = self._new_targets()
        if not wanted:
            if wanted is not None:
                self.log("No new updates found in Uptane metadata.")
            return [] if wanted is not None else None
        self.log("New updates found in Director metadata. Checking Image repo metadata...")
        try:
            self.image.update(self._fetch(self.config.repo))
        except UptaneError as error:
            self.log(f"Failed to update Image repo metadata: {error}")
            return None
        found = self._match(wanted, self._fetch(self.config.repo))
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
            self.log(str(error))
            return None
        stored = self._new_targets()
        if stored is None:
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
            self._fail(Result("VERIFICATION_FAILED", "Metadata verification failed."))
            return None
        try:
            self.image.check_stored()
        except (UptaneError, FetchFailure) as error:
            self.log(str(error))
            return None
        return self._match(wanted, None)

    # Download.

    def _download(self, updates: Pairs) -> bool:
        """All images; a failure of one is a failure of all (wire 3, "what is reported on failure")."""
        downloads = Downloads(self.storage.images, self.http, self.log)
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

    # Install.

    def _install(self, updates: Pairs) -> None:
        """Metadata to the Secondaries first; if one refuses, nothing is installed anywhere (wire 6)."""
        found = self._recheck([director for director, _ in updates])
        if not found:
            return
        targets = [director for director, _ in found]
        correlation = self._correlation()
        secondaries = [(ecu, target) for target in targets for ecu in self.secondaries if ecu.serial in target.ecus]
        refused = self._send_metadata([ecu for ecu, _ in secondaries])
        if refused:
            report = InstallationReport(Result(refused, NOT_SENT), correlation, NOT_SENT)
        else:
            items = self._install_on_primary(targets, correlation)
            for ecu, target in secondaries:
                items[ecu.serial] = self._install_on_secondary(ecu, target, correlation)
            report = self._summary(items, correlation)
            self.reports.run.installs = {serial: result.code for serial, result in items.items()}
        self.storage.report = report
        code = report.result.code
        number = CODES.get(code.partition("|")[0].rpartition(":")[2], -1)
        self.log(f'got AllInstallsComplete event with status: "{code}":{number}')
        self.reports.run.success = code == "OK"

    def _send_metadata(self, ecus: list[SecondaryEcu]) -> str:
        """The result code of the vehicle if some Secondary refuses, else nothing."""
        if ecus:
            self.log("Waiting for Secondaries to connect to start installation...")
        refused = []
        for ecu in ecus:
            result = ecu.put_metadata(self.storage, self.now, self.log)
            if not result.success:
                why = f'"{result.code}":{CODES[result.code]} {result.description}'
                self.log(f"Sending metadata to {ecu.serial} failed: {why}")
                refused.append(f"{ecu.hardware_id}:{result.code}")
        return "|".join(refused)

    def _install_on_primary(self, targets: list[Target], correlation: str) -> dict[str, Result]:
        """What the Primary's own ECU gets, if anything. The image is hashed once more."""
        serial = self.config.primary_serial
        target = next((each for each in targets if serial in each.ecus), None)
        if target is None:
            self.log("No update to install on Primary")
            return {}
        self._started(serial, correlation)
        file = self.storage.images[key(target)]
        code = self.config.install_result if intact(target, file.content) else "VERIFICATION_FAILED"
        if code == "OK" and self.config.fake_need_reboot:
            self.storage.pending[serial] = target
            self.storage.pending_correlation = correlation
            self.reports.event("EcuInstallationApplied", serial, correlation)
            self.log("got InstallTargetComplete event")
            return {serial: Result("NEED_COMPLETION", "Application successful, need reboot")}
        if code == "OK":
            self.storage.installed[serial] = target
        self._completed(serial, correlation, success=code == "OK")
        return {serial: Result(code, "Installing package was successful" if code == "OK" else "Installing failed")}

    def _install_on_secondary(self, ecu: SecondaryEcu, target: Target, correlation: str) -> Result:
        self._started(ecu.serial, correlation)
        result = ecu.install(target)
        if result.success:
            self.storage.installed[ecu.serial] = target
        self._completed(ecu.serial, correlation, success=result.success)
        return result

    def _started(self, serial: str, correlation: str) -> None:
        self.log("got InstallStarted event")
        self.reports.event("EcuInstallationStarted", serial, correlation)

    def _completed(self, serial: str, correlation: str, *, success: bool) -> None:
        self.reports.event("EcuInstallationCompleted", serial, correlation, success=success)
        self.log("got InstallTargetComplete event")

    def _summary(self, items: dict[str, Result], correlation: str) -> InstallationReport:
        """The vehicle's result from those of its ECUs: ``hwid:CODE|hwid:CODE`` for those that failed (wire 3)."""
        failed = [f"{self.ecus[serial]}:{result.code}" for serial, result in items.items() if not result.success]
        if failed:
            result, raw = Result("|".join(failed), "Installation failed"), "Installation failed"
        elif any(each.code == "NEED_COMPLETION" for each in items.values()):
            result, raw = Result("NEED_COMPLETION"), "Application successful, need reboot"
        else:
            result, raw = Result("OK", INSTALLED), RAW_INSTALLED
        return InstallationReport(result, correlation, raw, items)

    def complete_pending(self) -> None:
        """After a reboot: what was pending is installed, told as an event, and reported before anything else."""
        items = dict(self.storage.report.items) if self.storage.report else {}
        for serial, target in self.storage.pending.items():
            self.storage.installed[serial] = target
            self.reports.event("EcuInstallationCompleted", serial, self.storage.pending_correlation, success=True)
            items[serial] = Result("OK", "Installing fake package was successful")
        self.storage.pending.clear()
        self.storage.report = self._summary(items, self.storage.pending_correlation)
        self.reports.put_manifest(self.secondaries)
