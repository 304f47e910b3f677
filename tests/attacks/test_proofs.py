"""Proofs in the store: they spare a vehicle the counting of signatures, and give nobody a signature that he has not.

What an attacker holds here is what the network gives, or old proofs; one who can write the store can replace the Root.
"""

from __future__ import annotations

import hashlib
import json

import pytest

from tests.simulator.scenario import current
from twinlock.testing.simulator.repository import seal
from twinlock.testing.simulator.vehicle import changed
from twinlock.testing.simulator.world import BRAKE, World
from twinlock.trust.engine.commands import drive
from twinlock.trust.engine.delegation import Found, find_image
from twinlock.trust.engine.refresh import refresh_repository
from twinlock.trust.engine.restore import restore_repository
from twinlock.trust.errors.metadata import ExpiredError, ThresholdError
from twinlock.trust.keys.proofs import authority_digest, make_proof
from twinlock.trust.names import IMAGE, SNAPSHOT, TARGETS, TIMESTAMP, HardwareId, RoleName, TargetPath
from twinlock.trust.state.trusted import TrustedRepository
from twinlock.trust.wire.json.olpc import encode_canonical

ACME = RoleName("acme")
REPOSITORIES = ("director", "image")


@pytest.fixture
def world() -> World:
    made = World()
    current(made)
    return made


def restored(world: World, name: str) -> dict[RoleName, object]:
    trusted = world.vehicle.stores[name].restore(name)
    return {TIMESTAMP: trusted.timestamp, SNAPSHOT: trusted.snapshot, TARGETS: trusted.targets}


def search(world: World, trusted: TrustedRepository, release: int) -> Found:
    path, hardware = TargetPath(BRAKE.path(release)), HardwareId(BRAKE.hardware_id)
    return drive(find_image(trusted, path, hardware, world.now), world.vehicle.answer)


def test_every_file_but_root_is_stored_with_its_proof(world: World) -> None:
    world.image.publish_root()
    world.release()
    world.update()
    stored = [command for command in world.vehicle.persisted if command.repository == IMAGE]
    assert [[*command.proofs] for command in stored] == [[], [TIMESTAMP], [SNAPSHOT], [TARGETS], [ACME]]
    for name in REPOSITORIES:
        store = world.vehicle.stores[name]
        assert set(store.proofs) == set(store.files)
        assert len(set(store.proofs.values())) == len(store.files)


def proof_of(world: World, name: str, role: RoleName, data: bytes) -> bytes:
    """The proof that the engine makes of ``data`` as the file of ``role``, under the keys that are trusted now."""
    trusted = world.vehicle.stores[name].restore(name)
    keys, signers = trusted.root.signed.keys, trusted.root.signed.roles.get(role)
    if signers is None:
        assert trusted.targets is not None
        assert trusted.targets.signed.delegations is not None
        keys = trusted.targets.signed.delegations.keys
        signers = trusted.targets.signed.delegations.entries[0].roles[0].signers
    content = hashlib.sha256(encode_canonical(json.loads(data)["signed"])).digest()
    return make_proof(data, content, authority_digest(signers.keyids, signers.threshold, keys), f"tuf/{role}")


def test_each_proof_is_of_its_file_role_and_keys(world: World) -> None:
    for name in REPOSITORIES:
        store = world.vehicle.stores[name]
        assert store.proofs == {role: proof_of(world, name, RoleName(role), data) for role, data in store.files.items()}


def test_partial_verification_stores_the_same_proof() -> None:
    partial, full = World(), World()
    partial.vehicle.partial_update(BRAKE.ecu)
    full.update()
    assert partial.vehicle.stores["director"].proofs == {TARGETS: full.vehicle.stores["director"].proofs[TARGETS]}


@pytest.mark.parametrize("name", REPOSITORIES)
@pytest.mark.parametrize("role", [TIMESTAMP, SNAPSHOT, TARGETS])
def test_the_owner_of_the_store_can_make_a_vehicle_believe(world: World, name: str, role: RoleName) -> None:
    """Not an attack that is stopped; he can replace the Root too. It shows that a proof is used at all."""
    store = world.vehicle.stores[name]
    store.files[role] = forge(world, name, role)
    store.proofs[role] = proof_of(world, name, role, store.files[role])
    assert all(restored(world, name).values())


def test_the_owner_of_the_store_can_make_a_search_believe(world: World) -> None:
    store = world.vehicle.stores["image"]
    trusted = store.restore("image")
    forged = forge(world, "image", "acme")
    for proof, fetched in ((b"", 1), (proof_of(world, "image", ACME, forged), 0)):
        world.vehicle.requests.clear()
        with_proof = trusted._replace(delegated={ACME: forged}, proofs={ACME: proof})
        assert search(world, with_proof, 3).entry is not None
        assert len(world.vehicle.requests) == fetched


def forge(world: World, name: str, role: str) -> bytes:
    """The current file of ``role``, signed by a stranger under the key id of its signer."""
    repository = world.repositories[name]
    return seal(repository.bodies[role], [world.keys("mallory").alias(repository.signers[role][0].keyid)])


@pytest.mark.parametrize("name", REPOSITORIES)
@pytest.mark.parametrize("role", [TIMESTAMP, SNAPSHOT, TARGETS])
def test_a_proof_does_not_cover_other_bytes(world: World, name: str, role: RoleName) -> None:
    store = world.vehicle.stores[name]
    store.files[role] = forge(world, name, role)
    found = restored(world, name)
    assert found.pop(role) is None
    assert all(found.values())
    world.release()
    assert len(world.update().approved) == 3


@pytest.mark.parametrize("role", [TIMESTAMP, SNAPSHOT, TARGETS])
def test_the_proof_of_another_file_is_none(world: World, role: RoleName) -> None:
    store = world.vehicle.stores["image"]
    forged = forge(world, "image", role)
    for proof in [*store.proofs.values(), *world.vehicle.stores["director"].proofs.values(), b"", b"\x00" * 32]:
        trusted = restore_repository(IMAGE, {RoleName("root"): store.roots[1], role: forged}, proofs={role: proof})
        assert (trusted.timestamp, trusted.snapshot, trusted.targets) == (None, None, None)


def test_a_wrong_proof_costs_a_count_and_nothing_else(world: World) -> None:
    before = {name: restored(world, name) for name in REPOSITORIES}
    for store in world.vehicle.stores.values():
        store.proofs = dict(zip(store.proofs, reversed(store.proofs.values()), strict=True))
    assert {name: restored(world, name) for name in REPOSITORIES} == before
    for store in world.vehicle.stores.values():
        store.proofs.clear()
    assert {name: restored(world, name) for name in REPOSITORIES} == before


@pytest.mark.parametrize("same_id", [False, True])
def test_after_a_rotation_an_old_proof_is_worth_nothing(world: World, same_id: bool) -> None:
    """Targets keys are rotated by a Root that reaches the store alone; the old Targets with their proof stay behind."""
    store, image = world.vehicle.stores["image"], world.image
    kept = dict(store.proofs)
    new = image.key("targets", 2)
    image.set_keys("targets", [new.alias(image.signers["targets"][0].keyid) if same_id else new])
    image.publish_root()
    image.publish("targets")
    store.roots[2] = image.files["2.root.json"]
    found = restored(world, "image")
    assert found.pop(TARGETS) is None
    assert all(found.values())
    assert store.proofs == kept
    world.release()
    assert len(world.update().approved) == 3
    assert store.proofs[TARGETS] != kept[TARGETS]


def test_a_raised_threshold_is_another_authority(world: World) -> None:
    image = world.image
    image.set_keys("targets", [image.key("targets"), image.key("targets", 2)])
    image.publish_root()
    store = world.vehicle.stores["image"]
    store.roots[2] = image.files["2.root.json"]
    assert restored(world, "image")[TARGETS] is None


@pytest.mark.parametrize("same_id", [False, True])
def test_a_proof_of_one_delegator_is_none_for_another(world: World, same_id: bool) -> None:
    """The stored file of ``acme`` was proven under one key; now its delegator names another, for the same version."""
    image, store = world.image, world.vehicle.stores["image"]
    proof = store.proofs[ACME]
    other = image.key("acme", 2)
    other = other.alias(image.signers["acme"][0].keyid) if same_id else other
    delegations = image.bodies["targets"]["delegations"]
    delegations["keys"] = {other.keyid: other.public}
    delegations["roles"][0]["keyids"] = [other.keyid]
    image.publish("targets")
    trusted = world.vehicle.refresh("image")
    assert trusted.proofs[ACME] == proof
    with pytest.raises(ThresholdError) as caught:
        search(world, trusted, 3)
    assert (caught.value.role, caught.value.valid) == ("acme", 0)
    assert (caught.value.invalid if same_id else caught.value.missing) == (other.keyid,)
    assert store.proofs[ACME] == proof
    image.signers["acme"] = [other]
    image.publish("acme")
    assert search(world, world.vehicle.refresh("image"), 3).entry is not None
    assert store.proofs[ACME] != proof


@pytest.mark.parametrize("same_id", [False, True])
def test_what_one_search_has_opened_is_not_opened_for_another_delegator(world: World, same_id: bool) -> None:
    """Within one cycle: ``left`` and ``right`` both delegate to ``shared``, under different keys."""
    image = world.image
    for role, folder in (("left", "left"), ("right", "right")):
        image.delegate("targets", role, [f"{folder}/*"])
        image.bodies[role]["targets"] = {}
    image.delegate("left", "shared", ["left/*"])
    entry = image.delegate("right", "shared", ["right/*"])
    image.add_image("left/x.bin", b"x", role="shared")
    image.add_image("right/x.bin", b"x", role="shared")
    other = image.key("shared", 2)
    other = other.alias(entry["keyids"][0]) if same_id else other
    image.bodies["right"]["delegations"]["keys"] = {other.keyid: other.public}
    entry["keyids"] = [other.keyid]
    image.publish("left", "right", "shared", "targets")
    trusted = world.vehicle.refresh("image")
    left = drive(find_image(trusted, TargetPath("left/x.bin"), None, world.now), world.vehicle.answer)
    assert left.entry is not None
    before = world.vehicle.snapshot_state()
    for found in (left.trusted, world.vehicle.stores["image"].restore("image")):
        # A floor that left's keys established stops it too; here nothing else does.
        alone = found._replace(floors={role: floor for role, floor in found.floors.items() if role != "shared"})
        for state in (found, alone):
            with pytest.raises(ThresholdError) as caught:
                drive(find_image(state, TargetPath("right/x.bin"), None, world.now), world.vehicle.answer)
            assert (caught.value.role, caught.value.valid) == ("shared", 0)
            assert (caught.value.invalid if same_id else caught.value.missing) == (other.keyid,)
    assert changed(before, world.vehicle.snapshot_state()) == {"image/right"}
    image.signers["shared"] = [other]
    image.publish("shared")
    right = drive(
        find_image(world.vehicle.refresh("image"), TargetPath("right/x.bin"), None, world.now), world.vehicle.answer
    )
    assert right.chain == ("targets", "right", "shared")


def test_a_second_search_opens_nothing_again_and_checks_what_may_have_changed(world: World) -> None:
    first = search(world, world.vehicle.refresh("image"), 3)
    opened = dict(first.trusted.opened)
    assert [role for role, _ in opened] == [ACME]
    again = search(world, first.trusted, 2)
    assert again.entry is not None
    assert [*map(id, again.trusted.opened.values())] == [*map(id, opened.values())]
    # Expiry is judged at each search.
    (acme,) = opened.values()
    world.now = acme.signed.expires
    with pytest.raises(ExpiredError):
        search(world, first.trusted, 3)


def test_what_was_opened_is_only_as_good_as_what_is_stored(world: World) -> None:
    first = search(world, world.vehicle.refresh("image"), 3).trusted
    forged = forge(world, "image", "acme")
    changed = first._replace(delegated={**first.delegated, ACME: forged})
    (opened,) = first.opened.values()
    asked = search(world, changed, 3)
    assert world.vehicle.fetched("image")[-1] == world.image.current("acme")
    assert asked.trusted.delegated[ACME] == opened.data


def test_a_new_version_is_fetched_though_the_old_one_is_open(world: World) -> None:
    first = search(world, world.vehicle.refresh("image"), 3).trusted
    world.release()
    trusted = drive(refresh_repository(first, world.now), world.vehicle.answer)
    found = search(world, trusted, 4)
    assert found.entry is not None
    (opened,) = found.trusted.opened.values()
    assert opened.data == world.image.files[world.image.current("acme")]


def test_a_file_with_a_bad_signature_beside_a_good_one_is_stored_without_proof(world: World) -> None:
    image, store = world.image, world.vehicle.stores["image"]
    image.set_keys("targets", [image.key("targets"), image.key("targets", 2)], threshold=1)
    image.publish_root()
    image.publish("targets")
    image.deform("targets", lambda envelope: envelope["signatures"][1].update(sig="00" * 64))
    world.vehicle.refresh("image")
    assert [command.proofs for command in world.vehicle.persisted if command.files[0][0] == TARGETS] == [{}]
    assert set(store.proofs) == {TIMESTAMP, SNAPSHOT, ACME}
    assert all(restored(world, "image").values())
