"""Kill a publisher before each of its writes to the disk, and look at what is left. Runs as a process of its own.

    python -m tests.faults.repository.deaths SCENARIO DIRECTORY

For every n the prepared repository is copied, a child does the scenario's work and dies (``os._exit``, nothing is
flushed or cleaned) right before its n-th system call that changes the disk. Then, in a fresh process each:

* a vehicle that followed before, and one fresh from the factory, refresh over the store as the child left it;
* the work is repeated, and has to succeed;
* both vehicles refresh again.

One JSON object for each n goes to stdout; the last one is of the child that lived.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.unit.repository.conftest import START, Acme, HandClock
from tests.unit.repository.reading import Reader
from twinlock.repository.image_repository import ImageRepository
from twinlock.repository.store.directory import DirectoryStore
from twinlock.trust.errors.base import TwinlockError
from twinlock.trust.state.trusted import TrustedRepository

DIED = 77
_CALLS = ("fsync", "link", "rename", "unlink", "mkdir")  # what a write changes shows only in these

Work = Callable[[Path], None]


def publish(path: Path) -> None:
    ImageRepository.open(path / "image", clock=HandClock()).publish()


def add(path: Path) -> None:
    repository = ImageRepository.open(path / "image", clock=HandClock())
    if "c.bin" not in repository.status().staged_images:
        repository.add_image(path / "b", "c.bin", hardware_ids=["hw-7"], release_counter=1)
    repository.publish()


def rotate(path: Path) -> None:
    ImageRepository.open(path / "image", clock=HandClock()).rotate("root", "timestamp", "snapshot", "targets")


def accept(path: Path) -> None:
    repository = ImageRepository.open(path / "image", clock=HandClock())
    repository.accept(path / "acme/outbox")
    repository.publish()


def create(path: Path) -> None:
    if (path / "new" / "public" / "metadata" / "timestamp.json").exists():
        ImageRepository.open(path / "new", clock=HandClock()).refresh()
        return
    ImageRepository.create(path / "new", clock=HandClock())


def refresh(path: Path) -> None:
    clock = HandClock()
    clock.turn(hours=23)
    ImageRepository.open(path / "image", clock=clock).refresh()


SCENARIOS: dict[str, Work] = {
    "publish": publish,
    "add": add,
    "rotate": rotate,
    "accept": accept,
    "create": create,
    "refresh": refresh,
}


def prepare(directory: Path) -> Path:
    """A repository with a.bin published, b.bin staged, and a supplier whose outbox waits to be accepted."""
    clock = HandClock()
    repository = ImageRepository.create(directory / "image", clock=clock)
    for name in ("a", "b"):
        (directory / name).write_bytes(name.encode() * 1000)
        repository.add_image(directory / name, f"{name}.bin", hardware_ids=["hw-7"], release_counter=1)
        if name == "a":
            repository.publish()
    acme = Acme(directory, clock)
    acme.sign()
    repository.delegate("acme", keys=[acme.place.public_key_file], paths=["acme/*"])
    return directory


def die_at(work: Work, path: Path, number: int) -> int:
    """Do ``work`` in a child that dies before its ``number``-th write; returns its exit status."""
    child = os.fork()
    if child == 0:
        _arm(number)
        try:
            work(path)
        except BaseException:  # noqa: BLE001 - the child must never come back into the parent's code
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _arm(number: int) -> None:
    left = number

    def counted(original: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            nonlocal left
            left -= 1
            if left == 0:
                os._exit(DIED)
            return original(*args, **options)

        return call

    for name in _CALLS:
        setattr(os, name, counted(getattr(os, name)))


def see(path: Path, followed: TrustedRepository | None) -> dict[str, Any]:
    """What vehicles see in the store as it lies there: versions and images, or the refusal."""
    if not (path / "public").is_dir():  # looking must not create it
        return {"fresh": {"empty": True}}
    store = DirectoryStore(path / "public")
    seen: dict[str, Any] = {}
    for kind in ("follower", "fresh"):
        if kind == "follower" and followed is None:
            continue
        root = store.get("metadata/1.root.json", max_bytes=10**6)
        if root is None:
            seen[kind] = {"empty": True}
            continue
        reader = Reader(store, root.data)
        if kind == "follower" and followed is not None:
            reader.trusted = followed
        try:
            reader.refresh(START)
            assert reader.trusted.targets and reader.trusted.timestamp
            listed = [name for name in ("a.bin", "b.bin", "c.bin", "acme/lidar.bin") if reader.find(name, START).entry]
            seen[kind] = {"timestamp": reader.trusted.timestamp.signed.version, "images": listed}
        except TwinlockError as error:
            seen[kind] = {"error": error.code, "message": str(error)}
    return seen


def main(scenario: str, directory: Path) -> None:
    work = SCENARIOS[scenario]
    name = "new" if scenario == "create" else "image"
    prepared = prepare(directory / "prepared")
    reader = None
    if name == "image":
        store = DirectoryStore(prepared / "image/public")
        root = store.get("metadata/1.root.json", max_bytes=10**6)
        assert root is not None
        reader = Reader(store, root.data)
        reader.refresh(START)
    number, status = 0, DIED
    while status == DIED:
        number += 1
        with tempfile.TemporaryDirectory(dir=directory) as temporary:
            copy = Path(temporary) / "copy"
            shutil.copytree(prepared, copy)
            status = die_at(work, copy, number)
            followed = reader.trusted if reader else None
            after_death = see(copy / name, followed) if (copy / name).is_dir() else {}
            repeated = die_at(work, copy, -1)
            result = {
                "n": number,
                "status": status,
                "after_death": after_death,
                "repeated": repeated,
                "after_repeat": see(copy / name, followed),
                "left_behind": [p.name for p in (copy / name).rglob(".tmp-*")],
            }
        print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
