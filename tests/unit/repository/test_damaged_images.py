"""Stored bytes are looked at before they are vouched for, and whenever an operator asks how things are."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from tests.unit.repository.conftest import HandClock
from twinlock.cli.main import main
from twinlock.repository.errors import ClockBehindError, StoredImageError
from twinlock.repository.image_repository import ImageRepository
from twinlock.repository.store.directory import DirectoryStore
from twinlock.repository.store.image_files import copy_image, hash_file, store_image
from twinlock.repository.store.object_names import image_objects
from twinlock.repository.suppliers.workspace import SupplierWorkspace
from twinlock.trust.errors.base import UsageError


def objects(place: Path, name: str) -> list[Path]:
    """The stored files of the image ``name``, of which some may be one file under two names."""
    return sorted(place.rglob(f"*.{name}"))


def change(files: list[Path], data: bytes) -> None:
    for path in files:
        path.chmod(0o644)
        path.write_bytes(data)


def flipped(data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 1])


@pytest.mark.parametrize("damage", [flipped, lambda data: data[:-1]])
def test_what_was_changed_since_it_was_added_is_not_published(
    filled: ImageRepository, image_file: Path, damage: Any
) -> None:
    filled.add_image(image_file, "new.bin", hardware_ids=["hw-7"], release_counter=1)
    before = filled.show()
    change(objects(filled.path / "public", "new.bin"), damage(image_file.read_bytes()))
    with pytest.raises(StoredImageError) as caught:
        filled.publish()
    assert caught.value.fields()["target"] == "new.bin"
    assert filled.show() == before
    filled.add_image(image_file, "new.bin", hardware_ids=["hw-7"], release_counter=1, replace=True)
    assert filled.publish().changed


def test_a_damaged_object_stays_until_the_right_bytes_are_complete(filled: ImageRepository, image_file: Path) -> None:
    """A repair that fails halfway, here because the file changes under it, leaves what was there."""
    data = image_file.read_bytes()
    filled.add_image(image_file, "new.bin", hardware_ids=["hw-7"], release_counter=1)
    measured = hash_file(image_file)
    change(objects(filled.path / "public", "new.bin"), flipped(data))
    image_file.write_bytes(flipped(data))
    with pytest.raises(UsageError):
        store_image(filled.store, image_file, "new.bin", measured)
    assert {path.read_bytes() for path in objects(filled.path / "public", "new.bin")} == {flipped(data)}
    image_file.write_bytes(data)
    store_image(filled.store, image_file, "new.bin", measured)
    assert {path.read_bytes() for path in objects(filled.path / "public", "new.bin")} == {data}


def test_what_was_changed_since_it_was_added_is_not_signed_by_a_supplier(tmp_path: Path, image_file: Path) -> None:
    place = SupplierWorkspace.create(tmp_path / "acme", role="acme")
    place.add_image(image_file, "brake/a.bin", hardware_ids=["hw-7"], release_counter=1)
    change(objects(place.path, "a.bin"), flipped(image_file.read_bytes()))
    with pytest.raises(StoredImageError):
        place.sign()
    place.add_image(image_file, "brake/a.bin", hardware_ids=["hw-7"], release_counter=1, replace=True)
    assert place.sign() == 1
    change(objects(place.path, "a.bin"), flipped(image_file.read_bytes()))
    with pytest.raises(StoredImageError):
        place.sign()
    for path in objects(place.path, "a.bin"):
        path.unlink()  # it was handed over
    assert place.sign() == 2


@pytest.fixture
def real(tmp_path: Path, image_file: Path) -> ImageRepository:
    """A repository by the clock of this machine, which the commands use."""
    repository = ImageRepository.create(tmp_path / "real")
    repository.add_image(image_file, "brake/brake.bin", hardware_ids=["hw-7"], release_counter=3)
    repository.publish()
    return repository


def status(repository: ImageRepository, *options: str) -> tuple[int, Any, str]:
    words = ["image", "status", str(repository.path), *options]
    text, shown = CliRunner().invoke(main, words), CliRunner().invoke(main, [*words, "--json"])
    assert text.exit_code == shown.exit_code
    return text.exit_code, json.loads(shown.stdout), text.output


@pytest.mark.parametrize(
    ("damage", "deep", "reason"),
    [
        (lambda data: data[:-1], [], " bytes of "),
        (flipped, [], None),
        (flipped, ["--deep"], "other bytes than its name states"),
    ],
)
def test_status_names_what_is_damaged(
    real: ImageRepository, image_file: Path, damage: Any, deep: list[str], reason: str | None
) -> None:
    assert status(real, *deep)[0] == 0
    change(objects(real.path / "public", "brake.bin"), damage(image_file.read_bytes()))
    code, shown, text = status(real, *deep)
    assert code == (0 if reason is None else 5)
    assert [item["path"] for item in shown["damaged"]] == ([] if reason is None else ["brake/brake.bin"])
    assert reason is None or reason in text


def test_a_link_in_the_store_is_damage_and_no_attack(real: ImageRepository, tmp_path: Path) -> None:
    for path in objects(real.path / "public", "brake.bin"):
        path.rename(tmp_path / path.name)
        path.symlink_to(tmp_path / path.name)
    code, shown, text = status(real)
    assert (code, len(shown["damaged"]), "attack" in text) == (5, 1, False)
    assert shown["clock"]["problem"] is None


def test_status_names_what_is_missing(real: ImageRepository) -> None:
    for path in objects(real.path / "public", "brake.bin"):
        path.unlink()
    code, shown, text = status(real)
    assert code == 5
    assert "is missing" in shown["damaged"][0]["reason"]
    assert "damaged: brake/brake.bin of targets" in text


def test_status_says_who_vouches_for_the_clock(real: ImageRepository) -> None:
    code, shown, text = status(real)
    assert code == 0
    assert datetime.fromisoformat(shown["clock"].pop("now")).tzinfo is not None
    assert shown["clock"] | {"lastSigned": None} == {
        "source": None,
        "answered": False,
        "lastSigned": None,
        "problem": None,
    }
    assert shown["clock"]["lastSigned"] is not None
    assert "no second source" in text


def test_status_says_that_the_clock_is_behind(filled: ImageRepository, clock: HandClock) -> None:
    filled.refresh()
    clock.turn(days=-1)
    with pytest.raises(ClockBehindError) as caught:
        filled.rotate("timestamp")
    assert filled.status().clock.problem == str(caught.value)


@pytest.mark.parametrize("later", [b"BRAKE", b"brake and a gigabyte more", b"bra"])
def test_a_supplier_s_image_that_changes_after_it_was_judged_is_never_stored(tmp_path: Path, later: bytes) -> None:
    """What is copied is measured on the way: bytes that were never judged are not in the store for a moment either."""
    theirs, ours, image = (
        DirectoryStore(tmp_path / "outbox"),
        DirectoryStore(tmp_path / "store"),
        tmp_path / "brake.bin",
    )
    image.write_bytes(b"brake")
    measured = hash_file(image)
    (name, *_) = image_objects("brake.bin", measured.length, measured.hashes)
    theirs.put_new(name, later)
    with pytest.raises(UsageError, match="changed while it was read"):
        copy_image(theirs, ours, name, measured)
    assert ours.stat(name) is None
    ours.put_new(name, b"brake")
    copy_image(theirs, ours, name, measured)  # ours is sound, and stays
    ours.replace(name, b"BREAK", expected=getattr(ours.stat(name), "etag", None))
    with pytest.raises(UsageError, match="changed while it was read"):
        copy_image(theirs, ours, name, measured)
    theirs.replace(name, b"brake", expected=getattr(theirs.stat(name), "etag", None))
    copy_image(theirs, ours, name, measured)
    stored = ours.get(name, max_bytes=100)
    assert stored is not None
    assert stored.data == b"brake"
