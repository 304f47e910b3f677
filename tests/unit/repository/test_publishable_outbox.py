"""What is accepted can be published: a supplier's file is read as a vehicle reads it, and searched, before it is staged."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from securesystemslib.signer import Signer
from tuf.api.metadata import Metadata, Targets

from tests.unit.repository.conftest import START, Acme
from tests.unit.repository.reading import Reader
from tests.unit.repository.test_accept import refused
from twinlock.repository.image_repository import ImageRepository
from twinlock.repository.suppliers.workspace import SupplierWorkspace
from twinlock.repository.workspace.draft import editing_draft
from twinlock.trust.errors.base import TwinlockError, UsageError
from twinlock.trust.errors.metadata import LimitError, MalformedError
from twinlock.trust.names import role_file
from twinlock.trust.wire.json.olpc import encode_canonical

AGREED = {"hardwareIds": ["hw-9"], "releaseCounter": 1}
DEEP = json.loads("[" * 20 + "]" * 20)


@pytest.fixture
def expecting(filled: ImageRepository, acme: Acme) -> ImageRepository:
    filled.delegate("acme", keys=[acme.place.public_key_file], paths=["acme/*"], hardware_ids=["hw-9"])
    return filled


def sign_body(acme: Acme, signed: dict[str, Any]) -> None:
    """Put a body that no library would write into the outbox, signed with acme's own key."""
    (record,) = acme.place.keyring.records()
    signer: Signer = next(iter(acme.place.keyring.signers([record.keyid])))
    signature = signer.sign(encode_canonical(signed)).signature
    body = {"signatures": [{"keyid": record.keyid, "sig": signature}], "signed": signed}
    (acme.outbox / "metadata" / "acme.json").write_text(json.dumps(body))


def body_of(acme: Acme) -> dict[str, Any]:
    body: dict[str, Any] = json.loads((acme.outbox / "metadata" / "acme.json").read_bytes())["signed"]
    return body


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({"custom": {"mustAgree": {**AGREED, "releaseCounter": True}}}, MalformedError),
        ({"custom": {"mustAgree": {**AGREED, "releaseCounter": "1"}}}, MalformedError),
        ({"custom": {"mustAgree": {**AGREED, "hardwareIds": ["hw-9"] * 5000}}}, LimitError),
        ({"custom": {"mustAgree": AGREED, "releaseCounter": 1}}, MalformedError),
        ({"custom": {"mustAgree": AGREED, "ecuIdentifiers": [[[1]]]}}, MalformedError),
        ({"custom": {"mustAgree": AGREED, "junk": DEEP}}, MalformedError),
        ({"custom": {"mustAgree": {**AGREED, "hardwareIds": ["hw-9", 5]}}}, MalformedError),
        ({"length": True}, MalformedError),
        ({"length": "2"}, MalformedError),
        ({"length": -2}, MalformedError),
    ],
)
def test_an_entry_that_a_vehicle_cannot_read(
    expecting: ImageRepository, acme: Acme, change: dict[str, Any], kind: type[TwinlockError]
) -> None:
    acme.source.write_bytes(b"x")
    acme.sign()
    honest = body_of(acme)
    hostile = json.loads(json.dumps(honest))
    hostile["targets"]["acme/lidar.bin"].update(change)
    sign_body(acme, hostile)
    error = refused(expecting, acme.outbox, kind)
    assert "acme/lidar.bin" in str(error)
    sign_body(acme, honest)
    expecting.accept(acme.outbox)
    assert expecting.status().unpublishable is None
    expecting.publish()
    assert Reader(expecting.store, expecting.root_bytes(1)).find("acme/lidar.bin", START).entry is not None


def spoil_draft(repository: ImageRepository, acme: Acme) -> None:
    """Stage a file that an earlier version accepted, and that no vehicle can read."""
    honest = body_of(acme)
    hostile = {**honest, "version": honest["version"] + 5}
    hostile["targets"] = {"acme/lidar.bin": {**honest["targets"]["acme/lidar.bin"], "custom": {"mustAgree": AGREED}}}
    hostile["targets"]["acme/lidar.bin"]["custom"]["mustAgree"] = {**AGREED, "releaseCounter": True}
    path = acme.outbox / "metadata" / "acme.json"
    before = path.read_bytes()
    sign_body(acme, hostile)
    with editing_draft(repository.workspace.draft_path) as draft:
        draft.accepted["acme"] = path.read_text()
    path.write_bytes(before)


@pytest.mark.parametrize("is_published", [False, True])
def test_an_older_outbox_takes_out_what_cannot_be_published(
    expecting: ImageRepository, acme: Acme, is_published: bool
) -> None:
    acme.sign()
    expecting.accept(acme.outbox)
    if is_published:
        expecting.publish()
    spoil_draft(expecting, acme)
    problem = expecting.status().unpublishable
    assert problem is not None
    assert "releaseCounter" in problem
    with pytest.raises(MalformedError):
        expecting.publish()
    assert expecting.accept(acme.outbox) == ("acme",)
    assert expecting.status().unpublishable is None
    expecting.add_image(acme.source, "own/fix.bin", hardware_ids=["hw-7"], release_counter=1)
    expecting.publish()
    assert expecting.status().accepted == ()
    reader = Reader(expecting.store, expecting.root_bytes(1))
    assert reader.find("own/fix.bin", START).entry is not None
    assert reader.find("acme/lidar.bin", START).entry is not None


def test_a_newer_outbox_takes_out_what_cannot_be_published(expecting: ImageRepository, acme: Acme) -> None:
    acme.sign()
    spoil_draft(expecting, acme)
    acme.place.sign(above=20)
    assert expecting.accept(acme.outbox) == ("acme",)
    expecting.publish()
    stored = Metadata[Targets].from_bytes(expecting.store.get("metadata/21.acme.json", max_bytes=10**6).data)  # type: ignore[union-attr]
    assert stored.signed.version == 21


ODD_KEYS: list[dict[str, Any]] = [
    {"keytype": "rsa", "scheme": "x", "keyval": {"public": "-----BEGIN"}},
    {"keytype": "zzz", "scheme": "y", "keyval": {"public": "q"}},
    {"keytype": "rsa", "scheme": "x"},
    {"keytype": 5, "scheme": [], "keyval": {}},
]


@pytest.mark.parametrize("odd", ODD_KEYS)
def test_a_key_that_only_a_vehicle_ignores(expecting: ImageRepository, acme: Acme, odd: dict[str, Any]) -> None:
    acme.sign()
    (record,) = acme.place.keyring.records()
    role = {"name": "sub", "keyids": [record.keyid], "threshold": 1, "terminating": False, "paths": ["acme/sub/*"]}
    body = body_of(acme)
    keys = {record.keyid: record.public_json()["key"], "ab" * 32: odd}
    sign_body(acme, {**body, "delegations": {"keys": keys, "roles": [role]}})
    refused(expecting, acme.outbox, MalformedError)


@pytest.mark.parametrize("odd", ODD_KEYS)
def test_a_supplier_of_a_supplier_with_such_a_key(tmp_path: Path, acme: Acme, odd: dict[str, Any]) -> None:
    acme.sign()
    (record,) = acme.place.keyring.records()
    body = body_of(acme)
    role = {"name": "sub", "keyids": [record.keyid], "threshold": 1, "terminating": False, "paths": ["acme/sub/*"]}
    keys = {record.keyid: record.public_json()["key"], "ab" * 32: odd}
    sign_body(acme, {**body, "delegations": {"keys": keys, "roles": [role]}})
    tier1 = SupplierWorkspace.create(tmp_path / "tier1", role="tier1", clock=acme.clock)
    with pytest.raises(MalformedError):
        tier1.delegate("acme", keys=[acme.place.public_key_file], paths=["acme/*"], outbox=acme.outbox)
    assert not tuple(tier1.outbox.names("metadata"))


@pytest.mark.parametrize("name", ["x\u202e", "a%2e"])
def test_a_role_name_that_reads_like_another(expecting: ImageRepository, acme: Acme, name: str) -> None:
    acme.sign()
    (record,) = acme.place.keyring.records()
    role = {"name": name, "keyids": [record.keyid], "threshold": 1, "terminating": False, "paths": ["acme/sub/*"]}
    body = body_of(acme)
    sign_body(acme, {**body, "targets": {}})
    stored = acme.outbox / "metadata" / f"{role_file(name)}.json"
    stored.write_bytes((acme.outbox / "metadata" / "acme.json").read_bytes())
    keys = {record.keyid: record.public_json()["key"]}
    sign_body(acme, {**body, "delegations": {"keys": keys, "roles": [role]}})
    error = refused(expecting, acme.outbox, MalformedError)
    assert error.json_path == "$.signed.delegations"
    with pytest.raises(UsageError):
        acme.place.delegate(name, keys=[acme.place.public_key_file], paths=["acme/sub/*"], outbox=acme.outbox)
