"""Delegations: what a vehicle finds through them, in which order, and how they begin and end."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tuf.api.metadata import Targets

from tests.unit.repository.conftest import START, Acme, HandClock
from tests.unit.repository.reading import Reader
from twinlock.io.files.records import UnknownMemberError
from twinlock.repository.authoring.delegations import (
    AuthoredDelegation,
    Member,
    StagedDelegation,
    read_delegations,
    read_staged,
    staged_delegation,
    write_delegations,
)
from twinlock.repository.errors import UnacceptableEntryError
from twinlock.repository.image_repository import ImageRepository
from twinlock.repository.keys.keyring import KeyPlan
from twinlock.repository.keys.public_keys import read_key_files
from twinlock.repository.suppliers.workspace import SupplierWorkspace
from twinlock.repository.workspace.state import read_state
from twinlock.testing.simulator.keys import KeyPool
from twinlock.trust.errors.base import UsageError
from twinlock.trust.errors.metadata import PostQuantumError, UnsafePathError, WeakKeyError


def delegate(repository: ImageRepository, place: SupplierWorkspace, *paths: str, **options: object) -> None:
    repository.delegate(place.role, keys=[place.public_key_file], paths=paths, **options)  # type: ignore[arg-type]


def supplier(tmp_path: Path, clock: HandClock, role: str, image: str) -> SupplierWorkspace:
    place = SupplierWorkspace.create(tmp_path / role, role=role, clock=clock)
    source = tmp_path / f"{role}.bin"
    source.write_bytes(role.encode())
    place.add_image(source, image, hardware_ids=["hw-9"], release_counter=1)
    place.sign()
    return place


def test_a_vehicle_finds_a_suppliers_image_through_the_delegation(filled: ImageRepository, acme: Acme) -> None:
    acme.sign()
    delegate(filled, acme.place, "acme/*", hardware_ids=["hw-9"])
    assert filled.accept(acme.outbox) == ("acme",)
    filled.publish()
    found = Reader(filled.store, filled.root_bytes(1)).find("acme/lidar.bin", START, "hw-9")
    assert found.entry is not None
    assert found.chain == ("targets", "acme")
    other = Reader(filled.store, filled.root_bytes(1)).find("acme/lidar.bin", START, "hw-7")
    assert other.entry is None


def test_a_delegation_without_a_signed_file_is_held_back_and_harms_nobody(filled: ImageRepository, acme: Acme) -> None:
    delegate(filled, acme.place, "acme/*")
    publication = filled.publish()
    assert (publication.changed, publication.waiting) == (False, ("acme",))
    assert Reader(filled.store, filled.root_bytes()).find("acme/lidar.bin", START).entry is None
    acme.sign()
    filled.accept(acme.outbox)
    assert filled.publish().waiting == ()
    assert Reader(filled.store, filled.root_bytes()).find("acme/lidar.bin", START).entry is not None


def test_other_edits_are_published_beside_a_delegation_that_waits(
    filled: ImageRepository, acme: Acme, image_file: Path
) -> None:
    delegate(filled, acme.place, "acme/*")
    filled.add_image(image_file, "b.bin", hardware_ids=["hw-7"], release_counter=1)
    publication = filled.publish()
    assert publication.changed
    assert publication.waiting == ("acme",)
    assert filled.status().staged_delegations == ("acme",)
    assert filled.status().staged_images == ()


def test_priority_decides_who_is_asked_first(filled: ImageRepository, tmp_path: Path, clock: HandClock) -> None:
    first, second = (supplier(tmp_path, clock, role, "shared/x.bin") for role in ("first", "second"))
    delegate(filled, first, "shared/*")
    delegate(filled, second, "shared/*", before="first")
    filled.accept(first.path / "outbox")
    filled.accept(second.path / "outbox")
    filled.publish()
    reader = Reader(filled.store, filled.root_bytes(1))
    assert reader.find("shared/x.bin", START).chain == ("targets", "second")
    delegate(filled, first, "shared/*", before="second")
    filled.publish()
    assert reader.find("shared/x.bin", START).chain == ("targets", "first")
    with pytest.raises(UsageError):
        delegate(filled, first, "shared/*", before="nobody")


def test_a_terminating_delegation_ends_the_search(filled: ImageRepository, tmp_path: Path, clock: HandClock) -> None:
    first = supplier(tmp_path, clock, "first", "shared/other.bin")
    second = supplier(tmp_path, clock, "second", "shared/x.bin")
    delegate(filled, first, "shared/*", terminating=True)
    delegate(filled, second, "*/x.bin")
    filled.accept(first.path / "outbox")
    # No vehicle could ever find the second supplier's image, and publishing would refuse it.
    with pytest.raises(UnacceptableEntryError) as caught:
        filled.accept(second.path / "outbox")
    assert (caught.value.role, caught.value.target) == ("second", "shared/x.bin")
    delegate(filled, first, "shared/*", terminating=False)
    filled.accept(second.path / "outbox")
    filled.publish()
    assert Reader(filled.store, filled.root_bytes(1)).find("shared/x.bin", START).chain == ("targets", "second")


def test_after_the_end_of_a_delegation_its_images_are_not_found_and_its_name_stays_until_rotation(
    filled: ImageRepository, acme: Acme
) -> None:
    acme.sign()
    delegate(filled, acme.place, "acme/*")
    filled.accept(acme.outbox)
    filled.publish()
    follower = Reader(filled.store, filled.root_bytes(1))
    follower.refresh(START)
    filled.undelegate("acme")
    filled.publish()
    assert follower.find("acme/lidar.bin", START).entry is None
    assert follower.trusted.snapshot is not None
    assert "acme" in follower.trusted.snapshot.signed.targets
    filled.rotate("snapshot")
    assert "acme" in read_state(filled.workspace).published.listed
    filled.rotate("snapshot", "timestamp")
    follower.refresh(START)
    assert follower.trusted.snapshot is not None
    assert set(follower.trusted.snapshot.signed.targets) == {"targets"}
    with pytest.raises(UsageError):
        filled.undelegate("acme")


def test_a_delegation_can_come_back_with_a_risen_version_only(filled: ImageRepository, acme: Acme) -> None:
    acme.sign()
    delegate(filled, acme.place, "acme/*")
    filled.accept(acme.outbox)
    filled.publish()
    filled.undelegate("acme")
    filled.publish()
    delegate(filled, acme.place, "acme/*")
    acme.sign(counter=2)
    filled.accept(acme.outbox)
    filled.publish()
    found = Reader(filled.store, filled.root_bytes(1)).find("acme/lidar.bin", START)
    assert found.entry is not None
    assert found.entry.release_counter == 2


def test_new_keys_of_a_supplier_wait_for_a_file_that_they_signed(filled: ImageRepository, acme: Acme) -> None:
    acme.sign()
    delegate(filled, acme.place, "acme/*")
    filled.accept(acme.outbox)
    filled.publish()
    old = acme.place.keyring.records("acme")
    acme.place.keyring.retire(record.keyid for record in old)
    acme.place.keyring.generate("acme")
    acme.place.write_public_keys()
    delegate(filled, acme.place, "acme/*")
    assert filled.publish().waiting == ("acme",)
    acme.sign(counter=2)
    filled.accept(acme.outbox)
    assert filled.publish().waiting == ()
    reader = Reader(filled.store, filled.root_bytes(1))
    found = reader.find("acme/lidar.bin", START)
    assert found.entry is not None
    assert found.entry.release_counter == 2


def test_a_staged_delegation_can_be_taken_back(filled: ImageRepository, acme: Acme) -> None:
    delegate(filled, acme.place, "acme/*")
    filled.undelegate("acme")
    assert filled.status().staged_delegations == ()
    assert not filled.publish().changed
    with pytest.raises(UsageError):
        filled.undelegate("acme")


def test_a_supplier_delegates_further_and_the_vehicle_follows(
    filled: ImageRepository, acme: Acme, tmp_path: Path, clock: HandClock
) -> None:
    sub = supplier(tmp_path, clock, "sub", "acme/sub/sensor.bin")
    acme.place.delegate(
        "sub", keys=[sub.public_key_file], paths=["acme/sub/*"], hardware_ids=["hw-9"], outbox=sub.path / "outbox"
    )
    acme.sign()
    delegate(filled, acme.place, "acme/*", "acme/*/*")
    assert filled.accept(acme.outbox) == ("acme", "sub")
    filled.publish()
    found = Reader(filled.store, filled.root_bytes(1)).find("acme/sub/sensor.bin", START, "hw-9")
    assert found.entry is not None
    assert found.chain == ("targets", "acme", "sub")
    names = {(view.name, view.delegator) for view in filled.show().delegations}
    assert names == {("acme", "targets"), ("sub", "acme")}


def test_two_suppliers_who_have_to_agree(filled: ImageRepository, tmp_path: Path, clock: HandClock) -> None:
    """TAP 3: an image counts only if both list the same."""
    places = [SupplierWorkspace.create(tmp_path / role, role=role, clock=clock) for role in ("one", "two")]
    same, other = tmp_path / "same.bin", tmp_path / "other.bin"
    same.write_bytes(b"same")
    other.write_bytes(b"other")
    for place in places:
        place.add_image(same, "joint/agreed.bin", hardware_ids=["hw-9"], release_counter=1)
        place.sign()
    members = tuple(Member(name=place.role, keys=read_key_files([place.public_key_file])) for place in places)
    filled.stage_delegation(AuthoredDelegation(members=members, paths=("joint/*",), agreement=2))
    for place in places:
        filled.accept(place.path / "outbox")
    filled.publish()
    reader = Reader(filled.store, filled.root_bytes(1))
    assert reader.find("joint/agreed.bin", START).entry is not None
    places[1].add_image(other, "joint/agreed.bin", hardware_ids=["hw-9"], release_counter=1, replace=True)
    places[1].sign()
    filled.accept(places[1].path / "outbox")
    with pytest.raises(Exception) as caught:
        filled.publish()
    assert getattr(caught.value, "code", None) == "image-not-found"
    assert filled.status().unpublishable == "no vehicle would find joint/agreed.bin"
    assert reader.find("joint/agreed.bin", START).entry is not None


def test_a_key_file_whose_key_id_is_not_its_keys_is_refused(filled: ImageRepository, acme: Acme) -> None:
    body = json.loads(acme.place.public_key_file.read_bytes())
    body["keys"][0]["keyid"] = filled.show().roles[0].keyids[0]
    acme.place.public_key_file.write_text(json.dumps(body))
    with pytest.raises(UsageError):
        delegate(filled, acme.place, "acme/*")


def test_a_key_that_anybody_can_sign_with_is_refused(filled: ImageRepository, acme: Acme) -> None:
    body = json.loads(acme.place.public_key_file.read_bytes())
    body["keys"][0]["key"]["keyval"]["public"] = "01" + "00" * 31
    acme.place.public_key_file.write_text(json.dumps(body))
    with pytest.raises(WeakKeyError):
        delegate(filled, acme.place, "acme/*")


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"[]", b"[1]", b'{"keys": [{}]}', b"-----BEGIN PUBLIC KEY-----\nx", b"\xff"]
)
def test_a_file_that_is_no_key_is_refused(filled: ImageRepository, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "key"
    path.write_bytes(content)
    with pytest.raises(UsageError):
        filled.delegate("acme", keys=[path], paths=["acme/*"])


def test_a_private_key_is_not_taken_for_a_public_one(filled: ImageRepository, acme: Acme) -> None:
    with pytest.raises(UsageError, match="private key"):
        filled.delegate("acme", keys=[acme.place.keyring.records()[0].files[1]], paths=["acme/*"])


def test_a_pem_public_key_will_do(filled: ImageRepository, tmp_path: Path) -> None:
    from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    path = tmp_path / "key.pem"
    public = generate_private_key(SECP256R1()).public_key()
    path.write_bytes(public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    filled.delegate("acme", keys=[path], paths=["acme/*"])
    assert filled.status().waiting == ("acme",)


@pytest.mark.parametrize("role", ["root", "targets", "snapshot", "timestamp", "", "a+b", "x\n", "y" * 200])
def test_some_names_are_no_delegated_roles(filled: ImageRepository, acme: Acme, role: str) -> None:
    with pytest.raises((UsageError, UnsafePathError)):
        filled.delegate(role, keys=[acme.place.public_key_file], paths=["acme/*"])


@pytest.mark.parametrize("pattern", ["", "../*", "/etc/*", "a\\*", "a//b", "*/../x"])
def test_patterns_that_match_no_safe_name_are_refused(filled: ImageRepository, acme: Acme, pattern: str) -> None:
    with pytest.raises((UsageError, UnsafePathError)):
        delegate(filled, acme.place, pattern)


@pytest.mark.parametrize(
    "wrong", [{"threshold": 2}, {"threshold": 0}, {"hardware_ids": []}, {"paths": []}, {"keys": []}]
)
def test_delegations_that_make_no_sense_are_refused(
    filled: ImageRepository, acme: Acme, wrong: dict[str, object]
) -> None:
    options: dict[str, object] = {"keys": [acme.place.public_key_file], "paths": ["acme/*"], **wrong}
    with pytest.raises(UsageError):
        filled.delegate("acme", **options)  # type: ignore[arg-type]
    assert filled.status().staged_delegations == ()


def test_who_else_may_speak_for_a_name_is_told(filled: ImageRepository, acme: Acme) -> None:
    acme.sign()
    delegate(filled, acme.place, "acme/*")
    filled.accept(acme.outbox)
    assert filled.delegations_covering("acme/ours.bin") == ("acme",)
    assert filled.delegations_covering("ours.bin") == ()


def _signed(repository: ImageRepository) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(repository.store.get("metadata/3.targets.json", max_bytes=10**6).data)["signed"]  # type: ignore[union-attr]
    return found


def test_a_restriction_stands_where_every_client_keeps_it(filled: ImageRepository, acme: Acme) -> None:
    acme.sign()
    delegate(filled, acme.place, "acme/*", hardware_ids=["hw-9"])
    filled.accept(acme.outbox)
    filled.publish()
    signed = _signed(filled)
    assert signed["custom"] == {"delegatedHardware": [{"roles": ["acme"], "hardwareIds": ["hw-9"]}]}
    assert set(signed["delegations"]["roles"][0]) == {"name", "keyids", "threshold", "terminating", "paths"}
    assert filled.show().delegations[0].hardware_ids == ("hw-9",)


def _old_place() -> Targets:
    """Targets as earlier versions wrote them: the restriction inside the delegation."""
    targets = Targets()
    write_delegations(targets, [_restricted("acme", None), _restricted("zeta", None)])
    assert targets.delegations is not None
    assert targets.delegations.roles is not None
    targets.delegations.roles["acme"].unrecognized_fields["hardwareIds"] = ["hw-9"]
    return targets


def _restricted(name: str, hardware: tuple[str, ...] | None) -> AuthoredDelegation:
    key = KeyPool()(name)
    member = Member(name=name, keys={key.keyid: key.public})
    return AuthoredDelegation(members=(member,), paths=(f"{name}/*",), hardware_ids=hardware)


def test_a_restriction_in_the_old_place_is_read_and_moves_with_the_next_edit() -> None:
    targets = _old_place()
    before = read_delegations(targets)
    assert [entry.hardware_ids for entry in before] == [("hw-9",), None]
    write_delegations(targets, before)
    assert read_delegations(targets) == before
    assert targets.unrecognized_fields["custom"] == {
        "delegatedHardware": [{"roles": ["acme"], "hardwareIds": ["hw-9"]}, {"roles": ["zeta"]}]
    }
    assert "hardwareIds" not in json.dumps(targets.to_dict()["delegations"])
    write_delegations(targets, [])
    assert "custom" not in targets.unrecognized_fields


def test_several_roles_are_restricted_together() -> None:
    members = tuple(_restricted(name, None).members[0] for name in ("one", "two"))
    entry = AuthoredDelegation(members=members, paths=("joint/*",), hardware_ids=("hw-9",), agreement=2)
    targets = Targets()
    write_delegations(targets, [entry])
    assert targets.unrecognized_fields["custom"]["delegatedHardware"] == [
        {"roles": ["one", "two"], "hardwareIds": ["hw-9"]}
    ]
    assert read_delegations(targets) == (entry,)


def test_a_draft_keeps_a_delegation_as_before() -> None:
    key = KeyPool()("a")
    plain = Member(name="acme", keys={key.keyid: key.public})
    entry = AuthoredDelegation(members=(plain,), paths=("acme/*",), hardware_ids=("hw-1",), terminating=True)
    body = {
        "delegation": {
            "members": [{"name": "acme", "keys": {key.keyid: key.public}, "threshold": 1}],
            "paths": ["acme/*"],
            "pathHashPrefixes": [],
            "hardwareIds": ["hw-1"],
            "terminating": True,
            "agreement": 1,
        },
        "before": None,
    }
    assert json.dumps(staged_delegation(entry)) == json.dumps(body)
    assert read_staged(body) == StagedDelegation(delegation=entry)
    wrong = json.loads(json.dumps(body))
    wrong["delegation"]["members"][0]["treshold"] = 1
    with pytest.raises(UnknownMemberError) as caught:
        read_staged(wrong)
    assert caught.value.nearest == "delegation.members[0].threshold"
    wrong = json.loads(json.dumps(body))
    wrong["delegation"]["members"][0]["threshold"] = 2
    with pytest.raises(UsageError, match=r"acme: a threshold of 2 cannot be met by 1 key$"):
        read_staged(wrong)


def test_a_demand_for_a_post_quantum_signature() -> None:
    keys = {key.keyid: key.public for key in (KeyPool()("a"), KeyPool()("b"), KeyPool()("pq", "ml-dsa-44"))}
    entry = AuthoredDelegation(
        members=(Member(name="acme", keys=keys, threshold=2, post_quantum=True),), paths=("acme/*",)
    )
    targets = Targets()
    write_delegations(targets, [entry])
    assert targets.unrecognized_fields["custom"] == {"postQuantum": ["acme"]}
    assert read_delegations(targets) == (entry,)
    assert staged_delegation(entry)["delegation"]["members"][0]["post_quantum"] is True
    assert read_staged(staged_delegation(entry)).delegation == entry
    with pytest.raises(UsageError, match="2 or more"):
        Member(name="acme", keys=keys, threshold=1, post_quantum=True)
    with pytest.raises(UsageError, match="ml-dsa"):
        Member(name="acme", keys=dict(list(keys.items())[:2]), threshold=2, post_quantum=True)


def test_what_a_supplier_signed_without_the_demanded_signature_is_not_accepted(
    filled: ImageRepository, tmp_path: Path, clock: HandClock
) -> None:
    plan = KeyPlan(count=2, threshold=2)
    place = SupplierWorkspace.create(tmp_path / "acme", role="acme", plan=plan, clock=clock)
    source = tmp_path / "acme.bin"
    source.write_bytes(b"acme")
    place.add_image(source, "acme/x.bin", hardware_ids=["hw-9"], release_counter=1)
    place.sign()
    pool = KeyPool()
    quantum = tmp_path / "pq.pem"
    quantum.write_text(pool("pq", "ml-dsa-44").public["keyval"]["public"])
    filled.delegate("acme", keys=[place.public_key_file, quantum], paths=["acme/*"], threshold=2, post_quantum=True)
    with pytest.raises(PostQuantumError) as caught:
        filled.accept(place.path / "outbox")
    assert caught.value.role == "acme"
    assert len(caught.value.signed) == 2
