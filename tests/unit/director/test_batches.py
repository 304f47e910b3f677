"""Many vehicles at once: all of them or none, a result per item, and nothing half done."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from tests.unit.director.device_world import Device
from tests.unit.director.world import ImageSite, TestVehicle
from twinlock.cli.main import main
from twinlock.director.director import Director
from twinlock.repository.workspace.validity import utc_now


class Shell:
    """Runs commands on one Director directory."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def json(self, command: str, *arguments: object, status: int = 0, stdin: str | bytes = "") -> Any:
        words = ["director", command, str(self.path), *map(str, arguments), "--json"]
        result = CliRunner().invoke(main, words, input=stdin)
        assert result.exit_code == status, result.output
        return json.loads(result.stdout)

    def vehicles(self) -> list[str]:
        return [item["vehicle"] for item in self.json("vehicles")["vehicles"]]

    def audit(self) -> int:
        with Director.open(self.path) as director:
            return len(director.audit(limit=10_000))


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """A Director with an Image repository of one image."""
    monkeypatch.delenv("TWINLOCK_PASSPHRASE", raising=False)
    site = ImageSite(tmp_path / "image", now=utc_now())
    site.add("factory.bin", hardware=["gw-1"], counter=0)
    site.add("gw/2.0.bin", hardware=["gw-1"], counter=2, name="gateway", version="2.0")
    site.publish()
    Director.create(tmp_path / "director", image_root=site.root, image_url=str(site.path)).close()
    return Shell(tmp_path / "director")


def description(number: int) -> str:
    return json.dumps(TestVehicle(f"VIN{number}", {f"ecu-{number}": "gw-1"}).description())


def report(car: TestVehicle) -> bytes:
    """A manifest of a vehicle, made now."""
    return car.manifest(now=utc_now())


def lines(*rows: str) -> str:
    return "".join(f"{row}\n" for row in rows)


def test_files_folders_json_lines_and_standard_input_are_registered_in_one_go(shell: Shell, tmp_path: Path) -> None:
    folder = tmp_path / "descriptions"
    folder.mkdir()
    (folder / "one.json").write_text(json.dumps(json.loads(description(1)), indent=2))
    (folder / "two.jsonl").write_text(lines(description(2), "", description(3)))
    (folder / "notes.txt").write_text("not a description")
    result = shell.json("register", folder, "-", stdin=lines(description(4), description(5)))
    assert result["stored"]
    assert result["counts"] == {"registered": 5}
    sources = [(Path(item["source"]).name, item["vehicle"]) for item in result["items"]]
    assert sources == [
        ("one.json", "VIN1"),
        ("two.jsonl:1", "VIN2"),
        ("two.jsonl:3", "VIN3"),
        ("-:1", "VIN4"),
        ("-:2", "VIN5"),
    ]
    assert shell.vehicles() == [f"VIN{number}" for number in range(1, 6)]
    assert shell.json("register", folder)["counts"] == {"unchanged": 3}


def test_one_refused_item_leaves_nothing_and_every_item_has_its_result(shell: Shell) -> None:
    shell.json("register", "-", stdin=description(1))
    taken = json.loads(description(7))
    taken["ecus"][0] = json.loads(description(1))["ecus"][0] | {"ecu": "ecu-7"}  # the key of VIN1's ECU
    before, rows = shell.audit(), lines(description(2), "{}", json.dumps(taken), description(3))
    result = shell.json("register", "-", stdin=rows, status=1)
    assert not result["stored"]
    assert [(item["outcome"], item["vehicle"]) for item in result["items"]] == [
        ("registered", "VIN2"),
        ("refused", None),
        ("refused", "VIN7"),
        ("registered", "VIN3"),
    ]
    assert [item["error"]["code"] for item in result["items"] if "error" in item] == [
        "malformed",
        "ecu-already-registered",
    ]
    assert shell.vehicles() == ["VIN1"]
    assert shell.audit() == before
    result = shell.json("register", "-", "--skip-refused", stdin=rows, status=1)
    assert result["stored"]
    assert shell.vehicles() == ["VIN1", "VIN2", "VIN3"]


def test_a_refused_item_names_the_vehicle_that_its_line_named(shell: Shell, tmp_path: Path) -> None:
    def refused(command: str, *arguments: object, stdin: str = "") -> list[str | None]:
        items = shell.json(command, *arguments, status=1, stdin=stdin)["items"]
        assert {item["outcome"] for item in items} == {"refused"}
        return [item["vehicle"] for item in items]

    no_ecus = json.dumps({"vehicle": "VIN1", "primary": "e", "ecus": []})
    nameless, unprintable = json.dumps({"primary": "e"}), json.dumps({"vehicle": "a\ud800"})
    assert refused("register", "-", stdin=lines(no_ecus, nameless, unprintable)) == ["VIN1", None, None]
    entry = json.dumps({"vehicle": "VIN2", "registration": {"ecus": 1}})
    lacking = json.dumps({"vehicle": "VIN5"})
    assert refused("enter-aktualizr", "--list", "-", stdin=lines(entry, lacking, "[]")) == ["VIN2", "VIN5", None]
    assert refused("assign", "--list", "-", stdin="VIN3 ecu-1=gw/2.0.bin\nVIN4 nonsense\n") == ["VIN3", "VIN4"]
    shell.json("create-device-ca")
    into = tmp_path / "credentials"
    assert refused("issue-device", "--list", "-", "--output", into, stdin="two words\n../x\n") == ["two words", "../x"]


def test_two_vehicles_of_one_batch_with_one_ecu_are_refused(shell: Shell) -> None:
    other = json.loads(description(1)) | {"vehicle": "VIN2"}
    result = shell.json("register", "-", stdin=lines(description(1), json.dumps(other)), status=1)
    assert result["items"][1]["error"]["code"] == "ecu-already-registered"
    assert shell.vehicles() == []


def test_an_empty_input_is_a_mistake(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert shell.json("register", tmp_path / "empty", status=2)["error"]["code"] == "input"
    assert shell.json("assign", "--list", "-", status=2, stdin="# nobody\n")["error"]["code"] == "usage"


def test_a_list_is_assigned_as_a_whole_or_not_at_all(shell: Shell, tmp_path: Path) -> None:
    shell.json("register", "-", stdin=lines(description(1), description(2)))
    with Director.open(shell.path) as director:
        for number in (1, 2):
            car = TestVehicle(f"VIN{number}", {f"ecu-{number}": "gw-1"})
            director.receive_manifest(report(car))
    wave = tmp_path / "wave.txt"
    rows = [
        "# the first wave",
        "VIN1 ecu-1=gw/2.0.bin",
        "VIN2 ecu-2=gw/3.0.bin",
        "VIN9 ecu-9=gw/2.0.bin",
        "VIN1 ecu-1=gw/2.0.bin",
    ]
    wave.write_text(lines(*rows))
    result = shell.json("assign", "--list", wave, status=1)
    assert not result["stored"]
    errors = [item.get("error", {}).get("code") for item in result["items"]]
    assert errors == [None, "unknown-image", "unknown-vehicle", "named-twice"]
    with Director.open(shell.path) as director:
        assert director.assignments("VIN1") == ()
    wave.write_text(lines("VIN1 ecu-1=gw/2.0.bin", "VIN2 ecu-2=gw/2.0.bin"))
    assert shell.json("assign", "--list", wave, "--actor", "eve")["counts"] == {"assigned": 2}
    with Director.open(shell.path) as director:
        assert [(item.ecu, item.path, item.actor) for item in director.assignments("VIN2")] == [
            ("ecu-2", "gw/2.0.bin", "eve")
        ]


def test_credentials_of_a_refused_batch_are_neither_recorded_nor_left(shell: Shell, tmp_path: Path) -> None:
    shell.json("create-device-ca")
    place = tmp_path / "credentials"
    (place / "VIN2").mkdir(parents=True)
    (place / "VIN2" / "pkey.pem").write_text("another key")
    result = shell.json("issue-device", "VIN1", "VIN2", "../VIN3", "--output", place, status=1)
    assert [item["outcome"] for item in result["items"]] == ["issued", "refused", "refused"]
    assert shell.json("certificates")["certificates"] == []
    assert sorted(path.name for path in place.rglob("*")) == ["VIN2", "pkey.pem"]
    assert (place / "VIN2" / "pkey.pem").read_text() == "another key"
    result = shell.json("issue-device", "--list", "-", "--output", place, stdin="VIN1\nVIN4\n")
    assert result["counts"] == {"issued": 2}
    listed = {item["name"]: item["fingerprint"] for item in shell.json("certificates")["certificates"]}
    assert listed == {item["vehicle"]: item["fingerprint"] for item in result["items"]}
    assert sorted(path.name for path in (place / "VIN4").iterdir()) == ["ca.pem", "client.pem", "pkey.pem"]


def test_vehicles_with_aktualizr_are_entered_from_json_lines(shell: Shell) -> None:
    row = {"vehicle": "VIN7", "registration": json.loads(Device().registration())}
    result = shell.json(
        "enter-aktualizr", "--list", "-", stdin=lines(json.dumps(row), json.dumps(row | {"vehicle": "VIN8"})), status=1
    )
    assert [item["outcome"] for item in result["items"]] == ["registered", "refused"]
    assert shell.vehicles() == []
    result = shell.json(
        "enter-aktualizr", "--list", "-", stdin=lines("{", json.dumps(row), '{"vehicle": "VIN9"}'), status=1
    )
    assert [item["outcome"] for item in result["items"]] == ["refused", "registered", "refused"]
    assert [item["source"] for item in result["items"]] == ["-:1", "-:2", "-:3"]
    assert shell.vehicles() == []
    result = shell.json("enter-aktualizr", "--list", "-", stdin=lines(json.dumps(row)))
    assert result["counts"] == {"registered": 1}
    assert shell.vehicles() == ["VIN7"]


def test_a_line_that_is_not_text_refuses_no_other(shell: Shell) -> None:
    row = json.dumps({"vehicle": "VIN7", "registration": json.loads(Device().registration())}).encode()
    not_text = b"\xff\xfe\n" + row + b'\n{\n5\n{"vehicle": "VIN9"}\n'
    result = shell.json("enter-aktualizr", "--list", "-", "--skip-refused", stdin=not_text, status=1)
    assert [item["outcome"] for item in result["items"]] == ["refused", "registered", "refused", "refused", "refused"]
    reasons = [item["error"]["message"] for item in result["items"] if item["outcome"] == "refused"]
    for reason, part in zip(
        reasons, ("not UTF-8", "not JSON", "not a JSON object", "no member registration"), strict=True
    ):
        assert part in reason
    assert shell.vehicles() == ["VIN7"]


@pytest.mark.parametrize(
    ("command", "sound"),
    [
        (("assign", "--list", "-", "--skip-refused"), b"VIN1 ecu-gw=gw/2.0.bin"),
        (("issue-device", "--list", "-", "--output", "made", "--skip-refused"), b"VIN1"),
    ],
)
def test_a_line_of_a_list_that_is_not_text_is_one_refused_item(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...], sound: bytes
) -> None:
    monkeypatch.chdir(tmp_path)
    shell.json("create-device-ca")
    shell.json("register", "-", stdin=json.dumps(TestVehicle("VIN1", {"ecu-gw": "gw-1"}).description()).encode())
    result = shell.json(*command, stdin=b"\xff\xfe\n" + sound + b"\n", status=1)
    assert [(item["source"], item["outcome"] == "refused") for item in result["items"]] == [
        ("-:1", True),
        ("-:2", False),
    ]
    assert result["items"][0]["error"]["code"] == "input"
    assert result["stored"]


@pytest.mark.parametrize("vehicle", ["5", "null", '["VIN7"]'])
def test_a_vehicle_that_is_not_a_text_is_not_made_one(shell: Shell, vehicle: str) -> None:
    body = Device().registration().decode()
    line = f'{{"vehicle": {vehicle}, "registration": {body}}}'.encode()
    result = shell.json("enter-aktualizr", "--list", "-", stdin=line, status=1)
    assert "the member vehicle is not a text" in result["items"][0]["error"]["message"]
    assert shell.vehicles() == []


def test_json_lines_are_judged_one_by_one_though_the_first_is_broken(shell: Shell, tmp_path: Path) -> None:
    car = TestVehicle("VIN1", {"ecu-gw": "gw-1"}).description()
    (tmp_path / "fleet.jsonl").write_text("{\n" + json.dumps(car) + "\n")
    result = shell.json("register", str(tmp_path / "fleet.jsonl"), "--skip-refused", status=1)
    assert [item["outcome"] for item in result["items"]] == ["refused", "registered"]


@pytest.mark.parametrize("options", [(), ("--skip-refused",)])
@pytest.mark.parametrize("command", [("register", "-"), ("enter-aktualizr", "--list", "-")])
def test_a_batch_of_refused_items_alone_says_that_nothing_was_stored(
    shell: Shell, command: tuple[str, ...], options: tuple[str, ...]
) -> None:
    answer = CliRunner().invoke(
        main, ["director", command[0], str(shell.path), *command[1:], *options], input="{}\n{}\n"
    )
    assert answer.exit_code == 1
    last = answer.stdout.splitlines()[-1]
    assert last.startswith("nothing was stored: ")
    assert "--skip-refused" not in last
    assert shell.vehicles() == []


def test_a_vehicle_that_reports_between_plan_and_transaction_is_planned_again(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    car = TestVehicle("VIN1", {"ecu-1": "gw-1"})
    with Director.open(shell.path) as director:
        director.register(car.description())
        director.receive_manifest(report(car))
        assigning = director.batches._assigning
        reported: list[Any] = []
        prepare = assigning._prepare

        def report_after(*arguments: Any) -> Any:
            prepared = prepare(*arguments)
            if not reported:
                reported.append(director.receive_manifest(report(car)))
            return prepared

        monkeypatch.setattr(assigning, "_prepare", report_after)
        result = director.batches.assign([("wave:1", "VIN1", {"ecu-1": "gw/2.0.bin"})])
        assert result.stored
        assert reported
        assert [item.path for item in director.assignments("VIN1")] == ["gw/2.0.bin"]
