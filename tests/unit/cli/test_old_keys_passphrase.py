"""Encrypted keys of a repository that is taken over: in every form, by both commands, with a passphrase of their own."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat

from tests.unit.repository.foreign_repository import Foreign, ForeignKey
from twinlock.cli.main import main
from twinlock.repository.image_repository import ImageRepository
from twinlock.repository.keys.private_keys import is_encrypted

OWN, OLD = "TEST own", "TEST old"
FORMS = ("pkcs8", "traditional", "json")
IMPORT = ("image", "import", "image", "--from", "theirs/repo", "--keys", "theirs/keys")
WIRE = (
    "director",
    "wire",
    "director",
    "aktualizr",
    "--go-on-from",
    "theirs/director",
    "--keys",
    "theirs/keys",
    "--yes",
)
COMMANDS = {"import": IMPORT, "wire": WIRE}
OWN_FILE, OLD_FILE = ("--passphrase-file", "own"), ("--keys-passphrase-file", "old")


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Foreign:
    """A repository with RSA keys, the kind that the traditional form has; its keys are not written."""
    return Foreign(tmp_path_factory.mktemp("made") / "theirs", kind="RSA").write(keys=False)


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, theirs: Foreign) -> None:
    """A working directory with a Director, the old repository, and one file for each passphrase."""
    for name in ("TWINLOCK_PASSPHRASE", "TWINLOCK_ONLINE_PASSPHRASE", "TWINLOCK_ONLINE_PASSPHRASE_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    Path("theirs").mkdir()
    shutil.copytree(theirs.repo, "theirs/repo")
    shutil.copytree(theirs.repo, "theirs/director", ignore=shutil.ignore_patterns("targets*"))
    Path("own").write_text(OWN)
    Path("old").write_text(f"{OLD}\n")
    Path("root.json").write_bytes(ImageRepository.create("site").root_bytes(1))
    run("director", "init", "director", "--image-root", "root.json", "--image", "site", *OWN_FILE)


def run(*words: str, status: int = 0) -> dict[str, Any]:
    answer = CliRunner().invoke(main, [*words, "--json"])
    assert answer.exit_code == status, answer.output
    document = json.loads(answer.stdout)
    return dict(document.get("error", document))


def encrypt(key: ForeignKey, form: str, directory: Path, passphrase: str = OLD) -> Path:
    """Write ``key`` as another tool does, and return the file."""
    style = PrivateFormat.TraditionalOpenSSL if form == "traditional" else PrivateFormat.PKCS8
    pem = key.private.private_bytes(Encoding.PEM, style, BestAvailableEncryption(passphrase.encode())).decode()
    assert ("Proc-Type: 4,ENCRYPTED" in pem) == (form == "traditional")
    directory.mkdir(parents=True)
    file = directory / ("key.sec" if form == "json" else "private.key")
    secret = {"keytype": "RSA", "keyval": {"private": pem, "public": key.public}}
    file.write_text(json.dumps(secret) if form == "json" else pem)
    return file


def encrypt_all(theirs: Foreign, form: str, passphrase: str = OLD) -> None:
    for role, key in theirs.signers.items():
        encrypt(key, form, Path("theirs/keys") / role, passphrase)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("command", COMMANDS)
def test_a_passphrase_of_their_own_opens_old_keys_of_every_form(theirs: Foreign, command: str, form: str) -> None:
    encrypt_all(theirs, form)
    result = run(*COMMANDS[command], *OWN_FILE, *OLD_FILE)
    assert (result.get("images"), result.get("root")) in ((0, None), (None, 3))
    made = [path for path in Path(COMMANDS[command][2]).rglob("*.pem") if b"PRIVATE KEY" in path.read_bytes()]
    assert made
    assert all(is_encrypted(path) for path in made)


@pytest.mark.parametrize("command", COMMANDS)
def test_the_passphrase_of_our_keys_is_that_of_the_old_ones_unless_another_is_given(
    theirs: Foreign, command: str
) -> None:
    encrypt_all(theirs, "traditional", OWN)
    assert "error" not in run(*COMMANDS[command], *OWN_FILE)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("command", COMMANDS)
def test_a_wrong_passphrase_is_refused_with_the_file_and_the_option(theirs: Foreign, command: str, form: str) -> None:
    encrypt_all(theirs, form)
    error = run(*COMMANDS[command], *OWN_FILE, status=2)
    name = "key.sec" if form == "json" else "private.key"
    assert (error["code"], error["fields"]["path"]) == ("passphrase", f"theirs/keys/acme/{name}")
    assert "old keys" in error["message"]
    assert "--keys-passphrase-file" in error["hint"]
    assert not Path("image").exists()


def test_without_a_passphrase_the_option_for_it_is_named(theirs: Foreign) -> None:
    encrypt_all(theirs, "traditional")
    for more in (("--plain-keys",), ("--dry-run",)):
        error = run(*IMPORT, *more, status=2)
        assert "--keys" in error["message"]
        assert error["hint"] == "use --keys-passphrase-file"
        assert not Path("image").exists()
    assert run(*IMPORT, "--dry-run", *OLD_FILE)["dryRun"]
    assert run(*IMPORT, "--plain-keys", *OLD_FILE)["images"] == 0


def test_a_passphrase_without_keys_is_refused() -> None:
    error = run("director", "wire", "director", "aktualizr", *OWN_FILE, *OLD_FILE, status=2)
    assert "--keys-passphrase-file needs --keys" in error["message"]


@pytest.mark.parametrize("content", ["zz", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"])
@pytest.mark.parametrize("command", COMMANDS)
def test_a_damaged_old_key_is_a_fault_of_the_input(theirs: Foreign, command: str, content: str) -> None:
    encrypt_all(theirs, "pkcs8")
    Path("theirs/keys/root/private.key").write_text(content)
    error = run(*COMMANDS[command], *OWN_FILE, *OLD_FILE, status=2)
    assert (error["code"], error["fields"]["path"]) == ("operator-file", "theirs/keys/root/private.key")


def test_a_traditional_key_is_known_as_encrypted(theirs: Foreign, tmp_path: Path) -> None:
    assert is_encrypted(encrypt(theirs.signers["root"], "traditional", tmp_path / "any"))
