"""Several roles that have to agree (TAP 3; Uptane 2.1.0 5.4.4.8)."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from tests.simulator.moves import ALL, agree, both_repositories, not_found
from tests.simulator.scenario import Accepted, Refused, Scenario, accepted, family, play, refused, scenario
from twinlock.testing.simulator.world import BRAKE, World
from twinlock.trust.errors.images import RepositoryMismatchError
from twinlock.trust.errors.metadata import MalformedError, ThresholdError


@scenario("multi-role", each=[(2, 2), (3, 2), (3, 3)])
def agreement(world: World, roles: int, needed: int) -> Accepted:
    """Enough roles say the same."""
    names = [f"team-{number}" for number in range(roles)]
    agree(world, names, needed)
    world.image.publish(*names, "targets")
    return accepted(*ALL)


@scenario("multi-role", each=["length", "hash", "mustAgree"])
def disagreement(world: World, field: str) -> Refused:
    """Two of two have to agree, and one says otherwise: neither is followed."""
    entries = agree(world, ["team-0", "team-1"], 2)
    _spoil(entries["team-1"], field)
    world.image.publish("team-0", "team-1", "targets")
    return not_found("team-0", "team-1")


@scenario("multi-role", each=["releaseCounter", "hardwareIds"])
def a_field_outside_the_section(world: World, field: str) -> Refused:
    """Release counter and hardware ids stand beside the must-agree section, and one role of two writes another value.

    Alone it would lift a rollback, or give the image to other hardware.
    """
    entries = agree(world, ["team-0", "team-1"], 2)
    for entry in entries.values():
        entry["custom"] |= {"releaseCounter": 3, "hardwareIds": [BRAKE.hardware_id], "mustAgree": {"x-oem": "same"}}
    entries["team-1"]["custom"][field] = 9 if field == "releaseCounter" else [BRAKE.hardware_id, "gw-1"]
    world.image.publish("team-0", "team-1", "targets")
    return not_found("team-0", "team-1")


@scenario("multi-role", each=["releaseCounter", "hardwareIds"])
def a_field_of_one_role_alone(world: World, field: str) -> Refused:
    """The same, and one role of two leaves the field out."""
    entries = agree(world, ["team-0", "team-1"], 2)
    for entry in entries.values():
        entry["custom"] |= {"releaseCounter": 3, "hardwareIds": [BRAKE.hardware_id], "mustAgree": {"x-oem": "same"}}
    del entries["team-1"]["custom"][field]
    world.image.publish("team-0", "team-1", "targets")
    return not_found("team-0", "team-1")


@scenario("multi-role")
def other_custom_fields_need_not_agree(world: World) -> Accepted:
    """What no check uses need not be equal."""
    entries = agree(world, ["team-0", "team-1"], 2)
    entries["team-1"]["custom"]["x-note"] = "by the other team"
    world.image.publish("team-0", "team-1", "targets")
    return accepted(*ALL)


@scenario("multi-role")
def two_of_three_against_a_thief(world: World) -> Accepted:
    """The first role's key is stolen; the other two agree, and are enough."""
    entries = agree(world, ["team-0", "team-1", "team-2"], 2)
    _spoil(entries["team-0"], "length")
    world.image.publish("team-0", "team-1", "team-2", "targets")
    return accepted(*ALL)


@scenario("multi-role")
def two_groups(world: World) -> Refused:
    """Two groups are large enough; the one of the earliest listed role counts, and it is the thieves'."""
    names = [f"team-{number}" for number in range(4)]
    entries = agree(world, names, 2)
    for thief in ("team-0", "team-3"):
        _spoil(entries[thief], "length")
    world.image.publish(*names, "targets")
    stored = [*both_repositories(), *(f"image/{name}" for name in names)]
    return refused(RepositoryMismatchError, stored, target=BRAKE.path(3), repository="image", field="length")


@scenario("multi-role")
def one_role_under_two_names_is_named_twice(world: World) -> Refused:
    """The same role listed twice is not two roles."""
    agree(world, ["team-0", "team-1"], 2)
    several = world.image.bodies["targets"]["delegations"]["prioritized_delegations"][0]
    several["roles"][1] = several["roles"][0]
    world.image.publish("team-0", "team-1", "targets")
    return refused(MalformedError, both_repositories()[:-1])


@scenario("multi-role")
def more_agreement_than_roles(world: World) -> Refused:
    """Three have to agree where two are listed: refused when it is read, not when nobody is found."""
    agree(world, ["team-0", "team-1"], 3)
    world.image.publish("team-0", "team-1", "targets")
    return refused(MalformedError, both_repositories()[:-1])


@scenario("multi-role")
def one_member_is_forged(world: World) -> Refused:
    """One of the two roles' files is not by its key."""
    agree(world, ["team-0", "team-1"], 2)
    world.image.publish("team-0", "team-1", "targets")
    world.image.put("team-1", signers=[world.keys("mallory")])
    fields = {"repository": "image", "role": "team-1", "valid": 0}
    return refused(ThresholdError, [*both_repositories(), "image/team-0"], **fields)


@scenario("multi-role")
def terminating_without_agreement(world: World) -> Refused:
    """No agreement in a terminating delegation: the plain delegation after it is not asked."""
    entries = agree(world, ["team-0", "team-1"], 2, terminating=True)
    good = copy.deepcopy(entries["team-0"])
    _spoil(entries["team-1"], "length")
    image = world.image
    image.add_role("late")
    key = image.signers["late"][0]
    image.bodies["late"]["targets"][BRAKE.path(3)] = good
    delegations = image.bodies["targets"]["delegations"]
    delegations["keys"][key.keyid] = key.public
    late = {"name": "late", "keyids": [key.keyid], "threshold": 1}
    delegations["prioritized_delegations"].append(
        {"paths": ["brake/*"], "terminating": False, "min_roles_in_agreement": 1, "roles": [late]},
    )
    image.publish("team-0", "team-1", "late", "targets")
    return not_found("team-0", "team-1")


def _spoil(entry: dict[str, Any], field: str) -> None:
    if field == "length":
        entry["length"] += 1
    elif field == "hash":
        entry["hashes"]["sha256"] = "0" * 64
    else:
        entry["custom"]["mustAgree"]["x-oem"] = "other"


@pytest.mark.parametrize("scenario", family("multi-role"), ids=str)
def test_multi_role(scenario: Scenario) -> None:
    play(scenario)
