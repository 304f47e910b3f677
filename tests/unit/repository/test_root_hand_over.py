"""A Root chain for aktualizr that shares its keys with the tuf chain is handed over to Root keys of its own."""

from __future__ import annotations

import json
import shutil
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.unit.repository.conftest import START, HandClock
from tests.unit.repository.legacy_chain import begin_with_shared_keys
from tests.unit.repository.reading import AktualizrReader, Reader
from tests.unit.repository.test_publish import tree
from twinlock.repository.aktualizr import writer as aktualizr_writer
from twinlock.repository.errors import MissingKeysError
from twinlock.repository.image_repository import ImageRepository
from twinlock.repository.keys.keyring import KeyKind, KeyPlan, Keyring
from twinlock.repository.publishing.root_ceremony import RootChanges
from twinlock.repository.publishing.root_signing import sign_root
from twinlock.repository.workspace.state import read_state
from twinlock.trust.errors.base import UsageError
from twinlock.trust.errors.local import ProfileError, StorageError


def signed(repository: ImageRepository, name: str) -> dict[str, Any]:
    stored = repository.store.get(name, max_bytes=10**7)
    assert stored is not None, name
    content: dict[str, Any] = json.loads(stored.data)
    return content


def role(repository: ImageRepository, name: str, of: str = "root") -> set[str]:
    return set(signed(repository, name)["signed"]["roles"][of]["keyids"])


@pytest.fixture
def apart(filled: ImageRepository, monkeypatch: pytest.MonkeyPatch) -> ImageRepository:
    """Begun by an earlier version after two rotations: its Root 2 says what tuf Root 4 does, and the same keys sign both."""
    filled.rotate("timestamp")
    filled.rotate("snapshot", "timestamp")
    begin_with_shared_keys(filled, monkeypatch)
    assert filled.workspace.read_wires().aktualizr
    return filled


def test_deployed_vehicles_and_newcomers_follow_and_no_number_is_left(apart: ImageRepository) -> None:
    deployed = AktualizrReader(apart.store)
    deployed.refresh(START)
    assert deployed.trusted.root.signed.version == 1
    with pytest.raises(ProfileError) as caught:
        apart.rotate("targets")
    assert "--hand-over" in caught.value.reason
    publication = apart.hand_over()
    roots = {f"aktualizr/{number}.root.json" for number in (2, 3, 4)}
    assert {*roots, "4.root.json", "aktualizr/newcomer.root.json"} <= set(publication.files)
    for filler in (2, 3):  # today's keys, and never those that were once in force at that number
        for each in ("root", "targets", "snapshot", "timestamp"):
            assert role(apart, f"aktualizr/{filler}.root.json", each) == role(apart, "metadata/3.root.json", each)
    assert not role(apart, "aktualizr/4.root.json") & role(apart, "metadata/4.root.json")
    newcomer = AktualizrReader(apart.store)
    assert newcomer.trusted.root.signed.version == 4
    for reader in (deployed, newcomer, Reader(apart.store, apart.root_bytes(1))):
        assert reader.find("brake/brake.bin", START).entry is not None
        assert reader.trusted.root.signed.version == 4
    # From here on the two chains go on with equal numbers and other keys.
    apart.rotate("root", "targets")
    apart.rotate("root", plan=KeyPlan(kind=KeyKind.ECDSA_P256))
    for reader in (deployed, newcomer, AktualizrReader(apart.store)):
        assert reader.find("brake/brake.bin", START).entry is not None
        assert reader.trusted.root.signed.version == 6
    assert not apart.hand_over().changed


def test_old_root_keys_sign_for_stranded_vehicles_until_their_day(apart: ImageRepository, clock: HandClock) -> None:
    old = role(apart, "metadata/3.root.json")
    apart.hand_over(until=START.date() + timedelta(days=40))
    apart.rotate("root")
    held = {record.keyid for record in apart.keyring.records()}
    assert old <= held
    signers = {entry["keyid"] for entry in signed(apart, "aktualizr/5.root.json")["signatures"]}
    assert old <= signers
    clock.turn(days=41)
    apart.refresh()
    apart.rotate("root")
    assert not old & {record.keyid for record in apart.keyring.records()}
    signers = {entry["keyid"] for entry in signed(apart, "aktualizr/6.root.json")["signatures"]}
    assert not old & signers


def test_a_chain_with_equal_numbers_keeps_them_and_may_be_handed_over(
    filled: ImageRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin_with_shared_keys(filled, monkeypatch)
    filled.rotate("root", "targets")
    for each in ("root", "targets", "snapshot", "timestamp"):
        assert role(filled, "aktualizr/2.root.json", each) == role(filled, "metadata/2.root.json", each)
    with pytest.raises(ProfileError) as caught:  # until the hand-over that client has to be able to read our Root keys
        filled.rotate("root", plan=KeyPlan(kind=KeyKind.ECDSA_P256))
    assert caught.value.what == "root"
    filled.hand_over()
    assert not role(filled, "aktualizr/3.root.json") & role(filled, "metadata/3.root.json")
    filled.rotate("root", plan=KeyPlan(kind=KeyKind.ECDSA_P256))
    for reader in (AktualizrReader(filled.store), Reader(filled.store, filled.root_bytes(1))):
        assert reader.find("brake/brake.bin", START).trusted.root.signed.version == 4


def test_what_cannot_be_handed_over_says_so_and_changes_nothing(
    filled: ImageRepository, apart: ImageRepository
) -> None:
    before = tree(apart)
    with pytest.raises(UsageError):
        apart.hand_over(until=date(2029, 12, 31))
    for record in apart.keyring.records("root"):
        for path in record.files:
            path.unlink()
    with pytest.raises(MissingKeysError):
        apart.hand_over()
    assert tree(apart) == before


def test_without_the_profile_there_is_nothing_to_hand_over(filled: ImageRepository) -> None:
    with pytest.raises(UsageError):
        filled.hand_over()
    filled.publish_for_aktualizr()
    assert not filled.hand_over().changed


def test_a_death_before_the_publication_leaves_the_old_chain_and_repeating_finishes(
    apart: ImageRepository, clock: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    from twinlock.repository.publishing import publish as publishing

    def dies(*_: object) -> None:
        raise StorageError(path="publications", operation="write", reason="no space")

    with monkeypatch.context() as patch:
        patch.setattr(publishing, "publish_record", dies)
        with pytest.raises(StorageError):
            apart.hand_over()
    again = ImageRepository.open(apart.path, clock=clock)
    assert AktualizrReader(again.store).refresh(START).root.signed.version == 1
    keys = again.keyring.records("aktualizr-root")
    assert again.hand_over().changed
    assert again.keyring.records("aktualizr-root") == keys
    assert AktualizrReader(again.store).refresh(START).root.signed.version == 4


def test_the_hand_over_travels_where_root_keys_are_in_several_places(
    tmp_path: Path, clock: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository = ImageRepository.create(tmp_path / "image", keys={"root": KeyPlan(count=2, threshold=2)}, clock=clock)
    repository.rotate("timestamp")
    begin_with_shared_keys(repository, monkeypatch)
    repository.refresh(timedelta(days=3650))
    deployed = AktualizrReader(repository.store)
    deployed.refresh(START)
    medium = tmp_path / "medium"
    medium.mkdir()
    for path in repository.keyring.records("root")[0].files:
        shutil.move(path, medium / path.name)
    repository = ImageRepository.open(repository.path, clock=clock)
    with pytest.raises(MissingKeysError):
        repository.hand_over()
    travelling = tmp_path / "next.json"
    holder = Keyring(offline=tmp_path / "holder")
    public = holder.generate("root", kind=KeyKind.ED25519)[0].public_json()
    changes = RootChanges(add={"aktualizr-root": {public["keyid"]: public["key"]}}, thresholds={"aktualizr-root": 1})
    with pytest.raises(UsageError):
        repository.prepare_root(travelling, RootChanges(rotate={"targets": KeyPlan()}), for_aktualizr=True)
    view = repository.prepare_root(travelling, changes, for_aktualizr=True)
    assert view.keys["aktualizr-root"] == (public["keyid"],)
    assert view.missing == 1
    sign_root(travelling, Keyring(offline=medium), previous=repository.root_bytes())
    assert sign_root(travelling, holder, previous=repository.root_bytes()).missing == 0
    repository.publish_root(travelling)
    assert role(repository, "aktualizr/4.root.json") == {public["keyid"]}
    for reader in (deployed, AktualizrReader(repository.store)):
        assert reader.refresh(START).root.signed.version == 4
    assert aktualizr_writer.open_writer(read_state(repository.workspace)) is not None
