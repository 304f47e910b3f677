"""The end of a ceremony: what the file that is given may lack, and what is changed when."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tuf.api.metadata import Metadata, Root

from twinlock.director.director import Director
from twinlock.director.model.settings import Settings
from twinlock.repository.errors import RootCompleteError
from twinlock.repository.image_repository import ImageRepository
from twinlock.repository.keys.keyring import KeyPlan, Keyring
from twinlock.repository.publishing.root_cancelling import CancelledRoot, cancel_prepared
from twinlock.repository.publishing.root_ceremony import RootChanges
from twinlock.repository.publishing.root_signing import sign_root
from twinlock.repository.workspace.prepared_root import PreparedRoot
from twinlock.trust.errors.base import UsageError
from twinlock.trust.errors.local import ConflictError

TWO = {"root": KeyPlan(count=2, threshold=2)}


class Ceremony:
    """A repository of either kind, in both profiles, whose next Root is prepared and signed by the second key elsewhere."""

    def __init__(self, kind: str, directory: Path) -> None:
        self.kind, self.path, self.file = kind, directory / "here", directory / "next.json"
        site = ImageRepository.create(
            self.path if kind == "image" else directory / "site", wires=("aktualizr",), keys=TWO
        )
        if kind == "director":
            both, root = Settings(wires=("tuf", "aktualizr")), site.root_bytes(1)
            Director.create(self.path, image_root=root, image_url=str(site.path), settings=both, keys=TWO).close()
        medium = directory / "medium"
        medium.mkdir()
        for role in ("root", "aktualizr-root"):
            second = sorted((self.path / "keys/offline").glob(f"{role}.*.json"))[-1]
            for path in (second, second.with_suffix(".pem")):
                path.rename(medium / path.name)
        self._prepare()
        view = sign_root(self.file, Keyring(offline=medium))
        assert view.missing == 0

    def _prepare(self) -> None:
        if self.kind == "image":
            ImageRepository.open(self.path).prepare_root(self.file, RootChanges())
            return
        with Director.open(self.path) as director:
            director.prepare_root(self.file, {})

    def root_bytes(self) -> bytes:
        if self.kind == "image":
            return ImageRepository.open(self.path).root_bytes()
        with Director.open(self.path) as director:
            return director.root_bytes()

    def cancel(self) -> CancelledRoot:
        if self.kind == "image":
            return ImageRepository.open(self.path).cancel_root(self.file)
        with Director.open(self.path) as director:
            return director.cancel_root(self.file)


@pytest.fixture(params=["image", "director"])
def ceremony(request: pytest.FixtureRequest, tmp_path: Path) -> Ceremony:
    return Ceremony(request.param, tmp_path)


def _without_member(body: dict[str, Any]) -> None:
    del body["aktualizr"]


def _without_fields(body: dict[str, Any]) -> None:
    body["aktualizr"]["before"]["threshold"] = 1


def test_nothing_changes_before_a_cancelling_is_recorded(ceremony: Ceremony) -> None:
    """An audit that cannot be written ends it: the copy that is kept and the keys stay as they were."""
    prepared = PreparedRoot(ceremony.path)
    current = Metadata[Root].from_bytes(ceremony.root_bytes()).signed
    expired = Metadata[Root].from_file(str(ceremony.file)).signed.expires
    ring = Keyring(offline=ceremony.path / "keys/offline", online=ceremony.path / "keys/online")
    before = _files(ceremony.path)

    def record(cancelled: CancelledRoot) -> None:
        assert cancelled.root == 2
        assert _files(ceremony.path) == before
        raise ConflictError(what="the audit", reason="another process writes it")

    with prepared.alone(), pytest.raises(ConflictError):
        cancel_prepared(prepared, ceremony.file, current, ring, now=expired, used=(), record=record)
    assert _files(ceremony.path) == before


def _files(directory: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in directory.rglob("*") if path.is_file()}


@pytest.mark.parametrize("change", [_without_member, _without_fields])
def test_a_file_whose_other_form_was_changed_cancels_nothing(ceremony: Ceremony, change: Any) -> None:
    """Its signatures cannot be counted, and it may be complete: the whole copy still is, and is published instead."""
    whole = ceremony.file.read_bytes()
    body = json.loads(whole)
    change(body)
    ceremony.file.write_text(json.dumps(body))
    kept = PreparedRoot(ceremony.path).path.read_bytes()
    with pytest.raises(UsageError, match="its member `aktualizr` was changed or removed"):
        ceremony.cancel()
    assert PreparedRoot(ceremony.path).path.read_bytes() == kept
    ceremony.file.write_bytes(whole)
    with pytest.raises(RootCompleteError):
        ceremony.cancel()
