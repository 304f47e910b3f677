"""A security option that cannot be honoured, or any other refused ``init``, creates nothing, and the corrected one works."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.plain_keys import plain_keys
from twinlock.cli.main import main
from twinlock.director.director import Director
from twinlock.repository.image_repository import ImageRepository
from twinlock.repository.keys.keyring import KeyKind, Keyring
from twinlock.repository.suppliers.workspace import SupplierWorkspace


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with an Image repository ``site`` that a Director can trust."""
    for name in ("TWINLOCK_PASSPHRASE", "TWINLOCK_ONLINE_PASSPHRASE", "TWINLOCK_ONLINE_PASSPHRASE_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "root.json").write_bytes(ImageRepository.create(tmp_path / "site").root_bytes(1))
    return tmp_path


INITS = {
    "image": ("image", "init", "made"),
    "supplier": ("supplier", "init", "made", "--role", "acme"),
    "director": ("director", "init", "made", "--image-root", "root.json", "--image", "site", "--offline"),
}


def run(*words: str, status: int) -> str:
    return typed(*plain_keys(words), status=status)


def typed(*words: str, status: int) -> str:
    """A command as it is, which asks for no plain keys."""
    answer = CliRunner().invoke(main, list(words))
    assert answer.exit_code == status, answer.output
    return answer.output


def plain_keys_in(directory: Path) -> list[str]:
    return [path.name for path in directory.rglob("*.pem") if b"ENCRYPTED" not in path.read_bytes()]


UP = ("up", "--dir", "made", "--image-port", "0", "--director-port", "0")


@pytest.mark.parametrize("words", [*INITS.values(), UP], ids=[*INITS, "up"])
def test_without_a_passphrase_and_a_terminal_nothing_is_made(place: Path, words: tuple[str, ...]) -> None:
    said = typed(*words, status=2)
    for way in ("TWINLOCK_PASSPHRASE", "--passphrase-file", "--plain-keys"):
        assert way in said
    assert not (place / "made").exists()


@pytest.mark.parametrize("words", INITS.values(), ids=INITS)
def test_keys_are_encrypted_unless_plain_ones_are_asked_for(place: Path, words: tuple[str, ...]) -> None:
    (place / "secret").write_text("TEST correct horse\n")
    typed(*words, "--passphrase-file", "secret", status=0)
    assert list((place / "made").rglob("*.pem"))
    assert not plain_keys_in(place / "made")
    shutil.rmtree(place / "made")
    typed(*words, "--plain-keys", status=0)
    assert len(plain_keys_in(place / "made")) == len(list((place / "made").rglob("*.pem")))


@pytest.mark.parametrize("words", [*INITS.values(), UP], ids=[*INITS, "up"])
@pytest.mark.parametrize("name", ["TWINLOCK_PASSPHRASE", "TWINLOCK_ONLINE_PASSPHRASE_FILE"])
def test_plain_keys_and_a_passphrase_contradict_each_other(
    place: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], name: str
) -> None:
    monkeypatch.setenv(name, "TEST secret")
    assert f"cannot be combined with the passphrase from ${name}" in typed(*words, "--plain-keys", status=2)
    assert not (place / "made").exists()


def test_on_a_terminal_the_passphrase_is_asked_for_twice(place: Path) -> None:
    mine, theirs = os.openpty()
    command = [sys.executable, "-m", "twinlock.cli", *INITS["supplier"]]
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True) as process:
        os.close(theirs)
        said = b""
        for question in (b"Passphrase for the new keys", b"Repeat for confirmation"):
            while question not in said:
                said += os.read(mine, 1024)
            os.write(mine, b"TEST typed\n")
        assert process.wait(30) == 0
    os.close(mine)
    assert not plain_keys_in(place / "made")
    (place / "typed").write_text("TEST typed")
    typed("supplier", "rotate", "made", "--yes", "--passphrase-file", "typed", status=0)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "gateway.example"])
def test_up_serves_other_machines_only_if_asked(place: Path, host: str) -> None:
    said = run(*UP, "--host", host, status=2)
    assert "add --plain" in said
    assert not (place / "made").exists()


def test_a_new_key_is_encrypted_though_every_other_key_is_away(place: Path) -> None:
    (place / "secret").write_text("TEST correct horse\n")
    ring = Keyring(offline=place / "offline", online=place / "online", passphrase=lambda: "TEST correct horse")
    with ring.new_keys() as new:
        new.generate("root", kind=KeyKind.ED25519, count=1)
        new.save()
    assert not plain_keys_in(place / "offline")


@pytest.mark.parametrize("words", INITS.values(), ids=INITS)
def test_a_passphrase_that_cannot_be_read_makes_nothing(place: Path, words: tuple[str, ...]) -> None:
    (place / "empty").write_text("\n")
    for file in ("missing", "empty"):
        typed(*words, "--passphrase-file", file, status=2)
        assert not (place / "made").exists()
    run(*words, status=0)


REFUSED = {
    "image: unknown role": (("image", "init", "made", "--keys", "roots=1/1"), 2),
    "image: threshold": (("image", "init", "made", "--keys", "root=3/2"), 2),
    "image: keys that a client cannot read": (
        ("image", "init", "made", "--wire", "aktualizr", "--kind", "ml-dsa-44"),
        1,
    ),
    "image: validity beyond the calendar": (("image", "init", "made", "--valid", "root=9999999w"), 2),
    "supplier: a top-level role": (("supplier", "init", "made", "--role", "targets"), 2),
    "supplier: validity beyond the calendar": (("supplier", "init", "made", "--role", "a", "--valid", "9999999w"), 2),
    "director: unknown role": ((*INITS["director"], "--keys", "roots=1/1"), 2),
    "director: two keys have to attest time": ((*INITS["director"], "--keys", "time=2/2"), 2),
    "director: no such image directory": (
        ("director", "init", "made", "--image-root", "root.json", "--image", "nowhere", "--offline"),
        2,
    ),
}


@pytest.mark.parametrize(("words", "status"), REFUSED.values(), ids=REFUSED)
def test_a_refused_init_leaves_nothing_and_the_corrected_one_works(
    place: Path, words: tuple[str, ...], status: int
) -> None:
    run(*words, status=status)
    assert not (place / "made").exists()
    run(*INITS[words[0]], status=0)


def test_a_refused_init_removes_nothing_that_was_there(place: Path) -> None:
    (place / "made").mkdir()
    (place / "made" / "notes.txt").write_text("mine")
    run(*INITS["image"], status=2)
    assert [path.name for path in (place / "made").iterdir()] == ["notes.txt"]


def test_a_director_moves_into_no_foreign_directory(place: Path) -> None:
    """What a creation that was cut off left is gone on with; anything else belongs to somebody else."""
    words = INITS["director"]
    (place / "made").mkdir()
    (place / "made" / "notes.txt").write_text("mine")
    assert "notes.txt" in run(*words, status=2)
    assert [path.name for path in (place / "made").iterdir()] == ["notes.txt"]
    (place / "made" / "notes.txt").unlink()
    (place / "made" / "inventory.sqlite-journal").write_bytes(b"")
    run(*words, status=0)


def test_an_empty_directory_stays_and_is_empty(place: Path) -> None:
    (place / "made").mkdir()
    run("image", "init", "made", "--valid", "root=9999999w", status=2)
    assert list((place / "made").iterdir()) == []


def test_a_later_failure_removes_what_the_creation_wrote(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("twinlock.repository.publishing.profiles.verify_candidate", refuse)
        with pytest.raises(OSError, match="No space"):
            ImageRepository.create(place / "a" / "b" / "image")
        patched.setattr("twinlock.repository.suppliers.workspace.SupplierWorkspace.write_public_keys", refuse)
        with pytest.raises(OSError, match="No space"):
            SupplierWorkspace.create(place / "acme", role="acme")
    assert not (place / "a").exists()
    assert not (place / "acme").exists()


def test_rotate_never_mixes_encrypted_and_plain_keys(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(*INITS["image"], status=0)
    run("supplier", "init", "acme", "--role", "acme", status=0)
    run("director", "init", "director", *INITS["director"][3:], status=0)
    before = sorted(str(path) for path in place.rglob("*"))
    monkeypatch.setenv("TWINLOCK_PASSPHRASE", "TEST correct horse")
    rotations = (
        ("image", "rotate", "made", "timestamp", "--yes"),
        ("supplier", "rotate", "acme", "--yes"),
        ("director", "rotate", "director", "targets", "--yes"),
        ("director", "create-device-ca", "director"),
    )
    for words in rotations:
        assert "have none" in run(*words, status=2)
        assert [path for path in before if not Path(path).exists()] == []
        assert plain_keys_in(place) == [path.name for path in place.rglob("*.pem")]
    monkeypatch.delenv("TWINLOCK_PASSPHRASE")
    for words in rotations:
        run(*words, status=0)
    run("image", "refresh", "made", "--within", "400d", status=0)


@pytest.mark.parametrize("party", ["primary", "secondary"])
def test_an_ecu_in_a_used_directory_is_the_operators_own_mistake_and_leaves_it_alone(place: Path, party: str) -> None:
    with Director.create(
        place / "director", image_root=(place / "root.json").read_bytes(), image_url="site"
    ) as director:
        (place / "director-root.json").write_bytes(director.root_bytes())
    words = [party, "init", "made", "--vehicle", "VIN1", "--ecu", "e", "--hardware-id", "h"]
    words += ["--director-root", "director-root.json", "--image-root", "root.json"]
    if party == "primary":
        words += [
            "--director-url",
            "http://127.0.0.1:1/vehicles/VIN1",
            "--image-url",
            "http://127.0.0.1:1",
            "--offline",
        ]
    else:
        words += ["--listen", "http://127.0.0.1:0", "--verification", "full"]
    (place / "made").mkdir()
    (place / "made" / "notes.txt").write_text("mine")
    assert "made is not empty; name a new directory" in typed(*words, status=2)
    assert [path.name for path in (place / "made").iterdir()] == ["notes.txt"]

    (place / "made" / "notes.txt").unlink()
    typed(*words, status=0)
    before = sorted(path.name for path in (place / "made").iterdir())
    assert "made holds an ECU already; name a new directory" in typed(*words, status=2)
    assert sorted(path.name for path in (place / "made").iterdir()) == before
