"""A store that somebody changed: nothing of it is believed, and nothing is signed on top of it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from twinlock.repository.errors import StoreTamperedError
from twinlock.repository.image_repository import ImageRepository


def metadata(repository: ImageRepository, name: str) -> Path:
    return repository.path / "public" / "metadata" / name


def edit(path: Path, change: Callable[[dict[str, object]], object]) -> None:
    body = json.loads(path.read_bytes())
    change(body["signed"])
    path.write_text(json.dumps(body))


@pytest.mark.parametrize("name", ["timestamp.json", "2.snapshot.json", "2.targets.json"])
def test_a_changed_file_stops_everything(filled: ImageRepository, image_file: Path, name: str) -> None:
    edit(metadata(filled, name), lambda signed: signed.update(extra=1))
    with pytest.raises(StoreTamperedError):
        ImageRepository.open(filled.path)
    with pytest.raises(StoreTamperedError):
        filled.add_image(image_file, "b.bin", hardware_ids=["hw-7"], release_counter=1)
    with pytest.raises(StoreTamperedError):
        filled.rotate("timestamp")


@pytest.mark.parametrize("name", ["2.snapshot.json", "2.targets.json"])
def test_a_missing_file_is_put_back_from_the_log_and_without_it_stops_everything(
    filled: ImageRepository, name: str
) -> None:
    data = metadata(filled, name).read_bytes()
    metadata(filled, name).unlink()
    filled.refresh()
    assert metadata(filled, name).read_bytes() == data
    metadata(filled, name).unlink()
    (filled.path / "public/publications/2.json").unlink()
    with pytest.raises(StoreTamperedError) as caught:
        ImageRepository.open(filled.path)
    assert name in caught.value.reason


def test_a_store_that_went_back_in_time_is_noticed(filled: ImageRepository, image_file: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(filled.path / "public", copy)
    filled.add_image(image_file, "b.bin", hardware_ids=["hw-7"], release_counter=1)
    filled.publish()
    filled.show()
    shutil.rmtree(filled.path / "public")
    shutil.copytree(copy, filled.path / "public")
    with pytest.raises(StoreTamperedError) as caught:
        ImageRepository.open(filled.path)
    assert "timestamp 2" in caught.value.reason


def test_an_emptied_store_is_not_taken_for_a_new_repository(filled: ImageRepository) -> None:
    shutil.rmtree(filled.path / "public")
    with pytest.raises(StoreTamperedError):
        ImageRepository.open(filled.path)
    with pytest.raises(StoreTamperedError):
        ImageRepository.create(filled.path)


def test_another_repository_in_its_place_is_not_believed(filled: ImageRepository, tmp_path: Path) -> None:
    other = ImageRepository.create(tmp_path / "other")
    shutil.rmtree(filled.path / "public")
    shutil.copytree(other.path / "public", filled.path / "public")
    with pytest.raises(StoreTamperedError):
        ImageRepository.open(filled.path)


def test_a_forged_publication_record_is_not_believed(filled: ImageRepository, tmp_path: Path) -> None:
    other = ImageRepository.create(tmp_path / "other")
    other.rotate("timestamp")
    other.rotate("timestamp")
    shutil.copy(other.path / "public/publications/3.json", filled.path / "public/publications/3.json")
    with pytest.raises(StoreTamperedError):
        ImageRepository.open(filled.path)


@pytest.mark.parametrize(
    "change",
    [
        {"files": {"../../config.json": "x", "metadata/timestamp.json": "x"}},
        {"files": {"targets/x": "x", "metadata/timestamp.json": "x"}},
        {"files": {}},
        {"version": 7},
        {"format": "x"},
    ],
)
def test_a_record_that_is_no_record_is_refused(filled: ImageRepository, change: dict[str, object]) -> None:
    record = json.loads((filled.path / "public/publications/2.json").read_bytes())
    forged = {**record, "version": 3, **change}
    (filled.path / "public/publications/3.json").write_text(json.dumps(forged))
    config = (filled.path / "config.json").read_bytes()
    with pytest.raises(StoreTamperedError):
        ImageRepository.open(filled.path)
    assert (filled.path / "config.json").read_bytes() == config


def test_a_file_somebody_put_in_the_way_is_not_overwritten(filled: ImageRepository, image_file: Path) -> None:
    filled.add_image(image_file, "b.bin", hardware_ids=["hw-7"], release_counter=1)
    metadata(filled, "3.targets.json").write_text("squatter")
    with pytest.raises(StoreTamperedError) as caught:
        filled.publish()
    assert "3.targets.json" in caught.value.reason
    assert metadata(filled, "3.targets.json").read_text() == "squatter"
    metadata(filled, "3.targets.json").unlink()
    assert filled.publish().version == 3
