"""``twinlock director`` for vehicles with aktualizr: certificates, their server, and what they tell, from the shell."""

from __future__ import annotations

import asyncio
import io
import json
import ssl
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from click.testing import CliRunner, Result

from tests.unit.director.device_world import Device
from tests.unit.director.world import ImageSite
from twinlock.cli.main import main
from twinlock.director.director import Director
from twinlock.repository.workspace.validity import utc_now


class Shell:
    """Runs commands on one Director directory."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def run(self, command: str, *arguments: object, status: int = 0) -> Result:
        words = ["director", command, str(self.path), *map(str, arguments)]
        result = CliRunner().invoke(main, words)
        assert result.exit_code == status, result.output
        return result

    def json(self, command: str, *arguments: object, status: int = 0) -> Any:
        return json.loads(self.run(command, *arguments, "--json", status=status).stdout)


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """A Director with a device CA."""
    monkeypatch.delenv("TWINLOCK_PASSPHRASE", raising=False)
    site = ImageSite(tmp_path / "image", now=utc_now())
    site.publish()
    Director.create(tmp_path / "director", image_root=site.root, image_url=str(site.path)).close()
    shell = Shell(tmp_path / "director")
    assert shell.json("create-device-ca")["file"] == str(shell.path / "device-ca" / "ca.pem")
    return shell


@pytest.fixture
def device(shell: Shell) -> Device:
    """A registered device that has told everything."""
    device = Device()
    with Director.open(shell.path) as director:
        director.devices.register(device.identity(), device.registration())
        director.devices.take_telemetry("VIN7", "network", b'{"hostname": "gw"}')
        director.devices.take_telemetry("VIN7", "configuration", b"[tls]\n")
        event = {
            "id": "e1",
            "deviceTime": "2026-11-22T17:43:41Z",
            "eventType": {"id": "EcuDownloadCompleted", "version": 0},
            "event": {"ecu": "gw-7", "success": True},
        }
        director.devices.take_events("VIN7", json.dumps([event, {**event, "id": "e2", "event": {}}]).encode())
    return device


def test_credentials_are_written_once_and_listed_and_taken_back(shell: Shell, tmp_path: Path) -> None:
    made = shell.json("issue-device", "VIN7", "--output", tmp_path / "import")
    assert sorted(path.name for path in (tmp_path / "import").iterdir()) == ["ca.pem", "client.pem", "pkey.pem"]
    again = shell.json("issue-device", "VIN7", "--output", tmp_path / "import", status=2)
    assert (again["error"]["code"], again["error"]["fields"]["what"]) == ("occupied", "ca.pem")
    shell.run("issue-server", "127.0.0.1", "fleet.example", "--output", tmp_path / "tls")
    assert sorted(path.name for path in (tmp_path / "tls").iterdir()) == ["ca.pem", "server.key.pem", "server.pem"]
    listed = shell.json("certificates")["certificates"]
    # What was refused for its place was not issued.
    assert [(item["kind"], item["name"]) for item in listed] == [("server", "127.0.0.1"), ("single", "VIN7")]
    text = shell.run("certificates", "VIN7").stdout
    assert made["fingerprint"] in text
    assert "127.0.0.1" not in text
    assert shell.json("revoke-certificate", "VIN7", status=2)["error"]["code"] == "usage"
    assert shell.json("revoke-certificate", "VIN7", "--yes")["revoked"] == [made["fingerprint"]]
    assert shell.json("revoke-certificate", "VIN7", "--yes", status=2)["error"]["code"] == "no-certificate"
    with Director.open(shell.path) as director:
        assert [row["vehicle"] for row in director.audit("VIN7", action="revoke-certificate")] == ["VIN7"]
    assert shell.json("create-device-ca", status=2)["error"]["code"] == "occupied"


def test_an_archive_for_provisioning_is_made(shell: Shell, tmp_path: Path) -> None:
    target = tmp_path / "credentials.zip"
    for wrong in ("http://x", "fleet.example", "https://x/", "https://", "https://x:y", "https://[", "https://x?a=1"):
        assert (
            shell.json("issue-provisioning", "--url", wrong, "--output", target, status=2)["error"]["code"] == "usage"
        )
    assert shell.json("certificates")["certificates"] == []
    shell.run("issue-provisioning", "--url", "https://fleet.example:8443", "--output", target)
    assert target.stat().st_mode & 0o777 == 0o600
    with zipfile.ZipFile(io.BytesIO(target.read_bytes())) as archive:
        assert archive.read("autoprov.url") == b"https://fleet.example:8443"
    shell.run("issue-provisioning", "--url", "https://fleet.example:8443", "--output", target, status=2)
    assert [item["kind"] for item in shell.json("certificates")["certificates"]] == ["shared"]


def test_what_a_vehicle_told_is_shown(shell: Shell, device: Device) -> None:
    told = shell.json("telemetry", "VIN7")["telemetry"]
    assert {item["kind"]: item["value"] for item in told} == {
        "network": {"hostname": "gw"},
        "configuration": "[tls]\n",
    }
    assert "[tls]" not in shell.run("telemetry", "VIN7").stdout
    assert shell.run("telemetry", "VIN7", "--kind", "configuration").stdout.strip() == "[tls]"
    assert json.loads(shell.run("telemetry", "VIN7", "--kind", "network").stdout) == {"hostname": "gw"}
    events = shell.json("device-events", "VIN7")["events"]
    assert [(item["id"], item["kind"]) for item in events] == [
        ("e2", "EcuDownloadCompleted"),
        ("e1", "EcuDownloadCompleted"),
    ]
    assert len(shell.json("device-events", "VIN7", "--limit", "1")["events"]) == 1
    assert "gw-7" in shell.run("device-events", "VIN7").stdout
    for command in ("telemetry", "device-events", "allow-certificate"):
        assert shell.json(command, "VIN9", status=2)["error"]["code"] == "unknown-vehicle"


def test_the_vehicle_is_shown_with_its_wire_and_what_left_it(shell: Shell, device: Device) -> None:
    del device.hardware["brake-7"]
    with Director.open(shell.path) as director:
        director.devices.register(device.identity(), device.registration())
    shown = shell.json("show", "VIN7")
    assert (shown["wire"], shown["identifiedBy"]) == ("aktualizr", "certificate")
    assert [item["ecu"] for item in shown["ecus"]] == ["gw-7"]
    assert [item["ecu"] for item in shown["retired"]] == ["brake-7"]
    assert "brake-7 left the vehicle at" in shell.run("show", "VIN7").stdout
    assert shell.json("vehicles")["vehicles"][0]["wire"] == "aktualizr"
    assert "aktualizr" in shell.run("vehicles").stdout


def test_an_event_of_any_shape_is_shown_and_forges_no_row(shell: Shell, device: Device) -> None:
    strange = {
        "id": "odd-1",
        "deviceTime": "2026-03-01T11:59:00Z",
        "eventType": {"id": "EcuInstallationCompleted", "version": 0},
        "event": {"success": [1], "ecu": {"a": "x"}, "correlationId": "urn:x\nVIN9  forged \x1b[31m row"},
    }
    with Director.open(shell.path) as director:
        director.devices.register(device.identity(), device.registration())
        director.devices.take_events("VIN7", json.dumps([strange]).encode())
    assert shell.json("device-events", "VIN7")["events"][0]["detail"] == strange["event"]
    shown = shell.run("device-events", "VIN7").stdout
    assert "[1]" in shown
    assert "\x1b" not in shown
    assert not any(line.startswith("VIN9") for line in shown.splitlines())


def test_another_certificate_can_be_allowed(shell: Shell, device: Device) -> None:
    assert "expires" in shell.json("allow-certificate", "VIN7", "--valid", "2h", "--actor", "alice")
    assert "may ask for a certificate until" in shell.run("allow-certificate", "VIN7").stdout
    assert shell.json("allow-certificate", "VIN7", "--valid", "52w", status=2)["error"]["code"] == "validity"


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ((), "unprotected-serving"),
        (("--tls-cert", "server.pem"), "usage"),
        (("--tls-key", "server.key.pem", "--allow-serial"), "usage"),
        (("--tls-cert", "none.pem", "--tls-key", "none.pem"), "usage"),
    ],
)
def test_a_server_that_could_identify_no_vehicle_does_not_start(
    shell: Shell, options: tuple[str, ...], code: str
) -> None:
    assert shell.json("serve-aktualizr", *options, status=2)["error"]["code"] == code


def test_without_a_ca_there_are_no_certificates(tmp_path: Path, shell: Shell) -> None:
    for path in (shell.path / "device-ca").iterdir():
        path.rename(tmp_path / path.name)
    assert shell.json("issue-device", "VIN7", "--output", tmp_path / "x", status=2)["error"]["code"] == "no-device-ca"
    options = ("--tls-cert", tmp_path / "ca.pem", "--tls-key", tmp_path / "key.pem")
    assert shell.json("serve-aktualizr", *options, status=2)["error"]["code"] == "usage"


@pytest.fixture
def server(shell: Shell, tmp_path: Path) -> Iterator[str]:
    """The server as a process of its own; the base URL."""
    shell.run("issue-server", "127.0.0.1", "--output", tmp_path / "tls")
    files = ("--tls-cert", tmp_path / "tls" / "server.pem", "--tls-key", tmp_path / "tls" / "server.key.pem")
    words = ["director", "serve-aktualizr", shell.path, "--port", "0", *files, "--json"]
    with subprocess.Popen(
        [sys.executable, "-m", "twinlock.cli", *map(str, words)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdout is not None
        try:
            yield str(json.loads(process.stdout.readline())["url"])
        finally:
            process.terminate()
            assert process.wait(30) == 0


def test_a_vehicle_registers_at_the_server_that_the_command_runs(shell: Shell, server: str, tmp_path: Path) -> None:
    shell.run("issue-device", "VIN7", "--output", tmp_path / "import")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(tmp_path / "import" / "ca.pem")
    context.load_cert_chain(tmp_path / "import" / "client.pem", tmp_path / "import" / "pkey.pem")

    async def register() -> int:
        async with (
            aiohttp.ClientSession() as session,
            session.post(f"{server}/director/ecus", data=Device().registration(), ssl=context) as response,
        ):
            return response.status

    assert server.startswith("https://")
    assert asyncio.run(register()) == 201
    assert [item["vehicle"] for item in shell.json("vehicles")["vehicles"]] == ["VIN7"]


@pytest.mark.parametrize(
    "words",
    [
        ("issue-device", "VIN7", "--output"),
        ("issue-server", "fleet.example", "--output"),
    ],
)
def test_a_credential_that_cannot_be_written_is_revoked(shell: Shell, tmp_path: Path, words: tuple[str, ...]) -> None:
    (tmp_path / "file").write_text("in the way")
    error = shell.json(*words, tmp_path / "file" / "out", status=5)["error"]
    assert error["code"] == "storage"
    (certificate,) = shell.json("certificates")["certificates"]
    assert certificate["revokedAt"] is not None


def test_an_archive_that_cannot_be_written_is_not_made(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    words = ("issue-provisioning", "--url", "https://fleet.example", "--output", tmp_path / "file" / "out")
    assert shell.json(*words, status=2)["error"]["code"] == "usage"
    assert shell.json("certificates")["certificates"] == []
