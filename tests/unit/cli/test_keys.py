"""``keys list``, ``mark`` and ``passphrase``, and separate passphrases for offline and online keys."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from tests.plain_keys import plain_keys
from twinlock.cli.main import main
from twinlock.director.director import Director
from twinlock.repository.image_repository import ImageRepository
from twinlock.repository.keys.keyring import KeyPlan


class Shell:
    def __init__(self) -> None:
        self.env: dict[str, str | None] = {}

    def run(self, *words: str, status: int = 0) -> str:
        answer = CliRunner().invoke(main, plain_keys(words, passphrase=bool(self.env)), env=self.env)
        assert answer.exit_code == status, answer.output
        return answer.output

    def json(self, *words: str, status: int = 0) -> Any:
        return json.loads(self.run(*words, "--json", status=status))


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    for name in ("TWINLOCK_PASSPHRASE", "TWINLOCK_ONLINE_PASSPHRASE", "TWINLOCK_ONLINE_PASSPHRASE_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    for name in ("old", "new"):
        Path(name).write_text(f"TEST {name}\n")
    return Shell()


def parties(shell: Shell, *more: str) -> dict[str, str]:
    """One directory with keys of each party."""
    Path("root.json").write_bytes(ImageRepository.create("site").root_bytes(1))
    shell.run("image", "init", "image", *more)
    shell.run("supplier", "init", "acme", "--role", "acme", *more)
    shell.run("director", "init", "director", "--image-root", "root.json", "--image", "site", "--offline", *more)
    shell.run("director", "create-device-ca", "director", *more)
    return {"image": "image", "supplier": "acme", "director": "director"}


def encrypted(directory: str) -> set[bool]:
    files = [path.read_bytes() for path in Path(directory).rglob("*.pem")]
    return {b"ENCRYPTED" in data for data in files if b"PRIVATE KEY" in data}


def test_a_passphrase_is_added_changed_and_taken_away(shell: Shell) -> None:
    uses = {
        "image": ("image", "rotate", "image", "timestamp", "root", "--yes"),
        "supplier": ("supplier", "sign", "acme"),
        "director": ("director", "rotate", "director", "targets", "--yes"),
    }
    for party, place in parties(shell).items():
        shell.run(party, "keys", "passphrase", place, "--new-passphrase-file", "old")
        assert encrypted(place) == {True}
        shell.run(*uses[party], status=2)
        shell.run(*uses[party], "--passphrase-file", "old")
        before = {path: path.read_bytes() for path in Path(place).rglob("*.pem")}
        change = (party, "keys", "passphrase", place, "--new-passphrase-file", "new")
        assert shell.json(*change, "--passphrase-file", "root.json", status=2)["error"]["code"] == "passphrase"
        assert {path: path.read_bytes() for path in Path(place).rglob("*.pem")} == before, "all or nothing"
        shell.run(*change, "--passphrase-file", "old")
        shell.run(*change, "--passphrase-file", "old")  # repeated, as after a change that was cut off
        shell.run(*uses[party], "--passphrase-file", "old", status=2)
        shell.run(*uses[party], "--passphrase-file", "new")
        shell.run(party, "keys", "passphrase", place, "--none", "--passphrase-file", "new", status=2)  # nobody agreed
        shell.run(party, "keys", "passphrase", place, "--none", "--passphrase-file", "new", "--yes")
        assert False in encrypted(place)
        shell.run(*uses[party])


def test_a_change_that_was_cut_off_is_finished(shell: Shell) -> None:
    shell.run("image", "init", "image", "--passphrase-file", "old")
    shell.run("image", "keys", "passphrase", "image", "--only", "online", "--passphrase-file", "old",
              "--new-passphrase-file", "new")  # fmt: skip
    shell.run("image", "keys", "passphrase", "image", "--passphrase-file", "old", "--new-passphrase-file", "new")
    shell.run("image", "rotate", "image", "timestamp", "root", "--yes", "--passphrase-file", "new")


def test_offline_and_online_keys_have_one_each(shell: Shell) -> None:
    shell.env = {"TWINLOCK_PASSPHRASE": "TEST people", "TWINLOCK_ONLINE_PASSPHRASE": "TEST machine"}
    places = parties(shell)
    for place in places.values():
        assert encrypted(place) == {True}
    shell.run("image", "rotate", "image", "timestamp", "root", "--yes")
    shell.env = {"TWINLOCK_ONLINE_PASSPHRASE": "TEST machine", "TWINLOCK_PASSPHRASE": None}
    assert shell.json("image", "refresh", "image", "--within", "5d")["changed"]
    assert shell.run("image", "rotate", "image", "timestamp", "--yes", status=2)
    Path("machine").write_text("TEST machine\n")
    shell.env = {"TWINLOCK_PASSPHRASE": "TEST people", "TWINLOCK_ONLINE_PASSPHRASE": None,
                 "TWINLOCK_ONLINE_PASSPHRASE_FILE": "machine"}  # fmt: skip
    shell.run("director", "rotate", "director", "targets", "--yes")
    shell.env |= {"TWINLOCK_PASSPHRASE": "TEST machine"}
    shell.run("director", "rotate", "director", "targets", "--yes", status=2)


def test_keys_are_listed_with_where_they_are_and_lost_ones_marked(shell: Shell) -> None:
    shell.run("image", "init", "image", "--keys", "root=2/3")
    roots = [key for key in shell.json("image", "keys", "list", "image")["keys"] if key["role"] == "root"]
    assert [key["availability"] for key in roots] == ["here"] * 3
    next(Path("image/keys/offline").glob(f"root.{roots[0]['keyid'][:16]}.pem")).rename("away.pem")
    marked = shell.json("image", "keys", "mark", "image", roots[1]["keyid"][:16], "lost", "--yes")
    assert marked == {"keyid": roots[1]["keyid"], "role": "root", "availability": "lost"}
    states = {key["keyid"]: key["availability"] for key in shell.json("image", "keys", "list", "image")["keys"]}
    assert [states[key["keyid"]] for key in roots] == ["elsewhere", "lost", "here"]
    assert shell.json("image", "rotate", "image", "timestamp", "--yes", status=2)["error"]["code"] == "missing-keys"
    shell.run("image", "keys", "mark", "image", roots[1]["keyid"], "found")
    shell.run("image", "rotate", "image", "timestamp", "--yes")
    shell.run("image", "keys", "mark", "image", "", "lost", status=2)
    shell.run("image", "keys", "mark", "image", "ffffffffffffffffff", "lost", status=2)


def test_keys_elsewhere_are_listed_and_marked_and_abandoned_ones_told_apart(shell: Shell) -> None:
    """Keys given away as documented, record and private half, and keys of a Root that was prepared and never published."""
    ImageRepository.create("site", keys={"root": KeyPlan(count=3, threshold=2)})
    Path("root.json").write_bytes(ImageRepository.open("site").root_bytes(1))
    Director.create(
        Path("director"), image_root=Path("root.json").read_bytes(), image_url="site", keys={"root": KeyPlan(count=2)}
    ).close()
    for party, place in (("image", "site"), ("director", "director")):
        before = shell.json(party, "keys", "list", place)["keys"]
        assert all(key["inUse"] for key in before)
        away = next(key for key in before if key["role"] == "root")["keyid"]
        for path in Path(place).rglob(f"root.{away[:16]}.*"):
            path.rename(f"{party}-{path.name}")
        shell.run(party, "rotate", place, "root", "--prepare", f"{party}.json")
        after = {key["keyid"]: key for key in shell.json(party, "keys", "list", place)["keys"]}
        assert (after[away]["availability"], after[away]["inUse"], after[away]["role"]) == ("elsewhere", True, "root")
        abandoned = [key for key in after.values() if not key["inUse"]]
        assert {key["role"] for key in abandoned} == {"root"}
        assert len(abandoned) == len([key for key in before if key["role"] == "root"])
        assert shell.json(party, "keys", "mark", place, away[:16], "lost", "--yes")["availability"] == "lost"
        assert {key["keyid"]: key for key in shell.json(party, "keys", "list", place)["keys"]}[away][
            "availability"
        ] == "lost"


def test_plain_online_keys_are_replaced_beside_encrypted_offline_ones(shell: Shell) -> None:
    """The passphrase of the people opens their Root keys; the new online key is plain like its neighbours."""
    shell.env = {"TWINLOCK_PASSPHRASE": "TEST people"}
    for party, place in parties(shell).items():
        if party == "supplier":
            continue
        shell.run(party, "keys", "passphrase", place, "--only", "online", "--none", "--yes")
        plain = {path.name for path in Path(place, "keys/online").glob("*.pem")}
        shell.run(party, "rotate", place, "snapshot", "timestamp", "--yes")
        made = [path for path in Path(place, "keys/online").glob("*.pem") if path.name not in plain]
        assert len(made) == 2
        assert all(b"ENCRYPTED" not in path.read_bytes() for path in made)
        assert encrypted(f"{place}/keys/offline") == {True}
        shell.env = {"TWINLOCK_PASSPHRASE": "TEST a wrong one"}
        shell.run(party, "rotate", place, "snapshot", "--yes", status=2)
        shell.env = {"TWINLOCK_PASSPHRASE": "TEST people"}
