"""The simulated aktualizr: one run from provisioning to the last manifest, request by request as in wire 2.1.

Belongs here: the public interface, and the order of a run. Does not belong here: how updates are checked, downloaded
and installed (``cycle``).
"""

from __future__ import annotations

import shutil
import tempfile
import weakref
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.aktualizr.config import Config
from tests.aktualizr.cycle import Cycle
from tests.aktualizr.http import Http
from tests.aktualizr.provisioning import Provisioning, import_roots, shared_url
from tests.aktualizr.reports import Reports
from tests.aktualizr.result import Run
from tests.aktualizr.secondaries import SecondaryEcu
from tests.aktualizr.storage import Storage


class VirtualAktualizr:
    """A vehicle with its storage. Every ``once`` is a new start of the program on the same storage.

    Configuration may change between runs, as an edited ``sota.toml`` would: ``client.configure(secondaries=())``. It
    blocks while it runs, so a test whose server shares its event loop calls ``await asyncio.to_thread(client.once)``.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        self.storage = Storage()
        self.rebooted = False
        self._secondaries: dict[str, SecondaryEcu] = {}
        self._folder = Path(tempfile.mkdtemp(prefix="virtual-aktualizr-"))
        weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)

    def configure(self, **changes: Any) -> None:
        """Change settings of :class:`Config` before the next run."""
        self.config = replace(self.config, **changes)

    def reboot(self) -> None:
        """What ends a pending installation of ``fake_need_reboot``; the next run completes and reports it."""
        self.rebooted = True

    def secondaries(self) -> list[SecondaryEcu]:
        """The configured Secondaries by serial; one that was there before has kept its key, image and metadata."""
        for config in self.config.secondaries:
            known = self._secondaries.setdefault(config.serial, SecondaryEcu(config))
            known.config, known.attacks = config, ""
        return [self._secondaries[serial] for serial in sorted(config.serial for config in self.config.secondaries)]

    def once(self) -> Run:
        """``aktualizr once``: provision if needed, send device data, report, check, download, install, report."""
        run = Run()
        config, storage, now = self._effective(), self.storage, self.config.now()
        http = Http(run.requests, run.messages.append, config.pause_s)
        reports = Reports(config, storage, http, run, now)
        secondaries = self.secondaries()
        cycle = Cycle(config, storage, secondaries, http, reports, now)
        import_roots(config, storage)
        provisioning = Provisioning(config, storage, http, run.messages.append, self._folder)
        if not provisioning.run(secondaries):
            run.exit_status = 1
            return run
        if self.rebooted and storage.pending:
            cycle.installation.complete_pending()
        self.rebooted = False
        reports.send_device_data()
        cycle.run()
        run.installed = {serial: target.name for serial, target in storage.installed.items()}
        return run

    def _effective(self) -> Config:
        """The configuration with ``tls.server`` from the provisioning archive (wire 1.4)."""
        if self.config.shared and not self.config.server:
            return replace(self.config, server=shared_url(self.config.shared))
        return self.config
