"""A damaged file in a supplier's place: the intact copy counts, and without one the error names the file and a remedy."""

from __future__ import annotations

import json
import shutil

import pytest

from tests.unit.repository.conftest import Acme
from twinlock.repository.suppliers.workspace import SupplierWorkspace
from twinlock.trust.errors.local import StorageError
from twinlock.trust.errors.metadata import MalformedError

DAMAGES = (b"", b"{}", b"\x00\xffgarbage", b'{"signatures": [], "signed": {"_type": "targ')


@pytest.mark.parametrize("damage", DAMAGES)
def test_the_record_replaces_a_damaged_outbox_file(acme: Acme, damage: bytes) -> None:
    acme.sign()
    handed_over = acme.outbox / "metadata/acme.json"
    handed_over.write_bytes(damage)
    assert [image.path for image in acme.place.show().images] == ["acme/lidar.bin"]
    assert acme.sign("acme/radar.bin") == 2
    assert set(json.loads(handed_over.read_bytes())["signed"]["targets"]) == {"acme/lidar.bin", "acme/radar.bin"}
    handed_over.write_bytes(damage)
    assert acme.place.rotate() == 3
    assert json.loads(handed_over.read_bytes())["signed"]["version"] == 3


@pytest.mark.parametrize("damage", DAMAGES)
def test_the_outbox_replaces_a_damaged_record(acme: Acme, damage: bytes) -> None:
    acme.sign()
    record = acme.place.path / "signed/acme.json"
    record.write_bytes(damage)
    assert acme.place.show().version == 1
    assert acme.place.sign() == 2
    assert record.read_bytes() == (acme.outbox / "metadata/acme.json").read_bytes()


@pytest.mark.parametrize("damage", DAMAGES)
def test_without_an_intact_copy_the_error_names_the_file_and_a_remedy(acme: Acme, damage: bytes) -> None:
    acme.sign()
    shutil.rmtree(acme.place.path / "signed")
    (acme.outbox / "metadata/acme.json").write_bytes(damage)
    for action in (acme.place.show, acme.place.sign, acme.place.rotate):
        with pytest.raises(StorageError, match=r"outbox/metadata/acme\.json.*restore it from a backup"):
            action()


def test_a_damaged_file_of_a_nested_supplier_is_named(acme: Acme) -> None:
    sub = SupplierWorkspace.create(acme.place.path.parent / "sub", role="sub", clock=acme.clock)
    sub.sign()
    (sub.path / "outbox/metadata/deep.json").write_bytes(b"{}")
    with pytest.raises(MalformedError, match="the file of deep in the outbox"):
        acme.place.delegate("sub", keys=[sub.public_key_file], paths=["acme/sub/*"], outbox=sub.path / "outbox")
