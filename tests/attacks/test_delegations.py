"""Attacks through delegations (Uptane 2.1.0 5.4.4.7): who may speak for an image, and who only says so."""

from __future__ import annotations

import pytest

from tests.simulator.hands import clone, delegation
from tests.simulator.moves import ALL, both_repositories, drop_delegations, nest, not_found
from tests.simulator.scenario import Accepted, Refused, Scenario, accepted, family, play, refused, scenario, seasoned
from twinlock.testing.simulator.keys import JSON
from twinlock.testing.simulator.repository import sha256
from twinlock.testing.simulator.world import BRAKE, World
from twinlock.trust.errors.metadata import (
    LimitError,
    MalformedError,
    MissingMetadataError,
    ThresholdError,
    UnlistedRoleError,
    UnsafePathError,
)


def _rebuilt(world: World) -> None:
    # Honest people put the delegation to acme back as it was, with everything that it listed.
    drop_delegations(world.image.bodies["targets"])
    world.image.delegate("targets", "acme", ["brake/*"])
    world.pass_time(hours=1)
    world.release()
    world.release()


@scenario("delegations")
def three_tiers(world: World) -> Accepted:
    """Delegations nest: the entry of a supplier's supplier counts."""
    nest(world, "tier-1", "tier-2", "tier-3")
    world.image.publish("tier-1", "tier-2", "tier-3", "targets")
    return accepted(*ALL)


@scenario("delegations")
def cycle(world: World) -> Refused:
    """Two roles delegate to each other: each is asked once, and the search ends."""
    nest(world, "ring-1", "ring-2", listing="acme")
    world.image.delegate("ring-2", "ring-1", ["brake/*"])
    world.image.publish("ring-1", "ring-2", "targets")
    return not_found("ring-1", "ring-2")


@scenario("delegations")
def cycle_before_the_answer(world: World) -> Accepted:
    """A cycle is passed over, and a later delegation of the same role still counts."""
    nest(world, "ring-1", "ring-2", listing="acme")
    entry = world.image.bodies["acme"]["targets"].pop(BRAKE.path(3))
    world.image.delegate("ring-2", "ring-1", ["brake/*"])
    world.image.delegate("ring-2", "honest", ["brake/*"])
    world.image.bodies["honest"]["targets"][BRAKE.path(3)] = entry
    world.image.publish("ring-1", "ring-2", "honest", "targets")
    return accepted(*ALL)


@scenario("delegations")
def too_deep(world: World) -> Refused:
    """A chain of forty roles, where thirty-two are the bound. Reaching it is an error, not an absence."""
    roles = [f"deep-{number}" for number in range(40)]
    nest(world, *roles)
    world.image.publish(*roles, "targets")
    read = [f"image/{role}" for role in roles[:32]]
    return refused(LimitError, [*both_repositories(), *read], limit=32).under("Uptane 2.1.0 5.4.4.7")


@scenario("delegations")
def path_outside_the_delegation(world: World) -> Refused:
    """A role lists an image that its delegator does not trust it with."""
    delegation(world.image, "acme")["paths"] = ["gearbox/*"]
    world.image.put("targets")
    return not_found()


@scenario("delegations")
def path_outside_the_chain(world: World) -> Refused:
    """A role hands on more than it was given: the paths of the whole chain count, not those of the last link."""
    nest(world, "tier-1", "tier-2")
    delegation(world.image, "tier-1")["paths"] = ["gearbox/*"]
    world.image.publish("tier-1", "tier-2", "targets")
    return not_found()


@scenario("delegations", each=["*", "*.bin", "brake*", "*brake-3.bin", "brake/*/*", "?rake?brake-3.bin", "BRAKE/*"])
def pattern_that_does_not_fit(world: World, pattern: str) -> Refused:
    """A pattern goes segment by segment: ``*`` and ``?`` never stand for a slash, and case counts."""
    delegation(world.image, "acme")["paths"] = [pattern]
    world.image.put("targets")
    return not_found()


@scenario("delegations", each=["*/*", "brake/brake-?.bin", "brake/brake-[0-9].bin", "brake/brake-3.bin", "?????/*-3.*"])
def pattern_that_fits(world: World, pattern: str) -> Accepted:
    """The patterns of TUF 1.0.34 4.5."""
    delegation(world.image, "acme")["paths"] = [pattern]
    world.image.put("targets")
    return accepted(*ALL)


@scenario("delegations")
def terminating_role_without_the_image(world: World) -> Refused:
    """A terminating delegation covers the image and does not list it: nobody after it is asked."""
    image = world.image
    image.delegate("targets", "first", ["brake/*"], terminating=True)
    roles = image.bodies["targets"]["delegations"]["roles"]
    roles.insert(0, roles.pop())
    image.publish("first", "targets")
    return not_found("first")


@scenario("delegations")
def children_of_a_terminating_role(world: World) -> Accepted:
    """A terminating role's own delegations are still searched (TUF 1.0.34 5.6.7.2)."""
    nest(world, "first", "child")
    delegation(world.image, "first")["terminating"] = True
    world.image.publish("first", "child", "targets")
    return accepted(*ALL)


@scenario("delegations")
def terminating_below(world: World) -> Refused:
    """A terminating delegation deep in the tree ends the whole search, not only its own branch."""
    image = world.image
    image.delegate("targets", "first", ["brake/*"])
    roles = image.bodies["targets"]["delegations"]["roles"]
    roles.insert(0, roles.pop())
    image.delegate("first", "second", ["brake/*"], terminating=True)
    image.publish("first", "second", "targets")
    return not_found("first", "second")


@scenario("delegations")
def terminating_that_does_not_cover(world: World) -> Accepted:
    """A terminating delegation that has no say on the image ends nothing."""
    image = world.image
    image.delegate("targets", "first", ["gearbox/*"], terminating=True)
    roles = image.bodies["targets"]["delegations"]["roles"]
    roles.insert(0, roles.pop())
    image.publish("first", "targets")
    return accepted(*ALL)


@scenario("delegations")
def earlier_role_wins(world: World) -> Accepted:
    """Two roles list the image; the earlier delegation decides, so the later one's malware is never looked at."""
    image = world.image
    entry = image.bodies["acme"]["targets"][BRAKE.path(3)]
    image.delegate("targets", "late", ["brake/*"])
    image.bodies["late"]["targets"][BRAKE.path(3)] = {**entry, "length": 1}
    image.publish("late", "targets")
    return accepted(*ALL)


@scenario("delegations")
def unlisted_in_snapshot(world: World) -> Refused:
    """A delegated role that no Snapshot ever listed: its file is not even asked for."""
    nest(world, "ghost")
    image = world.image
    image.bodies["ghost"]["version"] = 1
    image.put("ghost")
    image.publish("targets")
    return refused(UnlistedRoleError, both_repositories(), repository="image", role="ghost")


@scenario("delegations")
def missing_file(world: World) -> Refused:
    """A listed role whose file is not there; that a later role lists the image does not help."""
    image = world.image
    image.delegate("targets", "first", ["brake/*"])
    roles = image.bodies["targets"]["delegations"]["roles"]
    roles.insert(0, roles.pop())
    image.publish("first", "targets")
    name = image.drop("first")
    return refused(MissingMetadataError, both_repositories(), repository="image", role="first", name=name)


def _two_delegators(world: World) -> None:
    # Role "shared" is trusted by "left" under one key; it has been read and stored through it.
    seasoned(world)
    nest(world, "left", "shared")
    world.image.publish("left", "shared", "targets")
    world.update()
    world.pass_time(hours=1)
    world.image.bodies["shared"]["targets"].pop(BRAKE.path(3))
    world.release()


@scenario("delegations", prepare=_two_delegators, recover=_rebuilt)
def trusted_through_another_delegator(world: World) -> Refused:
    """A stored role was verified under one delegator's key; another delegator names another key for it.

    The file in store must not pass for the second delegator, although its version is the listed one.
    """
    image = world.image
    drop_delegations(image.bodies["targets"])
    image.delegate("targets", "right", ["brake/*"])
    other = image.key("shared", 2)
    image.bodies["right"]["delegations"] = {
        "keys": {other.keyid: other.public},
        "roles": [
            {"name": "shared", "keyids": [other.keyid], "threshold": 1, "terminating": False, "paths": ["brake/*"]},
        ],
    }
    image.publish("right", "targets")
    fields = {"repository": "image", "role": "shared", "valid": 0, "missing": (other.keyid,)}
    return refused(ThresholdError, [*both_repositories(), "image/right"], **fields)


@scenario("delegations", each=["root", "timestamp", "snapshot", "targets"])
def named_like_a_top_level_role(world: World, name: str) -> Refused:
    """A delegated role that calls itself by a top-level role's name would overwrite it in the store."""
    return _top_level_name(world, name)


def _top_level_name(world: World, name: str) -> Refused:
    delegation(world.image, "acme")["name"] = name
    world.image.put("targets")
    return refused(MalformedError, both_repositories()[:-1], json_path="$.signed.delegations.roles[0].name")


@scenario("delegations", each=["Root", "TIMESTAMP", "Snapshot", "Targets"])
def named_like_a_top_level_role_in_another_case(world: World, name: str) -> Refused:
    """The same in another case, which is the same file where file systems take no notice of it."""
    return _top_level_name(world, name)


@scenario("delegations", each=["../../etc/cron", "a/b", "\u202ex"])
def role_name_that_is_no_file_name(world: World, name: str) -> Refused:
    """A role name is encoded where it becomes a file name, so that it never leaves the directory."""
    nest(world, name)
    world.image.publish("targets")
    return refused(UnlistedRoleError, both_repositories(), repository="image", role=name)


NO_FILE_NAMES = [".", "..", "x" * 200]


@scenario("delegations", each=[(number,) for number in range(len(NO_FILE_NAMES))])
def another_role_that_no_file_can_be_named_for(world: World, number: int) -> Accepted:
    """Targets delegate other images to a role that no file can be named for. The images that are wanted are not touched."""
    roles = world.image.bodies["targets"]["delegations"]["roles"]
    roles.insert(0, clone(roles[0]) | {"name": NO_FILE_NAMES[number], "paths": ["zeta/*"]})
    world.image.publish("targets")
    return accepted(*ALL)


@scenario("delegations", each=[(number, listed) for number in range(len(NO_FILE_NAMES)) for listed in (True, False)])
def a_role_that_no_file_can_be_named_for(world: World, number: int, listed: bool) -> Refused:
    """The same for an image that is wanted: refused by the role's name, listed in Snapshot or not."""
    name = NO_FILE_NAMES[number]
    delegation(world.image, "acme")["name"] = name
    if listed:
        world.image.bodies["snapshot"]["meta"][f"{name}.json"] = {"version": 1}
    world.image.publish("targets")
    if listed:
        return refused(UnsafePathError, both_repositories(), path=name)
    return refused(UnlistedRoleError, both_repositories(), repository="image", role=name)


@scenario("delegations", each=[8, 10])
def bins(world: World, bits: int) -> Accepted:
    """Succinct hash bins (TAP 15): the one bin that the path's digest names is asked, and no other."""
    _into_bins(world, bits)
    return accepted(*ALL)


@scenario("delegations")
def entry_in_the_wrong_bin(world: World) -> Refused:
    """A bin lists an image that belongs into another one."""
    bin_name = _into_bins(world, 8)
    image = world.image
    entry = image.bodies[bin_name]["targets"].pop(BRAKE.path(3))
    other = "bin-00" if bin_name != "bin-00" else "bin-01"
    image.add_role(other, [image.key("bins")])
    image.bodies[other]["targets"][BRAKE.path(3)] = entry
    image.publish(bin_name, other)
    return not_found(bin_name)


@scenario("delegations")
def bin_missing_from_snapshot(world: World) -> Refused:
    """All bins have to exist; one that Snapshot does not list is no empty bin."""
    bin_name = _into_bins(world, 8)
    del world.image.bodies["snapshot"]["meta"][f"{bin_name}.json"]
    world.image.reindex_listed()
    return refused(UnlistedRoleError, both_repositories(), repository="image", role=bin_name)


@scenario("delegations", each=[True, False])
def hash_prefixes(world: World, fitting: bool) -> Accepted | Refused:
    """A delegation by the leading digits of the path's SHA-256."""
    digest = sha256(BRAKE.path(3).encode())
    entry = delegation(world.image, "acme")
    del entry["paths"]
    entry["path_hash_prefixes"] = [digest[:3] if fitting else f"{(int(digest[0], 16) + 1) % 16:x}"]
    world.image.put("targets")
    return accepted(*ALL) if fitting else not_found()


@scenario("delegations")
def both_kinds_of_path(world: World) -> Refused:
    """Patterns and hash prefixes exclude each other; which would count is not left to the reader."""
    delegation(world.image, "acme")["path_hash_prefixes"] = [""]
    world.image.put("targets")
    path = "$.signed.delegations.roles[0]"
    return refused(MalformedError, both_repositories()[:-1], json_path=path)


@scenario("delegations")
def role_removed_and_delegated_again(world: World) -> Accepted:
    """Delegating to a new supplier for the same images is honest work."""
    nest(world, "new-supplier")
    world.image.publish("new-supplier", "targets")
    return accepted(*ALL)


def _into_bins(world: World, bits: int) -> str:
    image = world.image
    key = image.key("bins")
    entry = image.bodies["acme"]["targets"].pop(BRAKE.path(3))
    digits = len(f"{2**bits - 1:x}")
    number = int(sha256(BRAKE.path(3).encode()), 16) >> (256 - bits)
    name = f"bin-{number:0{digits}x}"
    image.bodies["targets"]["delegations"] = {
        "keys": {key.keyid: key.public},
        "succinct_roles": {"keyids": [key.keyid], "threshold": 1, "bit_length": bits, "name_prefix": "bin"},
    }
    image.add_role(name, [key])
    image.bodies[name]["targets"][BRAKE.path(3)] = entry
    image.publish(name, "targets")
    return name


def _restrict(world: World, *items: JSON, beside: list[str] | None = None) -> None:
    """State hardware restrictions in ``signed.custom``, and ``beside`` in the delegation to acme, as it was once done."""
    targets = world.image.bodies["targets"]
    targets["custom"] = {"delegatedHardware": list(items)}
    acme = delegation(world.image, "acme")
    acme.pop("hardwareIds")
    if beside is not None:
        acme["hardwareIds"] = beside
    world.image.publish("targets")


@scenario("delegations", each=["alone", "twice-alike", "beside-an-empty-item"])
def a_restriction_in_the_signed_part(world: World, place: str) -> Accepted:
    """A hardware restriction in a member of the signed part, which every TUF client keeps, covers the ECU's hardware."""
    item = {"roles": ["acme"], "hardwareIds": [BRAKE.hardware_id]}
    beside = None if place == "alone" else [BRAKE.hardware_id]
    _restrict(world, {"roles": ["acme"]} if place == "beside-an-empty-item" else item, beside=beside)
    return accepted(*ALL)


@scenario("delegations")
def a_restriction_in_the_signed_part_to_other_hardware(world: World) -> Refused:
    """The restriction there is to other hardware: nobody may speak for the brake's."""
    _restrict(world, {"roles": ["acme"], "hardwareIds": ["brake-8"]})
    return not_found()


MISALIGNED: dict[str, tuple[list[JSON], str]] = {
    "none": ([], ""),
    "one-more": ([{"roles": ["acme"]}, {"roles": ["acme"]}], ""),
    "another-name": ([{"roles": ["acne"], "hardwareIds": ["brake-7"]}], "[0].roles"),
    "another-number-of-names": ([{"roles": ["acme", "acme"]}], "[0].roles"),
    "no-name": ([{"hardwareIds": ["brake-7"]}], "[0]"),
}


@scenario("delegations", each=list(MISALIGNED))
def restrictions_that_fit_no_delegations(world: World, fault: str) -> Refused:
    """Restrictions of another number, or of other roles, than the delegations: which one holds would be a guess."""
    items, place = MISALIGNED[fault]
    _restrict(world, *items)
    path = f"$.signed.custom.delegatedHardware{place}"
    return refused(MalformedError, both_repositories()[:-1], what="image/targets", json_path=path)


@scenario("delegations")
def restrictions_that_differ(world: World) -> Refused:
    """Both places state a restriction, and not the same one."""
    _restrict(world, {"roles": ["acme"], "hardwareIds": [BRAKE.hardware_id]}, beside=[BRAKE.hardware_id, "gw-1"])
    path = "$.signed.custom.delegatedHardware[0].hardwareIds"
    return refused(MalformedError, both_repositories()[:-1], what="image/targets", json_path=path)


@pytest.mark.parametrize("scenario", family("delegations"), ids=str)
def test_delegations(scenario: Scenario) -> None:
    play(scenario)
