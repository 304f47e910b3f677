"""A repository with one image, a clock that is turned by hand, and a vehicle that reads the store with our engine."""

from __future__ import annotations

import os
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from twinlock.repository.image_repository import ImageRepository
from twinlock.repository.suppliers.workspace import SupplierWorkspace

START = datetime(2030, 1, 1, 12, tzinfo=UTC)
FIRMWARE = b"brake firmware 1.0\n" * 1000


class HandClock:
    """A clock that stands still until it is turned."""

    def __init__(self) -> None:
        self.time = START

    def __call__(self) -> datetime:
        return self.time

    def turn(self, **by: float) -> None:
        self.time += timedelta(**by)


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def image_file(tmp_path: Path) -> Path:
    path = tmp_path / "brake.bin"
    path.write_bytes(FIRMWARE)
    return path


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test here takes the power away, so none waits for the disk; tests/faults does."""
    monkeypatch.setattr(os, "fsync", lambda _descriptor: None)


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty repository, and one with an image, made once; every test works on a copy."""
    directory = tmp_path_factory.mktemp("made")
    ImageRepository.create(directory / "empty", clock=HandClock())
    shutil.copytree(directory / "empty", directory / "filled")
    image = directory / "brake.bin"
    image.write_bytes(FIRMWARE)
    repository = ImageRepository.open(directory / "filled", clock=HandClock())
    repository.add_image(image, "brake/brake.bin", hardware_ids=["hw-7"], release_counter=3)
    repository.publish()
    return directory


@pytest.fixture
def repository(made: Path, tmp_path: Path, clock: HandClock) -> ImageRepository:
    shutil.copytree(made / "empty", tmp_path / "image")
    return ImageRepository.open(tmp_path / "image", clock=clock)


@pytest.fixture
def filled(made: Path, tmp_path: Path, clock: HandClock) -> ImageRepository:
    """A repository with one published image, ``brake/brake.bin`` for hw-7, release 3."""
    shutil.copytree(made / "filled", tmp_path / "image")
    return ImageRepository.open(tmp_path / "image", clock=clock)


class Acme:
    """The supplier acme, with a place of its own, who signs what it is told."""

    def __init__(self, directory: Path, clock: HandClock) -> None:
        self.clock = clock
        self.place = SupplierWorkspace.create(directory / "acme", role="acme", clock=clock)
        self.source = directory / "lidar.bin"
        self.source.write_bytes(b"lidar firmware")

    @property
    def outbox(self) -> Path:
        return self.place.path / "outbox"

    def sign(self, path: str = "acme/lidar.bin", *, hardware: str = "hw-9", counter: int = 1) -> int:
        listed = {image.path for image in self.place.show().images}
        self.place.add_image(
            self.source, path, hardware_ids=[hardware], release_counter=counter, replace=path in listed
        )
        return self.place.sign()


@pytest.fixture
def acme(tmp_path: Path, clock: HandClock) -> Acme:
    return Acme(tmp_path, clock)
