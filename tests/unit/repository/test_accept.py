"""Accepting: everything a supplier could hand over that must not get in, and that a refusal keeps nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tuf.api.metadata import DelegatedRole, Delegations, Metadata, SuccinctRoles, TargetFile, Targets

from tests.unit.repository.conftest import Acme, HandClock
from twinlock.repository.errors import (
    MissingRoleFileError,
    NotDelegatedError,
    OutboxImageError,
    RoleReservedError,
    RoleTakenError,
    UnacceptableEntryError,
)
from twinlock.repository.image_repository import ImageRepository
from twinlock.repository.suppliers.workspace import SupplierWorkspace
from twinlock.trust.errors.base import Attack, Kind, TwinlockError, UsageError
from twinlock.trust.errors.metadata import (
    EquivocationError,
    ExpiredError,
    LimitError,
    MalformedError,
    RollbackError,
    ThresholdError,
    UnsafePathError,
)


@pytest.fixture
def expecting(filled: ImageRepository, acme: Acme) -> ImageRepository:
    """A repository that has delegated acme/* on hw-9 to acme."""
    filled.delegate("acme", keys=[acme.place.public_key_file], paths=["acme/*"], hardware_ids=["hw-9"])
    return filled


def refused(repository: ImageRepository, outbox: Path, error: type[TwinlockError]) -> Any:
    """Accepting ``outbox`` raises ``error``, stores no image and stages nothing."""
    images = set(repository.store.names("targets"))
    with pytest.raises(error) as caught:
        repository.accept(outbox)
    assert type(caught.value) is error
    assert repository.status().accepted == ()
    assert set(repository.store.names("targets")) == images
    return caught.value


def resign(acme: Acme, change: Callable[[Targets], object], *, role: str = "acme") -> None:
    """Change the signed file in the outbox and sign it with acme's own keys, as a hostile supplier could."""
    path = acme.outbox / "metadata" / f"{role}.json"
    metadata = Metadata[Targets].from_file(str(path))
    change(metadata.signed)
    metadata.signatures.clear()
    for signer in acme.place.keyring.signers(record.keyid for record in acme.place.keyring.records()):
        metadata.sign(signer, append=True)
    path.write_bytes(metadata.to_bytes())


def test_nobody_delegates_to_it(filled: ImageRepository, acme: Acme) -> None:
    acme.sign()
    assert "acme" in refused(filled, acme.outbox, UsageError).reason


def test_other_keys_signed_it(expecting: ImageRepository, acme: Acme, tmp_path: Path, clock: HandClock) -> None:
    (tmp_path / "impostor").mkdir()
    impostor = Acme(tmp_path / "impostor", clock)
    impostor.sign()
    acme.sign()
    expecting.accept(acme.outbox)
    expecting.publish()
    error = refused(expecting, impostor.outbox, ThresholdError)
    assert (error.role, error.valid, error.required) == ("acme", 0, 1)


def test_bytes_changed_after_signing(expecting: ImageRepository, acme: Acme) -> None:
    acme.sign()
    path = acme.outbox / "metadata/acme.json"
    body = json.loads(path.read_bytes())
    body["signed"]["version"] = 5
    path.write_text(json.dumps(body))
    refused(expecting, acme.outbox, ThresholdError)


def test_too_few_keys_signed(filled: ImageRepository, tmp_path: Path, clock: HandClock) -> None:
    from twinlock.repository.keys.keyring import KeyPlan

    place = SupplierWorkspace.create(tmp_path / "acme", role="acme", plan=KeyPlan(count=2, threshold=1), clock=clock)
    source = tmp_path / "x"
    source.write_bytes(b"x")
    place.add_image(source, "acme/x.bin", hardware_ids=["hw-9"], release_counter=1)
    for path in place.keyring.records()[1].files:
        path.unlink()
    place.sign()
    filled.delegate("acme", keys=[place.public_key_file], threshold=2, paths=["acme/*"])
    error = refused(filled, place.path / "outbox", ThresholdError)
    assert (error.valid, error.required) == (1, 2)


def test_an_older_version(expecting: ImageRepository, acme: Acme) -> None:
    acme.sign()
    old = (acme.outbox / "metadata/acme.json").read_bytes()
    acme.sign(counter=2)
    expecting.accept(acme.outbox)
    expecting.publish()
    (acme.outbox / "metadata/acme.json").write_bytes(old)
    error = refused(expecting, acme.outbox, RollbackError)
    assert (error.role, error.offered, error.trusted) == ("acme", 1, 2)


def test_the_same_version_again_brings_nothing(expecting: ImageRepository, acme: Acme) -> None:
    acme.sign()
    assert expecting.accept(acme.outbox) == ("acme",)
    assert expecting.accept(acme.outbox) == ()
    expecting.publish()
    assert expecting.accept(acme.outbox) == ()


def test_other_content_under_the_same_version(expecting: ImageRepository, acme: Acme) -> None:
    acme.sign()
    expecting.accept(acme.outbox)
    expecting.publish()
    resign(acme, lambda targets: targets.targets.clear())
    assert refused(expecting, acme.outbox, EquivocationError).version == 1


def test_an_expired_file(expecting: ImageRepository, acme: Acme, clock: HandClock) -> None:
    acme.sign()
    clock.turn(days=366)
    assert refused(expecting, acme.outbox, ExpiredError).role == "acme"


def test_a_name_outside_the_delegation(expecting: ImageRepository, acme: Acme) -> None:
    acme.sign("brake/brake.bin")
    error = refused(expecting, acme.outbox, NotDelegatedError)
    assert (error.role, error.target, error.field, error.allowed) == (
        "acme",
        "brake/brake.bin",
        "name",
        ("acme/*",),
    )


def test_a_name_deeper_than_the_pattern(expecting: ImageRepository, acme: Acme) -> None:
    acme.sign("acme/deep/x.bin")
    assert refused(expecting, acme.outbox, NotDelegatedError).field == "name"


def test_hardware_outside_the_delegation(expecting: ImageRepository, acme: Acme) -> None:
    acme.sign(hardware="hw-7")
    error = refused(expecting, acme.outbox, NotDelegatedError)
    assert (error.field, error.value, error.allowed) == ("hardware", "hw-7", ("hw-9",))


def test_every_image_outside_the_delegation_is_named(expecting: ImageRepository, acme: Acme) -> None:
    """A supplier that sorted its images wrongly learns about all of them at once, and is called no attacker."""
    for name in ("acme/other.bin", "brake/a.bin", "brake/b.bin", "lidar/c.bin"):
        acme.sign(name)
    acme.sign("acme/wide.bin", hardware="hw-7")
    error = refused(expecting, acme.outbox, NotDelegatedError)
    assert (error.target, error.field, error.others, error.more) == (
        "acme/wide.bin",
        "hardware",
        ("brake/a.bin", "brake/b.bin", "lidar/c.bin"),
        0,
    )
    assert str(error).endswith("; nor are brake/a.bin, brake/b.bin, lidar/c.bin")
    assert (error.kind, error.attack) == (Kind.REFUSAL, Attack.NONE)
    assert "supplier remove" in error.hint


def test_of_very_many_images_outside_the_delegation_the_first_are_named(expecting: ImageRepository, acme: Acme) -> None:
    acme.sign()

    def change(targets: Targets) -> None:
        entry = targets.targets["acme/lidar.bin"]
        targets.targets |= {f"brake/{number:03}.bin": entry for number in range(200)}

    resign(acme, change)
    error = refused(expecting, acme.outbox, NotDelegatedError)
    assert (error.target, len(error.others), error.more) == ("brake/000.bin", 50, 149)
    assert str(error).endswith("brake/050.bin and 149 more")


def test_missing_bytes(expecting: ImageRepository, acme: Acme) -> None:
    acme.sign()
    next((acme.outbox / "targets").rglob("*.lidar.bin")).unlink()
    missing = refused(expecting, acme.outbox, OutboxImageError)
    assert (missing.role, missing.target) == ("acme", "acme/lidar.bin")


@pytest.mark.parametrize("content", [b"", b"lidar firmwarE", b"lidar firmware and more"])
def test_other_bytes(expecting: ImageRepository, acme: Acme, content: bytes) -> None:
    acme.sign()
    next((acme.outbox / "targets").rglob("*.lidar.bin")).write_bytes(content)
    damaged = refused(expecting, acme.outbox, OutboxImageError)
    assert (damaged.role, damaged.target, damaged.kind) == ("acme", "acme/lidar.bin", Kind.REFUSAL)


def test_bytes_here_that_were_damaged_are_replaced_by_those_of_the_outbox(
    expecting: ImageRepository, acme: Acme
) -> None:
    acme.sign()
    expecting.accept(acme.outbox)
    expecting.publish()
    for path in (expecting.path / "public").rglob("*.lidar.bin"):
        path.chmod(0o644)
        path.write_bytes(b"lidar firmwarE")
    acme.sign()
    expecting.accept(acme.outbox)
    assert expecting.publish().changed
    assert {path.read_bytes() for path in (expecting.path / "public").rglob("*.lidar.bin")} == {b"lidar firmware"}


@pytest.mark.parametrize(
    "path",
    ["../../etc/passwd", "/etc/passwd", "acme/../../x", "acme\\x", "acme/con", "acme/x\0y", "acme/e\u0301"],
)
def test_hostile_names_inside_a_signed_file(expecting: ImageRepository, acme: Acme, path: str) -> None:
    acme.sign()
    entry = TargetFile(1, {"sha256": "0" * 64}, path)
    resign(acme, lambda targets: targets.targets.update({path: entry}))
    refused(expecting, acme.outbox, UnsafePathError)


@pytest.mark.parametrize(
    "custom",
    [
        {},
        {"mustAgree": {"hardwareIds": ["hw-9"]}},
        {"mustAgree": {"releaseCounter": 1}},
        {"mustAgree": {"hardwareIds": [], "releaseCounter": 1}},
        {"mustAgree": {"hardwareIds": ["hw-9"], "releaseCounter": 1}, "name": "lidar"},
        {"mustAgree": {"hardwareIds": ["hw-9"], "releaseCounter": 1}, "name": "lidar", "version": "x\ny"},
        {
            "mustAgree": {"hardwareIds": ["hw-9"], "releaseCounter": 1},
            "name": "lidar",
            "version": "1",
            "dependencies": {"gateway": "soon"},
        },
    ],
)
def test_entries_that_no_vehicle_or_resolver_could_use(
    expecting: ImageRepository, acme: Acme, custom: dict[str, object]
) -> None:
    acme.sign()

    def change(targets: Targets) -> None:
        targets.targets["acme/lidar.bin"].unrecognized_fields["custom"] = custom

    resign(acme, change)
    error = refused(expecting, acme.outbox, UnacceptableEntryError)
    assert (error.role, error.target) == ("acme", "acme/lidar.bin")


def test_a_release_counter_that_falls(expecting: ImageRepository, acme: Acme) -> None:
    acme.sign(counter=5)
    expecting.accept(acme.outbox)
    expecting.publish()
    acme.sign("acme/other.bin")
    resign(
        acme,
        lambda targets: (
            targets.targets["acme/lidar.bin"].unrecognized_fields["custom"]["mustAgree"].update(releaseCounter=4)
        ),
    )
    assert "release counter" in refused(expecting, acme.outbox, UnacceptableEntryError).reason


def test_a_further_role_without_its_file(
    expecting: ImageRepository, acme: Acme, tmp_path: Path, clock: HandClock
) -> None:
    sub = SupplierWorkspace.create(tmp_path / "sub", role="sub", clock=clock)
    sub.sign()
    acme.place.delegate("sub", keys=[sub.public_key_file], paths=["acme/*"], outbox=sub.path / "outbox")
    acme.sign()
    (acme.outbox / "metadata/sub.json").unlink()
    error = refused(expecting, acme.outbox, MissingRoleFileError)
    assert (error.code, error.role, error.delegator) == ("unlisted-role", "sub", "acme")


def test_a_further_role_cannot_go_beyond_what_its_delegator_was_given(
    expecting: ImageRepository, acme: Acme, tmp_path: Path, clock: HandClock
) -> None:
    sub = SupplierWorkspace.create(tmp_path / "sub", role="sub", clock=clock)
    source = tmp_path / "x"
    source.write_bytes(b"x")
    sub.add_image(source, "brake/x.bin", hardware_ids=["hw-9"], release_counter=1)
    sub.sign()
    acme.place.delegate("sub", keys=[sub.public_key_file], paths=["*/*"], outbox=sub.path / "outbox")
    acme.sign()
    error = refused(expecting, acme.outbox, NotDelegatedError)
    assert (error.role, error.target) == ("sub", "brake/x.bin")
    assert error.allowed == ("acme/*",), "the delegation that leaves the name out, and not the one that covers it"


@pytest.mark.parametrize("data", [b"", b"[]", b"{", b'{"signed": {}, "signatures": []}', b"\xff\xfe"])
def test_what_is_no_signed_file(expecting: ImageRepository, acme: Acme, data: bytes) -> None:
    acme.sign()
    (acme.outbox / "metadata/acme.json").write_bytes(data)
    refused(expecting, acme.outbox, MalformedError)


def test_a_root_under_a_suppliers_name(expecting: ImageRepository, acme: Acme) -> None:
    acme.sign()
    (acme.outbox / "metadata/acme.json").write_bytes(expecting.root_bytes())
    refused(expecting, acme.outbox, MalformedError)


def test_what_is_no_outbox(expecting: ImageRepository, tmp_path: Path) -> None:
    refused(expecting, tmp_path / "nowhere", UsageError)
    (tmp_path / "box" / "metadata").mkdir(parents=True)
    refused(expecting, tmp_path / "box", UsageError)
    (tmp_path / "box" / "metadata" / "notes.txt").touch()
    refused(expecting, tmp_path / "box", UsageError)


def test_a_link_in_the_outbox_is_not_followed(expecting: ImageRepository, acme: Acme, tmp_path: Path) -> None:
    acme.sign()
    secret = tmp_path / "secret"
    secret.write_bytes(b"lidar firmware")
    for path in (acme.outbox / "targets").rglob("*.lidar.bin"):
        path.unlink()
        path.symlink_to(secret)
    assert "symbolic link" in refused(expecting, acme.outbox, UnsafePathError).reason


def test_nothing_is_kept_of_an_outbox_in_which_one_role_is_bad(
    expecting: ImageRepository, acme: Acme, tmp_path: Path, clock: HandClock
) -> None:
    acme.sign()
    other = SupplierWorkspace.create(tmp_path / "other", role="other", clock=clock)
    other.sign()
    expecting.delegate("other", keys=[acme.place.public_key_file], paths=["other/*"])
    (acme.outbox / "metadata/other.json").write_bytes((other.path / "outbox/metadata/other.json").read_bytes())
    assert refused(expecting, acme.outbox, RoleReservedError).role == "other"


@pytest.mark.parametrize("wrong", ["targets", "acme"])
def test_a_role_that_two_delegators_know_under_different_keys(
    expecting: ImageRepository, acme: Acme, tmp_path: Path, clock: HandClock, wrong: str
) -> None:
    """A file that only one of them would take breaks every search that comes through the other."""
    sub, impostor = (SupplierWorkspace.create(tmp_path / name, role="sub", clock=clock) for name in ("sub", "impostor"))
    sub.sign()
    impostor.sign()
    known = {"targets": sub, "acme": sub, wrong: impostor}
    theirs = known["acme"]
    acme.place.delegate("sub", keys=[theirs.public_key_file], paths=["acme/*"], outbox=theirs.path / "outbox")
    acme.sign()
    expecting.delegate("sub", keys=[known["targets"].public_key_file], paths=["sub/*"])
    (acme.outbox / "metadata/sub.json").write_bytes((sub.path / "outbox/metadata/sub.json").read_bytes())
    error = refused(expecting, acme.outbox, RoleTakenError)
    assert (error.role, error.delegator, error.owners) == ("sub", "acme", ("targets",))


@pytest.fixture
def crowded(expecting: ImageRepository, acme: Acme, tmp_path: Path, clock: HandClock) -> tuple[ImageRepository, Any]:
    """Beside acme there is bolt, whose supplier tier2 lists an image; all of it is published."""
    bolt, tier2 = (SupplierWorkspace.create(tmp_path / name, role=name, clock=clock) for name in ("bolt", "tier2"))
    tier2.add_image(acme.source, "bolt/part.bin", hardware_ids=["hw-9"], release_counter=1)
    tier2.sign()
    bolt.delegate("tier2", keys=[tier2.public_key_file], paths=["bolt/*"], outbox=tier2.path / "outbox")
    bolt.sign()
    expecting.delegate("bolt", keys=[bolt.public_key_file], paths=["bolt/*"])
    acme.sign()
    expecting.accept(acme.outbox)
    expecting.accept(bolt.path / "outbox")
    expecting.publish()
    return expecting, bolt


def _take(acme: Acme, name: str, *, with_file: bool) -> None:
    """Have acme delegate to the role ``name`` with its own key, and bring a file for it on request."""
    key = acme.place.keyring.records()[0].authoring_key
    role = DelegatedRole(name, [key.keyid], 1, terminating=False, paths=["acme/*"])

    def change(targets: Targets) -> None:
        targets.version += 1
        targets.delegations = Delegations({key.keyid: key}, {name: role})

    resign(acme, change)
    if with_file:
        own = Metadata(
            Targets(
                version=7, expires=Metadata[Targets].from_file(str(acme.outbox / "metadata/acme.json")).signed.expires
            )
        )
        own.sign(acme.place.keyring.signers([key.keyid])[0])
        own.to_file(str(acme.outbox / f"metadata/{name}.json"))


def test_a_role_name_that_its_owner_has_not_published_yet(
    expecting: ImageRepository, acme: Acme, tmp_path: Path, clock: HandClock
) -> None:
    """The file in the outbox comes first by its name, and who delegates to it second."""
    owner = SupplierWorkspace.create(tmp_path / "owner", role="aaa", clock=clock)
    expecting.delegate("aaa", keys=[owner.public_key_file], paths=["aaa/*"])
    acme.sign()
    _take(acme, "aaa", with_file=True)
    error = refused(expecting, acme.outbox, RoleTakenError)
    assert (error.delegator, error.role, error.owners) == ("acme", "aaa", ("targets",))


def test_a_first_file_by_another_supplier_of_the_same_name(
    expecting: ImageRepository, acme: Acme, tmp_path: Path, clock: HandClock
) -> None:
    """Nothing of the name's owner is here yet, so no rotation explains other keys; once there is, one may."""
    other = SupplierWorkspace.create(tmp_path / "other", role="acme", clock=clock)
    other.sign()
    error = refused(expecting, other.path / "outbox", RoleReservedError)
    assert (error.code, error.delegator, error.role, error.owners) == ("role-taken", "", "acme", ("targets",))
    assert "image delegate" not in error.hint
    acme.sign()
    assert expecting.accept(acme.outbox) == ("acme",)
    expecting.publish()
    assert refused(expecting, other.path / "outbox", ThresholdError).role == "acme"


def test_delegating_a_known_name_to_other_keys_names_those_so_far(
    expecting: ImageRepository, acme: Acme, tmp_path: Path, clock: HandClock
) -> None:
    other = SupplierWorkspace.create(tmp_path / "other", role="acme", clock=clock)
    own, new = acme.place.public_key_file, other.public_key_file
    had = tuple(record.keyid for record in acme.place.keyring.records())
    assert expecting.delegate("acme", keys=[own], paths=["acme/*"]) == ()
    assert expecting.delegate("acme", keys=[new], paths=["acme/*"]) == had, "staged"
    assert expecting.delegate("acme", keys=[own, new], paths=["acme/*"]) == ()
    acme.sign()
    expecting.accept(acme.outbox)
    expecting.publish()
    elsewhere = SupplierWorkspace.create(tmp_path / "elsewhere", role="acme", clock=clock)
    assert set(had) < set(expecting.delegate("acme", keys=[elsewhere.public_key_file], paths=["acme/*"])), "published"


@pytest.mark.parametrize("with_file", [False, True])
@pytest.mark.parametrize(("name", "owner"), [("bolt", "targets"), ("tier2", "bolt")])
def test_a_role_name_of_another_supplier(
    crowded: tuple[ImageRepository, SupplierWorkspace], acme: Acme, name: str, owner: str, *, with_file: bool
) -> None:
    """It would block the other's updates, or every publication."""
    repository, bolt = crowded
    _take(acme, name, with_file=with_file)
    error = refused(repository, acme.outbox, RoleTakenError)
    assert (error.role, error.delegator, error.owners) == (name, "acme", (owner,))
    assert error.attack is Attack.DENIAL_OF_SERVICE
    bolt.sign()
    assert repository.accept(bolt.path / "outbox") == ("bolt",)
    assert repository.publish().changed


def test_the_owner_cannot_take_it_either(crowded: tuple[ImageRepository, SupplierWorkspace], acme: Acme) -> None:
    repository, _ = crowded
    with pytest.raises(UsageError, match="bolt delegates to a role tier2"):
        repository.delegate("tier2", keys=[acme.place.public_key_file], paths=["acme/*"])
    assert repository.status().staged_delegations == ()


@pytest.mark.parametrize(("bits", "error"), [(1, MissingRoleFileError), (32, LimitError)])
def test_hash_bins_without_their_files(
    expecting: ImageRepository, acme: Acme, bits: int, error: type[TwinlockError]
) -> None:
    """Searches that come through them would fail; of billions every later command would try each."""
    acme.sign()
    key = acme.place.keyring.records()[0].authoring_key
    bins = SuccinctRoles([key.keyid], 1, bits, "bin")
    resign(acme, lambda targets: setattr(targets, "delegations", Delegations({key.keyid: key}, None, bins)))
    assert "bin" in str(refused(expecting, acme.outbox, error))


def test_new_keys_of_a_further_role_come_with_a_file_that_they_signed(
    crowded: tuple[ImageRepository, SupplierWorkspace], tmp_path: Path
) -> None:
    repository, bolt = crowded
    tier2 = SupplierWorkspace.open(tmp_path / "tier2", clock=repository.workspace.clock)
    old_outbox = (bolt.path / "outbox/metadata/tier2.json").read_bytes()
    tier2.rotate()
    bolt.delegate("tier2", keys=[tier2.public_key_file], paths=["bolt/*"], outbox=tier2.path / "outbox")
    bolt.sign()
    file = bolt.path / "outbox/metadata/tier2.json"
    new = file.read_bytes()
    file.unlink()
    error = refused(repository, bolt.path / "outbox", RoleTakenError)
    assert (error.role, error.delegator, error.owners) == ("tier2", "bolt", ())
    file.write_bytes(old_outbox)
    assert refused(repository, bolt.path / "outbox", ThresholdError).role == "tier2"
    file.write_bytes(new)
    assert sorted(repository.accept(bolt.path / "outbox")) == ["bolt", "tier2"]
    assert repository.publish().changed


def _odd_signature(value: object) -> Callable[[Any], None]:
    return lambda body: body["signatures"].append({"keyid": "e" * 64, "sig": value})


def _shouted(body: Any) -> None:
    body["signatures"][0]["sig"] = body["signatures"][0]["sig"].upper()


@pytest.mark.parametrize(
    ("change", "index"),
    [(_odd_signature(None), 1), (_odd_signature("QUI="), 1), (_odd_signature("ABCD"), 1), (_shouted, 0)],
    ids=["null", "base64", "a stranger's in capitals", "its own in capitals"],
)
def test_an_odd_signature_that_vehicles_ignore(
    expecting: ImageRepository, acme: Acme, change: Callable[[Any], None], index: int
) -> None:
    acme.sign()
    path = acme.outbox / "metadata/acme.json"
    honest = path.read_bytes()
    body = json.loads(honest)
    change(body)
    path.write_text(json.dumps(body))
    error = refused(expecting, acme.outbox, MalformedError)
    assert (error.what, error.json_path) == ("the file of acme", f"$.signatures[{index}]")
    path.write_bytes(honest)
    assert expecting.accept(acme.outbox) == ("acme",)


def test_a_digest_that_no_vehicle_can_check(expecting: ImageRepository, acme: Acme) -> None:
    acme.sign()
    resign(acme, lambda targets: [entry.hashes.update(md5="0" * 32) for entry in targets.targets.values()])
    error = refused(expecting, acme.outbox, MalformedError)
    assert error.json_path.startswith("$.signed.targets['acme/")
    assert "md5" in error.reason


def test_a_role_of_a_key_that_the_file_does_not_hold(expecting: ImageRepository, acme: Acme) -> None:
    acme.sign()
    path = acme.outbox / "metadata/acme.json"

    def delegate(targets: Targets) -> None:
        role = {"name": "tier2", "keyids": ["e" * 64], "threshold": 1, "terminating": False, "paths": ["acme/t2/*"]}
        targets.delegations = Delegations.from_dict({"keys": {}, "roles": [role]})

    resign(acme, delegate)
    assert b"tier2" in path.read_bytes()
    error = refused(expecting, acme.outbox, MalformedError)
    assert (error.json_path, "e" * 64 in error.reason) == ("$.signed.delegations.roles[0].keyids", True)
