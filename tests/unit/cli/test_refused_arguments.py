"""Arguments that cannot work are refused before anything is made, and the error names the argument."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.plain_keys import plain_keys
from twinlock.cli.main import main
from twinlock.client.ecu.config import check_listen
from twinlock.client.model.errors import ListenError
from twinlock.repository.image_repository import ImageRepository

SECONDARY = ("secondary", "init", "lamp", "--vehicle", "VIN1", "--ecu", "ecu-lamp", "--hardware-id", "lamp-1")


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("TWINLOCK_PASSPHRASE", "TWINLOCK_ONLINE_PASSPHRASE", "TWINLOCK_ONLINE_PASSPHRASE_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refused(*words: str, env: dict[str, str] | None = None) -> str:
    answer = CliRunner().invoke(main, plain_keys(words, passphrase=env is not None), env=env)
    assert answer.exit_code == 2, answer.output
    assert "attack" not in answer.output
    return answer.output


def test_up_refuses_a_directory_of_something_else_and_one_port_for_two_servers(place: Path) -> None:
    ImageRepository.create("site")
    (place / "full").mkdir()
    (place / "full/letter.txt").touch()
    for name in ("site", "full"):
        before = sorted((place / name).rglob("*"))
        ports = ("--image-port", "0", "--director-port", "0")
        assert f"--dir {name} holds something else" in refused("up", "--dir", name, *ports)
        assert sorted((place / name).rglob("*")) == before
    said = refused("up", "--dir", "made", "--image-port", "9000", "--director-port", "9000")
    assert "--image-port and --director-port are both 9000" in said
    assert not (place / "made").exists()


@pytest.mark.parametrize(
    "address", ["http://127.0.0.1:99999", "127.0.0.1:99", "http://", "ftp://127.0.0.1:1", "unix:", "http://[::1"]
)
def test_an_address_that_cannot_be_listened_on_is_refused_by_its_option(place: Path, address: str) -> None:
    (place / "root.json").write_bytes(ImageRepository.create("site").root_bytes(1))
    said = refused(*SECONDARY, "--listen", address, "--director-root", "root.json", "--verification", "partial")
    assert "--listen: " in said
    assert "use http://HOST:PORT" in said
    assert not (place / "lamp").exists()
    with pytest.raises(ListenError):
        check_listen(address)


@pytest.mark.parametrize("address", ["http://127.0.0.1:9101", "http://[::1]:0", "http://ecu", "unix:ecu.sock"])
def test_an_address_that_can_be_listened_on_is_admitted(address: str) -> None:
    assert check_listen(address) == address


@pytest.mark.parametrize("option", ["--hardware-id", "--ecu", "--vehicle"])
def test_an_empty_identifier_is_refused_by_its_option(place: Path, option: str) -> None:
    (place / "root.json").write_bytes(ImageRepository.create("site").root_bytes(1))
    words = list(SECONDARY)
    words[words.index(option) + 1] = ""
    more = ("--listen", "http://127.0.0.1:0", "--director-root", "root.json", "--verification", "partial")
    assert f"{option}: " in refused(*words, *more)
    words[:2] = ["primary", "init"]
    urls = ("--director-url", "http://127.0.0.1:1", "--image-url", "http://127.0.0.1:1")
    assert f"{option}: " in refused(*words, *urls, "--director-root", "root.json", "--image-root", "root.json")
    assert not (place / "lamp").exists()


def test_an_empty_hardware_id_of_an_image_is_refused_by_its_option(place: Path) -> None:
    ImageRepository.create("site")
    (place / "a.bin").write_bytes(b"a")
    said = refused("image", "add", "site", "a.bin", "a.bin", "--hardware-id", "", "--release-counter", "1")
    assert "--hardware-id: " in said


def test_a_directory_of_keys_that_does_not_exist_is_named_as_missing(place: Path) -> None:
    ImageRepository.create("site")
    (place / "next.json").write_bytes(ImageRepository.open("site").root_bytes(1))
    said = refused("image", "root", "sign", "next.json", "--keys", "nope", "--yes")
    assert "'--keys'" in said
    assert "'nope' does not exist" in said


def test_an_empty_variable_for_a_file_is_named() -> None:
    env = {"TWINLOCK_PASSPHRASE": "secret", "TWINLOCK_ONLINE_PASSPHRASE_FILE": ""}
    assert "$TWINLOCK_ONLINE_PASSPHRASE_FILE: the variable is empty" in refused("image", "init", "made", env=env)


def test_a_description_without_an_ecu_is_named_as_the_file_that_was_given(place: Path) -> None:
    (place / "VIN1.json").write_text(json.dumps({"vehicle": "VIN1", "ecus": []}))
    (place / "gateway").mkdir()
    (place / "gateway/primary.json").write_text("{}")
    assert "VIN1.json: ecu is missing" in refused("primary", "set-secondary", "gateway", "VIN1.json")
