"""From stored bytes back to trust: what a restart, a rotation or a damaged store leaves standing."""

from __future__ import annotations

import pytest

from tests.simulator.scenario import current
from twinlock.testing.simulator.repository import seal
from twinlock.testing.simulator.world import BRAKE, World
from twinlock.trust.engine.commands import drive
from twinlock.trust.engine.delegation import find_image
from twinlock.trust.engine.restore import bootstrap_repository, restore_repository
from twinlock.trust.errors.metadata import LimitError, MalformedError, ThresholdError
from twinlock.trust.errors.usage import NotRefreshedError
from twinlock.trust.keys.proofs import authority_digest, make_proof
from twinlock.trust.limits import DEFAULT_LIMITS
from twinlock.trust.names import DIRECTOR, IMAGE, ROOT, SNAPSHOT, TARGETS, TIMESTAMP, HardwareId, RoleName, TargetPath
from twinlock.trust.wire.tuf.metadata import TufProfile


@pytest.fixture
def world() -> World:
    made = World()
    current(made)
    return made


def _files(world: World, name: str) -> dict[RoleName, bytes]:
    store = world.vehicle.stores[name]
    files = {RoleName(role): data for role, data in store.files.items()}
    return files | {ROOT: store.roots[max(store.roots)]}


def test_everything_that_was_stored_is_trusted_again(world: World) -> None:
    trusted = restore_repository(IMAGE, _files(world, "image"))
    assert trusted.timestamp is not None
    assert trusted.snapshot is not None
    assert trusted.targets is not None
    assert trusted.root.signed.version == 1
    assert trusted.timestamp.signed.version == 4
    assert trusted.snapshot.signed.version == 4
    assert trusted.targets.signed.version == 4
    assert set(trusted.delegated) == {"acme"}


@pytest.mark.parametrize("role", [TIMESTAMP, SNAPSHOT, TARGETS])
@pytest.mark.parametrize("damage", ["truncated", "empty", "stranger", "unsigned", "another role"])
def test_a_damaged_file_is_as_if_never_stored(world: World, role: RoleName, damage: str) -> None:
    files = _files(world, "director")
    body = world.director.bodies[role]
    files[role] = {
        "truncated": files[role][:-10],
        "empty": b"",
        "stranger": seal(body, [world.keys("mallory")]),
        "unsigned": seal(body, []),
        "another role": files[ROOT],
    }[damage]
    trusted = restore_repository(DIRECTOR, files)
    found = {TIMESTAMP: trusted.timestamp, SNAPSHOT: trusted.snapshot, TARGETS: trusted.targets}
    assert found.pop(role) is None
    assert all(found.values())


def test_a_rotation_is_noticed_by_the_files_that_it_revokes(world: World) -> None:
    files = _files(world, "director")
    world.director.set_keys("targets", [world.director.key("targets", 2)])
    world.director.publish_root()
    files[ROOT] = world.director.files["2.root.json"]
    trusted = restore_repository(DIRECTOR, files)
    assert trusted.targets is None
    assert trusted.snapshot is not None


@pytest.mark.parametrize("data", [b"", b"{}", b"\xff"])
def test_a_root_that_cannot_be_read_is_an_error(data: bytes) -> None:
    with pytest.raises(MalformedError):
        bootstrap_repository(IMAGE, data)


def test_a_factory_root_has_to_be_signed_by_itself(world: World) -> None:
    body = world.image.bodies["root"]
    with pytest.raises(ThresholdError):
        bootstrap_repository(IMAGE, seal(body, [world.keys("mallory")]))
    assert bootstrap_repository(IMAGE, seal(body, world.image.signers["root"])).targets is None


def test_no_root_no_repository() -> None:
    with pytest.raises(KeyError):
        restore_repository(IMAGE, {})


def test_a_search_needs_a_refresh_first(world: World) -> None:
    trusted = bootstrap_repository(IMAGE, world.image.files["1.root.json"])
    with pytest.raises(NotRefreshedError) as caught:
        drive(find_image(trusted, TargetPath("x"), None, world.now), world.vehicle.answer)
    assert (caught.value.repository, caught.value.code) == ("image", "usage")


def test_a_search_says_who_answered_and_whether_anybody_did(world: World) -> None:
    trusted = world.vehicle.refresh("image")
    path = TargetPath(BRAKE.path(3))
    found = drive(find_image(trusted, path, HardwareId("brake-7"), world.now), world.vehicle.answer)
    assert found.entry is not None
    assert (found.entry.path, found.chain) == (path, ("targets", "acme"))
    nothing = drive(find_image(trusted, TargetPath("x"), None, world.now), world.vehicle.answer)
    assert nothing.entry is None
    other = drive(find_image(trusted, path, HardwareId("brake-8"), world.now), world.vehicle.answer)
    assert other.entry is None
    any_kind = drive(find_image(trusted, path, None, world.now), world.vehicle.answer)
    assert any_kind.entry == found.entry


class Other(TufProfile):
    """The same encoding under another name."""

    name = "other"


def test_bounds_and_encoding_hold_for_what_is_restored(world: World) -> None:
    files, other = _files(world, "image"), Other()
    for made in (bootstrap_repository(IMAGE, files[ROOT], wire=other), restore_repository(IMAGE, files, wire=other)):
        assert made.wire is other
    tight = DEFAULT_LIMITS._replace(root_bytes=len(files[ROOT]) - 1)
    with pytest.raises(LimitError) as caught:
        bootstrap_repository(IMAGE, files[ROOT], limits=tight)
    assert caught.value.what == "image/root in bytes"
    with pytest.raises(LimitError):
        restore_repository(IMAGE, files, limits=tight)
    smaller = DEFAULT_LIMITS._replace(targets_bytes=1, timestamp_bytes=1)
    trusted = restore_repository(IMAGE, files, limits=smaller)
    assert (trusted.timestamp, trusted.targets) == (None, None)
    assert trusted.snapshot is not None


def test_a_proof_of_one_encoding_is_none_for_another(world: World) -> None:
    store, stranger = world.vehicle.stores["image"], world.keys("mallory")
    files = _files(world, "image")
    root = restore_repository(IMAGE, files).root.signed
    signers = root.roles[TARGETS]
    files[TARGETS] = seal(world.image.bodies["targets"], [stranger.alias(signers.keyids[0])])
    authority = authority_digest(signers.keyids, signers.threshold, root.keys)
    for name, believed in (("tuf", False), ("other", True)):
        proofs = {TARGETS: make_proof(files[TARGETS], b"c" * 32, authority, f"{name}/targets")}
        trusted = restore_repository(IMAGE, files, proofs=proofs, wire=Other())
        assert (trusted.targets is not None) is believed
    assert set(store.proofs) == set(store.files)
