"""Installing on all ECUs, and the result that is reported (wire 6, 3).

Belongs here: metadata and images for Secondaries, the Primary's own image, the reboot. Does not belong here: deciding
whether to install (``cycle``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from tests.aktualizr.config import Config
from tests.aktualizr.downloads import is_here, key
from tests.aktualizr.http import Http, fetcher
from tests.aktualizr.metadata import Target
from tests.aktualizr.reports import Reports
from tests.aktualizr.secondaries import SecondaryEcu
from tests.aktualizr.storage import InstallationReport, RepositoryStore, Result, Storage
from tests.aktualizr.verification import ROOT_LIMIT

CODES = {"OK": 0, "VERIFICATION_FAILED": 3, "INSTALL_FAILED": 4, "INTERNAL_ERROR": 18, "NEED_COMPLETION": 21}
NOT_SENT = "Sending metadata to one or more ECUs failed"
INSTALLED = "Device has been successfully installed"
RAW_INSTALLED = "Installation succesful"  # so the client spells it


@dataclass
class Installation:
    """What one run installs."""

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

    def run(self, targets: list[Target], correlation: str) -> None:
        """Metadata to the Secondaries first; if one refuses, nothing is installed anywhere (wire 6)."""
        secondaries = [(ecu, target) for target in targets for ecu in self.secondaries if ecu.serial in target.ecus]
        refused = self._send_metadata([ecu for ecu, _ in secondaries])
        if refused:
            report = InstallationReport(Result(refused, NOT_SENT), correlation, NOT_SENT)
            number = CODES["VERIFICATION_FAILED"]
        else:
            items = self._install_on_primary(targets, correlation)
            for ecu, target in sorted(secondaries, key=lambda pair: pair[0].serial):
                items[ecu.serial] = self._install_on_secondary(ecu, target, correlation)
            report = self._summary(items, correlation)
            number = CODES.get(report.result.code.partition("|")[0].rpartition(":")[2], -1)
            self.reports.run.installs = {serial: result.code for serial, result in items.items()}
        self.storage.report = report
        self.log(f'got AllInstallsComplete event with status: "{report.result.code}":{number}')
        self.reports.run.success = report.result.code == "OK"

    def _send_metadata(self, ecus: list[SecondaryEcu]) -> str:
        """The result code of the vehicle if some Secondary refuses, else nothing."""
        if ecus:
            self.log("Waiting for Secondaries to connect to start installation...")
        refused = []
        for ecu in ecus:
            result = self._send_metadata_to(ecu)
            if not result.success:
                why = f'"{result.code}":{CODES[result.code]} {result.description}'
                self.log(f"Sending metadata to {ecu.serial} failed: {why}")
                refused.append(f"{ecu.hardware_id}:{result.code}")
        return "|".join(refused)

    def _send_metadata_to(self, ecu: SecondaryEcu) -> Result:
        director = self._roots(ecu.director, self.storage.director, self.config.director)
        image = director and self._roots(ecu.image, self.storage.image, self.config.repo)
        if not director or not image:
            why = f"Root metadata could not be fetched for Secondary with serial {ecu.serial}"
            self.log(f"{why}, skipping to the next Secondary")
            return Result("INTERNAL_ERROR", f"{why}, skipping to the next Secondary")
        from_director = RepositoryStore(director, self.storage.director.roles)
        from_image = RepositoryStore(image, self.storage.image.roles)
        return ecu.put_metadata(from_director, from_image, self.now, self.log)

    def _roots(self, own: RepositoryStore, store: RepositoryStore, base: str) -> dict[int, bytes] | None:
        """Every Root that the Secondary lacks. Those that the Primary never had, as its first was pinned, are fetched:
        so ``1.root.json`` has to be there even for vehicles with pinned Roots, if they have Secondaries.
        """
        roots = dict(store.roots)
        for version in range(max(own.roots, default=0) + 1, max(roots)):
            if version not in roots:
                self.log("Couldn't find Root metadata in the storage, trying remote repo")
                document = fetcher(self.http, base)(f"{version}.root.json", ROOT_LIMIT)
                if document is None:
                    return None
                roots[version] = document
        return roots

    def _install_on_primary(self, targets: list[Target], correlation: str) -> dict[str, Result]:
        """What the Primary's own ECU gets, if anything. The image is hashed once more."""
        serial = self.config.primary_serial
        target = next((each for each in targets if serial in each.ecus), None)
        if target is None:
            self.log("No update to install on Primary")
            return {}
        self._started(serial, correlation)
        file = self.storage.images[key(target)]
        code = self.config.install_result if is_here(target, file) else "VERIFICATION_FAILED"
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
