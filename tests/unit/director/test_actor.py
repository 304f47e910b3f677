"""Who did it: every command that changes something at the Director takes ``--actor``, and the audit names that actor."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click
import pytest

from tests.unit.director.device_world import Device
from tests.unit.director.test_command_schemas import described
from tests.unit.director.test_commands import BRAKE, Shell, car, receive, shell, site  # noqa: F401 - fixtures
from tests.unit.director.world import ImageSite, TestVehicle
from twinlock.cli.director.group import director as commands

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

READ_ONLY = {
    *("certificates", "decisions", "device-events", "explain", "installed", "show", "status", "telemetry", "vehicles"),
    *("root roles", "root show", "keys list"),
    *("serve", "serve-aktualizr"),  # what vehicles do is noted as theirs
    "root sign",  # of a file that may be anywhere, without a Director
}


def leaves(group: click.Group, above: str = "") -> Iterator[tuple[str, click.Command]]:
    """Every command below ``group``, by its words."""
    for name, command in group.commands.items():
        words = f"{above}{name}"
        if isinstance(command, click.Group):
            yield from leaves(command, f"{words} ")
        else:
            yield words, command


@pytest.mark.parametrize(("name", "command"), list(leaves(commands)))
def test_a_command_that_changes_something_takes_an_actor(name: str, command: click.Command) -> None:
    takes = any("--actor" in parameter.opts for parameter in command.params)
    assert takes is (name not in READ_ONLY)


def test_the_audit_names_who_changed_the_keys_and_how(shell: Shell, tmp_path: Path) -> None:  # noqa: F811
    before = {role["name"]: role["keyids"] for role in shell.json_of("root", "roles")["roles"]}
    shell.run("token", "VIN9", "--actor", "anna")
    shell.run("rotate", "timestamp", "--yes", "--actor", "ben")
    prepared = tmp_path / "next-root.json"
    shell.run("rotate", "snapshot", "--prepare", str(prepared), "--actor", "ben")
    shell.json_of("root", "publish", str(prepared), "--actor", "kim")
    shell.run("refresh", "--root", "--actor", "lee")
    after = {role["name"]: role["keyids"] for role in shell.json_of("root", "roles")["roles"]}
    lee, kim, prepared_by, ben, anna = shell.audit()[:5]
    assert (prepared_by["actor"], prepared_by["action"]) == ("ben", "prepare-root")
    assert [(row["actor"], row["action"]) for row in (anna, ben, kim, lee)] == [
        ("anna", "token"),
        ("ben", "root"),
        ("kim", "root"),
        ("lee", "root"),
    ]
    for row, role in ((ben, "timestamp"), (kim, "snapshot")):
        assert row["detail"]["roles"] == [role]
        assert row["detail"]["keys"] == {role: {"added": after[role], "removed": before[role], "threshold": 1}}
    assert lee["detail"]["roles"] == []


def test_the_audit_names_who_made_the_director_and_with_which_keys(
    shell: Shell,  # noqa: F811
    site: ImageSite,  # noqa: F811
    tmp_path: Path,
) -> None:
    made = Shell(tmp_path / "made")
    options = ("--image-root", str(tmp_path / "image-root.json"), "--image", str(site.path), "--wire", "aktualizr")
    made.run("init", *options, "--actor", "ann")
    init, root = made.audit()
    assert [(row["actor"], row["action"]) for row in (root, init)] == [("ann", "root"), ("ann", "init")]
    detail = root["detail"]
    assert (detail["version"], detail["aktualizr"]) == (1, 1)
    assert sorted(detail["roles"]) == ["root", "snapshot", "targets", "time", "timestamp"]
    keys = {role["name"]: role["keyids"] for role in made.json_of("root", "roles")["roles"]}
    own = {"aktualizr-root": own_root_keys(made)}
    assert detail["keys"] == {
        role: {"added": sorted(added), "removed": [], "threshold": 1} for role, added in (keys | own).items()
    }


def test_every_root_that_is_published_has_its_row_in_the_audit(shell: Shell, tmp_path: Path) -> None:  # noqa: F811
    shell.run("rotate", "root", "--yes")
    shell.run("refresh", "--root")
    shell.run("rotate", "time", "--prepare", str(tmp_path / "next.json"))
    shell.json_of("root", "publish", str(tmp_path / "next.json"))
    recorded = [row["detail"]["version"] for row in shell.audit() if row["action"] == "root"]
    assert recorded == [4, 3, 2, 1]


def own_root_keys(shell: Shell) -> list[str]:  # noqa: F811
    body = json.loads(shell.json_of("root", "show", "--wire", "aktualizr")["root"])
    return sorted(body["signed"]["roles"]["root"]["keyids"])


def test_the_audit_names_the_root_keys_that_the_aktualizr_chain_has_of_its_own(shell: Shell) -> None:  # noqa: F811
    shell.run("wire", "aktualizr", "--yes", "--actor", "ann")
    first = own_root_keys(shell)
    shell.run("rotate", "root", "--yes", "--actor", "ben")
    second = own_root_keys(shell)
    shell.run("rotate", "timestamp", "--yes", "--actor", "kim")
    kim, ben, ann = shell.audit()[:3]
    assert not set(first) & set(second)
    assert ann["detail"]["keys"] == {"aktualizr-root": {"added": first, "removed": [], "threshold": 1}}
    assert ben["detail"]["roles"] == ["root"]
    assert ben["detail"]["keys"].keys() == {"root", "aktualizr-root"}
    assert ben["detail"]["keys"]["aktualizr-root"] == {"added": second, "removed": first, "threshold": 1}
    assert kim["detail"]["keys"].keys() == {"timestamp"}


def test_a_required_actor_is_asked_for(shell: Shell) -> None:  # noqa: F811
    result = shell.run("confirm-key", "4", status=2)
    assert "Missing option '--actor'" in result.output


@pytest.mark.parametrize("name", ["", " ", "anna ", "a\x1b[2J", "x" * 129])
def test_an_actor_has_a_name_that_can_be_shown(shell: Shell, name: str) -> None:  # noqa: F811
    result = shell.run("token", "VIN9", "--actor", name, status=2)
    assert "1 to 128 printable characters" in result.output
    assert shell.audit()[0]["action"] == "register"


def test_the_audit_names_the_actor_of_every_command(
    shell: Shell,  # noqa: F811
    car: TestVehicle,  # noqa: F811
    tmp_path: Path,
) -> None:
    """One person for each command, so that a row which names nobody else proves the command passes its actor on."""
    brake, lamp = tmp_path / "brake.json", tmp_path / "lamp.json"
    brake.write_text(json.dumps(described("ecu-brake", "BRAKE-2")))
    lamp.write_text(json.dumps(described("ecu-lamp", "LAMP")))
    prepared, delivered, aktualizr = (tmp_path / name for name in ("root.json", "delivered.json", "vin7.json"))
    delivered.write_text(json.dumps({"VIN2": {"ecu-9": {}}}))
    aktualizr.write_bytes(Device().registration())
    receive(shell, car)
    for words in (
        ("assign", "VIN1", f"ecu-brake={BRAKE}"),
        ("unassign", "VIN1", "ecu-brake"),
        ("out-of-order", "VIN1", "ecu-brake"),
        ("add-ecu", "VIN1", str(lamp)),
        ("retire", "VIN1", "ecu-lamp"),
        ("reactivate", "VIN1", "ecu-lamp"),
        ("rekey", "VIN1", "ecu-brake", str(brake)),
        ("reset-counter", "VIN1", "ecu-gw"),
        ("declare-delivery", str(delivered)),
        ("create-device-ca",),
        ("issue-device", "VIN1", "--output", str(tmp_path / "device")),
        ("issue-server", "localhost", "--output", str(tmp_path / "tls")),
        ("revoke-certificate", "VIN1", "--yes"),
        ("prune", "--older-than", "90d", "--yes"),
        ("wire", "aktualizr", "--yes"),
        ("enter-aktualizr", "VIN7", str(aktualizr)),
        ("allow-certificate", "VIN7"),
        ("issue-provisioning", "--url", "https://fleet.example:8443", "--output", str(tmp_path / "credentials.zip")),
        ("rotate", "snapshot", "--prepare", str(prepared)),
    ):
        shell.run(*words, "--actor", f"who-{words[0]}")
        assert shell.audit()[0]["actor"] == f"who-{words[0]}", words


def test_the_audit_names_who_marked_a_key_and_who_changed_the_passphrase(shell: Shell, tmp_path: Path) -> None:  # noqa: F811
    key = next(item for item in shell.json_of("keys", "list")["keys"] if item["role"] == "time")
    shell.json_of("keys", "mark", key["keyid"], "lost", "--yes", "--actor", "anna")
    shell.json_of("keys", "mark", key["keyid"], "found", "--actor", "ben")
    phrase = tmp_path / "phrase.txt"
    phrase.write_text("TEST only\n")
    shell.json_of("keys", "passphrase", "--only", "offline", "--new-passphrase-file", str(phrase), "--actor", "kim")
    changed, found, lost = shell.audit()[:3]
    assert [(row["actor"], row["action"]) for row in (lost, found, changed)] == [
        ("anna", "mark"),
        ("ben", "mark"),
        ("kim", "passphrase"),
    ]
    assert lost["detail"] == {"key": key["keyid"], "role": "time", "state": "lost"}
    assert changed["detail"] == {"keys": ["offline"], "encrypted": True}
