"""Commands that destroy something, or bind the operator for good, ask first; a new command is put on one side or the other."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click
import pytest
from click.testing import CliRunner

from tests.plain_keys import plain_keys
from tests.unit.director.world import TestVehicle
from twinlock.cli.main import main
from twinlock.director.director import Director
from twinlock.repository.image_repository import ImageRepository

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ASKING = {
    "director keys mark": "director KEYID lost",
    "director keys passphrase": "director --none",
    "director prune": "director --older-than 90d",
    "director recover-clock": "director",
    "director release": "director ecu-1",
    "director retire": "director VIN1 ecu-1 --release",
    "director revoke-certificate": f"director {64 * '0'}",
    "director root cancel": "",
    "director root sign": "",
    "director rotate": "director targets",
    "director unassign": "director VIN1",
    "director wire": "director aktualizr",
    "image keys mark": "",
    "image keys passphrase": "image --none",
    "image recover-clock": "image",
    "image remove": "",
    "image root cancel": "",
    "image root sign": "",
    "image rotate": "image timestamp",
    "image undelegate": "image acme",
    "image wire": "image aktualizr",
    "primary remove-secondary": "primary ecu-1",
    "supplier keys mark": "",
    "supplier keys passphrase": "acme --none",
    "supplier remove": "",
    "supplier rotate": "acme",
    "supplier wire": "acme aktualizr",
}
"""Each with words for which it asks; none where a test of its own shows that it asks."""

COUNTER = ("--release-counter", "1")
NOT_ASKING = {
    "what it changes is staged, or expires, or is undone by another command": {
        *("director add-ecu", "director allow-certificate", "director assign", "director declare-delivery"),
        *("director out-of-order", "director reactivate", "director reset-counter", "director token"),
        *("image accept", "image add", "image add-ostree", "image delegate", "image replace", "image time-source"),
        *("primary set-secondary", "supplier add", "supplier delegate"),
    },
    "it names what it binds, by a key or a number that is compared first": {
        *("director confirm-key", "director rekey", "director replace-ecu"),
    },
    "each holder agreed when signing": {"director root publish", "image root publish"},
    "it is the work of every day, or of a timer": {
        *("director refresh", "image publish", "image refresh", "supplier sign"),
        *("primary register", "primary run", "primary update", "secondary run"),
        *("director serve", "director serve-aktualizr", "image serve", "up"),
    },
    "it makes something new and overwrites nothing": {
        *("director create-device-ca", "director enter-aktualizr", "director init", "director issue-device"),
        *("director issue-provisioning", "director issue-server", "director register", "image import", "image init"),
        *("primary enrol", "primary init", "secondary init", "supplier init"),
    },
    "it keeps the damaged file": {"primary recover", "secondary recover"},
    "it changes nothing": {
        *("audit show", "completion", "director certificates", "director decisions", "director device-events"),
        *("director explain", "director installed", "director keys list", "director root roles", "director root show"),
        *(
            "director show",
            "director status",
            "director telemetry",
            "director vehicles",
            "image keys list",
            "image show",
        ),
        *("image status", "primary describe", "primary show", "secondary describe", "secondary show"),
        *("supplier keys list", "supplier show", "trusted show", "trusted why"),
    },
}


def commands(group: click.Group, *before: str) -> Iterator[tuple[str, click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from commands(command, *before, name)
        elif command is not None:
            yield " ".join((*before, name)), command


def test_every_command_asks_or_is_known_not_to_need_it() -> None:
    assert isinstance(main, click.Group)
    found = dict(commands(main))
    asking = {name for name, command in found.items() if any(option.name == "yes" for option in command.params)}
    assert asking == set(ASKING)
    quiet = [name for names in NOT_ASKING.values() for name in names]
    assert sorted(quiet) == sorted(found.keys() - asking)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with every party's files that the commands read before they ask."""
    place = tmp_path_factory.mktemp("parties")
    repository = ImageRepository.create(place / "image")
    (place / "lamp.bin").write_bytes(b"lamp")
    key = str(place / "acme" / "acme.pub.json")
    for words in (
        ("supplier", "init", str(place / "acme"), "--role", "acme"),
        ("image", "add", str(place / "image"), str(place / "lamp.bin"), "lamp.bin", "--hardware-id", "hw-1", *COUNTER),
        ("image", "publish", str(place / "image")),
        ("image", "delegate", str(place / "image"), "acme", "--key", key, "--path", "acme/*"),
    ):
        made = CliRunner().invoke(main, plain_keys([*words]))
        assert made.exit_code == 0, made.output
    site = str(place / "image" / "public")
    with Director.create(place / "director", image_root=repository.root_bytes(1), image_url=site) as director:
        car = TestVehicle("VIN1", {"ecu-0": "hw-0", "ecu-1": "hw-1"})
        director.register(car.description())
        director.assign("VIN1", {"ecu-1": "lamp.bin"})
    (place / "primary").mkdir()
    (place / "primary" / "primary.json").write_text("{}")
    return place


def content(place: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in place.rglob("*") if path.is_file() and "sqlite" not in path.name}


@pytest.mark.parametrize("name", [name for name, words in ASKING.items() if words])
def test_without_an_answer_nothing_is_done(name: str, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    listed = json.loads(CliRunner().invoke(main, ["director", "keys", "list", "director", "--json"]).stdout)
    words = ASKING[name].replace("KEYID", listed["keys"][0]["keyid"])
    before = content(place)
    result = CliRunner().invoke(main, [*name.split(), *words.split()], input="")
    assert result.exit_code == 2, result.output
    assert "error[usage]: not confirmed: this will " in result.output
    assert "hint: add --yes" in result.output
    assert content(place) == before


def test_the_loss_of_a_key_is_recorded_with_what_follows(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    listed = json.loads(CliRunner().invoke(main, ["image", "keys", "list", "image", "--json"]).stdout)
    keyid = next(key["keyid"] for key in listed["keys"] if key["role"] == "root")
    asked = CliRunner().invoke(main, ["image", "keys", "mark", "image", keyid, "lost"], input="n\n")
    assert asked.exit_code == 1
    assert "root has 0 other keys, and 1 must sign: no next Root can be signed" in asked.output
    assert "When a key is lost or stolen" in asked.output
    assert "`keys mark` with `found` undoes it" in asked.output
    found = CliRunner().invoke(main, ["image", "keys", "mark", "image", keyid, "found"], input="")
    assert found.exit_code == 0, found.output


def test_what_is_left_after_the_loss_of_a_key_is_true_of_each_role(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(place)
    made = CliRunner().invoke(main, plain_keys(["image", "init", "three", "--keys", "root=2/3"]))
    assert made.exit_code == 0, made.output
    listed = json.loads(CliRunner().invoke(main, ["image", "keys", "list", "three", "--json"]).stdout)["keys"]
    first, second, _ = (key["keyid"] for key in listed if key["role"] == "root")

    def asked(keyid: str, *words: str) -> str:
        return CliRunner().invoke(main, ["image", "keys", "mark", "three", keyid, "lost", *words], input="n\n").output

    assert "root has 2 other keys, and 2 must sign: that is enough" in asked(first)
    asked(first, "--yes")
    assert "root has 1 other key, and 2 must sign: no next Root can be signed" in asked(second)
    targets = next(key["keyid"] for key in listed if key["role"] == "targets")
    assert "nothing can be signed for targets until its keys are replaced (`rotate`" in asked(targets)
    asked(targets, "--yes")
    CliRunner().invoke(main, ["image", "add", "three", "lamp.bin", "lamp.bin", "--hardware-id", "hw-1", *COUNTER])
    published = CliRunner().invoke(main, ["image", "publish", "three"])
    assert published.exit_code == 2, published.output
    assert "shows as lost have to be replaced with `rotate`" in published.output
