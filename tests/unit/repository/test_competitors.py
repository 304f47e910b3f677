"""Another publisher in the middle of our reading and judging: a conflict or the newer state, never a store tampered with."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.unit.repository.conftest import START, HandClock
from tests.unit.repository.reading import Reader
from twinlock.repository.errors import StoreTamperedError
from twinlock.repository.image_repository import ImageRepository
from twinlock.repository.publishing import profiles
from twinlock.repository.publishing.preflight import verify_candidate
from twinlock.repository.workspace import current as published
from twinlock.trust.errors.local import ConflictError


def interrupted(real: Callable[..., Any], competitor: Callable[[], Any]) -> Callable[..., Any]:
    """``real``, before whose first call ``competitor`` acts."""
    waiting = [competitor]

    def call(*arguments: Any, **options: Any) -> Any:
        if waiting:
            waiting.pop()()
        return real(*arguments, **options)

    return call


@pytest.fixture
def other(filled: ImageRepository, clock: HandClock) -> ImageRepository:
    """The same repository, opened by another process."""
    return ImageRepository.open(filled.path, clock=clock)


@pytest.mark.parametrize("role", ["timestamp", "snapshot"])
def test_a_rotation_while_a_candidate_is_judged_is_a_conflict(
    filled: ImageRepository, other: ImageRepository, image_file: Path, monkeypatch: pytest.MonkeyPatch, role: str
) -> None:
    filled.add_image(image_file, "brake/next.bin", hardware_ids=["hw-7"], release_counter=4)
    verify = interrupted(verify_candidate, lambda: other.rotate(role))
    monkeypatch.setattr(profiles, "verify_candidate", verify)
    with pytest.raises(ConflictError) as caught:
        filled.publish()
    assert caught.value.what == "the repository"
    filled.publish()
    reader = Reader(filled.store, filled.root_bytes(1))
    assert reader.find("brake/next.bin", START, "hw-7").entry is not None


def test_a_rotation_while_what_is_published_is_read_is_read_too(
    filled: ImageRepository, other: ImageRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = filled.show().publication
    read = interrupted(published.newest_root, lambda: other.rotate("timestamp"))
    monkeypatch.setattr(published, "newest_root", read)
    assert filled.show().publication == before + 1


def test_what_nobody_published_is_still_a_store_tampered_with(filled: ImageRepository) -> None:
    timestamp = filled.path / "public" / "metadata" / "timestamp.json"
    timestamp.write_bytes(timestamp.read_bytes().replace(b'"sig":"', b'"sig":"00'))
    with pytest.raises(StoreTamperedError):
        filled.publish()


def test_a_lost_race_leaves_the_profile_that_it_was_to_begin_off(
    filled: ImageRepository, other: ImageRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing was published for aktualizr, so nothing may wait for it: Timestamp is renewed as before."""

    def lose(*_: Any) -> None:
        raise ConflictError(what="the repository", reason="another publisher was first")

    before = filled.workspace.read_wires()
    with monkeypatch.context() as patched, pytest.raises(ConflictError):
        patched.setattr("twinlock.repository.publishing.publish.publish_record", lose)
        filled.publish_for_aktualizr()
    assert filled.workspace.read_wires() == before
    other.rotate("timestamp")
    assert filled.publish_for_aktualizr().changed
    assert filled.workspace.read_wires().aktualizr
