"""The real client behind the interface of the virtual one: a binary that the environment variable AKTUALIZR names.

Each run writes the settings and credentials into a directory of its own and starts the program with ``once``. What it
has installed is read from its database. Requests and manifests are not its to tell: a server's log has them. Not here:
how such a binary is made.
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.aktualizr.authority import Authority
from tests.aktualizr.config import Config, Secondary, system_time
from tests.aktualizr.result import Run

BINARY = os.environ.get("AKTUALIZR", "")
TIMEOUT_S = 100


class RealAktualizr:
    """A vehicle that runs the real client, with storage in ``folder``. Only one run at a time."""

    def __init__(self, config: Config, folder: Path, binary: str = BINARY) -> None:
        self.config = config
        self.folder = folder
        self.binary = Path(binary)
        for name in ("import", "storage", "session"):
            (folder / name).mkdir(parents=True, exist_ok=True, mode=0o700)

    def configure(self, **changes: Any) -> None:
        """Change settings of :class:`Config` before the next run."""
        self.config = replace(self.config, **changes)

    def once(self) -> Run:
        """``aktualizr once``. Settings that only the simulated client has are refused. The outcome is read from its log, as its exit status does not tell (wire 1.1)."""
        self._check_settings()
        self._write()
        done = self._start("once")
        run = Run(messages=done.stdout.splitlines(), exit_status=done.returncode)
        run.success = run.said('got AllInstallsComplete event with status: "OK":0')
        run.installed = self._installed()
        return run

    def reboot(self) -> None:
        """Remove the file by which the client knows that no reboot has happened."""
        for sentinel in (self.folder / "session").iterdir():
            sentinel.unlink()

    def _check_settings(self) -> None:
        codes = {self.config.install_result, *(each.install_result for each in self.config.secondaries)}
        kinds = {each.kind for each in self.config.secondaries}
        if codes != {"OK"} or "ip" in kinds or self.config.now is not system_time:
            raise ValueError("only the simulated client has failing installations, IP Secondaries and another clock")

    def _start(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [str(self.binary), "-c", str(self.folder / "sota.toml"), *arguments]
        return subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=TIMEOUT_S, check=False
        )

    def _installed(self) -> dict[str, str]:
        """File names of the current images by ECU, from the client's own database."""
        if not (self.folder / "storage" / "sql.db").exists():
            return {}
        query = "SELECT ecu_serial, name FROM installed_versions WHERE is_current = 1"
        with closing(sqlite3.connect(self.folder / "storage" / "sql.db")) as database:
            return dict(database.execute(query).fetchall())

    def _write(self) -> None:
        """``sota.toml`` and everything it names."""
        credentials = self._credentials()
        settings = self._settings()
        if self.config.shared:
            settings["provision"] |= {
                "provision_path": str(self.config.shared.archive),
                "p12_password": self.config.shared.password,
            }
        else:
            settings["import"] |= credentials
        for name, root in self.config.initial_roots.items():
            (self.folder / "import" / name).mkdir(exist_ok=True)
            (self.folder / "import" / name / "root.json").write_bytes(root)
        if self.config.secondaries:
            settings["uptane"]["secondary_config_file"] = str(self._write_secondaries())
        (self.folder / "sota.toml").write_text(_ini(settings))

    def _credentials(self) -> dict[str, str]:
        """Copies of the TLS files, below the import directory. Some have to exist even for plain HTTP (wire 1.1)."""
        folder = self.folder / "import"
        if self.config.tls or not (folder / "pkey.pem").exists():
            files = self.config.tls or Authority(self.folder / "own").issue("device")
            shutil.copy(files.ca, folder / "ca.pem")
            shutil.copy(files.certificate, folder / "client.pem")
            shutil.copy(files.key, folder / "pkey.pem")
        return {"tls_cacert_path": "ca.pem", "tls_clientcert_path": "client.pem", "tls_pkey_path": "pkey.pem"}

    def _settings(self) -> dict[str, dict[str, object]]:
        config, folder = self.config, self.folder
        uptane = {
            "key_type": config.key_type,
            "director_server": config.director_server,
            "repo_server": config.repo_server,
        }
        return {
            "tls": {"server": config.server} if config.server else {},
            "provision": {
                "primary_ecu_serial": config.primary_serial,
                "primary_ecu_hardware_id": config.hardware_id,
                **({"device_id": config.device_id} if config.device_id else {}),
            },
            "uptane": {name: value for name, value in uptane.items() if value},
            "import": {"base_path": str(folder / "import")},
            "storage": {"path": str(folder / "storage")},
            "pacman": {
                "type": "none",
                "images_path": str(folder / "storage" / "images"),
                "fake_need_reboot": int(config.fake_need_reboot),
            },
            "bootloader": {"reboot_sentinel_dir": str(folder / "session")},
            "telemetry": {
                "report_network": str(config.report_network).lower(),
                "report_config": str(config.report_config).lower(),
            },
            "logger": {"loglevel": 1},
        }

    def _write_secondaries(self) -> Path:
        file = self.folder / "secondaries.json"
        file.write_text(json.dumps({"virtual": [self._secondary(each) for each in self.config.secondaries]}))
        return file

    def _secondary(self, secondary: Secondary) -> dict[str, object]:
        folder = self.folder / "secondaries" / secondary.serial
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return {
            "partial_verifying": False,
            "ecu_serial": secondary.serial,
            "ecu_hardware_id": secondary.hardware_id,
            "full_client_dir": str(folder),
            "ecu_private_key": "sec.private",
            "ecu_public_key": "sec.public",
            "firmware_path": str(folder / "firmware.bin"),
            "target_name_path": str(folder / "target_name"),
            "metadata_path": str(folder / "metadata"),
        }


def _ini(settings: dict[str, dict[str, object]]) -> str:
    """The settings file: TOML in name, sections and plain values in truth (wire 1.1)."""
    lines = []
    for section, values in settings.items():
        lines.append(f"[{section}]")
        for name, value in values.items():
            plain = not isinstance(value, str) or value in {"true", "false"}
            lines.append(f"{name} = {value}" if plain else f'{name} = "{value}"')
    return "\n".join(lines) + "\n"
