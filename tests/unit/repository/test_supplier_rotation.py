"""A supplier's keys are replaced: by the supplier, then by whoever delegates, and the old ones are worth nothing."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.unit.repository.conftest import Acme, HandClock
from twinlock.repository.image_repository import ImageRepository
from twinlock.repository.keys.keyring import KeyKind, KeyPlan
from twinlock.repository.suppliers.workspace import SupplierWorkspace
from twinlock.trust.errors.local import PassphraseError
from twinlock.trust.errors.metadata import ThresholdError


def delegate(repository: ImageRepository, acme: Acme) -> None:
    repository.delegate("acme", keys=[acme.place.public_key_file], paths=["acme/*"], hardware_ids=["hw-9"])


def keyids(place: SupplierWorkspace) -> set[str]:
    return {record.keyid for record in place.keyring.records(place.role)}


def test_the_whole_way(filled: ImageRepository, acme: Acme, tmp_path: Path) -> None:
    acme.sign()
    stolen = shutil.copytree(acme.place.path, tmp_path / "stolen")
    delegate(filled, acme)
    filled.accept(acme.outbox)
    filled.publish()

    before = keyids(acme.place)
    assert acme.place.rotate() == 2
    assert not keyids(acme.place) & before
    with pytest.raises(ThresholdError):  # nobody has delegated to the new keys yet
        filled.accept(acme.outbox)
    delegate(filled, acme)
    filled.accept(acme.outbox)
    filled.publish()
    assert "acme/lidar.bin" in {image.path for image in filled.show().images}

    thief = SupplierWorkspace.open(stolen, clock=acme.clock)
    assert thief.sign(above=9) == 10
    with pytest.raises(ThresholdError):
        filled.accept(stolen / "outbox")


def test_number_kind_and_passphrase_stay(tmp_path: Path, clock: HandClock) -> None:
    plan = KeyPlan(count=3, threshold=2, kind=KeyKind.ECDSA_P256)
    place = SupplierWorkspace.create(tmp_path / "p", role="acme", plan=plan, passphrase="TEST secret", clock=clock)
    place.sign()
    with pytest.raises(PassphraseError):
        SupplierWorkspace.open(tmp_path / "p", passphrase="wrong", clock=clock).rotate()
    assert keyids(SupplierWorkspace.open(tmp_path / "p")) == keyids(place)
    place.rotate()
    records = place.keyring.records("acme")
    assert [record.scheme for record in records] == ["ecdsa-sha2-nistp256"] * 3
    assert len(list((tmp_path / "p/keys/retired").glob("*.pem"))) == 3
    with pytest.raises(PassphraseError):
        SupplierWorkspace.open(tmp_path / "p", passphrase="wrong", clock=clock).sign()
    assert SupplierWorkspace.open(tmp_path / "p", passphrase="TEST secret", clock=clock).sign() == 3
