"""The commands of images whose bytes are elsewhere: add-ostree, and add and replace with --uri."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.repository.ostree_repository import COMMIT, make_repository
from tests.unit.repository.test_commands import Shell, shell  # noqa: F401 - the fixture

ABOUT = ("--hardware-id", "gw-1", "--release-counter", "2")
COMPONENT = ("--component", "rootfs", "--version", "1.0", "--needs", "brake>=1")


@pytest.fixture
def ostree(tmp_path: Path) -> str:
    return str(make_repository(tmp_path / "ostree"))


def add_ostree(*more: str, name: str = "gw/rootfs-1.0", commit: str = COMMIT) -> tuple[str, ...]:
    return ("image", "add-ostree", "image", name, "--commit", commit, *ABOUT, *more)


def test_a_commit_from_the_command_line(shell: Shell, ostree: str) -> None:  # noqa: F811 - the fixture
    shell.run("image", "init", "image", "--wire", "aktualizr")
    staged = shell.json(*add_ostree("--repo", ostree, *COMPONENT))["staged"]
    assert (staged["length"], staged["hashes"], staged["targetFormat"]) == (0, {"sha256": COMMIT}, "OSTREE")
    assert (staged["component"], staged["version"], staged["dependencies"]) == ("rootfs", "1.0", {"brake": ">=1"})
    assert shell.json("image", "publish", "image")["changed"]
    assert f"commit {COMMIT[:12]}" in shell.run("image", "show", "image")
    assert COMMIT in shell.run(*add_ostree(name="gw/rootfs-1.1"))


def test_what_is_wrong_with_a_commit_is_the_operators_own_mistake(
    shell: Shell,  # noqa: F811 - the fixture
    ostree: str,
) -> None:
    shell.run("image", "init", "image")
    assert "name it with --repo" in shell.json(*add_ostree(), status=2)["error"]["message"]
    error = shell.json(*add_ostree("--repo", ostree, commit="00" * 32), status=2)["error"]
    assert (error["code"], error["kind"]) == ("ostree-commit", "refusal")
    assert error["fields"] == {
        "commit": "00" * 32,
        "repository": ostree,
        "reason": "the repository does not contain it",
    }
    shell.run(*add_ostree("--repo", ostree))
    assert "use replace" in shell.json(*add_ostree("--component", "x", "--version", "1"), status=2)["error"]["message"]
    shell.run(*add_ostree("--component", "x", "--version", "1", "--replace"))


def test_without_the_program_it_says_what_was_not_checked(
    shell: Shell,  # noqa: F811 - the fixture
    ostree: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shell.run("image", "init", "image")
    monkeypatch.setenv("PATH", ostree)
    assert "warning: the program ostree is not installed" in shell.run(*add_ostree("--repo", ostree))
    assert f"of the OSTree commit {COMMIT} not every object was checked" in shell.run("image", "publish", "image")


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("maps/x.bin", "--uri", "https://127.0.0.1:1/x"), "image-uri"),
        (("maps/x.bin", "--uri", "http://cdn.example.org/x"), "image-uri"),
        (("maps/../x.bin", "--uri", "https://cdn.example.org/x"), "unsafe-path"),
        (("image", "maps/x.bin", "--uri", "https://cdn.example.org/x"), "usage"),
        (("maps/x.bin", "--uri", "https://cdn.example.org/x", "--into", "maps"), "usage"),
    ],
)
def test_a_hosted_image_that_cannot_be_listed(
    shell: Shell,  # noqa: F811 - the fixture
    words: tuple[str, ...],
    code: str,
) -> None:
    shell.run("image", "init", "image")
    error = shell.json("image", "add", "image", *words, *ABOUT, status=2)["error"]
    assert (error["code"], error["kind"]) == (code, "refusal")
    assert not shell.json("image", "status", "image")["stagedImages"]


def test_a_host_that_cannot_be_reached_is_a_fault_of_transport(shell: Shell) -> None:  # noqa: F811 - the fixture
    shell.run("image", "init", "image")
    words = ("image", "add", "image", "maps/x.bin", "--uri", "https://unresolvable.invalid/x", *ABOUT)
    error = shell.json(*words, status=4)["error"]
    assert error["fields"]["url"] == "https://unresolvable.invalid/x"
    assert "cannot be resolved" in error["message"]
