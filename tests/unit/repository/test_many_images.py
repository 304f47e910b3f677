"""Many images in one call: a manifest, files, a directory or standard input; all are staged, or none."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from tests.plain_keys import plain_keys
from twinlock.cli.main import main
from twinlock.repository.authoring.image_requests import read_manifest
from twinlock.trust.errors.base import UsageError

ROWS = [
    {"path": "a.bin", "name": "brake/a.bin", "hardwareIds": ["hw-7", "hw-8"], "releaseCounter": 3},
    {
        "path": "b.bin",
        "name": "brake/b.bin",
        "hardwareIds": ["hw-7"],
        "releaseCounter": 4,
        "component": "brake",
        "version": "2.0",
        "needs": ["gateway>=1.4,<2"],
        "conflicts": ["adas<3"],
    },
]
CSV = """path,name,hardwareIds,releaseCounter,component,version,needs,conflicts
a.bin,brake/a.bin,hw-7;hw-8,3,,,,
b.bin,brake/b.bin,hw-7,4,brake,2.0,"gateway>=1.4,<2",adas<3
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("a", "b"):
        (tmp_path / f"{name}.bin").write_bytes(name.encode() * 9)
    assert CliRunner().invoke(main, plain_keys(["image", "init", "image"])).exit_code == 0
    return tmp_path


def run(*words: str, status: int = 0, given: str | None = None) -> dict[str, Any]:
    result = CliRunner().invoke(main, ["image", *words, "--json"], input=given)
    assert result.exit_code == status, (result.output, result.stderr)
    document: dict[str, Any] = json.loads(result.output)
    return document


def lines(rows: list[dict[str, Any]]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


@pytest.mark.parametrize("text", [lines(ROWS), CSV, "\ufeff" + CSV], ids=["json", "csv", "csv-with-mark"])
def test_a_manifest_lists_what_it_describes(place: Path, text: str) -> None:
    (place / "release.txt").write_text(text)
    added = run("add", "image", "--manifest", "release.txt")
    assert (added["stored"], added["counts"]) == (True, {"staged": 2})
    assert [(item["name"], item["outcome"]) for item in added["items"]] == [
        ("brake/a.bin", "staged"),
        ("brake/b.bin", "staged"),
    ]
    run("publish", "image")
    first, second = run("show", "image")["images"]
    assert (first["hardwareIds"], first["releaseCounter"]) == (["hw-7", "hw-8"], 3)
    assert (second["component"], second["dependencies"], second["conflicts"]) == (
        "brake",
        {"gateway": ">=1.4,<2"},
        {"adas": "<3"},
    )


def test_standard_input_files_and_a_directory(place: Path) -> None:
    assert run("add", "image", "--manifest", "-", given=lines(ROWS))["counts"] == {"staged": 2}
    described = ("--hardware-id", "hw-9", "--release-counter", "1")
    assert run("add", "image", "a.bin", "b.bin", "--into", "maps", *described)["counts"] == {"staged": 2}
    (place / "tree/inner").mkdir(parents=True)
    (place / "tree/inner/c.bin").write_bytes(b"c")
    (place / "tree/.hidden").write_bytes(b"not listed")
    added = run("add", "image", "tree", "--into", ".", *described)
    assert [item["name"] for item in added["items"]] == ["inner/c.bin"]
    assert run("status", "image")["stagedImages"] == [
        "brake/a.bin",
        "brake/b.bin",
        "maps/a.bin",
        "maps/b.bin",
        "inner/c.bin",
    ]


def test_one_refused_image_stages_none_and_each_has_its_result(place: Path) -> None:
    rows = [ROWS[0], {**ROWS[1], "name": "../b.bin"}, {**ROWS[1], "path": "lost.bin"}, ROWS[0]]
    (place / "release.jsonl").write_text(lines(rows))
    refused = run("add", "image", "--manifest", "release.jsonl", status=2)
    assert (refused["stored"], refused["counts"]) == (False, {"not-staged": 1, "refused": 3})
    assert [(item["line"], item["outcome"]) for item in refused["items"]] == [
        (1, "not-staged"),
        (2, "refused"),
        (3, "refused"),
        (4, "refused"),
    ]
    errors = [item["error"] for item in refused["items"][1:]]
    assert [error["code"] for error in errors] == ["unsafe-path", "usage", "usage"]
    assert {error["attack"] for error in errors} == {"none"}
    assert run("status", "image")["stagedImages"] == []
    assert not list((place / "image/public").glob("targets/**/*.bin"))
    (place / "release.jsonl").write_text(lines(ROWS))
    assert run("add", "image", "--manifest", "release.jsonl")["counts"] == {"staged": 2}


def test_many_are_replaced_in_one_step(place: Path) -> None:
    run("add", "image", "--manifest", "-", given=CSV)
    run("publish", "image")
    (place / "a.bin").write_bytes(b"newer")
    assert run("add", "image", "--manifest", "-", given=CSV, status=2)["counts"]["refused"] == 1
    assert run("replace", "image", "--manifest", "-", given=CSV)["counts"] == {"staged": 2}


def test_text_tells_each_result(place: Path) -> None:
    result = CliRunner().invoke(main, ["image", "add", "image", "--manifest", "-"], input=CSV)
    assert result.output.splitlines() == [
        "line 2: staged brake/a.bin (9 bytes)",
        "line 3: staged brake/b.bin (9 bytes)",
        "staged 2 images; run `twinlock image publish`",
    ]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "the manifest lists no image"),
        ('{"path": ', "line 1 of the manifest is not a JSON object"),
        (
            lines([{**ROWS[0], "counter": 3}]),
            "line 1 of the manifest: counter is unknown; correct its name, or remove it",
        ),
        (lines([ROWS[0], {"path": "x"}]), "line 2 of the manifest: name is missing"),
        (lines([{**ROWS[0], "releaseCounter": True}]), "releaseCounter has to be a whole number, not true"),
        (lines([{**ROWS[0], "hardwareIds": "hw-7"}]), 'hardwareIds has to be a list, not "hw-7"'),
        (lines([{**ROWS[0], "releaseCount": 3}]), "the nearest is releaseCounter"),
        (lines([{**ROWS[0], "component": None}]), "component has to be a text"),
        ("path,name\na.bin\n", "line 2 of the manifest does not have as many cells as the header"),
        (CSV.replace(",3,", ",three,"), 'line 2 of the manifest: releaseCounter has to be a whole number, not "three"'),
    ],
)
def test_a_manifest_of_another_form_is_refused_by_line(text: str, reason: str) -> None:
    with pytest.raises(UsageError) as refused:
        read_manifest(text, Path())
    assert reason in str(refused.value)


def test_every_wrong_line_of_a_manifest_is_named_at_once() -> None:
    rows: list[dict[str, Any]] = [{**ROWS[0], "counter": 3}, ROWS[0], {"path": "x"}, ROWS[1]]
    with pytest.raises(UsageError) as refused:
        read_manifest(lines(rows) + "[]\n{", Path())
    first, *others = str(refused.value).split("; line ")
    assert first.startswith("4 lines are wrong: line 1 of the manifest: counter is unknown")
    assert [other.split(" of the manifest")[0] for other in others] == ["3", "5", "6"]
    with pytest.raises(UsageError) as refused:
        read_manifest("path,name\n" + "a.bin\n" * 30, Path())
    told = str(refused.value)
    assert told.startswith("30 lines are wrong: line 2 of the manifest does not have as many cells")
    assert told.endswith("; line 21 of the manifest does not have as many cells as the header; and 10 more")
    with pytest.raises(UsageError, match=r"2 lines .*line 2 .*line 4 .* is not CSV .* after it were not read$"):
        read_manifest(CSV.split("\n", maxsplit=1)[0] + "\na.bin\n" + CSV.split("\n")[1] + '\n"a"x,', Path())


@pytest.mark.parametrize(
    "words",
    [
        ("a.bin",),
        ("a.bin", "b.bin", "c.bin", "--hardware-id", "x", "--release-counter", "1"),
        ("a.bin", "n.bin", "--release-counter", "1"),
        ("a.bin", "n.bin", "--hardware-id", "x"),
        (".", "n.bin", "--hardware-id", "x", "--release-counter", "1"),
        ("a.bin", "--manifest", "m.csv"),
        ("--into", "x", "--hardware-id", "x", "--release-counter", "1"),
    ],
)
def test_a_call_that_is_none_of_the_forms_is_a_usage_error(place: Path, words: tuple[str, ...]) -> None:
    assert CliRunner().invoke(main, ["image", "add", "image", *words]).exit_code == 2
    assert run("status", "image")["stagedImages"] == []


@pytest.mark.parametrize("name", ["missing.bin", "a.bin/b.bin", "gone.bin", "nul\0.bin"])
def test_a_file_that_is_missing_is_not_called_irregular(place: Path, name: str) -> None:
    (place / "gone.bin").symlink_to("nowhere")
    os.mkfifo(place / "pipe")
    kept = [{**ROWS[0], "path": name}, {**ROWS[1], "path": "pipe"}]
    items = run("add", "image", "--manifest", "-", given=lines(kept), status=2)["items"]
    assert items[0]["error"]["message"] == f"{name} was not found".replace("\0", "\\x00")
    assert items[1]["error"]["message"] == "pipe is not a regular file"
