"""The object store: create-only, compare-and-swap, nothing outside the root, nothing left behind."""

from __future__ import annotations

import errno
import io
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from twinlock.io.files.durable import TEMPORARY, clean_stale, temporary_file
from twinlock.repository.store.directory import DirectoryStore
from twinlock.repository.store.interface import object_name
from twinlock.trust.errors.local import ConflictError, StorageError
from twinlock.trust.errors.metadata import UnsafePathError


@pytest.fixture
def store(tmp_path: Path) -> DirectoryStore:
    return DirectoryStore(tmp_path / "store")


def test_a_new_object_can_be_read_and_cannot_be_created_twice(store: DirectoryStore) -> None:
    assert store.put_new("a/b.json", b"one")
    assert not store.put_new("a/b.json", b"two")
    stored = store.get("a/b.json", max_bytes=3)
    assert stored is not None
    assert stored.data == b"one"


def test_an_object_that_is_not_there_is_none_and_not_an_error(store: DirectoryStore) -> None:
    store.put_new("a/b", b"x")
    assert store.get("nothing", max_bytes=1) is None
    assert store.stat("a/b/below-a-file") is None
    assert store.open("a") is None  # a directory is no object


def test_reading_stops_at_the_bound(store: DirectoryStore) -> None:
    store.put_new("big", b"x" * 11)
    with pytest.raises(StorageError) as caught:
        store.get("big", max_bytes=10)
    assert caught.value.operation == "read"
    assert caught.value.path.endswith("/big")


def test_replace_wants_the_etag_that_was_read(store: DirectoryStore) -> None:
    first = store.replace("timestamp.json", b"1", expected=None)
    second = store.replace("timestamp.json", b"2", expected=first)
    with pytest.raises(ConflictError) as caught:
        store.replace("timestamp.json", b"3", expected=first)
    assert caught.value.what == "timestamp.json"
    with pytest.raises(ConflictError):
        store.replace("timestamp.json", b"3", expected=None)
    found = store.get("timestamp.json", max_bytes=9)
    assert found is not None
    assert (found.data, found.etag) == (b"2", second)


def test_etags_of_get_and_stat_agree_for_small_and_large_objects(store: DirectoryStore) -> None:
    for name, size in (("small", 10), ("large", (1 << 20) + 1)):
        store.put_new(name, b"x" * size)
        stored, info = store.get(name, max_bytes=size), store.stat(name)
        assert stored is not None
        assert info is not None
        assert (info.etag, info.size) == (stored.etag, size)


def test_of_many_who_create_one_name_exactly_one_succeeds(store: DirectoryStore) -> None:
    with ThreadPoolExecutor(16) as pool:
        won = list(pool.map(lambda number: store.put_new("one", b"%d" % number), range(64)))
    stored = store.get("one", max_bytes=9)
    assert stored is not None
    assert won.count(True) == 1
    assert int(stored.data) == won.index(True)


def test_of_many_who_replace_one_name_each_step_has_one_winner(store: DirectoryStore) -> None:
    etag = store.replace("t", b"0", expected=None)

    def swap(number: int) -> bool:
        try:
            store.replace("t", b"%d" % number, expected=etag)
        except ConflictError:
            return False
        return True

    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(swap, range(1, 33))).count(True) == 1


def test_streams_and_copies_are_create_only_too(store: DirectoryStore) -> None:
    body = os.urandom((1 << 20) * 2 + 7)
    assert store.put_new_from("img", io.BytesIO(body))
    assert not store.put_new_from("img", io.BytesIO(b"other"))
    assert store.copy_new("img", "dir/copy")
    assert not store.copy_new("img", "dir/copy")
    copied = store.get("dir/copy", max_bytes=len(body))
    assert copied is not None
    assert copied.data == body


def test_a_copy_works_where_the_file_system_has_no_hard_links(
    store: DirectoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_links(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", no_links)
    assert store.put_new("a", b"x")
    assert not store.put_new("a", b"y")
    assert store.copy_new("a", "b")
    copied = store.get("b", max_bytes=1)
    assert copied is not None
    assert copied.data == b"x"
    assert list((store.root / ".tmp").iterdir()) == []


def test_a_source_that_fails_midway_leaves_nothing(store: DirectoryStore) -> None:
    class Broken:
        def __init__(self) -> None:
            self.left = 3

        def read(self, size: int, /) -> bytes:
            self.left -= 1
            if not self.left:
                raise OSError(5, "Input/output error")
            return b"x" * 100

    with pytest.raises(StorageError) as caught:
        store.put_new_from("img", Broken())
    assert caught.value.reason == "Input/output error"
    assert store.stat("img") is None
    assert list((store.root / ".tmp").iterdir()) == []


@pytest.mark.parametrize(
    "name",
    [
        "",
        "/etc/passwd",
        "../x",
        "a/../b",
        "a//b",
        "a/",
        ".",
        ".lock",
        "a/.tmp/x",
        "a\\b",
        "a\0b",
        "a\nb",
        "\ud800",
        "x" * 256,
        "/".join(["dir"] * 700),
    ],
)
def test_no_name_leads_out_of_the_root(store: DirectoryStore, name: str) -> None:
    with pytest.raises(UnsafePathError):
        object_name(name)
    with pytest.raises(UnsafePathError):
        store.get(name, max_bytes=1)
    with pytest.raises(UnsafePathError):
        store.put_new(name, b"x")


def test_symbolic_links_are_not_followed(store: DirectoryStore, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_bytes(b"secret")
    store.root.mkdir()
    (store.root / "dir").symlink_to(outside)
    (store.root / "file").symlink_to(outside / "secret")
    for access in (
        lambda: store.open("dir/secret"),
        lambda: store.put_new("dir/x", b"x"),
        lambda: store.delete("dir/secret"),
    ):
        with pytest.raises(UnsafePathError):
            access()
    with pytest.raises(StorageError):
        store.open("file")
    assert sorted(path.name for path in outside.iterdir()) == ["secret"]


def test_names_lists_objects_and_no_files_of_its_own(store: DirectoryStore) -> None:
    for name in ("m/1.json", "m/sub/2.json", "t/x"):
        store.put_new(name, b"x")
    store.replace("m/t.json", b"x", expected=None)
    assert set(store.names("m")) == {"m/1.json", "m/sub/2.json", "m/t.json"}
    assert list(store.names("none")) == []


def test_what_a_dead_writer_left_is_removed_and_what_a_living_one_writes_is_not(tmp_path: Path) -> None:
    dead = tmp_path / f"{TEMPORARY}00112233445566ff"
    dead.write_bytes(b"half")
    other = tmp_path / "other.json"
    other.write_bytes(b"x")
    with temporary_file(tmp_path, 0o600) as (_, alive):
        assert clean_stale(tmp_path) == 1
        assert alive.exists()
    assert not dead.exists()
    assert other.exists()


def test_tidying_a_store_removes_what_a_killed_writer_left(tmp_path: Path) -> None:
    DirectoryStore(tmp_path).put_new("a", b"x")
    half = tmp_path / ".tmp" / f"{TEMPORARY}00112233445566ff"
    half.write_bytes(b"half")
    again = DirectoryStore(tmp_path)
    assert half.exists()
    again.tidy()
    assert list((tmp_path / ".tmp").iterdir()) == []


def test_a_store_is_created_by_its_first_write(store: DirectoryStore) -> None:
    assert store.get("a", max_bytes=1) is None
    assert list(store.names("m")) == []
    assert not store.root.exists()
    store.replace("a", b"x", expected=None)
    assert store.get("a", max_bytes=1)


def test_delete_is_repeatable(store: DirectoryStore) -> None:
    store.put_new("a/b", b"x")
    store.delete("a/b")
    store.delete("a/b")
    assert store.stat("a/b") is None


@pytest.mark.parametrize("links", [True, False])
def test_a_copy_to_another_device_is_on_disk_before_it_has_its_name(
    store: DirectoryStore, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    """``metadata`` may be a mount of its own: a file cannot be renamed into it, and a copy that is not flushed may be empty."""
    events: list[str] = []
    rename, link, flush = Path.rename, os.link, os.fsync

    def renamed(source: Path, target: Path) -> Path:
        if source.parent != Path(target).parent:
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        events.append(
            f"rename {Path(target).read_bytes() if Path(target).exists() else b''!r} to {source.read_bytes()!r}"
        )
        return rename(source, target)

    def linked(source: Path, target: Path, **options: bool) -> None:
        if not links or Path(source).parent != Path(target).parent:
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        link(source, target, **options)

    def flushed(descriptor: int) -> None:
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        events.append(f"flush {path.parent.name} {path.read_bytes()!r}" if path.is_file() else f"flush {path.name}")
        flush(descriptor)

    monkeypatch.setattr(Path, "rename", renamed)
    monkeypatch.setattr(os, "link", linked)
    monkeypatch.setattr(os, "fsync", flushed)
    written: list[tuple[Callable[[], object], bytes, bytes]] = [
        (lambda: store.put_new("metadata/a.json", b"one"), b"", b"one"),
        (lambda: store.replace_from("metadata/a.json", io.BytesIO(b"two")), b"one", b"two"),
        (lambda: store.replace("metadata/b.json", b"three", expected=None), b"", b"three"),
    ]
    for write, before, after in written:
        events.clear()
        write()
        moved = events.index(f"rename {before!r} to {after!r}")
        assert events[moved - 1] == f"flush metadata {after!r}"
        assert events[moved + 1] == "flush metadata"
    assert sorted(path.name for path in (store.root / "metadata").iterdir()) == ["a.json", "b.json"]
