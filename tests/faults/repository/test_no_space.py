"""A full or read-only disk: one clear error, nothing half-written, and everything works again once there is room."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.unit.repository.conftest import START, HandClock
from tests.unit.repository.reading import Reader
from twinlock.repository.image_repository import ImageRepository
from twinlock.trust.errors.local import StorageError

DISK_KB = 1024


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one megabyte of its own. Only root may mount one."""
    mount = tmp_path / "disk"
    mount.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK_KB}k", "tmpfs", str(mount)]
    subprocess.run(command, check=True)
    yield mount
    subprocess.run(["umount", "-l", str(mount)], check=True)


def tree(path: Path) -> dict[str, bytes]:
    return {
        str(file.relative_to(path)): file.read_bytes()
        for file in path.rglob("*")
        if file.is_file() and file.suffix != ".lock" and file.name != ".lock"
    }


def fill(disk: Path) -> Path:
    """Take all the room that is left."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as stream, suppress(OSError):
        while True:
            stream.write(b"x" * 4096)
    return filler


@pytest.mark.system
def test_an_image_that_does_not_fit(small_disk: Path, tmp_path: Path) -> None:
    repository = ImageRepository.create(small_disk / "image", clock=HandClock())
    image = tmp_path / "image.bin"
    image.write_bytes(b"x" * DISK_KB * 1024)
    before = tree(repository.path)
    with pytest.raises(StorageError) as caught:
        repository.add_image(image, "a.bin", hardware_ids=["hw-7"], release_counter=1)
    assert caught.value.reason == "the disk is full; free some space and try again"
    assert caught.value.operation == "write"
    assert tree(repository.path) == before
    image.write_bytes(b"small")
    repository.add_image(image, "a.bin", hardware_ids=["hw-7"], release_counter=1)
    repository.publish()


@pytest.mark.system
def test_publishing_on_a_full_disk(small_disk: Path, tmp_path: Path) -> None:
    repository = ImageRepository.create(small_disk / "image", clock=HandClock())
    image = tmp_path / "image.bin"
    image.write_bytes(b"x")
    repository.add_image(image, "a.bin", hardware_ids=["hw-7"], release_counter=1)
    reader = Reader(repository.store, repository.root_bytes(1))
    before = tree(repository.path)
    filler = fill(small_disk)
    with pytest.raises(StorageError) as caught:
        repository.publish()
    assert caught.value.reason == "the disk is full; free some space and try again"
    assert tree(repository.path) == before
    assert reader.find("a.bin", START).entry is None
    filler.unlink()
    assert repository.publish().version == 2
    assert reader.find("a.bin", START).entry is not None


@pytest.mark.system
def test_creating_on_a_full_disk(small_disk: Path) -> None:
    filler = fill(small_disk)
    with pytest.raises(StorageError) as caught:
        ImageRepository.create(small_disk / "image", clock=HandClock())
    assert caught.value.reason == "the disk is full; free some space and try again"
    filler.unlink()
    assert ImageRepository.create(small_disk / "image", clock=HandClock()).show().publication == 1


@pytest.mark.parametrize("call", ["write", "fsync", "link", "mkdir"])
def test_a_disk_that_fails_in_any_call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    """The same without a mount: one system call after another answers that the disk is full."""
    repository = ImageRepository.create(tmp_path / "image", clock=HandClock())
    image = tmp_path / "image.bin"
    image.write_bytes(b"x")
    before = tree(repository.path)

    def full(*_: object, **__: object) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, call, full)
        with pytest.raises(StorageError) as caught:
            repository.add_image(image, "new/a.bin", hardware_ids=["hw-7"], release_counter=1)
    assert caught.value.reason == "the disk is full; free some space and try again"
    # After a failed fsync nothing is known of the file; it may stay under its own digest, and is used or checked next.
    after = {name: data for name, data in tree(repository.path).items() if not name.startswith("public/targets/")}
    assert after == before
    repository.add_image(image, "new/a.bin", hardware_ids=["hw-7"], release_counter=1)
    assert repository.publish().version == 2


@pytest.fixture
def read_only(tmp_path: Path) -> Iterator[Path]:
    """A published repository on a file system that is mounted read-only."""
    mount = tmp_path / "disk"
    mount.mkdir()
    repository = ImageRepository.create(tmp_path / "image", clock=HandClock())
    image = tmp_path / "image.bin"
    image.write_bytes(b"x")
    repository.add_image(image, "a.bin", hardware_ids=["hw-7"], release_counter=1)
    command = ["mount", "-t", "tmpfs", "tmpfs", str(mount)]
    subprocess.run(command, check=True)
    shutil.copytree(repository.path, mount / "image")
    subprocess.run(["mount", "-o", "remount,ro", str(mount)], check=True)
    yield mount / "image"
    subprocess.run(["umount", "-l", str(mount)], check=True)


@pytest.mark.system
def test_a_read_only_repository_can_be_looked_at_and_served_but_not_changed(read_only: Path, tmp_path: Path) -> None:
    before = tree(read_only)
    repository = ImageRepository.open(read_only, clock=HandClock())
    assert repository.show().publication == 1
    assert Reader(repository.store, repository.root_bytes(1)).refresh(START).root.signed.version == 1
    image = tmp_path / "b.bin"
    image.write_bytes(b"y")
    for change in (
        repository.publish,
        lambda: repository.rotate("timestamp"),
        lambda: repository.add_image(image, "b.bin", hardware_ids=["hw-7"], release_counter=1),
        lambda: ImageRepository.create(read_only.parent / "other"),
    ):
        with pytest.raises(StorageError) as caught:
            change()
        assert caught.value.reason == "the file system is read-only; mount it writable and try again"
    assert tree(read_only) == before
