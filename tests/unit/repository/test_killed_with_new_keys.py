"""A process that is killed with new Root keys of the aktualizr profile on the disk leaves a record of them, whatever made them."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.unit.repository.conftest import START, HandClock
from tests.unit.repository.legacy_chain import begin_with_shared_keys
from tests.unit.repository.reading import AktualizrReader
from twinlock.repository.image_repository import ImageRepository
from twinlock.repository.keys.keyring import KeyPlan, Keyring
from twinlock.repository.publishing.root_ceremony import RootChanges
from twinlock.trust.names import ROOT

OWN_ROOT = "aktualizr-root"
KILLED = 77


def killed_at(target: str, work: Callable[[], object], monkeypatch: pytest.MonkeyPatch, *, calls: int = 1) -> int:
    """Do ``work`` in a child that is killed at the ``calls``-th call of ``target``; returns its exit status."""
    child = os.fork()
    if child == 0:
        left = calls
        real = _resolve(target)

        def dies(*arguments: object, **options: object) -> object:
            nonlocal left
            left -= 1
            if left == 0:
                os._exit(KILLED)
            return real(*arguments, **options)

        monkeypatch.setattr(target, dies)
        try:
            work()
        finally:
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _resolve(target: str) -> Callable[..., object]:
    module, _, name = target.rpartition(".")
    found: Callable[..., object] = getattr(__import__(module, fromlist=[name]), name)
    return found


def private_keys(repository: ImageRepository) -> set[str]:
    folder = repository.path / "keys/offline"
    return {path.name for path in folder.glob(f"{OWN_ROOT}.*.pem")}


def recorded(repository: ImageRepository) -> set[str]:
    """The files that the records of new keys name."""
    records = [json.loads(path.read_bytes()) for path in (repository.path / "keys/offline").glob(".new-keys-*")]
    return {name for record in records for names in record.values() for name in names}


@pytest.mark.parametrize(
    ("target", "calls"),
    [
        ("twinlock.repository.publishing.publish.publish_record", 1),
        ("twinlock.repository.keys.keyring.write_private_key", 1),
        ("twinlock.repository.keys.keyring.create_file", 2),
    ],
)
def test_turning_the_profile_on(
    filled: ImageRepository, clock: HandClock, monkeypatch: pytest.MonkeyPatch, target: str, calls: int
) -> None:
    filled.rotate("root", plan=KeyPlan(count=2))
    status = killed_at(target, filled.publish_for_aktualizr, monkeypatch, calls=calls)
    assert status == KILLED
    assert private_keys(filled) <= recorded(filled)
    again = ImageRepository.open(filled.path, clock=clock)
    assert again.publish_for_aktualizr().changed
    reader = AktualizrReader(again.store)
    reader.refresh(START)
    named = set(reader.trusted.root.signed.roles[ROOT].keyids)
    assert {record.keyid for record in again.keyring.records(OWN_ROOT)} == named
    ImageRepository.open(filled.path, clock=clock).refresh()
    assert len(private_keys(again)) == 2
    assert not recorded(again)


def test_handing_the_chain_over(filled: ImageRepository, clock: HandClock, monkeypatch: pytest.MonkeyPatch) -> None:
    filled.rotate("timestamp")
    begin_with_shared_keys(filled, monkeypatch)
    target = "twinlock.repository.publishing.publish.publish_record"
    assert killed_at(target, filled.hand_over, monkeypatch) == KILLED
    assert private_keys(filled)
    assert private_keys(filled) <= recorded(filled)
    again = ImageRepository.open(filled.path, clock=clock)
    assert again.hand_over().changed
    assert len(private_keys(again)) == 1


def test_preparing_the_first_root_for_aktualizr(
    filled: ImageRepository, tmp_path: Path, clock: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def prepare() -> None:
        filled.prepare_root(tmp_path / "next.json", RootChanges(), for_aktualizr=True)

    assert killed_at("twinlock.repository.publishing.root_ceremony.begin_ceremony", prepare, monkeypatch) == KILLED
    assert private_keys(filled)
    assert private_keys(filled) <= recorded(filled)
    ImageRepository.open(filled.path, clock=clock).refresh()
    assert not private_keys(filled)


def test_creating_with_the_profile(tmp_path: Path, clock: HandClock, monkeypatch: pytest.MonkeyPatch) -> None:
    def create() -> ImageRepository:
        return ImageRepository.create(tmp_path / "image", wires=["aktualizr"], clock=clock)

    target = "twinlock.repository.publishing.publish.publish_record"
    assert killed_at(target, create, monkeypatch) == KILLED
    folder = tmp_path / "image/keys/offline"
    made = {path.name for path in folder.glob("*.pem")}
    left = [json.loads(path.read_bytes()) for path in folder.glob(".new-keys-*")]
    assert made
    assert made <= {name for record in left for names in record.values() for name in names}
    repository = create()
    assert {record.role for record in Keyring(offline=folder).records()} == {"root", "targets", OWN_ROOT}
    assert AktualizrReader(repository.store).refresh(START).root.signed.version == 1
