"""Taking over a repository whose images are OSTree commits, or are served by another host."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from tests.unit.repository.conftest import START, HandClock
from tests.unit.repository.foreign_repository import Foreign
from tests.unit.repository.ostree_repository import COMMIT, make_repository
from tests.unit.repository.reading import AktualizrReader, Reader
from tests.unit.repository.test_commands import Shell, shell  # noqa: F401 - the fixture
from tests.unit.repository.test_hosted_images import IMAGE, Host, host, says  # noqa: F401 - the fixture
from twinlock.repository.image_repository import ImageRepository
from twinlock.repository.importing.plan import Takeover
from twinlock.repository.importing.run import foresee
from twinlock.repository.model.import_findings import (
    HOSTED,
    NO_ADDRESS,
    NO_COMMIT,
    OSTREE,
    OTHER_BYTES,
    EntryFinding,
)
from twinlock.repository.model.views import TakeoverView
from twinlock.repository.store.hosted import PUBLIC_HOSTS, OutsideHosts
from twinlock.repository.store.treehub import read_treehub
from twinlock.trust.errors.base import UsageError
from twinlock.trust.model.targets import ImageEntry

TREE, HOSTED_IMAGE = "gw/rootfs-1.0", "maps/maps-7.bin"
DIGESTS = {"sha256": hashlib.sha256(IMAGE).hexdigest()}


@pytest.fixture
def foreign(tmp_path: Path) -> Foreign:
    """A repository with a file, and as ``TREE`` a commit."""
    found = Foreign(tmp_path / "theirs")
    found.add("fw-1.0.bin", b"one")
    found.list_elsewhere(TREE, 0, {"sha256": COMMIT}, targetFormat="OSTREE", note={"any": 1})
    return found


def take_over(
    foreign: Foreign,
    path: Path,
    clock: HandClock,
    *,
    treehub: Path | None = None,
    hosts: OutsideHosts = PUBLIC_HOSTS,
) -> tuple[ImageRepository, TakeoverView]:
    foreign.write(keys=not foreign.keys.exists())
    wanted = Takeover(source=foreign.repo, keys=foreign.keys, treehub=treehub, hosts=hosts)
    forecast = foresee(wanted, now=START)
    repository, view = ImageRepository.take_over(path, wanted, clock=clock)
    assert (forecast.left_out, forecast.warnings) == (view.left_out, view.warnings)
    return repository, view


def told(findings: tuple[EntryFinding, ...]) -> set[tuple[str, str]]:
    return {(item.target, item.code) for item in findings if item.code != "no-release-counter"}


def found(repository: ImageRepository, path: str) -> tuple[ImageEntry, ImageEntry]:
    """The entry in our own form and in the form of devices."""
    ours = Reader(repository.store, repository.root_bytes(2)).find(path, START).entry
    theirs = AktualizrReader(repository.store).find(path, START).entry
    assert ours is not None
    assert theirs is not None
    return ours, theirs


def test_commits_are_taken_over_with_the_repository_that_holds_them(
    foreign: Foreign, tmp_path: Path, clock: HandClock
) -> None:
    treehub = make_repository(tmp_path / "treehub")
    repository, view = take_over(foreign, tmp_path / "image", clock, treehub=treehub)
    assert (told(view.left_out), told(view.warnings)) == (set(), set())
    assert read_treehub(repository.path) == treehub
    for entry in found(repository, TREE):
        assert (entry.length, entry.hashes) == (0, {"sha256": COMMIT})
        assert (entry.custom["targetFormat"], entry.custom["note"]) == ("OSTREE", {"any": 1})
    repository.refresh()
    repository.add_commit(COMMIT, "gw/rootfs-1.1", hardware_ids=["hw-7"], release_counter=1)
    assert repository.publish().changed


def test_commits_whose_repository_is_not_here_are_taken_over_unchecked(
    foreign: Foreign, tmp_path: Path, clock: HandClock
) -> None:
    del foreign.images["targets"][TREE]["custom"]["targetFormat"]  # no length says it as well
    repository, view = take_over(foreign, tmp_path / "image", clock)
    assert (told(view.left_out), told(view.warnings)) == (set(), {(TREE, NO_COMMIT)})
    assert read_treehub(repository.path) is None
    assert {entry.custom["targetFormat"] for entry in found(repository, TREE)} == {"OSTREE"}


@pytest.mark.parametrize(
    ("length", "hashes", "custom"),
    [
        (3, {"sha256": COMMIT}, {"targetFormat": "OSTREE"}),
        (0, {"sha512": COMMIT * 2}, {"targetFormat": "OSTREE"}),
        (0, {"sha256": "00" * 32}, {"targetFormat": "OSTREE"}),
    ],
)
def test_commits_that_are_none_are_left_out(
    foreign: Foreign, tmp_path: Path, clock: HandClock, length: int, hashes: dict[str, str], custom: dict[str, Any]
) -> None:
    foreign.list_elsewhere("gw/odd", length, hashes, **custom)
    repository, view = take_over(foreign, tmp_path / "image", clock, treehub=make_repository(tmp_path / "treehub"))
    assert told(view.left_out) == {("gw/odd", OSTREE)}
    assert {image.path for image in repository.show().images} == {TREE, "fw-1.0.bin"}


def test_a_directory_that_is_no_ostree_repository_ends_the_import(foreign: Foreign, tmp_path: Path) -> None:
    foreign.write()
    with pytest.raises(UsageError, match="not an OSTree repository"):
        ImageRepository.take_over(
            tmp_path / "image", Takeover(source=foreign.repo, keys=foreign.keys, treehub=tmp_path)
        )
    assert not (tmp_path / "image").exists()


def test_hosted_images_are_read_and_taken_over(
    foreign: Foreign,
    tmp_path: Path,
    clock: HandClock,
    host: Host,  # noqa: F811 - the fixture
) -> None:
    uri = f"{host.url}/maps-7.bin"
    foreign.list_elsewhere(HOSTED_IMAGE, len(IMAGE), DIGESTS, uri=uri)
    repository, view = take_over(foreign, tmp_path / "image", clock, hosts=host.hosts)
    assert told(view.left_out) == set()
    assert len(host.headers) == 2  # once for each of foresee and take_over
    ours, theirs = found(repository, HOSTED_IMAGE)
    assert (ours.custom["uri"], theirs.download_url, theirs.length) == (uri, uri, len(IMAGE))
    assert ours.hashes.keys() == {"sha256", "sha512"}
    assert list(repository.store.names("targets")) == [
        name for name in repository.store.names("targets") if "fw-1.0" in name
    ]


def test_hosted_images_that_are_not_what_is_listed_are_left_out(
    foreign: Foreign,
    tmp_path: Path,
    clock: HandClock,
    host: Host,  # noqa: F811 - the fixture
) -> None:
    host.answers = {"/other": says(body=b"x" * len(IMAGE)), "/gone": says(404), "/long": says(body=IMAGE + b"x")}
    places = {"other": OTHER_BYTES, "gone": HOSTED, "long": HOSTED}
    for name in places:
        foreign.list_elsewhere(f"maps/{name}", len(IMAGE), DIGESTS, uri=f"{host.url}/{name}")
    for number, uri in enumerate(("http://cdn.example.org/x", "https://10.0.0.1/x", "https://a:TEST@cdn.example.org/")):
        foreign.list_elsewhere(f"bad/{number}", len(IMAGE), DIGESTS, uri=uri)
    _, view = take_over(foreign, tmp_path / "image", clock, hosts=host.hosts)
    expected = {(f"maps/{name}", code) for name, code in places.items()}
    assert told(view.left_out) == expected | {(f"bad/{number}", HOSTED) for number in range(3)}


def test_an_address_that_is_not_for_publishing_is_dropped_where_the_bytes_are_here(
    foreign: Foreign, tmp_path: Path, clock: HandClock
) -> None:
    foreign.add("fw-2.0.bin", b"two", uri="http://10.0.0.1/fw-2.0.bin")
    repository, view = take_over(foreign, tmp_path / "image", clock)
    assert told(view.warnings) == {("fw-2.0.bin", NO_ADDRESS), (TREE, NO_COMMIT)}
    assert [entry.download_url for entry in found(repository, "fw-2.0.bin")] == [None, None]


def test_the_command(foreign: Foreign, tmp_path: Path, shell: Shell) -> None:  # noqa: F811 - the fixture
    foreign.write()
    treehub = make_repository(tmp_path / "treehub")
    words = ("image", "import", "image", "--from", str(foreign.repo), "--keys", str(foreign.keys))
    done = shell.json(*words, "--treehub", str(treehub))
    assert (done["images"], done["leftOut"]) == (2, [])
    shown = shell.json("image", "show", "image")["images"]
    assert {image["path"]: image["targetFormat"] for image in shown} == {TREE: "OSTREE", "fw-1.0.bin": "file"}
    assert json.loads((tmp_path / "image" / "treehub.json").read_text())["repository"] == str(treehub)
