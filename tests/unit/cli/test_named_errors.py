"""What a program tells apart by code and fields where a person reads one sentence: the named mistakes of commands."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from twinlock.cli.main import main
from twinlock.director.director import Director
from twinlock.repository.image_repository import ImageRepository
from twinlock.trust.errors.base import UsageError

if TYPE_CHECKING:
    from pathlib import Path


def refusal(*words: object) -> dict[str, Any]:
    done = CliRunner().invoke(main, [*map(str, words), "--json"])
    assert done.exit_code == 2, done.output
    error: dict[str, Any] = json.loads(done.stdout)["error"]
    return error


@pytest.mark.parametrize(
    ("words", "files"),
    [
        (("primary", "show"), "primary.json"),
        (("secondary", "show"), "secondary.json"),
        (("trusted", "show"), "primary.json or secondary.json"),
    ],
)
def test_a_directory_without_an_ecu(tmp_path: Path, words: tuple[str, ...], files: str) -> None:
    error = refusal(*words, tmp_path)
    assert (error["code"], error["fields"]["directory"], error["fields"]["files"]) == (
        "not-provisioned",
        str(tmp_path),
        files,
    )


def test_an_empty_passphrase_file_names_itself(tmp_path: Path) -> None:
    file = tmp_path / "passphrase"
    file.write_bytes(b"\n")
    error = refusal("image", "init", tmp_path / "image", "--passphrase-file", file)
    assert (error["code"], error["fields"]["origin"]) == ("passphrase-source", str(file))


def test_an_id_that_names_several_keys_or_none(tmp_path: Path) -> None:
    made = CliRunner().invoke(main, ["image", "init", str(tmp_path / "image"), "--plain-keys"])
    assert made.exit_code == 0, made.output
    error = refusal("image", "keys", "mark", tmp_path / "image", "", "lost")
    assert (error["code"], error["fields"]["given"]) == ("ambiguous-id", "")
    assert error["fields"]["matches"] > 1
    error = refusal("image", "keys", "mark", tmp_path / "image", "zz", "lost")
    assert error["fields"]["matches"] == 0


def test_the_directors_api_is_not_served_without_protection_by_accident(tmp_path: Path) -> None:
    error = refusal("director", "serve", tmp_path)
    assert (error["code"], error["fields"]["option"]) == ("unprotected-serving", "--plain")


def test_a_manifest_that_is_not_text(tmp_path: Path) -> None:
    made = CliRunner().invoke(main, ["image", "init", str(tmp_path / "image"), "--plain-keys"])
    assert made.exit_code == 0, made.output
    manifest = tmp_path / "images.jsonl"
    manifest.write_bytes(b"\xff\xfe")
    error = refusal("image", "add", tmp_path / "image", "--manifest", manifest)
    assert (error["code"], error["fields"]["source"]) == ("input", str(manifest))


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """A directory with an Image repository, a Director, and files that are not Roots or descriptions."""
    repository = ImageRepository.create(tmp_path / "image")
    root = repository.root_bytes(1)
    Director.create(tmp_path / "director", image_root=root, image_url=str(tmp_path / "image")).close()
    (tmp_path / "image-root.json").write_bytes(root)
    with Director.open(tmp_path / "director") as director:
        (tmp_path / "director-root.json").write_bytes(director.root_bytes())
    (tmp_path / "bad.json").write_text("{}")
    return tmp_path


_ECU = ("--vehicle", "VIN1", "--ecu", "e", "--hardware-id", "h")
_URLS = ("--director-url", "http://127.0.0.1:1/vehicles/VIN1", "--image-url", "http://127.0.0.1:1")
_ROOTS = ("--director-root", "director-root.json", "--image-root")


@pytest.mark.parametrize(
    ("words", "file", "code"),
    [
        (("director", "init", "new", "--image", "image", "--image-root", "bad.json"), "bad.json", "malformed"),
        (
            ("director", "init", "new", "--image", "image", "--image-root", "director-root.json"),
            "director-root.json",
            "usage",
        ),
        (("primary", "init", "new", *_ECU, *_URLS, *_ROOTS, "bad.json", "--offline"), "bad.json", "malformed"),
        (
            ("secondary", "init", "new", *_ECU, "--listen", "http://127.0.0.1:0", *_ROOTS, "bad.json"),
            "bad.json",
            "malformed",
        ),
        (("director", "register", "director", "bad.json"), "bad.json", "malformed"),
        (("director", "add-ecu", "director", "VIN1", "bad.json"), "bad.json", "malformed"),
        (("director", "rekey", "director", "VIN1", "e", "bad.json"), "bad.json", "malformed"),
        (("director", "enter-aktualizr", "director", "VIN1", "bad.json"), "bad.json", "malformed"),
        (("supplier", "init", "new", "--role", ".."), "--role", "unsafe-path"),
    ],
)
def test_an_error_of_what_was_given_names_the_file_or_the_option(
    made: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], file: str, code: str
) -> None:
    monkeypatch.chdir(made)
    error = refusal(*words)
    assert (error["code"], error["attack"]) == (code, "none")
    assert error["message"].startswith(f"{file}: ")
    shown = CliRunner().invoke(main, [*words])
    assert f"error[{code}]: {file}: " in shown.output
    assert not (made / "new").exists()


@pytest.mark.parametrize(("name", "value"), [("history_days", -1), ("history_days", 10**10), ("report_past_s", -1)])
def test_a_setting_out_of_range_is_named_as_its_file_writes_it(made: Path, name: str, value: int) -> None:
    config = made / "director" / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), name: value}))
    error = refusal("director", "vehicles", made / "director")
    assert (error["code"], error["fields"]["setting"]) == ("director-setting", name)
    assert str(config) in error["message"]


@pytest.mark.parametrize("age", ["0d", "0s"])
def test_an_age_of_nothing_deletes_no_history(made: Path, age: str) -> None:
    error = refusal("director", "prune", made / "director", "--older-than", age, "--yes")
    assert f"--older-than {age} would delete the whole history" in error["message"]
    assert "history_days is 0" in refusal("director", "prune", made / "director", "--yes")["message"]
    with Director.open(made / "director") as director:
        for kept in (timedelta(0), timedelta(days=-1)):
            with pytest.raises(UsageError):
                director.prune(kept)
        assert [row["action"] for row in director.audit()] == ["init", "root"]
