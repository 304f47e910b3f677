"""A vehicle that runs aktualizr on OSTree, served by us alone: metadata of both repositories, and the commit's objects.

The program ``ostree`` makes the commits, checks them before they are published, and pulls them by the digest that the
verified metadata state.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.commands import FAILED, USAGE, twinlock
from tests.e2e.fleet import car
from tests.e2e.mixed_fleet import Device, MixedServers, device, mixed_servers

pytestmark = pytest.mark.system


def ostree(*words: str | Path, status: int = 0) -> str:
    """What the program says."""
    done = subprocess.run(["ostree", *map(str, words)], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == status, done.stderr
    return done.stdout.strip()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MixedServers]:
    """Both repositories in both profiles."""
    with mixed_servers(tmp_path_factory.mktemp("ostree")) as running:
        yield running


@pytest.fixture(scope="module")
def treehub(made: MixedServers) -> Path:
    """An OSTree repository that web servers can offer."""
    path = made.place / "treehub"
    ostree("init", f"--repo={path}", "--mode=archive")
    return path


def commit(treehub: Path, content: str) -> str:
    """A commit of a tree with one program and a link to it; its id."""
    tree = treehub.parent / "tree" / "usr" / "bin"
    tree.mkdir(parents=True, exist_ok=True)
    (tree / "hello").write_text(content)
    if not (tree / "link").is_symlink():
        (tree / "link").symlink_to("hello")
    return ostree("commit", f"--repo={treehub}", "--branch=TEST", f"--tree=dir={treehub.parent / 'tree'}")


def publish(made: MixedServers, treehub: Path, name: str, number: int, revision: str) -> None:
    words = ("--commit", revision, "--repo", treehub, "--hardware-id", "gw-1", "--release-counter", str(number))
    twinlock("image", "add-ostree", made.images, name, *words)
    assert made.publish()["unchecked"] == []


def booted(made: MixedServers, place: Path, vehicle: str) -> Device:
    """A vehicle whose client pulls commits into a repository of its own."""
    settings = {"sysroot": place / f"sysroot-{vehicle}", "ostree_server": f"{made.images_tls.url}/treehub"}
    return device(made, place, vehicle, "virtual", **settings)


def content_object(treehub: Path, revision: str) -> Path:
    """The file object of the program in a commit."""
    listed = ostree("ls", f"--repo={treehub}", "-C", revision, "/usr/bin/hello").split()
    digest = next(word for word in listed if len(word) == 64)
    return treehub / "objects" / digest[:2] / f"{digest[2:]}.filez"


def test_a_vehicle_pulls_the_commit_that_the_metadata_state(
    made: MixedServers, treehub: Path, tmp_path: Path, vehicle: str
) -> None:
    first = commit(treehub, "one")
    publish(made, treehub, f"{vehicle}/rootfs-1", 1, first)
    van = booted(made, tmp_path, vehicle)
    assert van.once().exit_status == 0
    made.assign(vehicle, gateway=f"{vehicle}/rootfs-1")
    run = van.once()
    assert (run.success, van.runs(run, "gateway")) == (True, f"{vehicle}/rootfs-1")
    sysroot = f"--repo={tmp_path / f'sysroot-{vehicle}'}"
    assert ostree("cat", sysroot, first, "/usr/bin/hello") == "one"
    ostree("fsck", sysroot)
    assert made.known(vehicle) == {"gateway": f"{vehicle}/rootfs-1"}


def test_objects_that_were_altered_are_not_installed(
    made: MixedServers, treehub: Path, tmp_path: Path, vehicle: str
) -> None:
    """A treehub that serves other bytes than it was published with; then the honest ones again."""
    publish(made, treehub, f"{vehicle}/rootfs-1", 1, commit(treehub, "honest"))
    van = booted(made, tmp_path, vehicle)
    van.once()
    made.assign(vehicle, gateway=f"{vehicle}/rootfs-1")
    assert van.once().success

    second = commit(treehub, f"malware comes here {vehicle}")
    publish(made, treehub, f"{vehicle}/rootfs-2", 2, second)
    place = content_object(treehub, second)
    honest = place.read_bytes()
    other = content_object(treehub, commit(treehub, f"other {vehicle}"))
    place.write_bytes(other.read_bytes())
    made.assign(vehicle, gateway=f"{vehicle}/rootfs-2")
    run = van.once()
    assert (run.success, van.runs(run, "gateway")) == (False, f"{vehicle}/rootfs-1")
    assert made.known(vehicle) == {"gateway": f"{vehicle}/rootfs-1"}

    place.write_bytes(honest)
    made.assign(vehicle, gateway=f"{vehicle}/rootfs-2")
    run = van.once()
    assert (run.success, van.runs(run, "gateway")) == (True, f"{vehicle}/rootfs-2")


def test_a_damaged_object_is_found_before_a_commit_is_published(
    made: MixedServers, treehub: Path, vehicle: str
) -> None:
    revision = commit(treehub, f"whole {vehicle}")
    place = content_object(treehub, revision)
    copy = shutil.copytree(treehub, treehub.parent / "copy")
    words = ("--commit", revision, "--hardware-id", "gw-1", "--release-counter", "1")
    twinlock("image", "add-ostree", made.images, f"{vehicle}/rootfs", "--repo", treehub, *words)
    place.write_bytes(place.read_bytes()[:-1])
    error = twinlock("image", "publish", made.images, status=USAGE)
    assert "`ostree fsck" in error["message"]
    place.unlink()
    assert "reported errors" in twinlock("image", "publish", made.images, status=USAGE)["message"]
    ostree("pull-local", f"--repo={treehub}", copy, revision)
    assert made.publish()["changed"]


def test_our_own_client_is_not_ordered_a_commit(
    made: MixedServers, treehub: Path, tmp_path: Path, vehicle: str
) -> None:
    publish(made, treehub, f"{vehicle}/rootfs-1", 1, commit(treehub, "own"))
    with car(made, tmp_path / "car", vehicle) as ours:
        assert ours.update()["outcome"] == "up-to-date"
        error = made.assign(vehicle, status=FAILED, gateway=f"{vehicle}/rootfs-1")
        assert (error["code"], error["fields"]["targetFormat"]) == ("unsupported-target-format", "OSTREE")
        assert ours.update()["outcome"] == "up-to-date"
