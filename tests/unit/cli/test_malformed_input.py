"""A malformed file of an operator is wrong input at every command that reads one: exit status 2, and never an attack."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.plain_keys import plain_keys
from twinlock.cli.main import main
from twinlock.repository.image_repository import ImageRepository
from twinlock.repository.keys.keyring import KeyPlan

BAD = {
    "text": b"hello",
    "empty": b"",
    "array": b"[]",
    "deep": b"[" * 100_000 + b"]" * 100_000,
    "not UTF-8": b'\xff\xfe{"signed": {}}',
    "twice": b'{"signed": {}, "signed": {}, "signatures": []}',
    "members": b'{"signed": {"_type": "root"}, "signatures": []}',
    "number": b'{"signed": {"version": 1e400}, "signatures": []}',
}
FILE = "bad"
IMAGE_ROOT, DIRECTOR_ROOT = "image/public/metadata/1.root.json", "director-root.json"
URLS = ("--director-url", "http://127.0.0.1:1/d", "--image-url", "http://127.0.0.1:1/i", "--offline")
PRIMARY = ("primary", "init", "new", "--vehicle", "VIN1", "--ecu", "gw", "--hardware-id", "h", *URLS)
LISTEN = ("--listen", "http://127.0.0.1:8099")
SECONDARY = ("secondary", "init", "new", "--vehicle", "VIN1", "--ecu", "brake", "--hardware-id", "h", *LISTEN)
GIVEN = (  # commands that are given the file
    ("image", "root", "cancel", "image", FILE, "--yes"),
    ("image", "root", "publish", "image", FILE),
    ("image", "root", "sign", FILE, "--keys", "image/keys/offline", "--yes"),
    ("image", "root", "sign", "image-next.json", "--keys", "image/keys/offline", "--yes", "--previous", FILE),
    ("image", "time-source", "image", "http://127.0.0.1:1/time", "--director-root", FILE, "--offline"),
    ("image", "wire", "image", "aktualizr", "--root-key", FILE, "--prepare", "wire.json"),
    ("image", "delegate", "image", "sub", "--key", FILE, "--path", "sub/*"),
    ("image", "add", "image", "--manifest", FILE),
    ("supplier", "add", "acme", "--manifest", FILE),
    ("supplier", "delegate", "acme", "sub", "--key", FILE, "--path", "acme/sub/*", "--outbox", "acme/outbox"),
    ("director", "root", "cancel", "director", FILE, "--yes"),
    ("director", "root", "publish", "director", FILE),
    ("director", "root", "sign", FILE, "--keys", "director/keys/offline", "--yes"),
    ("director", "root", "sign", "director-next.json", "--keys", "director/keys/offline", "--yes", "--previous", FILE),
    ("director", "init", "new", "--image-root", FILE, "--image", "image"),
    ("director", "add-ecu", "director", "VIN1", FILE),
    ("director", "declare-delivery", "director", FILE),
    ("director", "enter-aktualizr", "director", "VIN1", FILE),
    ("director", "rekey", "director", "VIN1", "gw", FILE),
    (*PRIMARY, "--director-root", FILE, "--image-root", IMAGE_ROOT),
    (*PRIMARY, "--director-root", DIRECTOR_ROOT, "--image-root", FILE),
    (*PRIMARY, "--director-root", DIRECTOR_ROOT, "--image-root", IMAGE_ROOT, "--secondary", FILE),
    (*SECONDARY, "--director-root", FILE, "--image-root", IMAGE_ROOT),
    ("primary", "set-secondary", "primary", FILE),
    ("primary", "recover", "damaged", "--director-root", FILE, "--image-root", IMAGE_ROOT),
    ("primary", "recover", "damaged", "--director-root", DIRECTOR_ROOT, "--image-root", FILE),
)
PLACES = (  # commands that find the file in a directory
    ("image/config.json", ("image", "show", "image")),
    ("image/config.json", ("image", "keys", "list", "image")),
    ("acme/config.json", ("supplier", "show", "acme")),
    ("acme/outbox/metadata/acme.json", ("image", "accept", "image", "acme/outbox")),
    ("director/config.json", ("director", "vehicles", "director")),
    ("director/config.json", ("director", "serve", "director")),
    ("primary/primary.json", ("primary", "show", "primary")),
    ("primary/map.json", ("primary", "update", "primary")),
    ("primary/map.json", ("trusted", "show", "primary")),
    ("primary/map.json", ("trusted", "why", "a.bin", "primary")),
)


def run(*words: str) -> Result:
    return CliRunner().invoke(main, plain_keys([*words, "--json"]))


def made(*words: str) -> None:
    answer = run(*words)
    assert answer.exit_code == 0, answer.output


@pytest.fixture(scope="module", autouse=True)
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Every party once, with a Root that lacks a signature, and a Primary whose state is damaged."""
    before = Path.cwd()
    os.chdir(tmp_path_factory.mktemp("malformed"))
    ImageRepository.create("image", keys={"root": KeyPlan(count=2, threshold=2)})
    Path("lidar.bin").write_bytes(b"lidar")
    made("director", "init", "director", "--image-root", IMAGE_ROOT, "--image", "image", "--keys", "root=2/2")
    made("director", "root", "director", "--output", DIRECTOR_ROOT)
    made("supplier", "init", "acme", "--role", "acme")
    made(*["supplier", "add", "acme", "lidar.bin", "acme/lidar.bin", "--hardware-id", "h", "--release-counter", "1"])
    made("supplier", "sign", "acme")
    made("image", "delegate", "image", "acme", "--key", "acme/acme.pub.json", "--path", "acme/*")
    made("image", "publish", "image")
    for party in ("image", "director"):
        made(party, "rotate", party, "timestamp", "--prepare", f"{party}-next.json")
    made(*PRIMARY, "--director-root", DIRECTOR_ROOT, "--image-root", IMAGE_ROOT)
    Path("new").rename("primary")
    shutil.copytree("primary", "damaged")
    Path("damaged/state.db").write_bytes(b"damaged")
    yield
    os.chdir(before)


def check_wrong_input(answer: Result) -> None:
    assert answer.exit_code == 2, answer.output
    error = json.loads(answer.stdout)["error"]
    assert (error["kind"], error.get("attack", "none")) == ("refusal", "none"), error


@pytest.mark.parametrize("words", GIVEN, ids=" ".join)
def test_a_malformed_file_that_is_given(words: tuple[str, ...]) -> None:
    for data in BAD.values():
        Path(FILE).write_bytes(data)
        check_wrong_input(run(*words))
    assert not Path("new").exists()


@pytest.mark.parametrize(
    ("name", "words"), PLACES, ids=lambda value: value if isinstance(value, str) else " ".join(value)
)
def test_a_malformed_file_in_a_directory(name: str, words: tuple[str, ...]) -> None:
    before = Path(name).read_bytes()
    for data in BAD.values():
        Path(name).write_bytes(data)
        answer = run(*words)
        Path(name).write_bytes(before)
        check_wrong_input(answer)


def test_damage_of_what_twinlock_wrote_itself_remains_a_failure() -> None:
    """Damage of a file that no operator writes remains a failure: 5."""
    (record,) = Path("acme/keys").glob("*.json")
    before = record.read_bytes()
    record.write_bytes(b"hello")
    answer = run("supplier", "keys", "list", "acme")
    record.write_bytes(before)
    assert (answer.exit_code, json.loads(answer.stdout)["error"]["kind"]) == (5, "failure")


def test_an_outbox_with_an_oversize_file_is_refused_by_its_limit() -> None:
    shutil.copytree("acme/outbox", "large")
    with Path("large/metadata/acme.json").open("wb") as file:
        file.truncate(70_000_000)
    answer = run("image", "accept", "image", "large")
    assert (answer.exit_code, json.loads(answer.stdout)["error"]["code"]) == (1, "limit")


def test_an_archive_has_a_directory_to_be_written_to() -> None:
    made("director", "create-device-ca", "director")
    words = ("director", "issue-provisioning", "director", "--url", "https://fleet.example", "--output", "none/x.zip")
    check_wrong_input(run(*words))
