"""Uptane 2.1.0 5.2.2 to 5.2.5: what Root, Targets, delegations, Snapshot and Timestamp each have to say."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from tests.conformance.worlds import JSON, refused, seasoned_world, sign_deformed, stored, with_value
from tests.simulator.hands import delegation
from tests.simulator.scenario import REPOSITORIES
from twinlock.testing.simulator.repository import seal
from twinlock.testing.simulator.world import ADAS, BRAKE, PARTS, World
from twinlock.trust.checks.image import ImageVerifier
from twinlock.trust.errors.images import ImageNotFoundError, UnknownHashError
from twinlock.trust.errors.metadata import (
    MalformedError,
    MixAndMatchError,
    ThresholdError,
    UnlistedRoleError,
    UnsafePathError,
)
from twinlock.trust.limits import DEFAULT_LIMITS
from twinlock.trust.model.targets import ImageEntry
from twinlock.trust.names import TOP_LEVEL, TargetPath
from twinlock.trust.wire.tuf.metadata import TUF

both = pytest.mark.parametrize("name", REPOSITORIES)
HASHES: list[tuple[str, Any]] = [
    ("none", {}),
    ("too short", {"sha256": "00"}),
    ("empty", {"sha256": ""}),
    ("no digest", {"sha256": "no digest"}),
    ("upper case", {"sha256": "AA" * 32}),
    ("a list", ["00" * 32]),
]


# 5.2.2 Root


@both
@pytest.mark.parametrize("role", TOP_LEVEL)
def test_root_names_the_keys_of_every_role(name: str, role: str) -> None:
    world = seasoned_world()
    sign_deformed(world, (name, "root"), lambda body: body["roles"].pop(role))
    assert refused(world, MalformedError).json_path == "$.signed.roles"
    assert stored(world, (name, "root")) == world.repositories[name].files["1.root.json"]


@both
@pytest.mark.parametrize("role", TOP_LEVEL)
def test_root_holds_every_key_that_it_names(name: str, role: str) -> None:
    world = seasoned_world()
    key = world.repositories[name].signers[role][0]
    sign_deformed(world, (name, "root"), lambda body: body["keys"].pop(key.keyid))
    # Nobody can sign for a role whose key is missing. Only for Root itself does that end the chain at once.
    refused(world, ThresholdError, repository=name, role=role, valid=0, unusable=(key.keyid,))
    number = 1 if role == "root" else 2
    assert stored(world, (name, "root")) == world.repositories[name].files[f"{number}.root.json"]


@both
@pytest.mark.parametrize("role", TOP_LEVEL)
@pytest.mark.parametrize("threshold", [None, 0, -1, "1", True], ids=str)
def test_root_gives_every_role_a_threshold(name: str, role: str, threshold: object) -> None:
    world = seasoned_world()
    sign_deformed(world, (name, "root"), with_value(threshold, "roles", role, "threshold"))
    refused(world, MalformedError)
    assert stored(world, (name, "root")) == world.repositories[name].files["1.root.json"]


@both
@pytest.mark.parametrize("role", TOP_LEVEL)
def test_a_threshold_above_the_number_of_keys_is_never_met(name: str, role: str) -> None:
    world = seasoned_world()
    sign_deformed(world, (name, "root"), with_value(2, "roles", role, "threshold"))
    refused(world, ThresholdError, repository=name, role=role, valid=1, required=2)


@both
def test_a_key_that_the_newer_root_leaves_out_is_revoked(name: str) -> None:
    world = seasoned_world()
    repository = world.repositories[name]
    dropped = repository.signers["targets"]
    repository.rotate("targets")
    repository.put("targets", signers=dropped)
    refused(world, ThresholdError, repository=name, role="targets", valid=0, unknown=(dropped[0].keyid,))


# 5.2.3.1 images


@pytest.mark.parametrize("where", REPOSITORIES)
@pytest.mark.parametrize(("_case", "hashes"), HASHES, ids=[case for case, _ in HASHES])
def test_an_entry_gives_at_least_one_digest(where: str, _case: str, hashes: object) -> None:
    world = seasoned_world()
    _entry(world, where)["hashes"] = hashes
    world.repositories[where].put("targets")
    refused(world, MalformedError)


@pytest.mark.parametrize("where", REPOSITORIES)
@pytest.mark.parametrize("length", [None, -1, "12", True, [12]], ids=str)
def test_an_entry_gives_the_length(where: str, length: object) -> None:
    world = seasoned_world()
    _entry(world, where)["length"] = length
    world.repositories[where].put("targets")
    refused(world, MalformedError)


@pytest.mark.parametrize("where", REPOSITORIES)
@pytest.mark.parametrize("member", ["length", "hashes"])
def test_an_entry_needs_its_members(where: str, member: str) -> None:
    world = seasoned_world()
    del _entry(world, where)[member]
    world.repositories[where].put("targets")
    refused(world, MalformedError)


def test_an_entry_has_a_file_name() -> None:
    world = seasoned_world()
    images = world.director.bodies["targets"]["targets"]
    images[""] = images.pop(ADAS.path(3))
    world.director.put("targets")
    refused(world, UnsafePathError)


def test_a_digest_of_an_unknown_function_proves_nothing() -> None:
    entry = ImageEntry(TargetPath("a.bin"), 3, {"sha256": "00" * 32, "crc32": "00"})
    with pytest.raises(UnknownHashError) as caught:
        ImageVerifier(entry)
    assert caught.value.fields()["algorithm"] == "crc32"


def test_only_listed_images_are_installed() -> None:
    """Uptane 2.1.0 5.2.3.1: bytes that lie on the server and stand in no Targets file are not installed."""
    world = seasoned_world()
    del world.image.bodies["targets"]["targets"][ADAS.path(3)]
    world.image.put("targets")
    refused(world, ImageNotFoundError, target=ADAS.path(3))


def test_the_image_of_one_ecu_is_for_no_other() -> None:
    """Uptane 2.1.0 5.2.3.1.1: the named ECU is the one that installs."""
    world = seasoned_world()
    decision = world.vehicle.update()
    assert {image.ecu: image.entry.path for image in decision.approved} == {part.ecu: part.path(3) for part in PARTS}
    alone = seasoned_world()
    assert [image.ecu for image in alone.vehicle.partial_update(BRAKE.ecu).approved] == [BRAKE.ecu]


def test_a_file_may_hold_images_delegations_or_both() -> None:
    for images, delegations in ((True, False), (False, True), (True, True)):
        body: JSON = {"_type": "targets", "version": 1, "expires": "2031-01-01T00:00:00Z", "targets": {}}
        world = World()
        if images:
            body["targets"] = copy.deepcopy(world.image.bodies["targets"]["targets"])
        if delegations:
            body["delegations"] = copy.deepcopy(world.image.bodies["targets"]["delegations"])
        data = seal(body, world.image.signers["targets"])
        signed = TUF.decode_targets(data, "image/targets", DEFAULT_LIMITS).signed
        assert bool(signed.images) == images
        assert (signed.delegations is not None) == delegations


# 5.2.3.2 delegations


@pytest.mark.parametrize("member", ["name", "keyids", "threshold", "terminating", "paths"])
def test_a_delegation_needs_its_members(member: str) -> None:
    world = seasoned_world()
    del delegation(world.image, "acme")[member]
    world.image.put("targets")
    refused(world, MalformedError)


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("threshold", 0),
        ("threshold", "1"),
        ("terminating", "no"),
        ("terminating", None),
        ("paths", "brake/*"),
        ("name", 7),
        ("keyids", "key"),
    ],
    ids=str,
)
def test_a_delegation_s_members_have_their_types(member: str, value: object) -> None:
    world = seasoned_world()
    delegation(world.image, "acme")[member] = value
    world.image.put("targets")
    refused(world, MalformedError)


def test_delegations_come_with_their_keys() -> None:
    world = seasoned_world()
    del world.image.bodies["targets"]["delegations"]["keys"]
    world.image.put("targets")
    refused(world, MalformedError)


@pytest.mark.parametrize("member", ["keytype", "scheme", "keyval"])
def test_a_delegatee_s_key_says_its_type(member: str) -> None:
    world = seasoned_world()
    (key,) = delegation(world.image, "acme")["keyids"]
    keys = copy.deepcopy(world.image.bodies["targets"]["delegations"]["keys"])
    del keys[key][member]
    world.image.bodies["targets"]["delegations"]["keys"] = keys
    world.image.put("targets")
    refused(world, ThresholdError, repository="image", role="acme", valid=0, unusable=(key,))


def test_a_delegation_to_a_key_that_is_not_listed_is_unusable() -> None:
    world = seasoned_world()
    world.image.bodies["targets"]["delegations"]["keys"] = {}
    world.image.put("targets")
    refused(world, ThresholdError, repository="image", role="acme", valid=0)


def test_a_delegation_to_no_key_is_unusable() -> None:
    world = seasoned_world()
    delegation(world.image, "acme")["keyids"] = []
    world.image.put("targets")
    refused(world, ThresholdError, repository="image", role="acme", valid=0)


def test_delegations_keep_their_order() -> None:
    roles = [f"role-{number}" for number in (3, 1, 2)]
    world = World()
    for role in roles:
        world.image.delegate("targets", role, [f"{role}/*"])
    data = seal(world.image.bodies["targets"], world.image.signers["targets"])
    delegations = TUF.decode_targets(data, "image/targets", DEFAULT_LIMITS).signed.delegations
    assert delegations is not None
    assert [entry.roles[0].name for entry in delegations.entries] == ["acme", *roles]


def test_any_number_of_delegations_is_read() -> None:
    world = seasoned_world()
    first = delegation(world.image, "acme")
    many = [first | {"name": f"other-{number}", "paths": [f"other-{number}/*"]} for number in range(1000)]
    world.image.bodies["targets"]["delegations"]["roles"] = [*many, first]
    world.image.put("targets")
    assert BRAKE.ecu in {image.ecu for image in world.vehicle.update().approved}


def test_the_terminating_flag_is_read_as_written() -> None:
    for flag in (True, False):
        world = World()
        delegation(world.image, "acme")["terminating"] = flag
        data = seal(world.image.bodies["targets"], world.image.signers["targets"])
        delegations = TUF.decode_targets(data, "image/targets", DEFAULT_LIMITS).signed.delegations
        assert delegations is not None
        assert delegations.entries[0].terminating is flag


# 5.2.4 Snapshot, 5.2.5 Timestamp


@both
@pytest.mark.parametrize("version", [None, 0, "1", True], ids=str)
def test_snapshot_gives_the_version_of_every_targets_file(name: str, version: object) -> None:
    world = seasoned_world()
    sign_deformed(world, (name, "snapshot"), with_value({"version": version}, "meta", "targets.json"))
    refused(world, MalformedError)


def test_a_targets_file_that_snapshot_does_not_list_is_not_loaded() -> None:
    world = World()
    sign_deformed(world, ("image", "snapshot"), lambda body: body["meta"].pop("acme.json"))
    refused(world, UnlistedRoleError, repository="image", role="acme")
    world = World()
    sign_deformed(world, ("image", "snapshot"), lambda body: body["meta"].pop("targets.json"))
    refused(world, MalformedError)


@pytest.mark.parametrize("version", [1, 7, 1000])
def test_what_snapshot_says_of_root_changes_nothing(version: int) -> None:
    world = seasoned_world()
    sign_deformed(world, ("image", "snapshot"), with_value({"version": version}, "meta", "root.json"))
    assert len(world.vehicle.update().approved) == 3


@both
@pytest.mark.parametrize("member", ["version", "hashes"])
def test_timestamp_describes_the_snapshot(name: str, member: str) -> None:
    world = seasoned_world()
    sign_deformed(world, (name, "timestamp"), lambda body: body["meta"]["snapshot.json"].pop(member))
    before = stored(world, (name, "timestamp"))
    refused(world, MalformedError)
    assert stored(world, (name, "timestamp")) == before


@both
def test_timestamp_names_the_snapshot(name: str) -> None:
    world = seasoned_world()
    sign_deformed(world, (name, "timestamp"), with_value({}, "meta"))
    refused(world, MalformedError)


@both
@pytest.mark.parametrize(("_case", "hashes"), HASHES, ids=[case for case, _ in HASHES])
def test_timestamp_gives_at_least_one_digest(name: str, _case: str, hashes: object) -> None:
    world = seasoned_world()
    sign_deformed(world, (name, "timestamp"), with_value(hashes, "meta", "snapshot.json", "hashes"))
    refused(world, MalformedError)


@both
def test_a_wrong_digest_stops_before_the_snapshot_is_stored(name: str) -> None:
    world = seasoned_world()
    before = stored(world, (name, "snapshot"))
    wrong = {"sha256": "00" * 32}
    sign_deformed(world, (name, "timestamp"), with_value(wrong, "meta", "snapshot.json", "hashes"))
    refused(world, MixAndMatchError, repository=name, role="snapshot", field="hashes.sha256")
    assert stored(world, (name, "snapshot")) == before


@both
def test_every_digest_of_the_snapshot_counts(name: str) -> None:
    world = seasoned_world()
    info = copy.deepcopy(world.repositories[name].bodies["timestamp"]["meta"]["snapshot.json"])
    info["hashes"]["sha512"] = "00" * 64
    sign_deformed(world, (name, "timestamp"), with_value(info, "meta", "snapshot.json"))
    refused(world, MixAndMatchError, repository=name, role="snapshot", field="hashes.sha512")


def _entry(world: World, where: str) -> JSON:
    found: JSON = world.repositories[where].bodies["targets"]["targets"][ADAS.path(3)]
    return found
