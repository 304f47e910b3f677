"""The commands for vehicles that run aktualizr: what they print, their JSON, and their refusals."""

from __future__ import annotations

import os
import re
from pathlib import Path

from tests.unit.repository.foreign_repository import Foreign
from tests.unit.repository.test_commands import ADD, Shell, shell  # noqa: F401 - a fixture


def test_turning_it_on_and_what_is_refused_then(shell: Shell) -> None:  # noqa: F811 - the fixture
    shell.run("image", "init", "image")
    shell.run("image", *ADD)
    assert "publication 1\n" in shell.run("image", "show", "image")
    assert "published 2 for aktualizr too: " in shell.run("image", "wire", "image", "aktualizr", "--yes")
    assert "already" in shell.run("image", "wire", "image", "aktualizr", "--yes")
    assert shell.json("image", "wire", "image", "aktualizr", "--yes")["changed"] is False
    assert "publication 2, as tuf and aktualizr" in shell.run("image", "show", "image")
    assert shell.json("image", "show", "image")["wires"] == ["tuf", "aktualizr"]
    rotation = ("image", "rotate", "image", "targets", "--keys", "1/1", "--kind", "ecdsa-p256", "--yes")
    error = shell.json(*rotation, status=1)["error"]
    assert (error["code"], error["fields"]["what"]) == ("wire-profile", "targets")
    shell.run("image", "wire", "image", "tuf", status=2)


def test_from_the_beginning_with_a_supplier(shell: Shell) -> None:  # noqa: F811 - the fixture
    shell.run("image", "init", "image", "--wire", "aktualizr")
    shell.run("supplier", "init", "acme", "--role", "acme")
    lidar = ("brake.bin", "acme/lidar-1.bin", "--hardware-id", "hw-9", "--release-counter", "1")
    shell.run("supplier", "add", "acme", *lidar)
    shell.run("supplier", "sign", "acme")
    shell.run("image", "delegate", "image", "acme", "--key", "acme/acme.pub.json", "--path", "acme/**")
    refused = shell.json("image", "accept", "image", "acme/outbox", status=1)["error"]
    assert (refused["code"], refused["fields"]["what"]) == ("wire-profile", "acme")
    assert shell.json("supplier", "wire", "acme", "aktualizr", "--yes") == {"role": "acme", "profile": "aktualizr"}
    shell.run("supplier", "sign", "acme")
    shell.run("image", "accept", "image", "acme/outbox")
    assert "aktualizr/2.acme.json" in shell.json("image", "publish", "image")["files"]


def test_a_root_that_travels_begins_it(shell: Shell) -> None:  # noqa: F811 - the fixture
    shell.run("image", "init", "image", "--keys", "root=2/2")
    medium = shell.directory / "medium"
    medium.mkdir()
    for path in sorted((shell.directory / "image/keys/offline").glob("root.*"))[:2]:
        path.rename(medium / path.name)
    assert shell.json("image", "wire", "image", "aktualizr", "--yes", status=2)["error"]["code"] == "missing-keys"
    assert "lacks 1" in shell.run("image", "wire", "image", "aktualizr", "--prepare", "next.json")
    shell.run("image", "root", "sign", "--yes", "next.json", "--keys", "medium")
    files = shell.json("image", "root", "publish", "image", "next.json")["files"]
    assert {"2.root.json", "aktualizr/1.root.json", "aktualizr/1.targets.json"} <= set(files)
    assert shell.json("image", "show", "image")["wires"] == ["tuf", "aktualizr"]


def test_importing(shell: Shell, tmp_path: Path) -> None:  # noqa: F811 - the fixture
    foreign = Foreign(tmp_path / "theirs", expires={"timestamp": "2020-01-01T00:00:00Z"})
    foreign.add("fw-1.0.bin", b"one")
    foreign.add("acme/fw-1.0.bin", b"two", role="acme")
    foreign.write()
    (foreign.keys / "acme" / "private.key").unlink()
    words = ("image", "import", "image", "--from", str(foreign.repo), "--keys", str(foreign.keys))
    assert "--drop-delegation acme" in shell.json(*words, status=2)["error"]["message"]
    assert not (tmp_path / "image").exists()
    for more in ((), ("--dry-run",)):
        message = shell.json(*words, "--drop-delegation", "amce", *more, status=2)["error"]["message"]
        assert "no role delegates to amce; did you mean acme?" in message
    assert not (tmp_path / "image").exists()
    text = shell.run(*words, "--drop-delegation", "acme", "--valid", "timestamp=2d")
    assert "imported 1 image and 2 root versions; published as publication 8" in text
    assert "1 image that stated no release counter has 0 now" in text
    root = re.search(r"the Root for new vehicles of the tuf profile: (\S+)", text)
    assert root is not None
    assert Path(root[1]).is_file()
    assert "had expired: timestamp" in text
    assert "dropped: the delegation to acme" in text
    (tmp_path / "full").mkdir()
    (tmp_path / "full/file").touch()
    for more in ((), ("--dry-run",)):
        again = shell.json(*words, "--drop-delegation", "acme", *more, status=2)
        assert "in use" in again["error"]["message"]
        full = shell.json("image", "import", "full", *words[3:], "--drop-delegation", "acme", *more, status=2)
        assert "not empty and not an Image repository" in full["error"]["message"]
    other = shell.json("image", "import", "other", *words[3:], "--drop-delegation", "acme", "--release-counter", "4")
    assert (other["publication"], other["releaseCounter"], other["dropped"]) == (8, 4, ["acme"])


def test_an_import_of_images_that_state_counters_speaks_of_no_default(
    shell: Shell,  # noqa: F811 - the fixture
    tmp_path: Path,
) -> None:
    foreign = Foreign(tmp_path / "theirs")
    foreign.add("fw-1.0.bin", b"one", releaseCounter=3)
    foreign.write()
    text = shell.run("image", "import", "image", "--from", str(foreign.repo), "--keys", str(foreign.keys))
    assert "stated no release counter" not in text


def test_a_broken_repository_to_import_is_not_called_an_attack(
    shell: Shell,  # noqa: F811 - the fixture
    tmp_path: Path,
) -> None:
    foreign = Foreign(tmp_path / "theirs")
    foreign.add("fw-1.0.bin", b"one")
    foreign.write()
    words = ("image", "import", "image", "--from", str(foreign.repo), "--keys", str(foreign.keys))
    snapshot = foreign.repo / "snapshot.json"
    snapshot.rename(tmp_path / "kept")
    for more in ((), ("--dry-run",)):
        error = shell.json(*words, *more, status=2)["error"]
        assert (error["code"], error["kind"], error["attack"]) == ("missing-metadata", "refusal", "none")
    os.mkfifo(snapshot)
    assert shell.json(*words, status=2)["error"]["code"] == "operator-file"
    snapshot.unlink()
    (tmp_path / "kept").rename(snapshot)
    shell.run(*words)


def test_an_import_says_first_what_it_leaves_out(shell: Shell, tmp_path: Path) -> None:  # noqa: F811 - the fixture
    foreign = Foreign(tmp_path / "theirs")
    foreign.add("fw-1.0.bin", b"one")
    foreign.add("tree", b"odd", targetFormat="OSTREE")
    foreign.write()
    words = ("image", "import", "image", "--from", str(foreign.repo), "--keys", str(foreign.keys))
    foreseen = shell.json(*words, "--dry-run", status=1)
    assert not (tmp_path / "image").exists()
    assert (foreseen["dryRun"], foreseen["images"]) == (True, 1)
    assert [(item["target"], item["code"]) for item in foreseen["leftOut"]] == [("tree", "ostree")]
    assert [(item["target"], item["code"]) for item in foreseen["warnings"]] == [("fw-1.0.bin", "no-release-counter")]
    done = shell.json(*words, status=1)
    assert (done["imported"], done["images"]) == ("image", 1)
    assert done["leftOut"] == foreseen["leftOut"]
    foreign.images["targets"].pop("tree")
    foreign.write(keys=False)
    assert "nothing was written" in shell.run("image", "import", "third", *words[3:], "--dry-run")
