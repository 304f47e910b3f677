"""``issue-device --list`` that is killed half way is finished by the same command, without a lost or a double credential."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from twinlock.cli.director.certificates import DEVICE_FILES
from twinlock.cli.main import main

if TYPE_CHECKING:
    from pathlib import Path

    from twinlock.director.director import Director

NAMES = [f"VIN{number}" for number in range(200)]


@pytest.fixture
def words(director: Director, tmp_path: Path) -> list[str]:
    director.devices.create_ca()
    director.close()
    listed = tmp_path / "vehicles.txt"
    listed.write_text("\n".join(NAMES))
    return ["director", "issue-device", str(director.path), "--list", str(listed), "--output", str(tmp_path / "out")]


def run(words: list[str], status: int = 0) -> dict[str, int]:
    result = CliRunner().invoke(main, [*words, "--json"])
    assert result.exit_code == status, result.output
    counts: dict[str, int] = json.loads(result.stdout)["counts"]
    return counts


def check_all(director: Path, out: Path) -> None:
    """Every vehicle has one whole credential, which is on record and valid."""
    shown = json.loads(CliRunner().invoke(main, ["director", "certificates", str(director), "--json"]).stdout)
    valid = {item["fingerprint"]: item["name"] for item in shown["certificates"] if item["revokedAt"] is None}
    for name in NAMES:
        ca, certificate, key = ((out / name / file).read_bytes() for file in DEVICE_FILES)
        found = x509.load_pem_x509_certificate(certificate)
        found.verify_directly_issued_by(x509.load_pem_x509_certificate(ca))
        assert load_pem_private_key(key, None).public_key() == found.public_key()
        assert valid[found.fingerprint(hashes.SHA256()).hex()] == name


def test_the_same_command_again_finishes_a_list_that_was_killed(
    director: Director, words: list[str], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    process = subprocess.Popen([sys.executable, "-m", "twinlock.cli", *words], stdout=subprocess.DEVNULL)
    while process.poll() is None and not (out / NAMES[20]).exists():
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    process.wait()
    done = sum((out / name / "pkey.pem").exists() for name in NAMES)
    assert 0 < done < len(NAMES), "it was killed between the first and the last"
    assert run(words) == {"unchanged": done, "issued": len(NAMES) - done}
    check_all(director.path, out)
    assert run(words) == {"unchanged": len(NAMES)}


def test_one_without_its_key_is_made_again_and_the_old_certificate_revoked(
    director: Director, words: list[str], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    run(words)
    lost = x509.load_pem_x509_certificate((out / "VIN7" / "client.pem").read_bytes())
    (out / "VIN7" / "pkey.pem").unlink()
    assert run(words) == {"unchanged": len(NAMES) - 1, "issued": 1}
    check_all(director.path, out)
    shown = json.loads(
        CliRunner().invoke(main, ["director", "certificates", str(director.path), "VIN7", "--json"]).stdout
    )
    revoked = [item["fingerprint"] for item in shown["certificates"] if item["revokedAt"] is not None]
    assert revoked == [lost.fingerprint(hashes.SHA256()).hex()]


def test_files_of_another_credential_are_refused_and_stay(words: list[str], tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(words)
    other, mine = out / "VIN7", out / "VIN8"
    for name in DEVICE_FILES:
        (mine / name).write_bytes((other / name).read_bytes())
    assert run(words, status=1)["refused"] == 1
    (mine / "pkey.pem").write_text("another key")
    assert run(words, status=1)["refused"] == 1
    assert (mine / "pkey.pem").read_text() == "another key"
