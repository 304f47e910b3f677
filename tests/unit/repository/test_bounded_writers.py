"""What is written is read again: a draft, a record or a ceremony that no later command could read is refused first."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.repository.conftest import Acme
from tests.unit.repository.test_accept import resign
from twinlock.io.files.durable import create_file, replace_file
from twinlock.repository.image_repository import ImageRepository
from twinlock.repository.store import publication_log
from twinlock.repository.workspace import draft
from twinlock.trust.errors.local import StorageError
from twinlock.trust.errors.metadata import LimitError

LIMIT = 60_000  # in place of hundreds of megabytes


@pytest.fixture
def expecting(filled: ImageRepository, acme: Acme) -> ImageRepository:
    """A repository that waits for acme, with work of its own staged."""
    filled.delegate("acme", keys=[acme.place.public_key_file], paths=["acme/*"], hardware_ids=["hw-9"])
    filled.add_image(acme.source, "own/own.bin", hardware_ids=["hw-7"], release_counter=1)
    acme.sign()
    return filled


def _swell(acme: Acme) -> None:
    """A note of backslashes, which a draft doubles twice."""
    resign(acme, lambda targets: targets.unrecognized_fields.update(custom={"note": "\\" * (LIMIT // 3)}))


def test_an_outbox_that_would_make_the_draft_unreadable(
    expecting: ImageRepository, acme: Acme, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(draft, "_MAX_DRAFT_BYTES", LIMIT)
    honest = (acme.outbox / "metadata/acme.json").read_bytes()
    _swell(acme)
    images = set(expecting.store.names("targets"))
    with pytest.raises(LimitError) as caught:
        expecting.accept(acme.outbox)
    assert caught.value.value > caught.value.limit == LIMIT
    assert set(expecting.store.names("targets")) == images, "nothing was stored"
    assert expecting.status().staged_images == ("own/own.bin",)
    (acme.outbox / "metadata/acme.json").write_bytes(honest)
    assert expecting.accept(acme.outbox) == ("acme",)
    assert expecting.publish().changed


def test_an_image_for_which_the_draft_has_no_room(
    expecting: ImageRepository, acme: Acme, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(draft, "_MAX_DRAFT_BYTES", expecting.workspace.draft_path.stat().st_size + 10)
    images = set(expecting.store.names("targets"))
    with pytest.raises(LimitError):
        expecting.add_image(acme.source, "own/more.bin", hardware_ids=["hw-7"], release_counter=1)
    assert set(expecting.store.names("targets")) == images
    assert expecting.publish().changed


def test_a_delegation_for_which_the_draft_has_no_room(
    expecting: ImageRepository, acme: Acme, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(draft, "_MAX_DRAFT_BYTES", expecting.workspace.draft_path.stat().st_size + 10)
    with pytest.raises(StorageError, match="are read"):
        expecting.delegate("bolt", keys=[acme.place.public_key_file], paths=["bolt/*"])
    assert expecting.publish().changed


def test_a_publication_that_no_reader_could_finish(
    expecting: ImageRepository, acme: Acme, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publication_log, "_MAX_RECORD_BYTES", LIMIT)
    _swell(acme)
    expecting.accept(acme.outbox)
    before = set(expecting.path.rglob("*"))
    with pytest.raises(LimitError):
        expecting.publish()
    assert set(expecting.path.rglob("*")) - before <= {expecting.path / "trusted/signing-clock.json"}
    expecting.undelegate("acme")
    assert ImageRepository.open(expecting.path, clock=acme.clock).publish().changed


def test_a_file_above_the_bound_of_its_reader_is_not_written(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    assert create_file(path, b"four", max_bytes=4)
    for write in (replace_file, create_file):
        with pytest.raises(StorageError, match="are read"):
            write(path, b"fives", max_bytes=4)
    assert path.read_bytes() == b"four"
