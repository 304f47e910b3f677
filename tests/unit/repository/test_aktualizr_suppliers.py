"""Suppliers of a repository that publishes for aktualizr too: both forms in the outbox, signed by the same keys."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.unit.repository.conftest import START, Acme, HandClock
from tests.unit.repository.reading import AktualizrReader, Reader
from tests.unit.repository.test_publish import tree
from twinlock.repository.authoring.delegations import AuthoredDelegation, Member
from twinlock.repository.image_repository import ImageRepository
from twinlock.repository.keys.keyring import KeyKind, KeyPlan
from twinlock.repository.keys.public_keys import read_key_files
from twinlock.repository.suppliers.workspace import SupplierWorkspace
from twinlock.trust.errors.local import ProfileError
from twinlock.trust.errors.metadata import ThresholdError


@pytest.fixture
def both(filled: ImageRepository) -> ImageRepository:
    filled.publish_for_aktualizr()
    return filled


def delegate(repository: ImageRepository, acme: Acme) -> None:
    repository.delegate("acme", keys=[acme.place.public_key_file], paths=["acme/**"], hardware_ids=["hw-9"])


def found_by_both(repository: ImageRepository, path: str) -> bool:
    readers = (AktualizrReader(repository.store), Reader(repository.store, repository.root_bytes(1)))
    entries = [reader.find(path, START, "hw-9").entry for reader in readers]
    assert (entries[0] is None) == (entries[1] is None)
    return entries[0] is not None


@pytest.mark.parametrize("pattern", ["acme/*", "acme/" + "*a" * 40], ids=["deeper under fnmatch", "stars"])
def test_an_outbox_that_delegates_by_a_pattern_which_aktualizr_reads_otherwise(
    both: ImageRepository, acme: Acme, tmp_path: Path, pattern: str
) -> None:
    """The supplier's own tool refuses to write it; another one, or an older place, does not."""
    sub = SupplierWorkspace.create(tmp_path / "sub", role="sub", clock=acme.clock)
    sub.sign_for_aktualizr()
    sub.sign()
    delegate(both, acme)
    acme.place.delegate("sub", keys=[sub.public_key_file], paths=[pattern], outbox=sub.path / "outbox")
    acme.place.sign_for_aktualizr()
    acme.sign()
    before = tree(both)
    with pytest.raises(ProfileError) as caught:
        both.accept(acme.outbox)
    assert (caught.value.what, pattern[:20] in caught.value.reason) == ("sub", True)
    assert tree(both) == before


def test_what_a_supplier_signed_in_both_forms_is_found_in_both(both: ImageRepository, acme: Acme) -> None:
    acme.place.sign_for_aktualizr()
    acme.sign("acme/lidar-1.bin")
    delegate(both, acme)
    assert both.accept(acme.outbox) == ("acme",)
    both.publish()
    reader = AktualizrReader(both.store)
    entry = reader.find("acme/lidar-1.bin", START, "hw-9").entry
    assert entry is not None
    assert entry.must_agree == {"hardwareIds": ["hw-9"], "releaseCounter": 1}
    assert "delegations/acme.json" in reader.asked
    assert found_by_both(both, "acme/lidar-1.bin")
    acme.place.add_image(acme.source, "acme/lidar-2.bin", hardware_ids=["hw-9"], release_counter=2)
    acme.place.sign()
    both.accept(acme.outbox)
    both.publish()
    assert reader.find("acme/lidar-2.bin", START, "hw-9").entry is not None


def test_an_outbox_with_one_form_only_is_refused(both: ImageRepository, acme: Acme) -> None:
    acme.sign()
    delegate(both, acme)
    with pytest.raises(ProfileError) as caught:
        both.accept(acme.outbox)
    assert caught.value.what == "acme"
    assert "supplier wire" in caught.value.reason
    assert both.status().accepted == ()


def test_forms_that_do_not_say_the_same_are_refused(both: ImageRepository, acme: Acme) -> None:
    acme.place.sign_for_aktualizr()
    acme.sign("acme/lidar-1.bin")
    before = (acme.outbox / "aktualizr/acme.json").read_bytes()
    acme.sign("acme/lidar-2.bin")
    delegate(both, acme)
    (acme.outbox / "aktualizr/acme.json").write_bytes(before)
    with pytest.raises(ProfileError):
        both.accept(acme.outbox)
    changed = json.loads((acme.outbox / "metadata/acme.json").read_bytes())["signed"]["version"]
    (acme.outbox / "aktualizr/acme.json").write_bytes(before.replace(b'"version":1', b'"version":%d' % changed))
    with pytest.raises(ThresholdError):
        both.accept(acme.outbox)


def test_turning_it_on_where_suppliers_sign(filled: ImageRepository, acme: Acme) -> None:
    """The published file of acme is in one form; its owner signs it again, in both."""
    acme.sign("acme/lidar-1.bin")
    delegate(filled, acme)
    filled.accept(acme.outbox)
    filled.publish()
    before = tree(filled)
    with pytest.raises(ProfileError) as caught:
        filled.publish_for_aktualizr()
    assert caught.value.what == "acme"
    assert tree(filled) == before
    acme.place.sign_for_aktualizr()
    acme.place.sign()
    assert filled.accept(acme.outbox) == ("acme",)
    filled.publish_for_aktualizr()
    assert found_by_both(filled, "acme/lidar-1.bin")


def test_a_form_that_came_too_early_is_accepted_once_more(filled: ImageRepository, acme: Acme) -> None:
    """The owner published while the profile was off; the same outbox still has what is missing."""
    acme.place.sign_for_aktualizr()
    acme.sign("acme/lidar-1.bin")
    delegate(filled, acme)
    filled.accept(acme.outbox)
    filled.publish()
    assert filled.accept(acme.outbox) == ("acme",)
    filled.publish_for_aktualizr()
    assert found_by_both(filled, "acme/lidar-1.bin")
    assert filled.accept(acme.outbox) == ()


def test_a_pattern_that_aktualizr_reads_otherwise_is_refused_where_it_is_written(
    filled: ImageRepository, acme: Acme
) -> None:
    """``acme/*`` fits ``acme/sub/fw.bin`` there and not here, so in one profile the supplier would have a right too many."""
    acme.place.sign_for_aktualizr()
    acme.sign("acme/lidar-1.bin")
    key = [acme.place.public_key_file]
    filled.delegate("acme", keys=key, paths=["acme/*"])
    filled.accept(acme.outbox)
    filled.publish()
    with pytest.raises(ProfileError) as caught:
        filled.publish_for_aktualizr()
    assert caught.value.what == "acme"
    assert "'acme/*'" in caught.value.reason
    assert not filled.workspace.read_wires().aktualizr
    filled.delegate("acme", keys=key, paths=["acme/**"])
    acme.place.sign()
    filled.accept(acme.outbox)
    filled.publish_for_aktualizr()
    assert found_by_both(filled, "acme/lidar-1.bin")
    with pytest.raises(ProfileError):
        filled.delegate("acme", keys=key, paths=["acme/*"])
    with pytest.raises(ProfileError):
        acme.place.delegate("sub", keys=key, paths=["acme/sub/*"], outbox=acme.outbox)
    assert filled.status().staged_delegations == ()


def test_a_supplier_of_a_supplier(both: ImageRepository, acme: Acme, tmp_path: Path, clock: HandClock) -> None:
    sub = SupplierWorkspace.create(tmp_path / "sub", role="sub", clock=clock)
    sub.add_image(acme.source, "acme/sub/chip-1.bin", hardware_ids=["hw-9"], release_counter=1)
    sub.sign()
    acme.place.sign_for_aktualizr()
    options = {"keys": [sub.public_key_file], "paths": ["acme/sub/**"], "outbox": sub.path / "outbox"}
    with pytest.raises(ProfileError):
        acme.place.delegate("sub", **options)  # type: ignore[arg-type]
    sub.sign_for_aktualizr()
    sub.sign()
    acme.place.delegate("sub", **options)  # type: ignore[arg-type]
    acme.place.sign()
    both.delegate("acme", keys=[acme.place.public_key_file], paths=["acme/**"], hardware_ids=["hw-9"])
    both.accept(acme.outbox)
    both.publish()
    assert found_by_both(both, "acme/sub/chip-1.bin")


@pytest.mark.parametrize(
    ("name", "plan"), [("acme", KeyPlan(kind=KeyKind.ECDSA_P256)), ("acme corp", KeyPlan()), ("Targets", KeyPlan())]
)
def test_a_place_that_clients_could_not_use_is_not_made(tmp_path: Path, name: str, plan: KeyPlan) -> None:
    with pytest.raises(ProfileError):
        SupplierWorkspace.create(tmp_path / "acme", role=name, plan=plan, wires=["aktualizr"])
    assert not (tmp_path / "acme").exists()


def test_signing_for_aktualizr_with_keys_that_it_cannot_read(tmp_path: Path) -> None:
    place = SupplierWorkspace.create(tmp_path / "acme", role="acme", plan=KeyPlan(kind=KeyKind.ECDSA_P256))
    with pytest.raises(ProfileError):
        place.sign_for_aktualizr()
    assert not SupplierWorkspace.open(place.path).wires.aktualizr


def test_a_supplier_keeps_a_name_for_the_bytes_that_it_signed(acme: Acme) -> None:
    acme.place.sign_for_aktualizr()
    acme.sign("acme/lidar-1.bin")
    acme.source.write_bytes(b"other")
    with pytest.raises(ProfileError) as caught:
        acme.sign("acme/lidar-1.bin", counter=2)
    assert "put a version into the name" in caught.value.reason


def test_the_owner_keeps_it_when_the_supplier_forgets(both: ImageRepository, acme: Acme) -> None:
    acme.place.sign_for_aktualizr()
    acme.sign("acme/lidar-1.bin")
    delegate(both, acme)
    both.accept(acme.outbox)
    both.publish()
    acme.place.remove_image("acme/lidar-1.bin")
    acme.place.sign()
    acme.source.write_bytes(b"other")
    acme.sign("acme/lidar-1.bin", counter=2)
    with pytest.raises(ProfileError) as caught:
        both.accept(acme.outbox)
    assert caught.value.what == "acme/lidar-1.bin"


@pytest.mark.parametrize("way", ["ecdsa", "name", "prefixes", "several"])
def test_delegations_that_the_client_does_not_know_are_refused_when_staged(
    both: ImageRepository, tmp_path: Path, way: str
) -> None:
    kind = KeyKind.ECDSA_P256 if way == "ecdsa" else KeyKind.ED25519
    place = SupplierWorkspace.create(tmp_path / "acme", role="acme", plan=KeyPlan(kind=kind))
    keys = read_key_files([place.public_key_file])
    members = [Member(name="acme corp" if way == "name" else "acme", keys=keys)]
    if way == "several":
        members.append(Member(name="other", keys=keys))
    names: Any = {"path_hash_prefixes": ("ab",)} if way == "prefixes" else {"paths": ("acme/*",)}
    with pytest.raises(ProfileError):
        both.stage_delegation(AuthoredDelegation(members=tuple(members), **names))
    assert both.status().staged_delegations == ()


def test_a_supplier_that_rotates_signs_both_forms_with_the_new_keys(both: ImageRepository, acme: Acme) -> None:
    acme.place.sign_for_aktualizr()
    acme.sign("acme/lidar-1.bin")
    delegate(both, acme)
    both.accept(acme.outbox)
    both.publish()
    followed = AktualizrReader(both.store)
    followed.refresh(START)
    acme.place.rotate()
    delegate(both, acme)
    both.accept(acme.outbox)
    both.publish()
    assert followed.find("acme/lidar-1.bin", START, "hw-9").entry is not None


def test_a_signing_cut_off_between_the_forms_is_repeated(both: ImageRepository, acme: Acme) -> None:
    acme.place.sign_for_aktualizr()
    acme.sign("acme/lidar-1.bin")
    first = (acme.outbox / "metadata/acme.json").read_bytes()
    acme.sign("acme/lidar-2.bin")
    (acme.outbox / "metadata/acme.json").write_bytes(first)  # the other form is version 2 already
    delegate(both, acme)
    with pytest.raises(ProfileError):
        both.accept(acme.outbox)
    acme.place.sign()
    both.accept(acme.outbox)
    both.publish()
    assert found_by_both(both, "acme/lidar-1.bin")
    shutil.rmtree(acme.outbox)
