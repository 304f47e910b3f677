"""Commands killed while they write private keys: the next command that writes there leaves no copy of a key behind.

What a killed command leaves may be a live key without its passphrase, in a file that nothing else would ever look at.
"""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID

from tests.unit.director.world import ImageSite
from twinlock.client.ecu.identity import create_identity
from twinlock.director.devices.ca import DeviceCa, Subject
from twinlock.director.devices.credentials import make_credential, write_files
from twinlock.io.files.durable import temporary_file
from twinlock.repository.keys.keyring import Keyring
from twinlock.repository.workspace.validity import utc_now

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
KILLED = -9

# Runs a command and dies before the call of that number of a function of ``os``, counted where a key's directory is concerned.
RUN = """
import os, signal, sys
call, number, *words = sys.argv[1:]
original, left = getattr(os, call), int(number)
def dying(*args, **options):
    global left
    if ".tmp-" in str(args[0]):
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
    return original(*args, **options)
setattr(os, call, dying)
from twinlock.cli.main import main
main(words)
"""


class Place:
    """A directory in which commands run; ``secret`` is a file with a passphrase."""

    def __init__(self, path: Path) -> None:
        self.path = path
        site = ImageSite(path / "image", now=utc_now())
        site.publish()
        (path / "r.json").write_bytes(site.root)
        for name in ("a", "b"):
            (path / name).write_text(f"{name * 8} {name * 8}\n")

    def run(self, words: str, *, killed_at: tuple[str, int] = ("unlink", 0)) -> int:
        call, number = killed_at
        command = [sys.executable, "-c", RUN, call, str(number), *words.split()]
        done = subprocess.run(
            command, cwd=self.path, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, check=False
        )
        assert done.returncode in (0, KILLED), done.stderr.decode()
        return done.returncode

    def stale(self, below: str) -> list[Path]:
        return sorted((self.path / below).rglob(".tmp-*"))

    def plain(self, below: str) -> list[Path]:
        paths = (path for path in (self.path / below).rglob("*") if path.is_file())
        return sorted(path for path in paths if b"BEGIN PRIVATE" in path.read_bytes())


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


INIT = "director init d --plain-keys --offline --image-root r.json --image http://127.0.0.1:1"
DEVICE_CA = "director create-device-ca d"
SUPPLIER = "supplier init s --role acme --plain-keys"


@pytest.mark.parametrize(
    ("before", "command", "below"),
    [((), INIT, "d"), ((INIT,), DEVICE_CA, "d"), ((), SUPPLIER, "s"), ((), "image init i --plain-keys", "i")],
    ids=["director", "device-ca", "supplier", "image"],
)
@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_creation_that_was_killed_leaves_no_copy_of_a_key(
    place: Place, before: tuple[str, ...], command: str, below: str, number: int
) -> None:
    for earlier in before:
        place.run(earlier)
    if place.run(command, killed_at=("unlink", number)) == KILLED:
        try:
            place.run(command)
        except AssertionError as refused:  # it had done all of its work
            assert "already" in str(refused)
    party = {"d": "director", "s": "supplier", "i": "image"}[below]
    place.run(f"{party} keys passphrase {below} --new-passphrase-file a --yes")
    assert place.plain(below) == []
    assert place.stale(f"{below}/keys") + place.stale(f"{below}/device-ca") == []


@pytest.mark.parametrize("below", ["d", "s"])
def test_a_change_of_passphrases_that_was_killed_leaves_no_plain_copy(place: Place, below: str) -> None:
    """A change to none, given up by encrypting again, left the live Root key unencrypted."""
    party = {"d": "director", "s": "supplier"}[below]
    place.run(INIT if below == "d" else SUPPLIER)
    if below == "d":
        place.run(DEVICE_CA)
    change = f"{party} keys passphrase {below} --yes"
    place.run(f"{change} --new-passphrase-file a")
    assert place.run(f"{change} --passphrase-file a --none", killed_at=("rename", 1)) == KILLED
    assert place.plain(below)
    place.run(f"{change} --passphrase-file a --new-passphrase-file b")
    assert place.plain(below) == []
    assert place.stale(below) == []


def test_a_rotation_that_was_killed_leaves_no_copy_of_a_key(place: Place) -> None:
    place.run(INIT)
    assert place.run("director rotate d timestamp --yes", killed_at=("unlink", 1)) == KILLED
    assert place.stale("d/keys")
    place.run("director rotate d timestamp --yes")
    assert place.stale("d/keys") == []


def test_keys_of_ecus_and_devices(tmp_path: Path) -> None:
    stale = tmp_path / ".tmp-0123456789abcdef"
    stale.write_text("-----BEGIN PRIVATE KEY-----")
    create_identity(tmp_path / "identity.pem")
    assert not stale.exists()
    stale.write_text("-----BEGIN PRIVATE KEY-----")
    ca = DeviceCa.create(tmp_path / "ca", passphrase=None, valid=timedelta(days=2), now=utc_now())
    subject = Subject(name="VIN1", usage=ExtendedKeyUsageOID.CLIENT_AUTH)
    credential = make_credential(ca, subject, not_after=utc_now() + timedelta(days=1), now=utc_now())
    write_files(credential, tmp_path, names=("ca.pem", "cert.pem", "key.pem"))
    assert not stale.exists()


def test_what_another_process_is_writing_stays(tmp_path: Path) -> None:
    keyring = Keyring(offline=tmp_path / "keys")
    keyring.generate("root")
    with temporary_file(keyring.offline, 0o600) as (_, path):
        keyring.generate("root")
        assert path.exists()
    (keyring.offline / ".tmp-0123456789abcdef").write_text("-----BEGIN PRIVATE KEY-----")
    keyring.generate("root")
    assert list(keyring.offline.glob(".tmp-*")) == []
