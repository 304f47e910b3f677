"""``twinlock image`` and ``twinlock supplier``: the whole path from the shell, exit statuses, and JSON for programs."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import urllib.request
from datetime import datetime
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from tests.plain_keys import plain_keys
from twinlock.cli.image.group import image
from twinlock.cli.main import main
from twinlock.cli.supplier.supplier import supplier
from twinlock.repository.image_repository import ImageRepository
from twinlock.repository.suppliers.workspace import SupplierWorkspace
from twinlock.repository.workspace.validity import utc_now


class Shell:
    """Runs commands in one directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.environment: dict[str, str] = {}

    def run(self, *words: str, status: int = 0) -> str:
        result = CliRunner().invoke(main, plain_keys(words, passphrase=bool(self.environment)), env=self.environment)
        assert result.exit_code == status, (words, result.output, result.stderr)
        return result.output

    def json(self, *words: str, status: int = 0) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.run(*words, "--json", status=status))
        return document


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TWINLOCK_PASSPHRASE", raising=False)
    (tmp_path / "brake.bin").write_bytes(b"brake firmware")
    return Shell(tmp_path)


ADD = ("add", "image", "brake.bin", "brake/brake.bin", "--hardware-id", "hw-7", "--release-counter", "3")
LIDAR = ("add", "acme", "brake.bin", "acme/lidar.bin", "--hardware-id", "hw-9", "--release-counter", "1")


def test_from_nothing_to_a_supplier_rotation_and_a_view_of_it_all(shell: Shell) -> None:
    shell.run(
        "image", "init", "image", "--keys", "root=2/3", "--keys", "targets=1/2:ecdsa-p256", "--valid", "timestamp=12h"
    )
    described = ("--component", "brake", "--version", "2.0", "--needs", "gateway>=1.4", "--conflicts", "adas<3")
    assert "staged brake/brake.bin" in shell.run("image", *ADD, *described)
    assert shell.json("image", "publish", "image")["files"] == ["2.snapshot.json", "2.targets.json", "timestamp.json"]
    shell.run("supplier", "init", "acme", "--role", "acme")
    shell.run("supplier", *LIDAR)
    assert shell.json("supplier", "sign", "acme")["version"] == 1
    shell.run(
        "image", "delegate", "image", "acme", "--key", "acme/acme.pub.json", "--path", "acme/*", "--hardware-id", "hw-9"
    )
    assert shell.json("image", "status", "image")["waiting"] == ["acme"]
    assert shell.json("image", "accept", "image", "acme/outbox") == {"accepted": ["acme"], "removed": {}}
    assert shell.json("image", "publish", "image")["version"] == 3
    assert "published 4: 2.root.json, timestamp.json" in shell.run(
        "image", "rotate", "image", "timestamp", "root", "--yes"
    )
    view = shell.json("image", "show", "image")
    assert {role["name"]: role["version"] for role in view["roles"]} == {
        "root": 2,
        "timestamp": 4,
        "snapshot": 3,
        "targets": 3,
        "acme": 1,
    }
    brake = next(entry for entry in view["images"] if entry["path"] == "brake/brake.bin")
    assert brake["dependencies"] == {"gateway": ">=1.4"}
    assert brake["conflicts"] == {"adas": "<3"}
    assert [(found["name"], found["paths"]) for found in view["delegations"]] == [("acme", ["acme/*"])]
    text = shell.run("image", "show", "image")
    assert re.search(r"^root +2 .* 2 of 3 +3$", text, re.MULTILINE)
    assert re.search(r"^acme/lidar.bin +acme +1 +hw-9", text, re.MULTILINE)


def test_accepting_names_what_is_listed_no_more(shell: Shell) -> None:
    """A place that lost its record signs above the old version: the owner sees what goes, and is called no victim."""
    ImageRepository.create("image")
    place = SupplierWorkspace.create("acme", role="acme")
    shell.run("supplier", *LIDAR)
    place.sign()
    shell.run("image", "delegate", "image", "acme", "--key", "acme/acme.pub.json", "--path", "acme/*")
    shell.run("image", "accept", "image", "acme/outbox")
    shell.run("image", "publish", "image")
    shutil.rmtree("acme/outbox")
    shutil.rmtree("acme/signed")
    shell.run("supplier", "add", "acme", "brake.bin", "acme/b.bin", "--hardware-id", "hw-9", "--release-counter", "9")
    assert place.sign() == 1
    error = shell.json("image", "accept", "image", "acme/outbox", status=1)["error"]
    assert (error["code"], error["kind"], error["attack"]) == ("equivocation", "refusal", "none")
    assert "--above" in error["hint"]
    place.sign(above=1)
    accepted = shell.json("image", "accept", "image", "acme/outbox")
    assert accepted == {"accepted": ["acme"], "removed": {"acme": ["acme/lidar.bin"]}}


def test_an_image_that_the_outbox_lacks_is_asked_for(shell: Shell) -> None:
    ImageRepository.create("image")
    place = SupplierWorkspace.create("acme", role="acme")
    shell.run("supplier", *LIDAR)
    place.sign()
    shutil.rmtree("acme/outbox/targets")
    shell.run("image", "delegate", "image", "acme", "--key", "acme/acme.pub.json", "--path", "acme/*")
    error = shell.json("image", "accept", "image", "acme/outbox", status=1)["error"]
    assert (error["code"], error["fields"]["role"], error["fields"]["target"]) == (
        "outbox-image",
        "acme",
        "acme/lidar.bin",
    )


def test_directories_and_files_of_another_kind_are_named(shell: Shell) -> None:
    Path("director").mkdir()
    Path("director/config.json").write_text(json.dumps({"format": 3, "image_url": "x"}))
    for words in (("image", "show", "director"), ("supplier", "show", "director")):
        assert "Director" in shell.json(*words, status=2)["error"]["message"]
    ImageRepository.create("image")
    Path("image/draft.json").write_text("{")
    damaged = shell.json("image", "status", "image", status=5)["error"]["message"]
    assert ("JSONDecodeError" in damaged, "remove it" in damaged) == (False, True)
    Path("image/draft.json").unlink()
    config = json.loads(Path("image/config.json").read_text())
    config["validity"]["timestamp"] = "x"
    Path("image/config.json").write_text(json.dumps(config))
    assert "timestamp" in shell.json("image", "refresh", "image", status=2)["error"]["message"]


def test_a_range_with_two_signs_is_refused(shell: Shell) -> None:
    ImageRepository.create("image")
    for needs in ("a>>1", "a=>1", "a>=<2"):
        words = (*ADD, "--component", "brake", "--version", "2.0", "--needs", needs)
        assert shell.json("image", *words, status=2)["error"]["code"] == "usage"


def test_an_image_damaged_in_the_store_is_mended_by_its_right_bytes(shell: Shell) -> None:
    repository = ImageRepository.create("image")
    shell.run("image", *ADD)
    repository.publish()
    place = SupplierWorkspace.create("acme", role="acme")
    shell.run("supplier", *LIDAR)
    place.sign()
    for store, command in (("image/public", ("image", *ADD)), ("acme/outbox", ("supplier", *LIDAR))):
        for stored in Path(store, "targets").rglob("*.bin"):
            stored.write_bytes(b"brake firmwarE")
        shell.run(*command, "--replace") if command[0] == "supplier" else shell.run("image", "replace", *ADD[1:])
        assert {path.read_bytes() for path in Path(store, "targets").rglob("*.bin")} == {b"brake firmware"}


def test_missing_and_odd_files_of_the_operator_are_a_usage_error(shell: Shell) -> None:
    ImageRepository.create("image")
    os.mkfifo("pipe")
    for file in ("nothing", "pipe"):
        for words in (
            ("add", "image", "--manifest", file),
            ("delegate", "image", "acme", "--key", file, "--path", "acme/*"),
            ("time-source", "image", "http://127.0.0.1:1/time", "--director-root", file),
            ("publish", "image", "--passphrase-file", file),
        ):
            assert shell.json("image", *words, status=2)["error"]["code"] == "operator-file", words


def test_replace_remove_and_undelegate(shell: Shell) -> None:
    shell.run("image", "init", "image")
    shell.run("image", *ADD)
    shell.run("image", "publish", "image")
    assert "is already listed" in shell.json("image", *ADD[:-1], "4", status=2)["error"]["message"]
    (shell.directory / "brake.bin").write_bytes(b"newer")
    assert shell.json("image", *ADD, status=2)["error"]["code"] == "usage"
    shell.run("image", "replace", *ADD[1:-1], "4")
    shell.run("image", "publish", "image")
    shell.run("image", "remove", "image", "brake/brake.bin", status=2)  # nobody there to agree
    shell.run("image", "remove", "image", "brake/brake.bin", "--yes")
    shell.run("image", "publish", "image")
    assert shell.json("image", "show", "image")["images"] == []
    shell.run("image", "undelegate", "image", "acme", "--yes", status=2)


def test_a_passphrase_from_a_file_or_the_environment(shell: Shell) -> None:
    secret = shell.directory / "secret"
    secret.write_text("correct horse\n")
    shell.run("image", "init", "image", "--passphrase-file", "secret")
    assert all(b"ENCRYPTED" in path.read_bytes() for path in Path("image/keys").rglob("*.pem"))
    shell.run("image", *ADD)  # staging needs no key
    assert shell.json("image", "publish", "image", status=2)["error"]["hint"]
    secret.write_text("wrong")
    error = shell.json("image", "publish", "image", "--passphrase-file", "secret", status=2)["error"]
    assert error["code"] == "passphrase"
    shell.environment = {"TWINLOCK_PASSPHRASE": "correct horse"}
    shell.run("image", "publish", "image")
    shell.run("image", "rotate", "image", "timestamp", "--yes")
    assert all(b"ENCRYPTED" in path.read_bytes() for path in Path("image/keys").rglob("*.pem"))


def test_root_signed_in_two_places(shell: Shell) -> None:
    shell.run("image", "init", "image", "--keys", "root=2/2")
    elsewhere = shell.directory / "elsewhere"
    elsewhere.mkdir()
    record = ImageRepository.open("image").keyring.records("root")[0]
    for path in record.files:
        path.rename(elsewhere / path.name)
    assert shell.json("image", "rotate", "image", "root", "--yes", status=2)["error"]["code"] == "missing-keys"
    prepared = shell.json("image", "rotate", "image", "timestamp", "--prepare", "next.json")
    assert prepared["missing"] == 1
    assert shell.json("image", "root", "publish", "image", "next.json", status=1)["error"]["code"] == "threshold"
    assert "complete" in shell.run("image", "root", "sign", "--yes", "next.json", "--keys", "elsewhere")
    assert shell.json("image", "root", "publish", "image", "next.json")["files"] == ["2.root.json", "timestamp.json"]


def test_refresh_names_what_it_cannot_sign(shell: Shell) -> None:
    shell.run("image", "init", "image")
    Path("image/keys/offline").rename("away")
    found = shell.json("image", "refresh", "image", "--within", "60w")
    assert set(found["overdue"]) == {"root", "targets"}
    assert found["files"] == ["2.snapshot.json", "timestamp.json"]
    assert "due: root (its keys are not here" in shell.run("image", "refresh", "image", "--within", "60w")


def test_a_suppliers_further_delegation(shell: Shell) -> None:
    shell.run("supplier", "init", "sub", "--role", "sub")
    shell.run("supplier", "add", "sub", *LIDAR[2:3], "acme/sub.bin", *LIDAR[4:])
    shell.run("supplier", "sign", "sub")
    shell.run("supplier", "init", "acme", "--role", "acme")
    key = ("--key", "sub/sub.pub.json", "--path", "acme/*", "--outbox", "sub/outbox")
    shell.run("supplier", "delegate", "acme", "sub", *key)
    shell.run("supplier", "sign", "acme")
    shell.run("image", "init", "image")
    shell.run("image", "delegate", "image", "acme", "--key", "acme/acme.pub.json", "--path", "acme/*")
    assert shell.json("image", "accept", "image", "acme/outbox") == {"accepted": ["acme", "sub"], "removed": {}}
    shell.run("image", "publish", "image")
    assert {entry["path"] for entry in shell.json("image", "show", "image")["images"]} == {"acme/sub.bin"}
    shown = shell.json("supplier", "show", "acme")
    assert [found["name"] for found in shown["delegations"]] == ["sub"]
    shell.run("supplier", "remove", "sub", "acme/sub.bin", "--yes")
    assert "not signed yet" in shell.run("supplier", "show", "sub")


@pytest.mark.parametrize(
    ("words", "status", "code"),
    [
        (("image", "show", "nowhere"), 2, "usage"),
        (("image", "init", "."), 2, "usage"),
        (("image", "init", "x", "--keys", "root=3/2"), 2, "usage"),
        (("image", "init", "x", "--keys", "root=many"), 2, "usage"),
        (("image", "init", "x", "--keys", "acme=1/1"), 2, "usage"),
        (("image", "init", "x", "--valid", "timestamp=soon"), 2, "usage"),
        (("image", "init", "x", "--valid", "acme=1d"), 2, "usage"),
        (("supplier", "init", "x", "--role", "targets/../x\n"), 2, "unsafe-path"),
        (("supplier", "show", "nowhere"), 2, "usage"),
        (("image", "root", "sign", "--yes", "nothing.json", "--keys", "."), 2, "operator-file"),
    ],
)
def test_mistakes_get_one_clear_error(shell: Shell, words: tuple[str, ...], status: int, code: str) -> None:
    assert shell.json(*words, status=status)["error"]["code"] == code


@pytest.mark.parametrize(
    ("changed", "status", "code"),
    [
        ({3: "../brake.bin"}, 2, "unsafe-path"),
        ({2: "missing.bin"}, 2, "usage"),
        ({7: "-1"}, 2, "usage"),
        ({5: ""}, 2, "unsafe-path"),
    ],
)
def test_mistakes_in_describing_an_image(shell: Shell, changed: dict[int, str], status: int, code: str) -> None:
    shell.run("image", "init", "image")
    words = [changed.get(index, word) for index, word in enumerate(ADD)]
    assert shell.json("image", *words, status=status)["error"]["code"] == code


@pytest.mark.parametrize(
    "options",
    [("--version", "1.0"), ("--component", "brake"), ("--component", "brake", "--version", "1", "--needs", "x>=")],
)
def test_half_a_component_is_refused(shell: Shell, options: tuple[str, ...]) -> None:
    shell.run("image", "init", "image")
    assert shell.json("image", *ADD, *options, status=2)["error"]["code"] == "usage"


def commands_of(group: click.Group, path: str) -> list[tuple[str, click.Command]]:
    found: list[tuple[str, click.Command]] = []
    for name, command in group.commands.items():
        found.append((f"{path} {name}", command))
        if isinstance(command, click.Group):
            found += commands_of(command, f"{path} {name}")
    return found


@pytest.mark.parametrize(
    ("path", "command"), [*commands_of(image, "twinlock image"), *commands_of(supplier, "twinlock supplier")]
)
def test_every_command_shows_an_example_and_can_speak_json(path: str, command: click.Command) -> None:
    assert f"  {path} " in (command.help or ""), path
    if not isinstance(command, click.Group):
        assert any("--json" in parameter.opts for parameter in command.params)


def test_serving_until_told_to_stop(shell: Shell) -> None:
    shell.run("image", "init", "image")
    words = [sys.executable, "-m", "twinlock.cli", "image", "serve", "image", "--port", "0", "--json"]
    environment = {name: value for name, value in os.environ.items() if name != "TWINLOCK_PASSPHRASE"}
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        event = json.loads(process.stdout.readline())
        assert event["event"] == "listening"
        with urllib.request.urlopen(f"{event['url']}/metadata/1.root.json") as response:
            assert response.read() == Path("image/public/metadata/1.root.json").read_bytes()
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0


def test_a_port_in_use_is_told(shell: Shell) -> None:
    import socket

    shell.run("image", "init", "image")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        assert port in shell.json("image", "serve", "image", "--port", port, status=2)["error"]["message"]


def test_status_says_by_its_exit_status_that_a_role_is_due(shell: Shell) -> None:
    shell.run("image", "init", "image", "--valid", "timestamp=12h")
    assert shell.json("image", "status", "image", "--within", "1h", status=0)["due"] == []
    due = shell.json("image", "status", "image", "--within", "1d", status=6)["due"]
    assert [(item["role"], item["canSign"]) for item in due] == [("timestamp", True)]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", due[0]["expires"])
    shell.run("image", "status", "image")


def test_status_names_the_time_by_which_it_judged(shell: Shell) -> None:
    """A wrong clock is the usual cause of what expires too soon or too late."""
    shell.run("image", "init", "image")
    before = utc_now().replace(microsecond=0)
    shown = datetime.fromisoformat(shell.json("image", "status", "image")["clock"]["now"])
    assert before <= shown <= utc_now()
    told = re.search(r"^judged by the clock of this machine: (.+)Z$", shell.run("image", "status", "image"), re.M)
    assert told is not None
    assert shown <= datetime.fromisoformat(told[1] + "+00:00") <= utc_now()


@pytest.mark.parametrize("role", ["../x", ".acme"])
def test_a_role_whose_file_would_be_hidden_is_refused_as_input(shell: Shell, role: str) -> None:
    shell.run("image", "init", "image")
    shell.run("supplier", "init", "acme", "--role", "acme")
    refusals = (
        ("supplier", "init", "other", "--role", role),
        ("image", "delegate", "image", role, "--key", "acme/acme.pub.json", "--path", "acme/*"),
    )
    for words in refusals:
        error = shell.json(*words, status=2)["error"]
        assert "starts with '.'" in error["message"]
        assert error.get("attack", "none") == "none"
    assert not Path("other").exists()
