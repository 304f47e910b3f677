"""A supplier's bytes cost the owner a bounded time, and keep nobody else from the repository."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.unit.repository.conftest import Acme
from tests.unit.repository.test_accept import refused, resign
from twinlock.cli.main import main
from twinlock.repository.errors import UnacceptableEntryError
from twinlock.repository.image_repository import ImageRepository
from twinlock.repository.suppliers.outbox_images import MAX_IMAGE_BYTES
from twinlock.repository.suppliers.workspace import SupplierWorkspace


@pytest.fixture
def expecting(filled: ImageRepository, acme: Acme) -> ImageRepository:
    filled.delegate("acme", keys=[acme.place.public_key_file], paths=["acme/*"], hardware_ids=["hw-9"])
    return filled


def sparse(acme: Acme, length: int) -> None:
    """Have acme sign ``length`` for its image, and give files of that length all of whose bytes are holes."""
    acme.sign()
    resign(acme, lambda targets: setattr(targets.targets["acme/lidar.bin"], "length", length))
    for path in (acme.outbox / "targets").rglob("*"):
        if path.is_file():
            os.truncate(path, length)


def test_a_sparse_file_of_a_signed_length(expecting: ImageRepository, acme: Acme) -> None:
    sparse(acme, 10**12)
    error = refused(expecting, acme.outbox, UnacceptableEntryError)
    assert (error.role, error.target) == ("acme", "acme/lidar.bin")
    assert "1000000000000 bytes" in error.reason
    assert str(MAX_IMAGE_BYTES) in error.reason
    assert "--largest-image" in error.reason


def test_all_images_of_an_outbox_are_bounded(expecting: ImageRepository, acme: Acme) -> None:
    length = acme.source.stat().st_size
    for number in range(5):
        acme.sign(f"acme/{number}.bin")
    with pytest.raises(UnacceptableEntryError, match=f"{5 * length} bytes, and {4 * length} are allowed"):
        expecting.accept(acme.outbox, largest_image=length)
    assert expecting.status().accepted == ()
    acme.place.remove_image("acme/4.bin")
    acme.place.sign()
    assert expecting.accept(acme.outbox, largest_image=length) == ("acme",)
    expecting.publish()
    acme.sign("acme/4.bin")  # what was published before is not counted again
    assert expecting.accept(acme.outbox, largest_image=length) == ("acme",)


def test_others_use_the_repository_while_bytes_are_read(expecting: ImageRepository, acme: Acme) -> None:
    acme.sign()
    read: list[int] = []

    def stage_and_publish(size: int) -> None:
        if not read:
            expecting.add_image(acme.source, "own/fix.bin", hardware_ids=["hw-7"], release_counter=1)
        read.append(size)

    assert expecting.accept(acme.outbox, progress=stage_and_publish) == ("acme",)
    assert sum(read) >= acme.source.stat().st_size
    status = expecting.status()
    assert status.accepted == ("acme",)
    assert status.staged_images == ("own/fix.bin",)
    expecting.publish()
    assert {image.path for image in expecting.show().images} == {"brake/brake.bin", "own/fix.bin", "acme/lidar.bin"}


def test_the_bound_is_an_option(tmp_path: Path) -> None:
    repository = ImageRepository.create(tmp_path / "image")
    place = SupplierWorkspace.create(tmp_path / "acme", role="acme")
    (tmp_path / "lidar.bin").write_bytes(b"lidar firmware")
    place.add_image(tmp_path / "lidar.bin", "acme/lidar.bin", hardware_ids=["hw-9"], release_counter=1)
    place.sign()
    repository.delegate("acme", keys=[place.public_key_file], paths=["acme/*"])
    words = ["image", "accept", str(tmp_path / "image"), str(place.path / "outbox"), "--json"]
    answer = CliRunner().invoke(main, [*words, "--largest-image", "13"])
    assert answer.exit_code == 1
    assert "13 are allowed" in json.loads(answer.stdout)["error"]["message"]
    assert CliRunner().invoke(main, [*words, "--largest-image", "14"]).exit_code == 0
