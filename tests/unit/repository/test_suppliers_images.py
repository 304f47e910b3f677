"""``supplier add`` takes many images like ``image add``: files, a directory, a manifest or standard input; all or none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from tests.plain_keys import plain_keys
from twinlock.cli.main import main

STATED = ("--hardware-id", "hw-9", "--release-counter", "4")
ROWS = [
    {"path": f"{name}.bin", "name": f"acme/{name}.bin", "hardwareIds": ["hw-9"], "releaseCounter": number}
    for number, name in enumerate("ab", start=1)
]


def run(*words: str, status: int = 0, given: str | None = None) -> dict[str, Any]:
    result = CliRunner().invoke(main, plain_keys([*words, "--json"]), input=given)
    assert result.exit_code == status, (result.output, result.stderr)
    document: dict[str, Any] = json.loads(result.output)
    return document


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TWINLOCK_PASSPHRASE", raising=False)
    (tmp_path / "inner" / "deep").mkdir(parents=True)
    for name in ("a.bin", "b.bin", "inner/c.bin", "inner/deep/d.bin"):
        (tmp_path / name).write_bytes(name.encode() * 9)
    run("supplier", "init", "acme", "--role", "acme")
    return tmp_path


def manifest() -> str:
    return "".join(json.dumps(row) + "\n" for row in ROWS)


def listed() -> list[str]:
    return sorted(image["path"] for image in run("supplier", "show", "acme")["images"])


@pytest.mark.parametrize("from_stdin", [True, False])
def test_a_manifest_reaches_vehicles_owner(place: Path, from_stdin: bool) -> None:
    (place / "release.jsonl").write_text(manifest())
    words = ("supplier", "add", "acme", "--manifest", "-" if from_stdin else "release.jsonl")
    added = run(*words, given=manifest() if from_stdin else None)
    assert (added["stored"], added["counts"]) == (True, {"staged": 2})
    assert run("supplier", "sign", "acme")["version"] == 1
    run("image", "init", "image")
    run("image", "delegate", "image", "acme", "--key", "acme/acme.pub.json", "--path", "acme/*")
    assert run("image", "accept", "image", "acme/outbox")["accepted"] == ["acme"]
    assert run("image", "publish", "image")["changed"]


def test_files_and_directories_go_below_a_folder() -> None:
    added = run("supplier", "add", "acme", "a.bin", "inner", "--into", "acme", *STATED)
    assert [item["name"] for item in added["items"]] == ["acme/a.bin", "acme/c.bin", "acme/deep/d.bin"]
    assert listed() == ["acme/a.bin", "acme/c.bin", "acme/deep/d.bin"]


def test_one_refused_image_stages_none_and_stores_no_byte(place: Path) -> None:
    run("supplier", "add", "acme", "b.bin", "acme/b.bin", *STATED)
    before = sorted(path for path in (place / "acme" / "outbox").rglob("*") if path.is_file())
    refused = run("supplier", "add", "acme", "--manifest", "-", given=manifest(), status=2)
    assert (refused["stored"], refused["counts"]) == (False, {"not-staged": 1, "refused": 1})
    assert listed() == ["acme/b.bin"]
    assert sorted(path for path in (place / "acme" / "outbox").rglob("*") if path.is_file()) == before
    run("supplier", "add", "acme", "a.bin", "acme/a.bin", *STATED)
    assert listed() == ["acme/a.bin", "acme/b.bin"]


def test_one_image_says_what_to_do_next(place: Path) -> None:
    words = ["supplier", "add", "acme", "a.bin", "acme/a.bin", *STATED]
    said = CliRunner().invoke(main, words).output
    assert said == "staged acme/a.bin (45 bytes, release 4); sign to put it into the outbox\n"
    (place / "a.bin").write_bytes(b"other bytes")
    assert CliRunner().invoke(main, words).exit_code == 2
    run(*words, "--replace")
