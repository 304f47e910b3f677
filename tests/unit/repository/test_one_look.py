"""One operation reads the configuration once and verifies what is published once, however many images are listed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from tests.counted_calls import counted
from tests.unit.repository.conftest import HandClock
from twinlock.repository.authoring.image_requests import ImageRequest
from twinlock.repository.image_repository import ImageRepository
from twinlock.repository.store.image_files import FileDigest, store_image
from twinlock.repository.store.interface import ObjectStore
from twinlock.repository.workspace import config
from twinlock.trust.errors.base import UsageError
from twinlock.trust.keys import signatures


def watched() -> AbstractContextManager[Counter[str]]:
    """How often signatures are counted, and the configuration is read, inside the block."""
    return counted(counts=signatures._count, configurations=config.read_config)


@pytest.fixture
def listed(filled: ImageRepository, tmp_path: Path) -> ImageRepository:
    """The repository with thirty more images that are published."""
    (tmp_path / "x.bin").write_bytes(b"x")
    requests = [
        ImageRequest(source=tmp_path / "x.bin", name=f"x/{n}.bin", hardware_ids=("hw-7",), release_counter=1)
        for n in range(30)
    ]
    assert all(result.image for result in filled.add_images(requests))
    filled.publish()
    return filled


def add(repository: ImageRepository, source: Path, path: str = "brake/next.bin", *, counter: int = 4) -> None:
    repository.add_image(source, path, hardware_ids=["hw-7"], release_counter=counter)


@pytest.mark.parametrize("fixture", ["filled", "listed"])
def test_adding_and_publishing_verify_what_is_published_once(
    request: pytest.FixtureRequest, image_file: Path, clock: HandClock, fixture: str
) -> None:
    path = request.getfixturevalue(fixture).path
    with watched() as opening:
        repository = ImageRepository.open(path, clock=clock)
    assert opening == {"counts": 4, "configurations": 1}  # one for each file: Root, Timestamp, Snapshot, Targets
    with watched() as adding:
        add(repository, image_file)
    assert adding == {"configurations": 1}  # the store holds what was verified when it was opened
    with watched() as publishing:
        repository.publish()
    # A new vehicle reads four files, one that followed three, and three are new in the store afterwards.
    assert publishing == {"counts": 10, "configurations": 1}


def test_many_images_are_one_operation(filled: ImageRepository, image_file: Path) -> None:
    requests = [
        ImageRequest(source=image_file, name=f"many/{n}.bin", hardware_ids=("hw-7",), release_counter=1)
        for n in range(20)
    ]
    with watched() as adding:
        assert all(result.image for result in filled.add_images(requests))
    assert adding == {"configurations": 1}


def test_another_process_that_publishes_is_seen_by_the_next_operation(
    filled: ImageRepository, image_file: Path, clock: HandClock
) -> None:
    other = ImageRepository.open(filled.path, clock=clock)
    add(other, image_file)
    other.publish()
    with watched() as adding, pytest.raises(UsageError):
        add(filled, image_file, counter=3)
    assert adding == {"counts": 3, "configurations": 1}  # the Root is the one that was verified before


def after_the_bytes(competitor: Callable[[], object], monkeypatch: pytest.MonkeyPatch) -> None:
    """Let ``competitor`` act once, between the storing of an image and the staging of its entry."""
    waiting = [competitor]

    def storing(store: ObjectStore, source: Path, path: str, measured: FileDigest) -> None:
        store_image(store, source, path, measured)
        if waiting:
            waiting.pop()()

    monkeypatch.setattr("twinlock.repository.authoring.image_sources.store_image", storing)


def test_what_another_process_published_while_bytes_were_stored_counts(
    filled: ImageRepository, image_file: Path, clock: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other one's edit is no longer in the draft, so the draft alone would let the release counter fall."""
    other = ImageRepository.open(filled.path, clock=clock)

    def publish_release_nine() -> None:
        add(other, image_file, counter=9)
        other.publish()

    after_the_bytes(publish_release_nine, monkeypatch)
    with pytest.raises(UsageError):
        add(filled, image_file, counter=4)
    assert filled.status().staged_images == ()
