"""Root held offline by several people: the same ceremony at both repositories, on machines with a file and a key only."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from tests.plain_keys import plain_keys
from twinlock.cli.main import main
from twinlock.repository.image import ImageRepository


def run(*words: str, status: int = 0) -> Any:
    answer = CliRunner().invoke(main, plain_keys([*words, "--json"]))
    assert answer.exit_code == status, answer.output
    return json.loads(answer.stdout)


@pytest.fixture(params=["image", "director"])
def party(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A repository whose Root needs two of three keys, two of which are on media of their own."""
    monkeypatch.delenv("TWINLOCK_PASSPHRASE", raising=False)
    monkeypatch.chdir(tmp_path)
    name: str = request.param
    if name == "director":
        Path("root.json").write_bytes(ImageRepository.create("site").root_bytes(1))
        run("director", "init", "here", "--image-root", "root.json", "--image", "site", "--keys", "root=2/3")
    else:
        run("image", "init", "here", "--keys", "root=2/3")
    _carry_away(name, "a", "b")
    return name


def _carry_away(party: str, *media: str) -> None:
    """Move all but the last Root key to media, record and private half."""
    roots = [key["keyid"][:16] for key in run(party, "keys", "list", "here")["keys"] if key["role"] == "root"]
    for medium, keyid in zip(media, roots, strict=False):
        Path(medium).mkdir()
        for path in Path("here/keys/offline").glob(f"root.{keyid}.*"):
            path.rename(Path(medium) / path.name)


def _files() -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in Path("here/keys").rglob("*") if path.is_file()}


def test_prepared_here_signed_there_and_published(party: str) -> None:
    before = _files()
    assert run(party, "rotate", "here", "timestamp", "--yes", status=2)["error"]["code"] == "missing-keys"
    assert _files() == before, "a rotation that cannot be signed makes no key"

    prepared = run(party, "rotate", "here", "timestamp", "snapshot", "--prepare", "next.json")
    assert (prepared["version"], prepared["missing"]) == (2, 1)
    run(party, "root", "publish", "here", "next.json", status=1)  # too few signatures
    signed = run(party, "root", "sign", "next.json", "--keys", "a")
    assert (signed["missing"], len(signed["signed"])) == (0, 2)
    run(party, "root", "publish", "here", "next.json")
    run(party, "root", "publish", "here", "next.json", status=1)  # not twice

    keys = run(party, "keys", "list", "here")["keys"]
    assert sorted(key["role"] for key in keys if key["role"] in ("timestamp", "snapshot")) == ["snapshot", "timestamp"]
    assert {key["availability"] for key in keys} == {"here"}
    assert not list(Path("here").rglob("retired/*.pem")), "revoked online keys are destroyed"


def test_the_root_keys_themselves_with_another_number_and_kind(party: str) -> None:
    prepared = run(party, "rotate", "here", "root", "--keys", "2/2", "--kind", "ecdsa-p256", "--prepare", "next.json")
    assert (prepared["thresholds"]["root"], len(prepared["keys"]["root"])) == (2, 2)
    Path("before.json").write_text(_root(party))
    signed = run(party, "root", "sign", "next.json", "--keys", "b", "--previous", "before.json")
    assert signed["missing"] == 0
    run(party, "root", "publish", "here", "next.json")
    root = json.loads(_root(party))["signed"]
    assert root["version"] == 2
    assert {root["keys"][keyid]["scheme"] for keyid in root["roles"]["root"]["keyids"]} == {"ecdsa-sha2-nistp256"}
    assert run(party, "rotate", "here", "timestamp", "--yes"), "the new keys are here and sign by themselves"


def test_a_refused_preparation_makes_no_key(party: str) -> None:
    before = _files()
    run(party, "rotate", "here", "root", "--prepare", "nowhere/next.json", status=2)
    run(party, "rotate", "here", "root", "--kind", "ecdsa-p256", "--prepare", "next.json", status=2)
    assert _files() == before
    assert not Path("next.json").exists()


def test_a_root_of_the_other_repository_is_not_published(party: str) -> None:
    other = ImageRepository.create("other")
    Path("other.json").write_bytes(other.root_bytes())
    before = _root(party)
    run(party, "root", "publish", "here", "other.json", status=1)
    assert _root(party) == before


def test_a_directors_root_whose_online_keys_are_away_is_not_published(party: str) -> None:
    if party != "director":
        return
    run(party, "rotate", "here", "targets", "--prepare", "next.json")
    run(party, "root", "sign", "next.json", "--keys", "a")
    made = json.loads(Path("next.json").read_text())["signed"]["roles"]["targets"]["keyids"][0]
    away = Path("here/keys/online") / f"targets.{made[:16]}.pem"
    away.rename("away.pem")
    assert run(party, "root", "publish", "here", "next.json", status=2)["error"]["code"] == "missing-keys"
    Path("away.pem").rename(away)
    run(party, "root", "publish", "here", "next.json")


def _root(party: str) -> str:
    if party == "image":
        return ImageRepository.open("here").root_bytes().decode()
    text: str = run("director", "root", "here")["root"]
    assert text == run("director", "root", "show", "here")["root"]
    return text
