"""Every command that leads a vehicle out of a state, run once: what it writes is held to its schema."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from tests.plain_keys import plain_keys
from tests.unit.director.world import ImageSite, TestVehicle
from twinlock.cli.main import main
from twinlock.director.director import Director
from twinlock.repository.workspace.validity import utc_now

CAR = TestVehicle("VIN1", {"ecu-gw": "gw-1", "ecu-brake": "hw-7"})


def run(*words: str | Path, stdin: object = None, status: int = 0) -> Any:
    text = "" if stdin is None else json.dumps(stdin)
    result = CliRunner().invoke(main, plain_keys([*map(str, words), "--json"]), input=text)
    assert result.exit_code == status, (words, result.output, result.exception)
    return json.loads(result.stdout)


def described(ecu: str, name: str) -> dict[str, Any]:
    other = TestVehicle(name, {ecu: "hw-7", "ecu-gw-of-another": "gw-1"})
    found: dict[str, Any] = next(item for item in other.description()["ecus"] if item["ecu"] == ecu)
    return found


def test_each_way_out_of_a_state_writes_what_was_published(tmp_path: Path) -> None:
    site = ImageSite(tmp_path / "image", now=utc_now())
    site.add("factory.bin", hardware=["gw-1", "hw-7"], counter=0)
    site.publish()
    place = tmp_path / "director"
    with Director.create(place, image_root=site.root, image_url=str(site.path)) as made:
        made.register(CAR.description())
        made.receive_manifest(CAR.manifest(now=utc_now()))
    (tmp_path / "brake.json").write_text(json.dumps(described("ecu-brake", "BRAKE-2")))

    assert run("director", "add-ecu", place, "VIN1", "-", stdin=described("ecu-lamp", "LAMP"))["added"] == "ecu-lamp"
    assert run("director", "out-of-order", place, "VIN1", "ecu-lamp")["outOfOrder"] == ["ecu-lamp"]
    run("director", "reactivate", place, "VIN1", "ecu-lamp")
    run("director", "retire", place, "VIN1", "ecu-lamp")
    assert run("director", "reset-counter", place, "VIN1", "ecu-gw")["resets"]
    assert run("director", "rekey", place, "VIN1", "ecu-brake", tmp_path / "brake.json")["ecu"] == "ecu-brake"
    run("director", "replace-ecu", place, "VIN1", "ecu-gw", "0" * 64, "--serial", "ecu-gw-2")
    run("director", "declare-delivery", place, "-", stdin={"VIN2": {"ecu-9": {}}})
    assert run("director", "show", place, "VIN1")["keyChanges"]
    assert run("director", "prune", place, "--older-than", "90d", "--yes")["deleted"]
    assert run("director", "refresh", place)["vehicles"].keys() == {"VIN1"}
    listed = run("director", "keys", "list", place)["keys"]
    assert run("director", "keys", "mark", place, listed[0]["keyid"], "lost", "--yes")["availability"] == "lost"
    assert run("director", "release", place, "ecu-lamp", "--to", "VIN2", "--yes") == {
        "ecu": "ecu-lamp",
        "from": "VIN1",
        "to": "VIN2",
    }


def test_suppliers_and_other_profiles_write_what_was_published(tmp_path: Path) -> None:
    place, acme = tmp_path / "image", tmp_path / "acme"
    run("image", "init", place)
    public = run("supplier", "init", acme, "--role", "acme")["publicKeyFile"]
    assert len(run("supplier", "keys", "list", acme)["keys"]) == 1
    run("image", "delegate", place, "acme", "--key", public, "--path", "acme/*")
    assert run("image", "undelegate", place, "acme", "--yes")["staged"] == {"undelegation": "acme"}
    assert run("supplier", "wire", acme, "aktualizr", "--yes")["profile"] == "aktualizr"
    assert run("image", "wire", place, "aktualizr", "--yes")["profile"] == "aktualizr"
    assert run("image", "time-source", place)["url"] is None
