"""OSTree commits in an Image repository: listed by their digest, checked where they are, served to be pulled."""

from __future__ import annotations

import asyncio
import base64
import json
from pathlib import Path

import aiohttp
import pytest

from tests.unit.repository.conftest import START, Acme
from tests.unit.repository.ostree_repository import COMMIT, CONFIG, FILE, OBJECTS, make_repository
from tests.unit.repository.reading import AktualizrReader, Reader
from tests.unit.repository.test_aktualizr_serve import Ask, asking
from tests.unit.repository.test_publish import tree
from twinlock.repository.authoring.entries import Component
from twinlock.repository.errors import OstreeCommitError, UnacceptableEntryError
from twinlock.repository.image_repository import ImageRepository
from twinlock.repository.serving.http import serving
from twinlock.repository.serving.renewal import whole_application
from twinlock.repository.store.treehub import read_treehub
from twinlock.trust.errors.base import TwinlockError, UsageError
from twinlock.trust.errors.images import TargetFormatError
from twinlock.trust.errors.local import ProfileError

NAME = "gw/rootfs-1.0"
OBJECT = f"objects/{COMMIT[:2]}/{COMMIT[2:]}.commit"


@pytest.fixture
def ostree(tmp_path: Path) -> Path:
    return make_repository(tmp_path / "ostree")


def add(repository: ImageRepository, ostree: Path | None, commit: str = COMMIT, name: str = NAME) -> None:
    repository.add_commit(commit, name, hardware_ids=["gw-1"], release_counter=2, repository=ostree)


def test_a_commit_is_listed_in_both_forms(filled: ImageRepository, ostree: Path) -> None:
    filled.publish_for_aktualizr()
    component = Component(name="rootfs", version="1.0")
    view = filled.add_commit(
        COMMIT.upper(), NAME, hardware_ids=["gw-1"], release_counter=2, repository=ostree, component=component
    )
    assert (view.length, view.hashes, view.target_format) == (0, {"sha256": COMMIT}, "OSTREE")
    before = set(filled.store.names("targets"))
    publication = filled.publish()
    assert publication.changed
    assert set(filled.store.names("targets")) == before
    ours = Reader(filled.store, filled.root_bytes()).find(NAME, START).entry
    theirs = AktualizrReader(filled.store).find(NAME, START).entry
    for entry in (ours, theirs):
        assert entry is not None
        assert (entry.length, entry.hashes, entry.custom["targetFormat"]) == (0, {"sha256": COMMIT}, "OSTREE")
        assert entry.custom["name"] == "rootfs"
    assert NAME in {image.path for image in filled.show().images if image.target_format == "OSTREE"}


def test_the_place_of_the_repository_is_kept_and_there_is_one(
    filled: ImageRepository, ostree: Path, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="name it with --repo"):
        add(filled, None)
    add(filled, ostree)
    assert read_treehub(filled.path) == ostree
    filled.add_commit(COMMIT, "gw/again", hardware_ids=["gw-1"], release_counter=2)
    with pytest.raises(UsageError, match="pull-local"):
        add(filled, make_repository(tmp_path / "second"), name="gw/third")
    assert read_treehub(filled.path) == ostree


def test_what_is_no_commit_of_that_repository(filled: ImageRepository, ostree: Path) -> None:
    before = tree(filled)

    def refused(error: type[TwinlockError], words: str, commit: str = COMMIT, place: Path = ostree) -> None:
        with pytest.raises(error, match=words):
            add(filled, place, commit)
        assert tree(filled) == before

    refused(UsageError, "64 hexadecimal digits", "main")
    refused(UsageError, "64 hexadecimal digits", COMMIT[:-1])
    refused(OstreeCommitError, "does not contain it", "00" * 32)
    refused(OstreeCommitError, "does not contain it", OBJECTS_OF_A_TREE)
    refused(UsageError, "no config and objects/", place=ostree / "refs")
    (ostree / "state" / f"{COMMIT}.commitpartial").touch()
    refused(OstreeCommitError, "only a part of it")
    (ostree / "state" / f"{COMMIT}.commitpartial").unlink()
    whole = (ostree / OBJECT).read_bytes()
    (ostree / OBJECT).write_bytes(whole + b"x")
    refused(OstreeCommitError, "a different digest")
    (ostree / OBJECT).unlink()
    (ostree / "elsewhere").write_bytes(whole)
    (ostree / OBJECT).symlink_to(ostree / "elsewhere")
    refused(OstreeCommitError, "does not contain it")
    (ostree / OBJECT).unlink()
    (ostree / OBJECT).write_bytes(whole)
    for mode, words in ((b"bare-user", "mode bare-user"), (b"archive\nmode", "not the configuration|mode")):
        (ostree / "config").write_bytes(CONFIG.replace(b"archive-z2", mode))
        refused(UsageError, words)
    (ostree / "config").write_bytes(CONFIG)
    add(filled, ostree)


OBJECTS_OF_A_TREE = "6993a588ec8c691b191209b7bac45a09ecef2823079195210b2de630ddd519ed"


def test_a_commit_that_is_gone_when_it_is_published(filled: ImageRepository, ostree: Path) -> None:
    add(filled, ostree)
    data = (ostree / OBJECT).read_bytes()
    (ostree / OBJECT).unlink()
    before = tree(filled)
    with pytest.raises(OstreeCommitError) as caught:
        filled.publish()
    assert (caught.value.commit, caught.value.repository) == (COMMIT, str(ostree))
    assert tree(filled) == before
    (ostree / OBJECT).write_bytes(data)
    assert filled.publish().changed


def test_without_the_program_the_commit_object_alone_is_checked(
    filled: ImageRepository, ostree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(ostree))
    add(filled, ostree)
    assert filled.publish().unchecked == (COMMIT,)
    assert filled.publish().unchecked == ()


def test_a_name_stands_for_one_commit_for_vehicles_that_run_aktualizr(
    filled: ImageRepository, ostree: Path, image_file: Path
) -> None:
    filled.publish_for_aktualizr()
    add(filled, ostree)
    filled.publish()
    with pytest.raises(ProfileError):
        filled.add_image(image_file, NAME, hardware_ids=["gw-1"], release_counter=3, replace=True)


def test_a_supplier_lists_files_alone(filled: ImageRepository, acme: Acme) -> None:
    """A supplier's file that lists a commit, or an address, is refused: nobody here has checked either."""
    filled.delegate("acme", keys=[acme.place.public_key_file], paths=["acme/*"])
    refusals: tuple[tuple[dict[str, str], type[TargetFormatError | UnacceptableEntryError]], ...] = (
        ({"targetFormat": "OSTREE"}, TargetFormatError),
        ({"uri": "https://example.org/x"}, UnacceptableEntryError),
    )
    for custom, refusal in refusals:
        acme.place.add_image(
            acme.source, "acme/x.bin", hardware_ids=["hw-9"], release_counter=1, replace=bool(acme.place.show().images)
        )
        draft = json.loads((acme.place.path / "draft.json").read_text())
        draft["roles"]["acme"]["images"]["acme/x.bin"]["custom"] |= custom
        (acme.place.path / "draft.json").write_text(json.dumps(draft))
        acme.place.sign()
        with pytest.raises(refusal, match=r"acme/x\.bin"):
            filled.accept(acme.outbox)


def served(repository: ImageRepository, names: list[str]) -> list[tuple[int, bytes, str]]:
    """Status, body and caching of each name below /treehub."""

    async def main() -> list[tuple[int, bytes, str]]:
        app = whole_application(repository.store, treehub=lambda: read_treehub(repository.path))
        async with serving(app) as server, aiohttp.ClientSession(auto_decompress=False) as session:
            ask: Ask = asking(server, session)
            found = [await ask(f"/treehub/{name}") for name in names]
            return [(each.status, each.body, each.headers.get("Cache-Control", "")) for each in found]

    return asyncio.run(main())


def test_objects_are_served_as_they_are(filled: ImageRepository, ostree: Path) -> None:
    assert {status for status, _, _ in served(filled, ["config", FILE])} == {404}
    add(filled, ostree)
    for (status, body, cache), text in zip(served(filled, list(OBJECTS)), OBJECTS.values(), strict=True):
        assert (status, body) == (200, base64.b64decode(text))
        assert "immutable" in cache
    (status, body, cache), (_, head, _) = served(filled, ["config", "refs/heads/main"])
    assert (status, cache) == (200, "no-cache")
    assert body == b"[core]\nrepo_version=1\nmode=archive-z2\n"  # the remotes of the real one are nobody's business
    assert head.decode().strip() == COMMIT


def test_nothing_else_is_served(filled: ImageRepository, ostree: Path, tmp_path: Path) -> None:
    add(filled, ostree)
    (tmp_path / "secret").write_text("secret")
    (ostree / "state" / "x").write_text("secret")
    (ostree / "objects" / "aa").mkdir()
    (ostree / "objects" / "aa" / "link.filez").symlink_to(tmp_path / "secret")
    (ostree / "objects" / "bb").symlink_to(tmp_path)
    (ostree / "objects" / "cc").mkdir()
    (ostree / "objects" / "cc" / ".hidden").write_text("secret")
    names = ["state/x", ".lock", "objects", "objects/", "objects/aa", "objects/aa/link.filez", "objects/bb/secret"]
    names += ["objects/cc/.hidden", "objects/../state/x", "objects/..%2f..%2fsecret", "objects/%2e%2e/config"]
    names += ["refs/remotes/x", "tmp/cache", "objects//aa", "%2e%2e/secret", "config/x", "objects/x%00", "summary"]
    for name, (status, body, _) in zip(names, served(filled, names), strict=True):
        assert status == 404, name
        assert b"secret" not in body.replace(b"/secret", b""), name
