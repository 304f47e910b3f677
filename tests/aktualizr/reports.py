"""Bodies that the client sends: manifests, device data, events (wire 3, and 2.1 for when).

Belongs here: what is reported and how. Does not belong here: the registration of ECUs (``provisioning``).
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tests.aktualizr.config import Config
from tests.aktualizr.http import Http
from tests.aktualizr.metadata import Log, Target
from tests.aktualizr.result import Run
from tests.aktualizr.secondaries import SecondaryEcu
from tests.aktualizr.storage import InstallationReport, Storage
from tests.aktualizr.wire import SigningKey, canonical, envelope

CONTENT_TYPE = "application/vnd.com.here.otac.installationReport.v1"
NO_TIME = "1970-01-01T00:00:00Z"
NOT_FOUND, TOO_LARGE = 404, 413


def ecu_report(serial: str, image: Target | None, key: SigningKey, *, none: str, attacks: str = "", **more: str) -> Any:
    """What one ECU says it runs, signed. ``none`` is the file name for no image. Only SHA-256 is ever reported."""
    content = image or Target(none, 0, {"sha256": hashlib.sha256().hexdigest()})
    info = {"hashes": {"sha256": content.hashes.get("sha256", "")}, "length": content.length}
    signed = {
        "attacks_detected": attacks,
        "ecu_serial": serial,
        "installed_image": {"filepath": content.name, "fileinfo": info},
        "previous_timeserver_time": NO_TIME,
        "timeserver_time": NO_TIME,
        **more,
    }
    return envelope(signed, key)


def installation_report(report: InstallationReport) -> dict[str, Any]:
    """The report inside a manifest. Always with a ``correlation_id``, empty where the Director gave none."""
    items = [{"ecu": serial, "result": result.json} for serial, result in report.items.items()]
    inner = {
        "correlation_id": report.correlation,
        "items": items,
        "raw_report": report.raw,
        "result": report.result.json,
    }
    return {"content_type": CONTENT_TYPE, "report": inner}


@dataclass
class Reports:
    """Sends them. Events and device data go to ``tls.server``; without one, events are dropped (wire 1.1)."""

    config: Config
    storage: Storage
    http: Http
    run: Run
    now: datetime
    log: Log = field(init=False)

    def __post_init__(self) -> None:
        self.log = self.http.log

    def put_manifest(self, secondaries: Iterable[SecondaryEcu]) -> bool:
        """The vehicle's manifest; a result to report stays until one is accepted. Whether this one was."""
        key, serial = self.storage.key, self.config.primary_serial
        assert key is not None
        count = self.storage.report_counters[serial] = self.storage.report_counters.get(serial, 0) + 1
        image = self.storage.installed.get(serial)
        if image and "sha256" not in image.hashes:
            self.log("No sha256 in hashes list")
        reports = {serial: ecu_report(serial, image, key, none="unknown", report_counter=str(count))}
        reports |= {
            ecu.serial: ecu_report(ecu.serial, ecu.installed, ecu.key, none=ecu.no_image, attacks=ecu.attacks)
            for ecu in secondaries
        }
        signed: dict[str, Any] = {"primary_ecu_serial": serial, "ecu_version_manifests": reports}
        if self.storage.report:
            signed["installation_report"] = installation_report(self.storage.report)
        else:
            self.log("No installation result to report in manifest")
        self.run.manifests.append(signed)
        response = self.http.put(f"{self.config.director}/manifest", envelope(signed, key))
        if response.ok:
            self.storage.report = None
        else:
            self.log(f"Put manifest request failed: {response.error[0]} {response.error[1]} HTTP {response.status}")
        return response.ok

    def send_device_data(self) -> None:
        """All four, each until it was taken once (wire 2.1, requests 2 to 5)."""
        self._send("default hardware information", "PUT", "/system_info", {"class": "system", "id": "virtual"})
        self._send("installed packages", "PUT", "/core/installed", [{"name": "fake-package", "version": "1.0"}])
        self.send_network()
        if self.config.report_config:
            toml = f'[tls]\nserver = "{self.config.server}"\n'.encode()
            self._send("libaktualizr configuration", "POST", "/system_info/config", toml)
        self.log("got SendDeviceDataComplete event")

    def send_network(self) -> None:
        """Sent again before each check, if it was not taken (wire 2.1, request 6)."""
        if self.config.report_network:
            addresses = {"hostname": "virtual", "local_ipv4": "127.0.0.1", "mac": "00:00:00:00:00:00"}
            self._send("network information", "PUT", "/system_info/network", addresses)

    def _send(self, what: str, method: str, path: str, body: object) -> None:
        digest = hashlib.sha256(body if isinstance(body, bytes) else canonical(body)).hexdigest()
        if self.storage.accepted.get(path) != digest:
            self.log(f"Reporting {what}")
            send = self.http.put if method == "PUT" else self.http.post
            if send(self.config.server + path, body).ok:
                self.storage.accepted[path] = digest

    def event(self, kind: str, serial: str, correlation: str, *, success: bool | None = None) -> None:
        """One event, and with it those that could not be sent before."""
        if not self.config.server:
            return
        about: dict[str, Any] = {"correlationId": correlation} if correlation else {}
        about |= {"ecu": serial} | ({} if success is None else {"success": success})
        self.storage.events.append(
            {
                "id": str(uuid.uuid4()),
                "deviceTime": self.now.strftime("%Y-%m-%dT%H:%M:%SZ"),
                "eventType": {"id": kind, "version": 0},
                "event": about,
            }
        )
        self._flush()

    def _flush(self) -> None:
        """404 clears the queue, 413 halves the batch and at last drops the event, any other failure keeps it for later (wire 3)."""
        events, size = self.storage.events, len(self.storage.events)
        while events:
            response = self.http.post(f"{self.config.server}/events", events[:size])
            if response.status == NOT_FOUND:
                self.log("Server does not support event reports. Clearing report queue.")
                events.clear()
            elif response.ok:
                del events[:size]
            elif response.status != TOO_LARGE:
                self.log(
                    f"Failed to post update events: {response.error[0]} {response.error[1]} HTTP {response.status}"
                )
                return
            elif size > 1:
                size //= 2
            else:
                where = f"the server `{self.config.server}` cannot digest it ({TOO_LARGE})"
                self.log(f'Dropping a report event "{events.pop(0)["id"]}" since {where}.')
