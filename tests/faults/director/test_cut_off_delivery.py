"""Issuing many credentials, killed between the record and the files: the same command finishes it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from tests.unit.director.world import ImageSite
from twinlock.director.director import Director

pytestmark = pytest.mark.slow

VEHICLES = [f"VIN{number}" for number in range(300)]
FILES = ["ca.pem", "client.pem", "pkey.pem"]


def command(*words: object) -> subprocess.Popen[str]:
    line = [sys.executable, "-m", "twinlock.cli", "director", *map(str, words), "--json"]
    return subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def keyless(output: Path) -> list[str]:
    return [vehicle for vehicle in VEHICLES if not (output / vehicle / "pkey.pem").exists()]


@pytest.mark.parametrize("written", [1, 40])
def test_a_kill_between_record_and_files_is_mended_by_the_same_command(tmp_path: Path, written: int) -> None:
    site = ImageSite(tmp_path / "image")
    site.publish()
    place, output, listed = tmp_path / "director", tmp_path / "out", tmp_path / "vehicles.txt"
    with Director.create(place, image_root=site.root, image_url=str(site.path)) as director:
        director.devices.create_ca()
    listed.write_text("\n".join(VEHICLES))
    words = ("issue-device", place, "--list", listed, "--output", output)
    process = command(*words)
    while not (output / VEHICLES[written - 1] / "pkey.pem").exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    missing = keyless(output)
    assert missing, "the child was done before it was killed"
    kept = {path: path.read_bytes() for path in output.rglob("pkey.pem")}
    with Director.open(place) as director:
        before = {item.name: item.fingerprint for item in director.devices.certificates()}
        assert sorted(before) == sorted(VEHICLES)
    # The operator repeats the command.
    again = command(*words)
    stdout, stderr = again.communicate(timeout=120)
    assert again.returncode == 0, stdout + stderr
    issued = {"issued": len(missing), "unchanged": len(VEHICLES) - len(missing)}
    assert json.loads(stdout)["counts"] == {name: count for name, count in issued.items() if count}
    assert {path: path.read_bytes() for path in kept} == kept
    assert sorted(path.name for path in output.iterdir()) == sorted(VEHICLES)
    with Director.open(place) as director:
        good = {item.name: item.fingerprint for item in director.devices.certificates() if item.revoked_at is None}
        void = {item.name: item.fingerprint for item in director.devices.certificates() if item.revoked_at is not None}
        reasons = [row["detail"] for row in director.audit(limit=2_000) if row["action"] == "revoke-certificate"]
    assert void == {vehicle: before[vehicle] for vehicle in missing}
    assert sorted(row["fingerprint"] for row in reasons) == sorted(void.values())
    assert {row["reason"] for row in reasons} == {"never delivered"}
    for vehicle in VEHICLES:
        folder = output / vehicle
        assert sorted(path.name for path in folder.iterdir()) == FILES
        certificate = x509.load_pem_x509_certificate((folder / "client.pem").read_bytes())
        assert certificate.fingerprint(hashes.SHA256()).hex() == good[vehicle]
        private = load_pem_private_key((folder / "pkey.pem").read_bytes(), None)
        assert private.public_key() == certificate.public_key()
    # Nothing is left to finish: a third run is refused as always, and writes over nothing.
    third = command(*words)
    assert (json.loads(third.communicate(timeout=120)[0])["stored"], third.returncode) == (False, 1)
