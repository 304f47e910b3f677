"""What a program tells apart by code and fields where a person reads one sentence: the named mistakes of commands."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from twinlock.cli.main import main

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
