"""Files that an operator wrote: each mistake is one typed error, and none of them hangs or fills memory."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.client.test_config import changed, made
from twinlock.cli.main import main
from twinlock.client.ecu.config import load_primary
from twinlock.client.ecu.identity import load_identity
from twinlock.client.model.errors import ConfigurationError
from twinlock.client.primary.primary import Primary
from twinlock.io.files.operator_files import MAX_FILE_BYTES, read_json_object, read_operator_file
from twinlock.trust.engine.first_contact import is_base_url
from twinlock.trust.errors.base import TwinlockError, UsageError
from twinlock.trust.errors.local import StorageError

__all__ = ["made"]
MARK = b"\xef\xbb\xbf"


def pipe(path: Path) -> None:
    os.mkfifo(path)


def sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(5_000_000_000)


def device(path: Path) -> None:
    path.symlink_to("/dev/zero")


ODD: dict[str, Callable[[Path], Any]] = {
    "pipe": pipe,
    "directory": lambda path: path.mkdir(),
    "huge": sparse,
    "device": device,
    "missing": lambda path: None,
    "binary": lambda path: path.write_bytes(bytes(range(256)) * 4),
    "empty": lambda path: path.write_bytes(b""),
    "UTF-16": lambda path: path.write_text("{}", "utf-16"),
    "deep": lambda path: path.write_bytes(b"[" * 100_000),
    "long number": lambda path: path.write_bytes(b'{"a":' + b"9" * 10_000 + b"}"),
}


@pytest.mark.parametrize("name", ODD)
@pytest.mark.parametrize("what", ["primary.json", "map.json", "identity.pem"])
def test_an_odd_file_is_one_typed_error(made: Path, tmp_path: Path, name: str, what: str) -> None:
    import shutil

    gateway = tmp_path / "gw"
    shutil.copytree(made / "gw", gateway)
    (gateway / what).unlink()
    ODD[name](gateway / what)
    if what == "identity.pem" and name not in ("missing", "device"):
        (gateway / what).chmod(0o600)
    with pytest.raises(TwinlockError) as caught:
        Primary.open(gateway / "primary.json")
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize(("role", "folder"), [("primary", "gw"), ("secondary", "brake")])
def test_a_map_that_was_edited_badly_is_the_operators_own_mistake(
    made: Path, tmp_path: Path, role: str, folder: str
) -> None:
    import shutil

    shutil.copytree(made / folder, tmp_path / folder)
    (tmp_path / folder / "map.json").write_text("{}")
    command = {"primary": ["primary", "update"], "secondary": ["secondary", "run"]}[role]
    answer = CliRunner().invoke(main, [*command, str(tmp_path / folder), "--json"])
    error = json.loads(answer.stdout)["error"]
    assert (answer.exit_code, error["code"], error["attack"]) == (2, "malformed", "none")
    assert f"{role}.json" in error["hint"]


@pytest.mark.parametrize("path", ["a\0b", "a\ud800", "x" * 5_000])
def test_a_name_that_no_file_can_have(path: str) -> None:
    for read in (lambda: read_operator_file(Path(path), "the map"), lambda: load_identity(Path(path))):
        with pytest.raises(StorageError):
            read()


def test_a_byte_order_mark_is_passed_over_in_every_file(made: Path, tmp_path: Path) -> None:
    import shutil

    gateway = tmp_path / "gw"
    shutil.copytree(made / "gw", gateway)
    for what in ("primary.json", "map.json", "identity.pem"):
        (gateway / what).write_bytes(MARK + (gateway / what).read_bytes())
    primary = Primary.open(gateway / "primary.json")
    primary._services.state.close()


def test_a_file_at_the_bound_is_read(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * MAX_FILE_BYTES)
    assert len(read_operator_file(path, "it")) == MAX_FILE_BYTES
    path.write_bytes(b"x" * (MAX_FILE_BYTES + 1))
    with pytest.raises(StorageError):
        read_operator_file(path, "it")


def test_a_doubled_member_is_refused_wherever_it_is(made: Path, tmp_path: Path) -> None:
    text, path = (made / "gw" / "primary.json").read_text(), tmp_path / "primary.json"
    for doubled in ('"policy": "strict", "policy": "lax"', '"policy": "strict", "policy": "strict"'):
        path.write_text(text.replace('"policy": "strict"', doubled))
        with pytest.raises(UsageError) as caught:
            load_primary(path)
        assert "'policy' twice" in caught.value.reason
    path.write_text('{"a": [{"b": 1, "b": 2}]}')
    with pytest.raises(UsageError):
        read_json_object(path, "it")


@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize("ecu", ["ecu-gw", "ecu-adas", "ecu-brake"])
def test_one_ecu_id_twice_is_refused(made: Path, tmp_path: Path, number: int, ecu: str) -> None:
    secondaries = json.loads((made / "gw" / "primary.json").read_text())["secondaries"]
    same = secondaries[number]["ecu"] == ecu
    secondaries[number]["ecu"] = ecu
    path = changed(made, tmp_path, {"secondaries": secondaries})
    if same:
        assert load_primary(path).secondaries[number].ecu.ecu == ecu
        return
    with pytest.raises(ConfigurationError) as caught:
        load_primary(path)
    assert caught.value.field == f"secondaries[{number if ecu == 'ecu-gw' else 1}].ecu"
    assert caught.value.reason == f"repeats {ecu}; every ECU needs its own id"


@pytest.mark.parametrize(
    "fetch",
    [{"attempts": 10**30}, {"floorBytesPerSecond": 10**30}, {"windowSeconds": 10**400}, {"deadlineSeconds": -1},
     {"imageDeadlineSeconds": 0}, {"backoffSeconds": float("nan")}, {"connectSeconds": float("inf")}],
)  # fmt: skip
def test_a_number_beyond_all_sense_is_refused(made: Path, tmp_path: Path, fetch: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_primary(changed(made, tmp_path, {"fetch": fetch}))
    assert caught.value.field == f"fetch.{next(iter(fetch))}"


@pytest.mark.parametrize("field", ["key", "state", "staging", "slots", "map"])
def test_a_path_with_a_null_is_refused_by_its_field(made: Path, tmp_path: Path, field: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_primary(changed(made, tmp_path, {field: "a\0b"}))
    assert caught.value.field == field


def test_a_profile_for_a_repository_that_the_map_does_not_have(made: Path, tmp_path: Path) -> None:
    path = made / "gw" / "other.json"
    values = json.loads((made / "gw" / "primary.json").read_text()) | {"wires": {"imagee": "aktualizr"}}
    path.write_text(json.dumps(values))
    with pytest.raises(ConfigurationError) as caught:
        Primary.open(path)
    assert (caught.value.path, caught.value.field) == (str(path), "wires.imagee")


@pytest.mark.parametrize(
    ("url", "usable"),
    [("http://h", True), ("https://h:8443/x", True), ("https://h:8443/x?sig=1", False), ("h/x", False), ("localhost:8000", False), ("http://", False),
     ("ftp://h", False), ("http://h:abc", False), ("http://[", False), ("http://h/a b", False), ("http://h/\n", False)],
)  # fmt: skip
def test_what_is_the_url_of_a_server(url: str, usable: bool) -> None:
    assert is_base_url(url) is usable


TEXT = st.text(st.sampled_from("aZ0-_/.:% \0\n\x1b\u202e\ud800é"), max_size=8)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)
MEMBERS = ("vehicle", "ecu", "hardwareId", "accepts", "policy", "time", "key", "state", "wires", "map", "fetch", "tls",
           "secondaries", "holdIncompleteBundles", "format", "role", "unknown")  # fmt: skip


@given(st.dictionaries(st.sampled_from(MEMBERS), JSON, max_size=4), st.sampled_from([b"", MARK, b"\xff"]))
def test_any_configuration_is_read_or_refused_by_a_usage_error(
    tmp_path_factory: pytest.TempPathFactory, change: dict[str, Any], prefix: bytes
) -> None:
    path = _BASE.setdefault("path", tmp_path_factory.mktemp("any") / "primary.json")
    values = {"format": 1, "role": "primary", "vehicle": "V", "ecu": "e", "hardwareId": "h", "map": "map.json"} | change
    path.write_bytes(prefix + json.dumps(values).encode())
    try:
        load_primary(path)
    except UsageError as error:
        assert str(error).isprintable()


_BASE: dict[str, Path] = {}


NOWHERE = ["", ".", "gw/..", "a\x1b[31m\nb", "x" * 300, "y/" * 3000]


@pytest.mark.parametrize(
    ("member", "path"),
    [
        *((member, path) for member in ("state", "slots") for path in NOWHERE),
        ("state", "../../nowhere"),
        ("state", "slots"),
        ("slots", "map.json"),
    ],
)
@pytest.mark.parametrize("command", ["primary", "trusted"])
def test_a_place_that_an_operator_wrote_badly_is_named(
    made: Path, tmp_path: Path, member: str, path: str, command: str
) -> None:
    import shutil

    shutil.copytree(made / "gw", tmp_path / "gw")
    configuration = tmp_path / "gw" / "primary.json"
    configuration.write_text(json.dumps(json.loads(configuration.read_text()) | {member: path}))
    (tmp_path / "gw" / "slots").mkdir(exist_ok=True)
    answer = CliRunner().invoke(main, [command, "show", str(tmp_path / "gw"), "--json"])
    error = json.loads(answer.stdout)["error"]
    assert (answer.exit_code, error["code"], error["fields"]["field"]) == (2, "configuration", member)


def test_a_state_file_that_was_lost_from_its_usual_place_is_no_mistake_of_the_operator(
    made: Path, tmp_path: Path
) -> None:
    import shutil

    shutil.copytree(made / "gw", tmp_path / "gw")
    (tmp_path / "gw" / "state.db").unlink()
    answer = CliRunner().invoke(main, ["primary", "show", str(tmp_path / "gw"), "--json"])
    assert (answer.exit_code, json.loads(answer.stdout)["error"]["code"]) == (5, "storage")
