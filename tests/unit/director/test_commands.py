"""``twinlock director``: the path of an operator, in text and JSON, and exit statuses."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from tests.plain_keys import plain_keys
from tests.unit.director.world import ImageSite, TestVehicle
from twinlock.cli.main import main
from twinlock.director.director import Director
from twinlock.repository.workspace.validity import utc_now

BRAKE, GW = "brake/2.0.bin", "gw/1.4.bin"


class Shell:
    """Runs commands on one Director directory."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def run(self, command: str, *arguments: str, status: int = 0, stdin: str = "") -> Result:
        result = CliRunner().invoke(main, self.words(command, *arguments), input=stdin)
        assert result.exit_code == status, result.output
        return result

    def words(self, command: str, *arguments: str) -> list[str]:
        """What is typed; keys are plain unless the environment has a passphrase for them."""
        typed = ["director", command, str(self.path), *arguments]
        return plain_keys(typed, passphrase="TWINLOCK_PASSPHRASE" in os.environ)

    def json(self, command: str, *arguments: str, status: int = 0, stdin: str = "") -> Any:
        return json.loads(self.run(command, *arguments, "--json", status=status, stdin=stdin).stdout)

    def json_of(self, group: str, command: str, *arguments: str) -> Any:
        """As ``json``, for a command in a group of its own: the directory comes after both words."""
        result = CliRunner().invoke(main, ["director", group, command, str(self.path), *arguments, "--json"])
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)

    def audit(self) -> Any:
        """What was done, newest first."""
        result = CliRunner().invoke(main, ["audit", "show", str(self.path), "--json"])
        return json.loads(result.stdout)["audit"]


@pytest.fixture
def site(tmp_path: Path) -> ImageSite:
    site = ImageSite(tmp_path / "image", now=utc_now())
    site.add("factory.bin", hardware=["gw-1", "hw-7"], counter=0)
    site.add(GW, hardware=["gw-1"], counter=14, name="gateway", version="1.4")
    site.add(BRAKE, hardware=["hw-7"], counter=2, name="brake", version="2.0", dependencies={"gateway": ">=1.4"})
    site.publish()
    (tmp_path / "image-root.json").write_bytes(site.root)
    return site


@pytest.fixture
def car() -> TestVehicle:
    return TestVehicle("VIN1", {"ecu-gw": "gw-1", "ecu-brake": "hw-7"})


@pytest.fixture
def shell(tmp_path: Path, site: ImageSite, car: TestVehicle, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """A Director with a vehicle, made with the commands themselves."""
    monkeypatch.delenv("TWINLOCK_PASSPHRASE", raising=False)
    shell = Shell(tmp_path / "director")
    made = shell.json("init", "--image-root", str(tmp_path / "image-root.json"), "--image", str(site.path))
    assert made["created"] == str(shell.path)
    assert shell.json("register", "-", stdin=json.dumps(car.description())) == {
        "vehicle": "VIN1",
        "new": True,
        "ecus": 2,
    }
    return shell


def test_every_command_has_help_with_an_example(shell: Shell) -> None:
    listed = CliRunner().invoke(main, ["director", "--help"]).stdout
    names = [line.split()[0] for line in listed.partition("Commands:")[2].splitlines() if line.strip()]
    assert {"init", "register", "vehicles", "assign", "unassign", "explain", "show", "decisions", "serve"} <= set(names)
    for name in names:
        text = CliRunner().invoke(main, ["director", name, "--help"]).stdout
        assert "Example:" in text, name
        assert "--json" in text or "COMMAND" in text, name


def test_registering_again_is_harmless_and_otherwise_refused(shell: Shell, car: TestVehicle) -> None:
    assert shell.json("register", "-", stdin=json.dumps(car.description()))["new"] is False
    other = car.description()
    other["ecus"][1]["hardwareId"] = "hw-8"
    error = shell.json("register", "-", stdin=json.dumps(other), status=1)["error"]
    assert error["code"] == "registration"
    assert shell.json("vehicles")["vehicles"][0]["vehicle"] == "VIN1"


def receive(shell: Shell, car: TestVehicle) -> None:
    now = utc_now()
    with Director.open(shell.path) as director:
        director.receive_manifest(car.manifest(now=now), now=now)


def test_assign_explain_show_decisions_unassign(shell: Shell, car: TestVehicle) -> None:
    receive(shell, car)
    plan = shell.json("assign", "VIN1", f"ecu-brake={BRAKE}", "--actor", "alice")
    assert plan["outcome"] == "ordered"
    assert {order["ecu"] for order in plan["orders"]} == {"ecu-brake", "ecu-gw"}
    assert [(image["ecu"], image["path"]) for image in plan.pop("assigned")] == [("ecu-brake", BRAKE)]
    assert shell.json("explain", "VIN1") == plan
    refreshed = shell.json("refresh")
    assert refreshed["vehicles"]["VIN1"]["targets"] == 1
    decided = shell.json("decisions", "VIN1")["decisions"]
    assert [item["outcome"] for item in decided] == ["ordered"]
    assert decided[0]["imageVersions"]["targets"] == 1
    shown = shell.json("show", "VIN1")
    assert {item["ecu"]: item["assigned"] for item in shown["ecus"]} == {"ecu-brake": BRAKE, "ecu-gw": None}
    assert {item["installed"]["path"] for item in shown["ecus"]} == {"factory.bin"}
    text = shell.run("show", "VIN1").stdout
    assert BRAKE in text
    assert shell.json("unassign", "VIN1", "ecu-brake")["outcome"] == "nothing"


def test_assign_shows_what_was_assigned_and_what_it_waits_for(shell: Shell, car: TestVehicle) -> None:
    words = ("assign", "VIN1", f"ecu-brake={BRAKE}")
    assert shell.run(*words).stdout.splitlines() == [
        "assigned to VIN1:",
        f"  ecu-brake <- {BRAKE} (brake 2.0, release 2)",
        "VIN1: waiting",
        "  it waits: VIN1 has not reported yet, so what it needs is not known",
    ]
    waiting = shell.json(*words)
    assert (waiting["outcome"], waiting["orders"]) == ("waiting", [])
    assert [(image["ecu"], image["releaseCounter"]) for image in waiting["assigned"]] == [("ecu-brake", 2)]
    receive(shell, car)
    lines = shell.run(*words).stdout.splitlines()
    assert lines[:3] == ["assigned to VIN1:", f"  ecu-brake <- {BRAKE} (brake 2.0, release 2)", "VIN1: ordered"]
    assert any(line.startswith("  ecu-gw <- ") for line in lines[3:]), lines
    assert not any("ecu-brake <- " in line for line in lines[3:]), lines


def test_a_refusal_says_why_in_text_and_json(shell: Shell, car: TestVehicle, site: ImageSite) -> None:
    receive(shell, car)
    del site.images[GW]
    site.publish()
    result = shell.run("assign", "VIN1", f"ecu-brake={BRAKE}", status=1)
    assert result.stderr.startswith("error[no-image-set]: no set of images fits VIN1: brake 2.0 needs gateway >= 1.4")
    error = shell.json("assign", "VIN1", f"ecu-brake={BRAKE}", status=1)["error"]
    assert error["code"] == "no-image-set"
    assert len(error["fields"]["causes"]) == 1
    impossible = shell.json("explain", "VIN1", f"ecu-brake={BRAKE}", status=1)
    assert impossible["outcome"] == "impossible"


@pytest.mark.parametrize(
    ("command", "arguments", "status", "code"),
    [
        ("assign", ("VIN1", "ecu-brake"), 2, "usage"),
        ("assign", ("VIN1", "a=b", "a=c"), 2, "usage"),
        ("assign", ("VIN9", f"ecu-gw={GW}"), 2, "unknown-vehicle"),
        ("assign", ("VIN1", f"ecu-gw={BRAKE}"), 1, "wrong-hardware"),
        ("assign", ("VIN1", "ecu-gw=../x"), 2, "unsafe-path"),
        ("show", ("VIN9",), 2, "unknown-vehicle"),
        ("unassign", ("VIN1", "ecu-gw"), 2, "nothing-assigned"),
        ("unassign", ("VIN1",), 2, "usage"),
        ("root", ("--version", "7"), 2, "unknown-root"),
        ("register", ("/no/such/file",), 2, "operator-file"),
        ("retire", ("VIN1", "nope"), 2, "no-such-ecu"),
        ("reactivate", ("VIN1", "nope"), 2, "no-such-ecu"),
        ("out-of-order", ("VIN1", "nope"), 2, "no-such-ecu"),
        ("reset-counter", ("VIN1", "nope"), 2, "no-such-ecu"),
        ("rekey", ("VIN9", "nope", "1f0c9a7b55e4d210"), 2, "unknown-vehicle"),
        ("rekey", ("VIN1", "nope", "1f0c9a7b55e4d210"), 2, "no-such-ecu"),
        ("add-ecu", ("VIN1", "/no/such/file"), 2, "operator-file"),
    ],
)
def test_exit_statuses(shell: Shell, command: str, arguments: tuple[str, ...], status: int, code: str) -> None:
    error = shell.json(command, *arguments, status=status)["error"]
    assert (error["code"], error.get("attack", "none")) == (code, "none")


def test_files_that_operators_wrote_badly_are_a_usage_error(shell: Shell, tmp_path: Path) -> None:
    odd = tmp_path / "odd.json"
    odd.write_text("[1")
    for words in (("add-ecu", "VIN1"), ("declare-delivery",), ("register",), ("rekey", "VIN1", "ecu-brake")):
        error = shell.json(*words, str(odd), status=2)["error"]
        assert (error["kind"], error.get("attack", "none")) == ("refusal", "none"), words
    os.mkfifo(tmp_path / "pipe")
    for words in (("add-ecu", "VIN1"), ("declare-delivery",), ("register",), ("rekey", "VIN1", "ecu-brake")):
        assert shell.json(*words, str(tmp_path / "pipe"), status=2)["error"]["code"] == "operator-file", words
    init = CliRunner().invoke(
        main, ["director", "init", str(tmp_path / "d"), "--image-root", str(tmp_path / "pipe"), "--image", "x"]
    )
    assert init.exit_code == 2


def test_an_inventory_that_cannot_be_opened_says_what_to_do(shell: Shell) -> None:
    """As on a read-only file system, where SQLite cannot make the files that it needs beside its own."""
    for name in ("inventory.sqlite-wal", "inventory.sqlite-shm"):
        (shell.path / name).unlink(missing_ok=True)
    (shell.path / "inventory.sqlite-wal").mkdir()
    error = shell.json("show", "VIN1", status=5)["error"]
    assert "make its directory writable" in error["message"]
    (shell.path / "inventory.sqlite-wal").rmdir()
    assert shell.json("show", "VIN1")["vehicle"] == "VIN1"


def test_a_badly_formed_line_hides_no_other_result(shell: Shell, car: TestVehicle, tmp_path: Path) -> None:
    receive(shell, car)
    wave = tmp_path / "wave.txt"
    wave.write_text(f"VIN1 ecu-brake={BRAKE}\nVIN2 no-order-at-all\nVIN3 e3=../../etc/passwd\n")
    items = shell.json("assign", "--list", str(wave), status=1)["items"]
    outcomes = [("VIN1", "assigned"), ("VIN2", "refused"), ("VIN3", "refused")]
    assert [(item["vehicle"], item["outcome"]) for item in items] == outcomes
    assert (items[2]["error"]["code"], items[2]["error"].get("attack", "none")) == ("usage", "none")
    assert shell.json("assign", "--list", str(wave), "--skip-refused", status=1)["stored"]


def test_an_audit_of_a_mistyped_vehicle_is_a_usage_error(shell: Shell, tmp_path: Path) -> None:
    audit = ["audit", "show", str(tmp_path / "director"), "--json"]
    assert CliRunner().invoke(main, [*audit, "--vehicle", "VIN9"]).exit_code == 2
    shell.run("token", "VIN1")
    rows = json.loads(CliRunner().invoke(main, [*audit, "--vehicle", "VIN1"]).stdout)["audit"]
    assert rows[0]["detail"] == {"validS": 86_400}


@pytest.mark.parametrize(
    "settings", [{"history_days": "x"}, {"second_person": None}, {"second_person": "false"}, {"periods": {"root": "x"}}]
)
def test_a_setting_of_another_type_is_named(shell: Shell, tmp_path: Path, settings: dict[str, object]) -> None:
    path = next(tmp_path.rglob("director/config.json"))
    path.write_text(json.dumps({**json.loads(path.read_text()), **settings}))
    error = shell.json("vehicles", status=2)["error"]
    named = next(iter(settings))
    if named == "periods":  # the Image repository's servers read these the same way
        assert (error["code"], "periods.root has to be" in error["message"]) == ("usage", True)
    else:
        assert (error["code"], error["fields"]["setting"]) == ("director-setting", named)


def test_there_is_no_second_director_in_one_place(shell: Shell, tmp_path: Path, site: ImageSite) -> None:
    arguments = ("--image-root", str(tmp_path / "image-root.json"), "--image", str(site.path))
    assert shell.json("init", *arguments, status=2)["error"]["code"] == "occupied"


def test_rotating_publishes_a_root(shell: Shell, tmp_path: Path) -> None:
    assert shell.json("rotate", "targets", "time", "--yes")["root"] == 2
    target = tmp_path / "root.json"
    shell.run("root", "--output", str(target))
    assert json.loads(target.read_bytes())["signed"]["version"] == 2
    first = json.loads(shell.json("root", "--version", "1")["root"])
    assert first["signed"]["version"] == 1


def test_a_root_is_written_over_nothing_else(shell: Shell, tmp_path: Path) -> None:
    target, link = tmp_path / "root.json", tmp_path / "link.json"
    link.symlink_to(target)
    shell.run("root", "--output", str(target))
    first = target.read_bytes()
    shell.run("rotate", "targets", "--yes")
    shell.run("root", "--version", "1", "--output", str(target))  # it is there already
    for taken in (target, link):
        refused = shell.json("root", "--output", str(taken), status=2)["error"]
        assert (refused["code"], refused["fields"]["path"]) == ("output-file", str(taken))
        assert "--overwrite" in refused["hint"]
        assert target.read_bytes() == first
    shell.run("root", "--output", str(link), "--overwrite")
    assert json.loads(target.read_bytes())["signed"]["version"] == 2
    assert link.is_symlink()
    assert shell.json("root", "--output", str(tmp_path / "none" / "x.json"), status=2)["error"]["code"] == "usage"
    shell.run("root", "--output", "/dev/null")
    assert "--output" in shell.json("root", "--overwrite", status=2)["error"]["message"]


def test_a_token_is_shown_once(shell: Shell) -> None:
    token = shell.json("token", "VIN2", "--valid", "2h")["token"]
    assert len(token) > 40
    assert shell.run("token", "VIN2").stdout.strip() != token


def test_keys_under_a_passphrase_need_it(tmp_path: Path, site: ImageSite, monkeypatch: pytest.MonkeyPatch) -> None:
    shell = Shell(tmp_path / "locked")
    monkeypatch.setenv("TWINLOCK_PASSPHRASE", "correct horse")
    shell.run("init", "--image-root", str(tmp_path / "image-root.json"), "--image", str(site.path))
    assert shell.json("rotate", "targets", "--yes")["root"] == 2
    monkeypatch.setenv("TWINLOCK_PASSPHRASE", "wrong")
    assert shell.json("rotate", "targets", "--yes", status=2)["error"]["code"] == "passphrase"
    monkeypatch.delenv("TWINLOCK_PASSPHRASE")
    assert shell.json("rotate", "targets", "--yes", status=2)["error"]["code"] == "usage"
    assert not any(
        b"PRIVATE KEY" in path.read_bytes() and b"ENCRYPTED" not in path.read_bytes()
        for path in (shell.path / "keys").rglob("*.pem")
    )


def test_roots_for_clients_of_another_kind(shell: Shell, site: ImageSite, tmp_path: Path) -> None:
    assert "aktualizr" in shell.run("root", "--wire", "aktualizr", status=2).output
    assert shell.json("wire", "aktualizr", "--yes") == {"wire": "aktualizr", "root": 1}
    assert "newest is 1" in shell.run("wire", "aktualizr", "--yes").output
    shell.run("rotate", "root", "--yes")
    body = json.loads(shell.json("root", "--wire", "aktualizr")["root"])
    assert (body["signed"]["_type"], body["signed"]["version"]) == ("Root", 2)
    made = Shell(tmp_path / "both")
    options = ("--image-root", str(tmp_path / "image-root.json"), "--image", str(site.path), "--wire", "aktualizr")
    refused = made.json("init", *options, "--keys", "targets=1/1:ecdsa-p256", status=1)
    assert refused["error"]["code"] == "wire-profile"
    made.run("init", *options)
    assert json.loads(made.run("root", "--wire", "aktualizr", "--version", "1").output)["signed"]["version"] == 1
