"""What only shows a repository writes nothing and lists nothing, whatever a crash left; the next writing command cleans up."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.unit.repository.conftest import Acme, HandClock
from twinlock.io.files.durable import TEMPORARY
from twinlock.repository.image_repository import ImageRepository
from twinlock.repository.keys.keyring import KeyKind, Keyring
from twinlock.repository.store.directory import DirectoryStore

STALE = f"{TEMPORARY}00112233445566ff"
READS: dict[str, Callable[[ImageRepository], object]] = {
    "show": ImageRepository.show,
    "status": ImageRepository.status,
    "root_bytes": ImageRepository.root_bytes,
    "named_keys": ImageRepository.named_keys,
    "delisted": ImageRepository.delisted,
    "plan_of": lambda repository: repository.plan_of("root"),
    "covering": lambda repository: repository.delegations_covering("a/b"),
}


def state_of(path: Path) -> dict[str, tuple[int, bytes]]:
    """Every file below ``path`` with its time of change."""
    files = (each for each in path.rglob("*") if each.is_file())
    return {str(each.relative_to(path)): (each.stat().st_mtime_ns, each.read_bytes()) for each in files}


def interrupt(repository: ImageRepository, image_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave behind everything that a crash can: a publication in the log alone, half-written files, keys of nothing."""
    repository.add_image(image_file, "b.bin", hardware_ids=["hw-7"], release_counter=1)

    def dies(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("twinlock.repository.store.publication_log._apply", dies)
        with pytest.raises(KeyboardInterrupt):
            repository.publish()
    folder = repository.path / "keys/offline"
    (record,) = Keyring(offline=folder).generate("root", kind=KeyKind.ED25519)
    (folder / ".new-keys-0011223344556677").write_text(json.dumps({record.keyid: [each.name for each in record.files]}))
    for place in ("", "trusted", "keys/offline", "keys/online", "public/.tmp"):
        (repository.path / place / STALE).write_bytes(b"half")


def left_behind(repository: ImageRepository) -> Iterator[str]:
    yield from (str(path) for path in repository.path.rglob(f"{TEMPORARY}*"))
    yield from (str(path) for path in repository.path.rglob(".new-keys-*"))


@pytest.mark.parametrize("wires", [(), ("aktualizr",)])
def test_reading_changes_no_file_and_sees_the_decided_publication(
    tmp_path: Path, image_file: Path, clock: HandClock, monkeypatch: pytest.MonkeyPatch, wires: tuple[str, ...]
) -> None:
    repository = ImageRepository.create(tmp_path / "image", wires=wires, clock=clock)
    interrupt(repository, image_file, monkeypatch)
    before = state_of(repository.path)
    again = ImageRepository.open(repository.path, clock=clock)
    for read in READS.values():
        read(again)
    assert again.show().publication == 2
    assert [str(image.path) for image in again.show().images] == ["b.bin"]
    assert state_of(repository.path) == before
    assert not again.refresh().changed  # a command that writes, though nothing is due
    assert not list(left_behind(again))
    assert (repository.path / "public/metadata/2.targets.json").is_file()
    assert len(again.keyring.records("root")) == 1
    assert again.show().publication == 2


def test_a_file_that_the_last_publication_lacks_is_read_from_the_log(filled: ImageRepository, clock: HandClock) -> None:
    missing = filled.path / "public/metadata/2.targets.json"
    missing.unlink()
    again = ImageRepository.open(filled.path, clock=clock)
    assert [str(image.path) for image in again.show().images] == ["brake/brake.bin"]
    assert not missing.exists()
    again.refresh()
    assert missing.is_file()


def test_reading_works_where_this_user_may_not_write(
    filled: ImageRepository, clock: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.open

    def refused(path: str | Path, flags: int, *rest: int, **options: int) -> int:
        if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path, flags, *rest, **options)

    def no_write(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refused)
    for call in ("unlink", "rename", "mkdir", "link"):
        monkeypatch.setattr(os, call, no_write)
    repository = ImageRepository.open(filled.path, clock=clock)
    for read in READS.values():
        read(repository)


def test_no_command_lists_the_store(
    filled: ImageRepository, acme: Acme, image_file: Path, clock: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a store behind the network each thousand names are a request, and there are names for every image and version."""

    names = DirectoryStore.names

    def listed(store: DirectoryStore, prefix: str) -> Iterator[str]:
        assert store.root == acme.outbox, f"the names below {prefix} were listed"
        return names(store, prefix)

    acme.sign()
    monkeypatch.setattr(DirectoryStore, "names", listed)
    repository = ImageRepository.open(filled.path, clock=clock)
    for read in READS.values():
        read(repository)
    repository.add_image(image_file, "b.bin", hardware_ids=["hw-7"], release_counter=1)
    repository.delegate("acme", keys=[acme.place.public_key_file], paths=["acme/*"])
    repository.accept(acme.outbox)
    assert repository.publish().changed
    assert repository.rotate("root", "timestamp").changed
